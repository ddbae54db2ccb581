import { InvalidArgumentError } from 'commander';
import type { CreateOptions } from '../index.js';
import { parseByteSize } from './byte-size.js';

type Key = keyof typeof PARSERS;

const PARSERS = {
  subformat: (text: string): CreateOptions => {
    if (text === 'dynamic' || text === 'fixed') return { type: text };
    throw new InvalidArgumentError(`subformat is dynamic or fixed, not ${text}; -b makes a differencing image.`);
  },
  block_size: (text: string): CreateOptions => ({ blockSize: parseByteSize(text) }),
  log_size: (text: string): CreateOptions => ({ logSize: parseByteSize(text) }),
  logical_sector_size: (text: string): CreateOptions => ({ logicalSectorSize: sectorSize(text) }),
  physical_sector_size: (text: string): CreateOptions => ({ physicalSectorSize: sectorSize(text) }),
  id: (text: string): CreateOptions => ({ id: text }),
};

function sectorSize(text: string): 512 | 4096 {
  const size = parseByteSize(text);
  if (size === 512 || size === 4096) return size;
  throw new InvalidArgumentError(`A sector has 512 or 4096 bytes, not ${text}.`);
}

/** Parses what `-o` takes, `name=value,name=value`: what a new image is to be. */
export function parseImageOptions(list: string, before: CreateOptions = {}): CreateOptions {
  const options = { ...before };
  for (const part of list.split(',')) {
    const [name = '', ...value] = part.split('=');
    if (name === 'preallocation') {
      throw new InvalidArgumentError(
        'preallocation is not supported: a fixed image is as long as its disk, and sparse.',
      );
    }
    if (!(name in PARSERS)) {
      throw new InvalidArgumentError(`${name} is no option: they are ${Object.keys(PARSERS).join(', ')}.`);
    }
    Object.assign(options, PARSERS[name as Key](value.join('=')));
  }
  return options;
}

import type { Command } from 'commander';
import { compareDisks, isVhdx, openSource, openVhdx, type RandomAccessSource } from '../index.js';
import { fullSize } from './byte-size.js';
import { about } from './failure.js';
import { addOpeningOptions, type OpeningFlags, openOptions } from './opening.js';
import { withProgress } from './progress.js';
import { writeOut } from './standard-output.js';
import { displayName } from './text.js';

interface Flags extends OpeningFlags {
  readonly sameSize?: true;
}

interface Side {
  readonly name: string;
  readonly source: RandomAccessSource;
  readonly isRaw: boolean;
}

const EXAMPLES = `
An image that is not VHDX is taken for a raw one. Where one disk is larger, it must be zero behind the end of the other.
Exit codes: 0 the same, 1 different, 2 something could not be read.

  vhdx compare disk.vhdx copy.vhdx
  vhdx compare disk.vhdx disk.img`;

/** Defines `vhdx compare`. */
export function define(command: Command): void {
  command
    .description('Tells whether two disks hold the same, and where they first differ.')
    .argument('<a>', 'image, VHDX or raw')
    .argument('<b>', 'image, VHDX or raw')
    .option('-s, --same-size', 'disks of different size are different');
  addOpeningOptions(command).addHelpText('after', EXAMPLES).action(compare);
}

async function compare(fileA: string, fileB: string, flags: Flags): Promise<void> {
  const a = await open(fileA, flags);
  try {
    const b = await open(fileB, flags);
    try {
      await tell(a, b, flags);
    } finally {
      await b.source.close?.();
    }
  } finally {
    await a.source.close?.();
  }
}

function open(file: string, flags: Flags): Promise<Side> {
  return about(file, async () => {
    const name = displayName(file);
    const isRaw = !(await isVhdx(file));
    return { name, source: await (isRaw ? openSource(file) : openVhdx(file, openOptions(flags))), isRaw };
  });
}

async function tell(a: Side, b: Side, { sameSize }: Flags): Promise<void> {
  const [larger, smaller] = a.source.size >= b.source.size ? [a, b] : [b, a];
  const sameSizes = larger.source.size === smaller.source.size;
  const sizes = `${larger.name} has ${fullSize(larger.source.size)}, ${smaller.name} ${fullSize(smaller.source.size)}`;
  if (sameSize && !sameSizes) {
    process.exitCode = 1;
    await writeOut(`Image size mismatch: ${sizes}.\n`);
    return;
  }
  // Which of them it is, only errors about the format say.
  const offset = await about(`${a.name} or ${b.name}`, () =>
    withProgress('compare', (onProgress) => compareDisks(a.source, b.source, { onProgress })),
  );
  if (offset === undefined) {
    await writeOut(`Images are identical.${sameSizes ? '' : ` ${sizes}; the rest is zero.`}\n`);
    return;
  }
  process.exitCode = 1;
  const raw = [a, b]
    .filter(({ isRaw }) => isRaw)
    .map(({ name }) => ` ${name} is not VHDX and was read as a raw image.`);
  await writeOut(`Content mismatch at offset ${offset}!${raw.join('')}\n`);
}

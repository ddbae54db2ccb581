import { resolve } from 'node:path';
import type { Command } from 'commander';
import { compareDisks, type ProgressOptions, VhdxError } from '../index.js';
import { fullSize } from './byte-size.js';
import { addThreadsOption, crewOf, type ThreadFlags } from './crew/threads.js';
import { about, failureOf } from './failure.js';
import {
  addImageOptions,
  formatOption,
  type ImageFlags,
  type InputFormat,
  type OpenedDisk,
  openDisk,
} from './image-options.js';
import { withProgress } from './progress.js';
import { writeOut } from './standard-output.js';
import { displayName, printable } from './terminal.js';

interface Flags extends ImageFlags, ThreadFlags {
  readonly secondFormat?: InputFormat;
  readonly sameSize?: true;
}

interface Side extends OpenedDisk {
  readonly file: string;
}

const FORMATS = ['vhdx', 'raw', 'vpc'] as const;

const EXAMPLES = `
Either image may be VHDX or VHD, with its parents, or raw. An image of another
format that is recognised is an error; one that is not recognised is read as raw. If one disk is larger, it must be zero
past the end of the other.
Exit codes: 0 the same, 1 different, 2 something cannot be read.

  vhdx compare disk.vhdx copy.vhdx
  vhdx compare disk.vhdx disk.img
  vhdx compare -F raw disk.vhdx disk.bin`;

/** Defines `vhdx compare`. */
export function define(command: Command): void {
  command
    .description('Compares the contents of two disks, and says where they first differ.')
    .argument('<a>', 'image')
    .argument('<b>', 'image')
    .addOption(formatOption('-F, --second-format <format>', 'format of the second image', FORMATS))
    .option('-s, --same-size', 'disks of different size are different');
  addImageOptions(addThreadsOption(command), { formats: FORMATS }).addHelpText('after', EXAMPLES).action(compare);
}

async function compare(fileA: string, fileB: string, flags: Flags): Promise<void> {
  const a = await open(fileA, flags);
  try {
    const b = await open(fileB, { ...flags, format: flags.secondFormat }, '-F');
    try {
      await compareSides(a, b, flags);
    } finally {
      await b.close();
    }
  } finally {
    await a.close();
  }
}

type SideFlags = Omit<Flags, 'format'> & { readonly format?: InputFormat | undefined };

async function open(file: string, { format, ...flags }: SideFlags, formatFlag: '-f' | '-F' = '-f'): Promise<Side> {
  const given = { ...flags, ...(format && { format }) };
  return about(file, async () => ({ file, ...(await openDisk(file, given, true, {}, formatFlag)) }));
}

async function compareSides(a: Side, b: Side, flags: Flags): Promise<void> {
  const [larger, smaller] = a.source.size >= b.source.size ? [a, b] : [b, a];
  const sameSizes = larger.source.size === smaller.source.size;
  const sizes = `${nameOf(larger)} has ${fullSize(larger.source.size)}, ${nameOf(smaller)} ${fullSize(smaller.source.size)}`;
  if (flags.sameSize && !sameSizes) return finish(1, `Image size mismatch: ${sizes}.`, flags);
  const offset = await withProgress('compare', flags, (onProgress) => firstDifference(a, b, flags, onProgress)).catch(
    (error: unknown) => {
      throw failureOfSides([a, b], error);
    },
  );
  if (offset === undefined) {
    return finish(0, `Images are identical.${sameSizes ? '' : ` ${sizes}; the rest is zero.`}`, flags);
  }
  const guessed = [a, b].filter((side) => side.guessed);
  const notes = guessed.map((side) => ` ${nameOf(side)} has no known format and was read as raw.`);
  return finish(1, `Content mismatch at offset ${offset}!${notes.join('')}`, flags);
}

async function firstDifference(
  a: Side,
  b: Side,
  flags: Flags,
  onProgress: ProgressOptions['onProgress'],
): Promise<number | undefined> {
  const crew = crewOf(flags, { file: a.file, flags, opened: a }, { file: b.file, flags, opened: b });
  if (crew) {
    const { compareByCrew } = await import('./crew/jobs.js');
    const found = await compareByCrew(crew, { onProgress });
    if (found) return found.offset;
  }
  return compareDisks(a.source, b.source, { onProgress });
}

/** Sets the exit code first, so that a reader who closes the pipe does not change it. */
async function finish(exitCode: number, text: string, { quiet }: Flags): Promise<void> {
  process.exitCode = exitCode;
  if (!quiet) await writeOut(`${text}\n`);
}

function nameOf({ file }: Side): string {
  return printable(displayName(file));
}

/** The failure for an error of one of the two; the library says of which, as far as it has a name. */
function failureOfSides(sides: readonly Side[], error: unknown): unknown {
  const isOf = ({ file, source }: Side): boolean =>
    error instanceof VhdxError && (resolve(file) === (error.path ?? error.file) || source.name === error.file);
  const file = sides.find(isOf)?.file ?? sides.map(nameOf).join(' or ');
  return failureOf(file, error) ?? error;
}

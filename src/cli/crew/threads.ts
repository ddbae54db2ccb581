import { statSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { type Command, InvalidArgumentError } from 'commander';
import { chainOf, type ImageFlags, type OpenedDisk, openOptions } from '../image-options.js';
import { parseCount } from '../parse-count.js';
import { isUrl } from '../terminal.js';
import type { CrewDisk } from './tasks.js';

/** Threads that are used unless more are asked for: with more, reading is what takes the time. */
const USUAL = 8;
/** Most threads. */
const MOST = 64;
/** Bytes in files from which on threads save more than starting them takes. */
const LARGE = 2 * 1024 ** 3;

/** Bytes of a file that a check judges in one pass. */
const PASS = 2 * 1024 ** 4;

/** Says how many threads work. */
export interface ThreadFlags {
  readonly threads?: number;
}

/** Threads that work together, and the disks that each of them opens. */
export interface Crew<Disks extends readonly CrewDisk[] = readonly CrewDisk[]> {
  readonly threads: number;
  readonly disks: Disks;
}

/** Adds the option that says how many threads work. */
export function addThreadsOption(command: Command): Command {
  return command.option(
    '--threads <n>',
    'work with N threads; by default one for each processor, up to 8, if the files are large',
    parseThreads,
  );
}

function parseThreads(text: string): number {
  const threads = parseCount(text);
  if (threads > MOST) throw new InvalidArgumentError(`There are ${MOST} threads at most.`);
  return threads;
}

/** How many threads are of use, if not told otherwise. */
const usualThreads = (): number => Math.min(USUAL, availableParallelism());

/** A disk that the command has opened. */
export interface Given {
  readonly file: string;
  readonly flags: ImageFlags;
  readonly opened: Pick<OpenedDisk, 'source' | 'format'> & Partial<OpenedDisk>;
}

/** The threads to read some disks; undefined if the command's own does it as well: they are small, or remote. */
export function crewOf<Disks extends readonly Given[]>(
  { threads }: ThreadFlags,
  ...disks: Disks
): Crew<{ [K in keyof Disks]: CrewDisk }> | undefined {
  const isLarge = disks.some((disk) => bytesOf(disk) >= LARGE);
  const wanted = threads ?? (isLarge ? usualThreads() : 1);
  if (wanted === 1 || disks.some(({ file }) => isUrl(file))) return undefined;
  const crewDisks = disks.map(({ file, flags, opened: { source, format } }) => ({
    file,
    options: { ...openOptions(flags), format: format === 'vpc' ? ('vhd' as const) : format },
    partition: flags.partition,
    size: source.size,
  }));
  return { threads: wanted, disks: crewDisks as { [K in keyof Disks]: CrewDisk } };
}

/**
 * The threads for the check of a file: as long as it is, the BAT is gone through once for each 2 TiB, and that is what
 * threads can share.
 */
export function checkThreads({ threads }: ThreadFlags, file: string): number {
  if (isUrl(file)) return 1;
  const passes = Math.ceil((statSync(file, { throwIfNoEntry: false })?.size ?? 0) / PASS);
  return threads ?? Math.min(usualThreads(), Math.max(1, passes));
}

/** At most how many bytes there are to read. */
function bytesOf({ opened: { source, vhdx, vhd } }: Given): number {
  const chain = vhdx ? chainOf(vhdx) : vhd ? chainOf(vhd) : undefined;
  if (!chain) return source.size;
  const stored = chain.reduce((sum, { info }) => sum + info.fileSize, 0);
  return Math.min(source.size, stored);
}

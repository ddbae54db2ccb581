import { eventLoopYielder } from '../base/concurrency.js';
import { checkShard, type ProgressOptions, type RangeOptions, type Shard } from '../base/options.js';
import { type USAGE_CLASSES, usageBytes } from '../core/bat-calls.js';
import type { Member } from './member.js';

/** Options of `VhdxDisk.usage`. */
export interface UsageOptions extends RangeOptions, ProgressOptions {
  /** How many bins the range is cut into: 1 to 10,000. */
  readonly bins: number;
}

/**
 * What a range of a disk consists of, in bins of equal width, by its BAT alone: sector bitmaps are not looked at, and a
 * block counts as damaged as a whole. Each array has a number of bytes for each bin.
 */
export interface Usage {
  /** Width of a bin in bytes; the last one may reach past the range. */
  readonly binBytes: number;
  /** Stored in this file. */
  readonly data: Float64Array;
  /** Zeros, because the image says so. */
  readonly zero: Float64Array;
  /** Zeros, because nothing is stored. */
  readonly unmapped: Float64Array;
  /** Wholly in the parent. */
  readonly parent: Float64Array;
  /** In blocks of which some sectors are here and some in the parent. */
  readonly partial: Float64Array;
  /** Cannot be read. */
  readonly damaged: Float64Array;
  /**
   * Bytes that the payload of the whole image occupies in its file, each counted once however many blocks claim it.
   * Undefined until the BAT was checked: one of up to 1 MiB is when the image is opened.
   */
  readonly storedBytes?: number;
}

const MAX_BINS = 10_000;

/** Sums what a range of a disk consists of, in the core, on the pages of the BAT. */
export async function usageOf(disk: Member, offset: number, length: number, options: UsageOptions): Promise<Usage> {
  const { bins, signal, onProgress } = options;
  if (!(Number.isInteger(bins) && bins > 0 && bins <= MAX_BINS))
    throw new RangeError(`bins must be 1 to ${MAX_BINS}, not ${bins}`);
  const binBytes = Math.max(1, Math.ceil(length / bins));
  const { pages, source, core, layout } = disk.image;
  const file = { size: source.size, storedSize: layout.storedSize };
  const { calls } = pages;
  const { scratch } = core;
  const end = offset + length;
  const sums = { length: usageBytes(bins) };
  const yieldToEventLoop = eventLoopYielder();
  try {
    for (let at = offset; at < end; ) {
      signal?.throwIfAborted();
      await yieldToEventLoop();
      scratch.enter(sums);
      const { reached, missing } = calls.addUsage(at, end, file, offset, binBytes);
      at = reached;
      if (missing >= 0) await pages.loadBat(missing, { signal });
      else onProgress?.({ done: at - offset, total: length });
    }
    scratch.enter(sums);
    const of = (name: keyof typeof USAGE_CLASSES): Float64Array => calls.usage(name, bins);
    const storedBytes = disk.image.scan?.counts.storedBytes;
    return {
      binBytes,
      data: of('data'),
      zero: of('zero'),
      unmapped: of('unmapped'),
      parent: of('parent'),
      partial: of('partial'),
      damaged: of('damaged'),
      ...(storedBytes !== undefined && { storedBytes }),
    };
  } finally {
    scratch.leave(sums);
  }
}

/** Bins that a range is cut into to find out where its data is. */
const SHARD_BINS = 4096;

/** What {@link shardRange} asks of a disk. */
interface MeasuredDisk {
  readonly size: number;
  readonly blockSize: number;
  readonly parent?: MeasuredDisk | undefined;
  usage(options: UsageOptions): Promise<Usage>;
}

/**
 * The range of a disk that is one part of several, for work that costs what the data costs: all parts have about as much
 * data, that in parents too, and begin at the borders of blocks. Together they are the disk, without gaps. It is the
 * same wherever it is computed, and empty if there are more parts than blocks with data.
 *
 * @returns offset and length in bytes
 * @throws RangeError if there is no such part
 */
export async function shardRange(
  disk: MeasuredDisk,
  { index, of }: Shard,
  { signal }: { readonly signal?: AbortSignal | undefined } = {},
): Promise<{ readonly offset: number; readonly length: number }> {
  checkShard({ index, of });
  const { size, blockSize } = disk;
  const bins = await dataOf(disk, 0, size, signal);
  const total = sum(bins.data);
  const border = async (part: number): Promise<number> => {
    if (part === 0 || part === of) return part === 0 ? 0 : size;
    const share = part / of;
    const place = total > 0 ? await placeOf(disk, total * share, bins, signal) : size * share;
    return Math.floor(place / blockSize) * blockSize;
  };
  const offset = await border(index);
  return { offset, length: (await border(index + 1)) - offset };
}

/** How many bytes of data there are in each of some bins of equal width, which begin at an offset. */
interface DataBins {
  readonly offset: number;
  readonly binBytes: number;
  readonly data: Float64Array;
}

const sum = (values: Float64Array): number => values.reduce((all, value) => all + value, 0);

/** The first block that would make more than `wanted` bytes of data, by its offset. */
async function placeOf(
  disk: MeasuredDisk,
  wanted: number,
  { offset, binBytes, data }: DataBins,
  signal: AbortSignal | undefined,
): Promise<number> {
  let before = 0;
  let bin = 0;
  while (bin + 1 < data.length && before + (data[bin] ?? 0) <= wanted) before += data[bin++] ?? 0;
  const start = offset + bin * binBytes;
  if (binBytes <= disk.blockSize) return start;
  const inside = await dataOf(disk, start, Math.min(binBytes, disk.size - start), signal);
  return placeOf(disk, wanted - before, inside, signal);
}

/** How much data a range of a disk has, in its own file or in those of its parents. */
async function dataOf(
  disk: MeasuredDisk,
  offset: number,
  length: number,
  signal: AbortSignal | undefined,
): Promise<DataBins> {
  const binBytes = Math.max(disk.blockSize, Math.ceil(length / SHARD_BINS));
  const usage = await disk.usage({ offset, length, bins: Math.ceil(length / binBytes), signal });
  const { parent } = disk;
  const shared = parent ? Math.max(0, Math.min(length, parent.size - offset)) : 0;
  const below = parent && shared > 0 ? await dataOf(parent, offset, shared, signal) : undefined;
  const data = usage.data.map((bytes, bin) => {
    // A bin of the parent has another width if its blocks have.
    const inherited = below?.data[Math.floor((bin * usage.binBytes) / below.binBytes)] ?? 0;
    return bytes + (usage.partial[bin] ?? 0) + Math.min(usage.parent[bin] ?? 0, inherited);
  });
  return { offset, binBytes: usage.binBytes, data };
}

import { eventLoopYielder } from '../base/concurrency.js';
import type { ProgressOptions, RangeOptions } from '../base/options.js';
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

import type { ProgressOptions, WarningOptions } from '../../base/options.js';

/** A range of a disk, in bytes, that holds nothing of use. */
export interface FreeRange {
  /** First byte. */
  readonly offset: number;
  /** Number of bytes. */
  readonly length: number;
}

/** Options of `compactVhdx`. */
export interface CompactOptions extends ProgressOptions, WarningOptions {
  /** Whether blocks are read to find those that hold nothing but zeros; `true` if it is not given. */
  readonly scan?: boolean | undefined;
  /**
   * Ranges of the disk that hold nothing of use, as its file system knows them: in ascending order, none overlapping
   * another one. Blocks that lie in them as a whole are given back, and read as zeros from then on. Children of the disk
   * do not fit it any more then.
   */
  readonly free?: Iterable<FreeRange> | AsyncIterable<FreeRange> | undefined;
  /** Whether nothing is written: the report says what would be. */
  readonly dryRun?: boolean | undefined;
  /** Aborts the work. What was done so far stays, and the image is sound and clean. */
  readonly signal?: AbortSignal | undefined;
}

/** What a compact did, or with `dryRun` would do. Plain data; sizes in bytes. */
export interface CompactReport {
  /** Of the file. */
  readonly fileSizeBefore: number;
  /** Of the file. */
  readonly fileSizeAfter: number;
  /** Blocks that held nothing but zeros, and have no space any more. */
  readonly zeroBlocks: number;
  /** Blocks that were in ranges that are free, and have no space any more. */
  readonly freeBlocks: number;
  /** How much was moved towards the start of the file. */
  readonly movedBytes: number;
}

import type { ProgressOptions, WarningOptions } from '../../base/options.js';

/** Options of `resizeVhdx`. */
export interface ResizeOptions extends ProgressOptions, WarningOptions {
  /** Allows the disk to get smaller. What is past its new end is lost, whatever it is. */
  readonly shrink?: boolean | undefined;
  /** Whether nothing is written: the report says what would be. */
  readonly dryRun?: boolean | undefined;
  /** Aborts the work until the size changes, which happens at one moment, at its end. */
  readonly signal?: AbortSignal | undefined;
}

/** What a resize did, or with `dryRun` would do. Plain data; sizes in bytes. */
export interface ResizeReport {
  /** Of the disk. */
  readonly sizeBefore: number;
  /** Of the disk. */
  readonly sizeAfter: number;
  /** Of the file. */
  readonly fileSizeBefore: number;
  /** Of the file. */
  readonly fileSizeAfter: number;
  /** Whether the BAT was too short for the new size, and has a new place in the file. */
  readonly batMoved: boolean;
  /** How much that was stored in this file was past the new end of the disk, and is lost. */
  readonly lostBytes: number;
}

/** A part of a disk, as the methods that go through one take it. */
export interface RangeOptions {
  /** First byte; 0 by default. */
  readonly offset?: number | undefined;
  /** Number of bytes; up to the end by default. */
  readonly length?: number | undefined;
  /** Aborts the work, which rejects with the signal's reason. */
  readonly signal?: AbortSignal | undefined;
}

/** How far some work is, in bytes of what it goes through. */
export interface Progress {
  /** Bytes that are done. */
  readonly done: number;
  /** Bytes in all. */
  readonly total: number;
}

/** An option of long work that reports how far it is. */
export interface ProgressOptions {
  /** Called from time to time; what it throws ends the work. */
  readonly onProgress?: ((progress: Progress) => void) | undefined;
}

/** An option of work that changes a file. */
export interface WarningOptions {
  /** Called with a sentence about what the work goes on in spite of: the file could not be locked, for instance. */
  readonly onWarning?: ((message: string) => void) | undefined;
}

/** One of several parts of work on one image, which are done apart and put together afterwards. */
export interface Shard {
  /** Number of the part, from 0 on. */
  readonly index: number;
  /** How many parts there are. */
  readonly of: number;
}

/**
 * Checks the number of a part.
 *
 * @throws RangeError if it is not one of 0 to `of` - 1
 */
export function checkShard({ index, of }: Shard): void {
  if (!Number.isSafeInteger(of) || of < 1) throw new RangeError(`the number of parts must be 1 or more, not ${of}`);
  if (!Number.isSafeInteger(index) || index < 0 || index >= of)
    throw new RangeError(`part ${index} of ${of}: the parts are 0 to ${of - 1}`);
}

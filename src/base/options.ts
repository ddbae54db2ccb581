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

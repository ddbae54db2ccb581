/** A part of a disk, as the methods that go through one take it. */
export interface RangeOptions {
  /** First byte; 0 where it is not given. */
  readonly offset?: number | undefined;
  /** Number of bytes; up to the end where it is not given. */
  readonly length?: number | undefined;
  /** Gives the work up; it rejects with the signal's reason. */
  readonly signal?: AbortSignal | undefined;
}

/** How far some work has come, in bytes of what it goes through. */
export interface Progress {
  /** What is behind. */
  readonly done: number;
  /** All there is. */
  readonly total: number;
}

/** Told now and then how far some work has come. */
export interface ProgressOptions {
  /** Called now and then; what it throws ends the work. */
  readonly onProgress?: ((progress: Progress) => void) | undefined;
}

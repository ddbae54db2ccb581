/** Options of a single read. */
export interface ReadOptions {
  /** Gives the read up; the promise rejects with the signal's reason. */
  readonly signal?: AbortSignal | undefined;
}

/**
 * Bytes that can be read at any place: the one interface between the format and the world.
 * A plain object satisfies it, and so does an opened disk.
 *
 * Who closes what: whoever opened a source closes it. A source made here from a path, a URL, a `Blob` or a buffer is
 * closed with the disk that it was made for; a source or a file handle that was handed over stays open.
 */
export interface RandomAccessSource {
  /** Length in bytes; does not change while the source is in use. */
  readonly size: number;
  /** What to call it in messages, such as a file's name. */
  readonly name?: string;
  /**
   * Fills all of `target` with the bytes from `offset` on, or rejects; never pads. Concurrent calls are allowed.
   * A range that leaves the source is a RangeError.
   *
   * `target` may be a view on WebAssembly memory: write into it, do not transfer it, and do not touch it any more
   * once the promise has settled, least of all after an abort, because its memory may already serve another read.
   */
  readInto(target: Uint8Array, offset: number, options?: ReadOptions): Promise<void>;
  /** Frees what the source holds. Reads that follow reject; closing twice is allowed. */
  close?(): Promise<void>;
}

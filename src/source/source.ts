/** Options of a single read. */
export interface ReadOptions {
  /** Gives the read up; the promise rejects with the signal's reason. */
  readonly signal?: AbortSignal | undefined;
}

/**
 * Bytes that can be read at any place: the one interface between the format and the world.
 * A plain object satisfies it.
 */
export interface RandomAccessSource {
  /** Length in bytes; does not change while the source is in use. */
  readonly size: number;
  /** What to call it in messages, such as a file's name. */
  readonly name?: string;
  /**
   * Fills all of `target` with the bytes from `offset` on, or rejects; never pads. Concurrent calls are allowed.
   * `target` may be a view on WebAssembly memory: write into it, do not transfer it.
   */
  readInto(target: Uint8Array, offset: number, options?: ReadOptions): Promise<void>;
  /** Frees what the source holds. */
  close?(): Promise<void>;
}

import type { RangeOptions } from '../base/options.js';
import type { RuleCode } from '../rules.js';

/** Options of a single read. */
export interface ReadOptions {
  /** Aborts the read; the promise rejects with the signal's reason. */
  readonly signal?: AbortSignal | undefined;
}

/** A range of a source and where its bytes are. Offsets and lengths in bytes. */
export interface Extent {
  /** First byte, in the source: for a disk, on the virtual disk. */
  readonly offset: number;
  /** How many bytes it has. */
  readonly length: number;
  /**
   * What is there.
   *
   * - `data`: the bytes are stored in a file;
   * - `zero`: zeros, because the image says so;
   * - `unmapped`: zeros, because nothing was ever stored there or it was trimmed;
   * - `damaged`: the bytes cannot be known; a read of them rejects with the same `code`.
   */
  readonly kind: 'data' | 'zero' | 'unmapped' | 'damaged';
  /** Which member of the chain it comes from: 0 for the disk itself, 1 for its parent, and so on. */
  readonly depth: number;
  /** Of `data`: offset of its first byte in the file of that member. */
  readonly fileOffset?: number;
  /** Of `damaged`: which rule is broken. */
  readonly code?: RuleCode;
}

/**
 * Bytes that can be read at any offset. A plain object satisfies it, and so does an opened disk.
 *
 * Who closes what: the code that opened a source closes it. A source made here from a path, a URL, a `Blob` or a
 * buffer is closed with the disk that it was made for; a source or a file handle that was handed over stays open.
 */
export interface RandomAccessSource {
  /** Length in bytes; does not change while a disk reads from it. */
  readonly size: number;
  /** What to call it in messages, such as a file's name. */
  readonly name?: string;
  /** Absolute path, if it is a file that was opened by its path. Parents are looked for beside it. */
  readonly path?: string;
  /**
   * Fills all of `target` with the bytes from `offset` on, or rejects; never pads. Concurrent calls are allowed.
   * A range that leaves the source is a RangeError.
   *
   * `target` may be a view on WebAssembly memory: write into it, do not transfer it, and do not touch it any more
   * once the promise has settled, least of all after an abort, because its memory may already serve another read.
   */
  readInto(target: Uint8Array, offset: number, options?: ReadOptions): Promise<void>;
  /**
   * If the source can: the same without a promise, for parsers and emulators that cannot wait. What opens it with
   * `sync: true` needs it.
   */
  readIntoSync?(target: Uint8Array, offset: number): void;
  /**
   * How many reads at a time are of use to who walks through the source: 1 if each has ended when `readInto` returns.
   * As many as there are buffers if it is not given.
   */
  readonly readsInFlight?: number | undefined;
  /**
   * If the source knows its holes: what is in a range of it, in the order of the offsets and without gaps, at no more
   * cost than reading an index. All of it without a range. An opened disk has this.
   */
  extents?(range?: RangeOptions): AsyncIterable<Extent>;
  /** Frees what the source holds. Reads that follow reject; closing twice is allowed. */
  close?(): Promise<void>;
}

/** Something that can be filled once, at growing offsets: a new file, a download. */
export interface RandomAccessSink {
  /** Sets the length in bytes; what is new reads as zeros. Called with 0 first, then with the length of the whole. */
  truncate(size: number): Promise<void>;
  /**
   * Writes all of `bytes`, which are the caller's again when the promise settles. Offsets only grow from call to call,
   * and the next call may come before the promise of the last one settles: a sink that cannot write at several places
   * at a time puts the calls into a queue.
   */
  write(bytes: Uint8Array<ArrayBuffer>, offset: number): Promise<void>;
  /** Makes durable what was written before the call, if the sink can. */
  flush?(): Promise<void>;
}

/**
 * A file that can be read and changed in place. `size` is what it is now. Concurrent reads and writes are allowed; of
 * two that overlap, each byte is that of one or the other.
 */
export interface RandomAccessFile extends RandomAccessSource, RandomAccessSink {
  /** Sets the length in bytes; what is new reads as zeros. */
  truncate(size: number): Promise<void>;
  /** Writes all of `bytes` at any offset, or rejects; past the end the file grows. A gap reads as zeros. */
  write(bytes: Uint8Array, offset: number): Promise<void>;
  /** Everything written before the call is durable when it settles. */
  flush(): Promise<void>;
}

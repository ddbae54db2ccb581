import { untilAborted } from '../base/abort.js';
import { checkRead } from '../base/byte-range.js';
import { MiB } from '../base/units.js';
import { VhdxError } from '../errors.js';
import { CachedSource } from './cached.js';
import type { RandomAccessSource } from './random-access.js';
import type { HintedReadOptions, HintedSource } from './sequential-reads.js';

/** Most that is taken from a blob for one read, or for a chunk, in bytes: it is in memory twice for a moment. */
const PIECE = 4 * MiB;
/** Chunks that are asked for at a time. */
const CHUNKS = 4;

/** Length of the slices that a long sequence of reads shares, in bytes. */
const WINDOW = 8 * MiB;
/** How many of them are asked for at a time; one that was read is kept besides. */
const WINDOWS = 2;

/** What is needed of a `FileReaderSync`. */
interface BlobReader {
  readAsArrayBuffer(blob: Blob): ArrayBuffer;
}

/**
 * A source over a `Blob` or `File`: a piece is sliced off, read, and copied into the target. Reads that are known to be
 * one long sequence share longer slices, of which the next is on its way while one is used: a slice costs the browser about
 * as much as a megabyte of its bytes, and it reads several at a time. Bytes that arrive are slices as they are.
 */
class BlobSource implements HintedSource {
  readonly size: number;
  readonly name?: string;
  readonly #blob: Blob;
  /** Slices that a sequence of reads shares, by their numbers. */
  readonly #windows = new Map<number, Promise<Uint8Array>>();
  /** Present where blobs can be read so, which is in workers. */
  readonly readIntoSync?: NonNullable<RandomAccessSource['readIntoSync']>;
  #closed = false;

  constructor(blob: Blob) {
    this.#blob = blob;
    this.size = blob.size;
    const { FileReaderSync } = globalThis as { readonly FileReaderSync?: new () => BlobReader };
    if (FileReaderSync) {
      const reader = new FileReaderSync();
      this.readIntoSync = (target, offset) => this.#readSync(reader, target, offset);
    }
    if ('name' in blob && typeof blob.name === 'string' && blob.name !== '') this.name = blob.name;
  }

  async readInto(target: Uint8Array, offset: number, options?: HintedReadOptions): Promise<void> {
    const signal = options?.signal;
    signal?.throwIfAborted();
    checkRead(this.size, target, offset);
    const isSequence = (options?.ahead ?? 0) >= PIECE;
    for (let done = 0; done < target.byteLength; ) {
      if (this.#closed) throw new VhdxError('closed', 'the file was closed');
      const at = offset + done;
      const end = isSequence ? (Math.floor(at / WINDOW) + 1) * WINDOW : at + PIECE;
      const length = Math.min(end - at, target.byteLength - done);
      const piece = await untilAborted(isSequence ? this.#share(at, length) : this.#take(at, length), signal);
      target.set(piece, done);
      done += length;
    }
  }

  #readSync(reader: BlobReader, target: Uint8Array, offset: number): void {
    if (this.#closed) throw new VhdxError('closed', 'the file was closed');
    checkRead(this.size, target, offset);
    for (let done = 0; done < target.byteLength; done += PIECE) {
      const length = Math.min(PIECE, target.byteLength - done);
      let bytes: ArrayBuffer;
      try {
        bytes = reader.readAsArrayBuffer(this.#blob.slice(offset + done, offset + done + length));
      } catch (cause) {
        throw this.#failure(offset + done, cause);
      }
      target.set(this.#whole(bytes, offset + done, length), done);
    }
  }

  async *arriving(offset: number, length: number, signal: AbortSignal | undefined): AsyncGenerator<Uint8Array, void> {
    const end = offset + length;
    const coming: Promise<Uint8Array>[] = [];
    for (let next = offset; next < end || coming.length > 0; ) {
      signal?.throwIfAborted();
      if (this.#closed) throw new VhdxError('closed', 'the file was closed');
      for (; next < end && coming.length < CHUNKS; next += PIECE) {
        const chunk = this.#take(next, Math.min(PIECE, end - next));
        chunk.catch(() => undefined); // reported when its turn comes
        coming.push(chunk);
      }
      yield await untilAborted(coming.shift() as Promise<Uint8Array>, signal);
    }
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#windows.clear();
  }

  /** A part of a slice that is read once for all reads of a sequence that lie in it. */
  async #share(offset: number, length: number): Promise<Uint8Array> {
    const number = Math.floor(offset / WINDOW);
    const start = number * WINDOW;
    const window = this.#window(number);
    // The browser reads the next ones meanwhile.
    for (let next = number + 1; next < number + WINDOWS && next * WINDOW < this.size; next++) void this.#window(next);
    const bytes = await window;
    if (offset + length === this.size) this.#windows.clear(); // the end of the sequence
    return bytes.subarray(offset - start, offset - start + length);
  }

  #window(number: number): Promise<Uint8Array> {
    const known = this.#windows.get(number);
    if (known !== undefined) return known;
    const start = number * WINDOW;
    const window = this.#take(start, Math.min(WINDOW, this.size - start));
    this.#windows.set(number, window);
    window.catch(() => this.#windows.delete(number));
    for (const other of this.#windows.keys()) if (this.#windows.size > WINDOWS + 1) this.#windows.delete(other);
    return window;
  }

  async #take(offset: number, length: number): Promise<Uint8Array> {
    let bytes: ArrayBuffer;
    try {
      bytes = await this.#blob.slice(offset, offset + length).arrayBuffer();
    } catch (cause) {
      throw this.#failure(offset, cause);
    }
    return this.#whole(bytes, offset, length);
  }

  #whole(bytes: ArrayBuffer, offset: number, length: number): Uint8Array {
    if (bytes.byteLength === length) return new Uint8Array(bytes);
    throw new VhdxError('short-read', `${this.#who} ended ${length - bytes.byteLength} bytes early`, { offset });
  }

  #failure(offset: number, cause: unknown): VhdxError {
    const kind = cause instanceof Error || cause instanceof DOMException ? cause.name : '';
    // Engines say NotReadableError when the file is another one by now, some NotFoundError when it is gone.
    if (kind === 'NotReadableError' || kind === 'NotFoundError') {
      return new VhdxError(
        'source-changed',
        `${this.#who} was changed or removed since it was chosen; choose it again`,
        {
          offset,
          cause,
        },
      );
    }
    return new VhdxError('read-failed', `${this.#who} could not be read: ${String(cause)}`, { offset, cause });
  }

  get #who(): string {
    return this.name === undefined ? 'the file' : `the file ${this.name}`;
  }
}

/**
 * Makes a source of a `Blob` or `File`. In a browser each slice of one costs about a millisecond whatever its length,
 * so it gets a cache of 4 MiB, which reads ahead for sequential reads.
 */
export function blobSource(blob: Blob): RandomAccessSource {
  return new CachedSource(new BlobSource(blob), { cacheSize: 4 * MiB, loads: 4, direct: 1 * MiB, readAhead: 1 * MiB });
}

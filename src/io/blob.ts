import { untilAborted } from '../base/abort.js';
import { checkRead } from '../base/byte-range.js';
import { MiB } from '../base/units.js';
import { VhdxError } from '../errors.js';
import { CachedSource } from './cached.js';
import type { RandomAccessSource, ReadOptions } from './random-access.js';

/** Most that is taken from a blob at a time, in bytes: it is in memory twice for a moment. */
const PIECE = 4 * MiB;

/** A source over a `Blob` or `File`: a piece is sliced off, read, and copied into the target. */
class BlobSource implements RandomAccessSource {
  readonly size: number;
  readonly name?: string;
  readonly #blob: Blob;
  #closed = false;

  constructor(blob: Blob) {
    this.#blob = blob;
    this.size = blob.size;
    if ('name' in blob && typeof blob.name === 'string' && blob.name !== '') this.name = blob.name;
  }

  async readInto(target: Uint8Array, offset: number, options?: ReadOptions): Promise<void> {
    const signal = options?.signal;
    signal?.throwIfAborted();
    checkRead(this.size, target, offset);
    for (let done = 0; done < target.byteLength; ) {
      if (this.#closed) throw new VhdxError('closed', 'the file was closed');
      const length = Math.min(PIECE, target.byteLength - done);
      const piece = await untilAborted(this.#take(offset + done, length), signal);
      target.set(piece, done);
      done += length;
    }
  }

  async close(): Promise<void> {
    this.#closed = true;
  }

  async #take(offset: number, length: number): Promise<Uint8Array> {
    let bytes: Uint8Array;
    try {
      bytes = new Uint8Array(await this.#blob.slice(offset, offset + length).arrayBuffer());
    } catch (cause) {
      throw this.#failure(offset, cause);
    }
    if (bytes.byteLength === length) return bytes;
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

import type { RandomAccessSink } from '../../src/index.js';
import { exactSizeText } from '../wording.js';

/** A sink that is finished or thrown away. */
export interface ClosableSink extends RandomAccessSink {
  /** Makes what was written stay. */
  close(): Promise<void>;
  /** Forgets what was written. */
  abort(): Promise<void>;
}

/** Writes to a file that a person chose. Nothing of it is to be seen there before it is closed. */
export async function fileSink(handle: FileSystemFileHandle): Promise<ClosableSink> {
  const file = await handle.createWritable();
  return {
    truncate: (size) => file.truncate(size),
    write: (data, position) => file.write({ type: 'write', position, data }),
    close: () => file.close(),
    abort: () => file.abort(),
  };
}

/** Most bytes that are gathered for a download. */
const LARGEST_DOWNLOAD = 256 * 1024 ** 3;
/** Bytes of zeros that one blob holds; holes are made of references to it. */
const HOLE = 16 * 1024 * 1024;

/**
 * Gathers what is written, in the order of its offsets, into a blob to download: for browsers that let no page write
 * files. Holes cost no memory, and browsers keep large blobs on the disk.
 */
export class BlobSink implements ClosableSink {
  #parts: Blob[] = [];
  #position = 0;
  #size = 0;
  readonly #hole = new Blob([new Uint8Array(HOLE)]);

  async truncate(size: number): Promise<void> {
    if (size > LARGEST_DOWNLOAD) {
      throw new RangeError(
        `this browser cannot write files, and ${exactSizeText(size)} are too many to download: use a browser with a file picker, or the vhdx command`,
      );
    }
    this.#size = size;
  }

  async write(bytes: Uint8Array<ArrayBuffer>, offset: number): Promise<void> {
    if (offset < this.#position) throw new RangeError(`a blob cannot be written backwards, to ${offset}`);
    this.#pad(offset);
    this.#parts.push(new Blob([bytes]));
    this.#position = offset + bytes.length;
    // A blob of very many parts is slow to make; one of blobs is not.
    if (this.#parts.length >= 1024) this.#parts = [new Blob(this.#parts)];
  }

  async close(): Promise<void> {
    this.#pad(this.#size);
  }

  async abort(): Promise<void> {
    this.#parts = [];
  }

  /** What was written, after {@link close}. */
  get blob(): Blob {
    return new Blob(this.#parts, { type: 'application/octet-stream' });
  }

  #pad(to: number): void {
    while (this.#position < to) {
      const length = Math.min(HOLE, to - this.#position);
      this.#parts.push(length === HOLE ? this.#hole : this.#hole.slice(0, length));
      this.#position += length;
    }
  }
}

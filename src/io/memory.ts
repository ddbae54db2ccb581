import { checkRead, checkWrite } from '../base/byte-range.js';
import { KiB } from '../base/units.js';
import { VhdxError } from '../errors.js';
import type { RandomAccessFile, ReadOptions } from './random-access.js';

/** Unit in which memory is taken, in bytes: what was never written costs nothing. */
const PAGE = 64 * KiB;

/** A file in memory, with holes. */
class MemoryFile implements RandomAccessFile {
  /** The pages that were written to, by their number. What is past the end in the last one is zeros. */
  readonly #pages = new Map<number, Uint8Array>();
  #size = 0;
  #closed = false;

  get size(): number {
    return this.#size;
  }

  async readInto(target: Uint8Array, offset: number, options?: ReadOptions): Promise<void> {
    options?.signal?.throwIfAborted();
    this.readIntoSync(target, offset);
  }

  readIntoSync(target: Uint8Array, offset: number): void {
    this.#checkOpen();
    checkRead(this.#size, target, offset);
    for (const { page, start, part } of pieces(target, offset)) {
      const bytes = this.#pages.get(page);
      if (bytes === undefined) part.fill(0);
      else part.set(bytes.subarray(start, start + part.byteLength));
    }
  }

  async write(bytes: Uint8Array, offset: number): Promise<void> {
    this.#checkOpen();
    checkWrite(bytes, offset);
    for (const { page, start, part } of pieces(bytes, offset)) {
      let memory = this.#pages.get(page);
      if (memory === undefined) {
        memory = new Uint8Array(PAGE);
        this.#pages.set(page, memory);
      }
      memory.set(part, start);
    }
    if (bytes.byteLength > 0) this.#size = Math.max(this.#size, offset + bytes.byteLength);
  }

  async truncate(size: number): Promise<void> {
    this.#checkOpen();
    checkWrite(new Uint8Array(0), size);
    const last = Math.floor(size / PAGE);
    for (const page of this.#pages.keys()) if (page > last) this.#pages.delete(page);
    this.#pages.get(last)?.fill(0, size % PAGE);
    this.#size = size;
  }

  async flush(): Promise<void> {
    this.#checkOpen();
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#pages.clear();
  }

  #checkOpen(): void {
    if (this.#closed) throw new VhdxError('closed', 'the file in memory was closed');
  }
}

/** Cuts the bytes of a range where pages meet. */
function* pieces(bytes: Uint8Array, offset: number): Generator<{ page: number; start: number; part: Uint8Array }> {
  for (let done = 0; done < bytes.byteLength; ) {
    const page = Math.floor((offset + done) / PAGE);
    const start = offset + done - page * PAGE;
    const length = Math.min(PAGE - start, bytes.byteLength - done);
    yield { page, start, part: bytes.subarray(done, done + length) };
    done += length;
  }
}

/**
 * Makes an empty file in memory, for tests and for pages that build an image to save it. What is written to it takes
 * memory, what is left out does not. Closing it drops its bytes; flushing does nothing.
 */
export function memoryFile(): RandomAccessFile {
  return new MemoryFile();
}

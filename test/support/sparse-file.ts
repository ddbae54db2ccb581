import type { RandomAccessSource, ReadOptions } from '../../src/io/random-access.js';

const PAGE_SIZE = 16 * 1024;

/** How a source made by {@link SparseFile.source} behaves beside delivering bytes. */
export interface SourceBehaviour {
  readonly name?: string;
  /** Milliseconds before each read answers. */
  readonly latency?: number;
  /** Asked before each read; an error it returns is what the read rejects with. */
  readonly fail?: (offset: number, length: number) => Error | undefined;
}

/** A range of a file, in bytes. */
export interface ByteRange {
  readonly offset: number;
  readonly length: number;
}

/** A source that remembers what was read from it. */
export interface RecordingSource extends RandomAccessSource {
  /** Every read so far, in the order of the calls. */
  readonly reads: ByteRange[];
  /** Bytes asked for by all reads so far. */
  readonly bytesRead: number;
  readonly closed: boolean;
  /** The same file for synchronous reads, of which nothing is remembered; undefined if it is one that fails. */
  twin(): RandomAccessSource | undefined;
}

/** Makes bytes when they are wanted: the `length` bytes from `offset` on of something. */
export type ByteMaker = (offset: number, length: number) => Uint8Array;

/** Pages that are made by a function when they are wanted. */
interface PromisedPages {
  readonly from: number;
  readonly to: number;
  /** File offset of what the function calls 0. */
  readonly base: number;
  readonly make: ByteMaker;
}

/**
 * A file in memory that stores only what was written: everything else reads as zeros.
 * Holds images of any size a VHDX can have. Clones share their pages until one of them writes.
 */
export class SparseFile {
  #pages = new Map<number, Uint8Array>();
  /** Pages that no clone shares, so that they may be written in place. */
  #owned = new Set<number>();
  #promised: PromisedPages[] = [];
  #size: number;

  /** An empty file of `size` bytes, all zero. */
  constructor(size = 0) {
    this.#size = size;
  }

  /** Length in bytes. */
  get size(): number {
    return this.#size;
  }

  /** Bytes that are really stored. */
  get storedBytes(): number {
    return this.#pages.size * PAGE_SIZE;
  }

  /** Writes `bytes` at `offset`; a write past the end makes the file longer. */
  write(offset: number, bytes: Uint8Array): this {
    this.#checkRange(offset, bytes.length);
    let done = 0;
    while (done < bytes.length) {
      const { index, start, length } = locate(offset + done, bytes.length - done);
      const part = bytes.subarray(done, done + length);
      if (this.#page(index) || !isZero(part)) this.#writablePage(index).set(part, start);
      done += length;
    }
    this.#size = Math.max(this.#size, offset + bytes.length);
    return this;
  }

  /** Sets `length` bytes from `offset` on to zero, and forgets what was stored there. A range past the end makes the file longer. */
  clear(offset: number, length: number): this {
    this.#checkRange(offset, length);
    this.#forget(offset, length);
    this.#size = Math.max(this.#size, offset + length);
    return this;
  }

  /**
   * Lets a function make the `length` bytes from `offset` on, page by page and only when they are read.
   * Both must be multiples of 16 KiB; the function is asked with offsets from the start of the range.
   */
  promise(offset: number, length: number, make: ByteMaker): this {
    if (offset % PAGE_SIZE !== 0 || length % PAGE_SIZE !== 0)
      throw new RangeError(`${offset}, ${length}: not whole pages`);
    this.clear(offset, length);
    this.#promised.push({ from: offset / PAGE_SIZE, to: (offset + length) / PAGE_SIZE, base: offset, make });
    return this;
  }

  /** The `length` bytes from `offset` on. Throws a RangeError where the file has no such bytes. */
  read(offset: number, length: number): Uint8Array {
    const target = new Uint8Array(length);
    this.readInto(target, offset);
    return target;
  }

  /** Fills `target` from `offset` on. Throws a RangeError where the file has no such bytes. */
  readInto(target: Uint8Array, offset: number): void {
    this.#checkRange(offset, target.length);
    if (offset + target.length > this.#size) {
      throw new RangeError(`read of ${target.length} bytes at ${offset} leaves the file of ${this.#size} bytes`);
    }
    let done = 0;
    while (done < target.length) {
      const { index, start, length } = locate(offset + done, target.length - done);
      const page = this.#page(index);
      if (page) target.set(page.subarray(start, start + length), done);
      else target.fill(0, done, done + length);
      done += length;
    }
  }

  /** Makes the file `size` bytes long: cuts it, or adds zeros. */
  truncate(size: number): this {
    this.#checkRange(0, size);
    if (size < this.#size) this.#forget(size, this.#size - size);
    this.#size = size;
    return this;
  }

  /** A file of its own with the same bytes. Costs little: pages are shared until they are written. */
  clone(): SparseFile {
    const copy = new SparseFile();
    copy.adopt(this);
    return copy;
  }

  /** Takes over size and bytes of another file, sharing its pages until they are written. */
  protected adopt(other: SparseFile): void {
    other.#owned.clear();
    this.#owned.clear();
    this.#pages = new Map(other.#pages);
    this.#promised = [...other.#promised];
    this.#size = other.#size;
  }

  /** Start and bytes of every piece that holds more than zeros, in no order. */
  *pieces(): Generator<{ readonly offset: number; readonly bytes: Uint8Array }> {
    const indexes = new Set(this.#pages.keys());
    for (const { from, to } of this.#promised) for (let index = from; index < to; index++) indexes.add(index);
    for (const index of indexes) {
      const offset = index * PAGE_SIZE;
      const length = Math.min(PAGE_SIZE, this.#size - offset);
      if (length <= 0) continue;
      const bytes = this.read(offset, length);
      if (!isZero(bytes)) yield { offset, bytes };
    }
  }

  /** The whole file in one array; for files that fit. */
  toUint8Array(): Uint8Array<ArrayBuffer> {
    const whole = new Uint8Array(this.#size);
    this.readInto(whole, 0);
    return whole;
  }

  /** The whole file as a blob; for files that fit. */
  toBlob(): Blob {
    return new Blob([this.toUint8Array()]);
  }

  /** The file as a source that rejects reads past its end, and remembers what was read. */
  source(behaviour: SourceBehaviour = {}): RecordingSource {
    const file = this;
    const size = this.#size;
    const reads: ByteRange[] = [];
    let bytesRead = 0;
    let closed = false;
    return {
      size,
      reads,
      ...(behaviour.name === undefined ? {} : { name: behaviour.name }),
      get bytesRead() {
        return bytesRead;
      },
      get closed() {
        return closed;
      },
      async readInto(target: Uint8Array, offset: number, options?: ReadOptions): Promise<void> {
        options?.signal?.throwIfAborted();
        if (closed) throw new Error(`read of ${target.length} bytes at ${offset} from a closed source`);
        reads.push({ offset, length: target.length });
        bytesRead += target.length;
        if (behaviour.latency !== undefined) await pause(behaviour.latency, options?.signal);
        const failure = behaviour.fail?.(offset, target.length);
        if (failure) throw failure;
        if (offset + target.length > size)
          throw new RangeError(`read of ${target.length} bytes at ${offset} of ${size}`);
        file.readInto(target, offset);
      },
      async close(): Promise<void> {
        closed = true;
      },
      twin() {
        if (behaviour.fail !== undefined) return undefined;
        const readIntoSync = (target: Uint8Array, offset: number): void => {
          if (offset + target.length > size) throw new RangeError(`read at ${offset} of ${size}`);
          file.readInto(target, offset);
        };
        const readInto = async (target: Uint8Array, offset: number) => readIntoSync(target, offset);
        return { size, readInto, readIntoSync, ...(behaviour.name !== undefined && { name: behaviour.name }) };
      },
    };
  }

  /** The page as it is now; makes it where it was only promised. */
  #page(index: number): Uint8Array | undefined {
    const stored = this.#pages.get(index);
    if (stored) return stored;
    const promised = this.#promised.find(({ from, to }) => from <= index && index < to);
    if (!promised) return undefined;
    const page = promised.make(index * PAGE_SIZE - promised.base, PAGE_SIZE);
    this.#pages.set(index, page);
    return page;
  }

  #writablePage(index: number): Uint8Array {
    const page = this.#page(index);
    if (page && this.#owned.has(index)) return page;
    const own = page ? page.slice() : new Uint8Array(PAGE_SIZE);
    this.#pages.set(index, own);
    this.#owned.add(index);
    return own;
  }

  #forget(offset: number, length: number): void {
    const end = offset + length;
    const first = Math.ceil(offset / PAGE_SIZE);
    const last = Math.floor(end / PAGE_SIZE);
    for (const index of new Set([Math.floor(offset / PAGE_SIZE), last])) {
      const from = Math.max(0, offset - index * PAGE_SIZE);
      const to = Math.min(PAGE_SIZE, end - index * PAGE_SIZE);
      if (to - from > 0 && to - from < PAGE_SIZE && this.#page(index)) this.#writablePage(index).fill(0, from, to);
    }
    // Whichever is less work: to walk the range, or to walk the pages that exist.
    const walked = last - first > this.#pages.size ? [...this.#pages.keys()] : range(first, last);
    for (const index of walked) {
      if (index < first || index >= last) continue;
      this.#pages.delete(index);
      this.#owned.delete(index);
    }
    this.#promised = this.#promised.flatMap((pages) => withoutPages(pages, first, last));
  }

  #checkRange(offset: number, length: number): void {
    if (!Number.isSafeInteger(offset) || offset < 0 || !Number.isSafeInteger(offset + length)) {
      throw new RangeError(`no file has ${length} bytes at ${offset}`);
    }
  }
}

function locate(offset: number, length: number): { index: number; start: number; length: number } {
  const index = Math.floor(offset / PAGE_SIZE);
  const start = offset - index * PAGE_SIZE;
  return { index, start, length: Math.min(length, PAGE_SIZE - start) };
}

function isZero(bytes: Uint8Array): boolean {
  for (let i = 0; i < bytes.length; i++) if (bytes[i] !== 0) return false;
  return true;
}

function withoutPages(pages: PromisedPages, first: number, last: number): PromisedPages[] {
  if (last <= first || pages.to <= first || pages.from >= last) return [pages];
  const left = { ...pages, to: Math.min(pages.to, first) };
  const right = { ...pages, from: Math.max(pages.from, last) };
  return [left, right].filter(({ from, to }) => from < to);
}

function range(from: number, to: number): number[] {
  return Array.from({ length: Math.max(0, to - from) }, (_, i) => from + i);
}

function pause(milliseconds: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, milliseconds);
    signal?.addEventListener(
      'abort',
      () => {
        clearTimeout(timer);
        reject(signal.reason);
      },
      { once: true },
    );
  });
}

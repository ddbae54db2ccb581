import { checkRead, checkWrite } from '../base/byte-range.js';
import { KiB, MiB } from '../base/units.js';
import { VhdxError } from '../errors.js';
import { blobSource } from './blob.js';
import type { RandomAccessFile, RandomAccessSource, ReadOptions } from './random-access.js';
import { cannotWritePicked, openSwapFile, type PickedFileHandle, type SwapFile, swapFailure } from './swap-file.js';

/** Unit in which changes are kept, in bytes. */
const PAGE = 64 * KiB;

/** Most memory that the changes of one file take, in bytes. */
const MOST_CHANGED = 64 * MiB;

/** A file whose changes wait in memory until all of them are swapped in at once. */
export interface PickedFile extends RandomAccessFile {
  /** Swaps the changes in. When it rejects the file is as it was. */
  close(): Promise<void>;
  /** Drops the changes, and closes: the file stays as it was. */
  discard(): Promise<void>;
}

class ChangedBlob implements PickedFile {
  readonly name: string;
  readonly #handle: PickedFileHandle;
  /** The file as it was. */
  readonly #base: RandomAccessSource;
  readonly #lastModified: number;
  /** The pages that were changed, by their number; what is past the end in the last one is zeros. */
  readonly #pages = new Map<number, Uint8Array<ArrayBuffer>>();
  /** How much of the old file still shows: less than its size after a truncation. */
  #baseSize: number;
  #size: number;
  /** The last change: they go one after the other, because a page is read before it is changed. */
  #last: Promise<unknown> = Promise.resolve();
  #closing: Promise<void> | undefined;

  constructor(handle: PickedFileHandle, blob: File) {
    this.name = handle.name;
    this.#handle = handle;
    this.#base = blobSource(blob);
    this.#lastModified = blob.lastModified;
    this.#baseSize = blob.size;
    this.#size = blob.size;
  }

  get size(): number {
    return this.#size;
  }

  async readInto(target: Uint8Array, offset: number, options?: ReadOptions): Promise<void> {
    options?.signal?.throwIfAborted();
    this.#checkOpen();
    const end = offset + checkRead(this.#size, target, offset);
    for (let at = offset; at < end; ) {
      const page = this.#pages.get(Math.floor(at / PAGE));
      const start = at % PAGE;
      const to = page === undefined ? this.#endOfUnchanged(at, end) : Math.min(end, at - start + PAGE);
      const part = target.subarray(at - offset, to - offset);
      if (page === undefined) await this.#readBase(part, at, options);
      else part.set(page.subarray(start, start + part.byteLength));
      at = to;
    }
  }

  /** @throws VhdxError `no-space` when the changes take more than 64 MiB; then nothing of this write is kept */
  async write(bytes: Uint8Array, offset: number): Promise<void> {
    this.#checkOpen();
    checkWrite(bytes, offset);
    if (bytes.byteLength === 0) return;
    await this.#inOrder(async () => {
      const first = Math.floor(offset / PAGE);
      const last = Math.floor((offset + bytes.byteLength - 1) / PAGE);
      const fresh: number[] = [];
      for (let page = first; page <= last; page++) if (!this.#pages.has(page)) fresh.push(page);
      if ((this.#pages.size + fresh.length) * PAGE > MOST_CHANGED) {
        const message = `changes of more than ${MOST_CHANGED / MiB} MiB cannot be kept until the file is closed`;
        throw new VhdxError('no-space', message, { file: this.name, offset });
      }
      const loaded = await Promise.all(fresh.map(async (page) => [page, await this.#load(page)] as const));
      for (const [page, content] of loaded) this.#pages.set(page, content);
      for (let page = first; page <= last; page++) {
        const from = Math.max(offset, page * PAGE);
        const part = bytes.subarray(from - offset, Math.min(bytes.byteLength, (page + 1) * PAGE - offset));
        this.#pages.get(page)?.set(part, from - page * PAGE);
      }
      this.#size = Math.max(this.#size, offset + bytes.byteLength);
    });
  }

  async truncate(size: number): Promise<void> {
    this.#checkOpen();
    checkWrite(new Uint8Array(0), size);
    await this.#inOrder(async () => {
      const last = Math.floor(size / PAGE);
      for (const page of this.#pages.keys()) if (page > last) this.#pages.delete(page);
      this.#pages.get(last)?.fill(0, size % PAGE);
      this.#baseSize = Math.min(this.#baseSize, size);
      this.#size = size;
    });
  }

  /** Waits for the changes before it. Nothing is durable before {@link close}. */
  async flush(): Promise<void> {
    this.#checkOpen();
    await this.#last;
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    await this.#last;
    try {
      await this.#swapIn();
    } finally {
      await this.#drop();
    }
  }

  discard(): Promise<void> {
    this.#closing ??= this.#last.then(() => this.#drop());
    return this.#closing;
  }

  async #drop(): Promise<void> {
    this.#pages.clear();
    await this.#base.close?.();
  }

  async #swapIn(): Promise<void> {
    // Bytes that were cut off stay gone, also if the file has its old length again.
    if (this.#pages.size === 0 && this.#baseSize === this.#base.size && this.#size === this.#base.size) return;
    let swap: SwapFile | undefined;
    try {
      swap = await openSwapFile(this.#handle, true);
      // The new file is a copy of what is there now. Changes go into the file that they were made for.
      const { size, lastModified } = await this.#handle.getFile();
      if (size !== this.#base.size || lastModified !== this.#lastModified) {
        throw new VhdxError('source-changed', 'was changed by another program while in use', { file: this.name });
      }
      await swap.truncate(this.#baseSize); // so that what was cut off does not come back when the file grows
      await swap.truncate(this.#size);
      for (const [page, bytes] of this.#pages) {
        const position = page * PAGE;
        await swap.write({ type: 'write', position, data: bytes.subarray(0, this.#size - position) });
      }
      await swap.close();
    } catch (cause) {
      await swap?.abort(cause).catch(() => {});
      throw swapFailure(this.name, cause);
    }
  }

  /** The end of the pages from `at` on that were not changed; at most `end`. */
  #endOfUnchanged(at: number, end: number): number {
    let border = (Math.floor(at / PAGE) + 1) * PAGE;
    while (border < end && !this.#pages.has(border / PAGE)) border += PAGE;
    return Math.min(border, end);
  }

  /** Reads what the old file still shows; past that there are zeros. */
  async #readBase(target: Uint8Array, offset: number, options?: ReadOptions): Promise<void> {
    const present = Math.max(0, Math.min(target.byteLength, this.#baseSize - offset));
    if (present > 0) await this.#base.readInto(target.subarray(0, present), offset, options);
    target.fill(0, present);
  }

  async #load(page: number): Promise<Uint8Array<ArrayBuffer>> {
    const bytes = new Uint8Array(PAGE);
    await this.#readBase(bytes, page * PAGE);
    return bytes;
  }

  async #inOrder(change: () => Promise<void>): Promise<void> {
    const done = this.#last.then(change);
    this.#last = done.catch(() => {});
    await done;
  }

  #checkOpen(): void {
    if (this.#closing !== undefined) throw new VhdxError('closed', 'was closed', { file: this.name });
  }
}

/**
 * Makes a file of a `FileSystemFileHandle` that a person picked. Its changes are kept in memory, 64 MiB at most, and
 * swapped in as a whole when it is closed: nothing is durable before, and nothing is half written ever.
 *
 * @throws VhdxError `unsupported-input` if the browser cannot write such files; `read-failed`
 */
export async function pickedFile(handle: PickedFileHandle): Promise<PickedFile> {
  if (typeof handle.createWritable !== 'function') throw cannotWritePicked(handle);
  const file = await handle.getFile().catch((cause: unknown) => {
    throw new VhdxError('read-failed', String(cause), { file: handle.name, cause });
  });
  return new ChangedBlob(handle, file);
}

import { VhdxError } from '../../../src/errors.js';
import type { RandomAccessFile, ReadOptions } from '../../../src/io/random-access.js';
import { CHUNK_PAGES, Chunk, PAGE_SIZE, PageImage, type PagePart, pagesOf } from './page-image.js';

/** A write or a change of the file's length, in the order in which they were begun. */
export interface FileOperation {
  readonly kind: 'write' | 'truncate';
  /** Where it writes; 0 for a change of length. */
  readonly offset: number;
  /** Bytes written; 0 for a change of length. */
  readonly length: number;
  /** What is written, by pages. */
  readonly parts: readonly PagePart[];
  /** The same where it is all of a chunk, by the number of the chunk. */
  readonly chunks: ReadonlyMap<number, Chunk>;
  /** The file's length afterwards, where this changes it. */
  readonly newSize: number | undefined;
  /** How many events the trace had when it ended; undefined while it is in flight, or where it failed. */
  ended: number | undefined;
}

/** What happened to a file, in order. */
export type TraceEvent =
  | FileOperation
  | { readonly kind: 'flush-begin' }
  /** `begin` is the place of its beginning in the trace: it made durable what had ended by then. */
  | { readonly kind: 'flush-end'; readonly begin: number }
  /** What a spec wants to remember at this place, such as a write that was acknowledged. */
  | { readonly kind: 'note'; readonly note: unknown };

/** What goes wrong with an operation, where something does. */
export type Fault = (operation: 'write' | 'truncate' | 'flush', offset: number, length: number) => Error | undefined;

/** How a {@link CrashFile} behaves. */
export interface CrashFileOptions {
  /**
   * Makes operations fail. A write that fails may have been done in part, for want of space in its first half; a flush
   * that fails has made nothing durable.
   */
  readonly fail?: Fault;
  /** Turns of the event loop that a write takes, so that writes are in flight at the same time. */
  readonly turns?: (offset: number, length: number) => number;
}

/**
 * A file that remembers what was done to it since it was opened, so that every content that a power cut could leave
 * behind can be made from it: see `crash-states.ts`. It reads back what was written at once, as files do.
 */
export class CrashFile implements RandomAccessFile {
  /** What was durable when the file was opened. */
  readonly before: PageImage;
  /** What happened since. */
  readonly trace: TraceEvent[] = [];
  readonly name = 'crash.vhdx';
  #image: PageImage;
  readonly #options: CrashFileOptions;
  #closed = false;

  constructor(before: PageImage = new PageImage(), options: CrashFileOptions = {}) {
    this.before = before;
    this.#image = before.fork();
    this.#options = options;
  }

  get size(): number {
    return this.#image.size;
  }

  /** Whether it was closed. */
  get closed(): boolean {
    return this.#closed;
  }

  /** Remembers something at this place of the trace. */
  note(note: unknown): void {
    this.trace.push({ kind: 'note', note });
  }

  async readInto(target: Uint8Array, offset: number, options?: ReadOptions): Promise<void> {
    options?.signal?.throwIfAborted();
    this.#image.readInto(target, offset);
  }

  async write(bytes: Uint8Array, offset: number): Promise<void> {
    const failure = this.#options.fail?.('write', offset, bytes.length);
    if (failure instanceof VhdxError && failure.code === 'no-space') {
      // As much as there was room for: decided by now, unlike what an input or output error leaves.
      await this.#write(bytes.subarray(0, Math.floor(bytes.length / 1024) * 512), offset);
      throw failure;
    }
    await this.#write(bytes, offset, failure);
  }

  async #write(bytes: Uint8Array, offset: number, failure?: Error): Promise<void> {
    const { size } = this;
    const end = offset + bytes.length;
    const newSize = bytes.length > 0 && end > size ? end : undefined;
    const parts = pagesOf(bytes, offset);
    const chunks = chunksOf(parts);
    const { length } = bytes;
    const operation: FileOperation = { kind: 'write', offset, length, parts, chunks, newSize, ended: undefined };
    this.trace.push(operation);
    if (failure !== undefined) throw failure;
    writeInto(this.#image, operation);
    if (newSize !== undefined) this.#image.truncate(newSize);
    for (let left = this.#options.turns?.(offset, bytes.length) ?? 0; left > 0; left--) await nextTurn();
    operation.ended = this.trace.length;
  }

  async truncate(size: number): Promise<void> {
    const failure = this.#options.fail?.('truncate', size, 0);
    if (failure !== undefined) throw failure;
    if (size === this.size) return;
    this.trace.push({
      kind: 'truncate',
      offset: 0,
      length: 0,
      parts: [],
      chunks: new Map(),
      newSize: size,
      ended: this.trace.length + 1,
    });
    this.#image.truncate(size);
  }

  async flush(): Promise<void> {
    const begin = this.trace.length;
    this.trace.push({ kind: 'flush-begin' });
    const failure = this.#options.fail?.('flush', 0, 0);
    if (failure !== undefined) throw failure;
    for (let left = this.#options.turns?.(0, 0) ?? 0; left > 0; left--) await nextTurn();
    this.trace.push({ kind: 'flush-end', begin });
  }

  async close(): Promise<void> {
    this.#closed = true;
  }

  /** What the file holds now, as if everything were durable. */
  content(): PageImage {
    const content = this.#image;
    this.#image = content.fork();
    return content;
  }
}

/** Does all of a write to an image, whatever the length of that. */
export function writeInto(image: PageImage, { parts, chunks }: FileOperation): void {
  for (const [index, chunk] of chunks) image.setChunk(index, chunk);
  for (const { index, page, from, to } of parts) {
    if (!chunks.has(Math.floor(index / CHUNK_PAGES))) image.patchPage(index, page, from, to);
  }
}

/** The chunks that are written as a whole. */
function chunksOf(parts: readonly PagePart[]): Map<number, Chunk> {
  const pages = parts.filter(({ from, to }) => to - from === PAGE_SIZE);
  const whole = new Map<number, Chunk>();
  for (let i = 0; i + CHUNK_PAGES <= pages.length; i++) {
    const first = (pages[i] as PagePart).index;
    if (first % CHUNK_PAGES !== 0) continue;
    const chunk = pages.slice(i, i + CHUNK_PAGES).map(({ page }) => page);
    whole.set(first / CHUNK_PAGES, new Chunk(chunk));
    i += CHUNK_PAGES - 1;
  }
  return whole;
}

/** After what is due already; a timer would sleep for a millisecond at each operation. */
function nextTurn(): Promise<void> {
  return new Promise((resolve) => {
    if (typeof setImmediate === 'function') setImmediate(resolve);
    else setTimeout(resolve);
  });
}

/** Whether an event changes the file. */
export function isOperation(event: TraceEvent): event is FileOperation {
  return event.kind === 'write' || event.kind === 'truncate';
}

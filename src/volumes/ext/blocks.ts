import type { RandomAccessSource, ReadOptions } from '../../io/random-access.js';
import { damaged } from './problems.js';

/** Bytes of blocks that are kept. */
const CACHED = 4 * 1024 * 1024;

/** Where a journal has the contents of a block that is not in its place yet. */
export interface JournalChange {
  /** Block on the volume. */
  readonly block: number;
  /** Whether its first four bytes were taken out, because they are the journal's magic number. */
  readonly escaped: boolean;
}

/** The blocks of a file system, with those in place that its journal has and that are not in their places yet. */
export class Blocks {
  readonly blockSize: number;
  readonly count: number;
  readonly #source: RandomAccessSource;
  /** The last used last. */
  readonly #cache = new Map<number, Uint8Array>();
  /** What the journal has of a block. */
  #changes: ReadonlyMap<number, JournalChange> = new Map();

  constructor(source: RandomAccessSource, blockSize: number, count: number) {
    this.#source = source;
    this.blockSize = blockSize;
    this.count = count;
  }

  /** From now on, blocks that a journal has are read from there. */
  replay(changes: ReadonlyMap<number, JournalChange>): void {
    this.#changes = changes;
    this.#cache.clear();
  }

  /** The bytes of a block of metadata, which must not be changed. `whose` is for the message if there is no such block. */
  async get(block: number, whose: string, options?: ReadOptions): Promise<Uint8Array> {
    this.check(block, 1, whose);
    options?.signal?.throwIfAborted();
    const cached = this.#cache.get(block);
    if (cached) {
      this.#cache.delete(block);
      this.#cache.set(block, cached);
      return cached;
    }
    const bytes = new Uint8Array(this.blockSize);
    await this.readInto(bytes, block, 0, options);
    this.#cache.set(block, bytes);
    if (this.#cache.size * this.blockSize > CACHED) this.#cache.delete(this.#cache.keys().next().value ?? block);
    return bytes;
  }

  /** Fills `target` with what is from a place in a block on; whole blocks that follow are read at once. */
  async readInto(target: Uint8Array, block: number, offset: number, options?: ReadOptions): Promise<void> {
    const { blockSize } = this;
    const start = block * blockSize + offset;
    if (this.#changes.size === 0) return this.#source.readInto(target, start, options);
    for (let done = 0; done < target.length; ) {
      const at = start + done;
      const here = Math.floor(at / blockSize);
      const change = this.#changes.get(here);
      let end = (here + 1) * blockSize;
      if (!change) while (end < start + target.length && !this.#changes.has(end / blockSize)) end += blockSize;
      const part = target.subarray(done, Math.min(end - start, target.length));
      if (change) await this.#readChange(part, change, at - here * blockSize, options);
      else await this.#source.readInto(part, at, options);
      done += part.length;
    }
  }

  /** Throws if a range of blocks leaves the file system. */
  check(block: number, count: number, whose: string): void {
    if (block <= 0 || block + count > this.count)
      throw damaged(whose, `block ${block} of ${count} is outside of the file system, which has ${this.count} blocks`);
  }

  async #readChange(part: Uint8Array, change: JournalChange, offset: number, options?: ReadOptions): Promise<void> {
    await this.#source.readInto(part, change.block * this.blockSize + offset, options);
    // A block that begins like one of the journal's own is kept without these four bytes.
    const magic = [0xc0, 0x3b, 0x39, 0x98];
    if (change.escaped) for (let i = offset; i < 4 && i - offset < part.length; i++) part[i - offset] = magic[i] ?? 0;
  }
}

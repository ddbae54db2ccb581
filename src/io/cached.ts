import { untilAborted } from '../base/abort.js';
import { checkRead } from '../base/byte-range.js';
import { type Job, runJobs } from '../base/concurrency.js';
import { KiB, MiB } from '../base/units.js';
import { VhdxError } from '../errors.js';
import type { RandomAccessSource, ReadOptions } from './random-access.js';
import { type ArrivingSource, type HintedSource, SequenceTracker } from './sequential-reads.js';

/** Unit of the cache, in bytes. A read from a server or a `Blob` costs the same up to about this length. */
const BLOCK = 64 * KiB;

/** Most that one load brings, in bytes. */
const LONGEST_LOAD = 1 * MiB;

/** Limits of a cache. */
export interface CacheOptions {
  /** Most that is kept and on its way at a time, in bytes. */
  readonly cacheSize: number;
  /** Loads at a time, at most; 1 MiB each in the worst case, so that `loads` MiB should fit into `cacheSize`. */
  readonly loads: number;
  /**
   * From this length on, what a long sequence needs and the cache does not have goes straight into the target of the
   * read, in bytes. What is read here and there may be read again, and goes there only from a quarter of the cache on.
   */
  readonly direct: number;
  /** Most that is loaded ahead of sequential reads, in bytes. */
  readonly readAhead: number;
}

/** A run of blocks that was loaded, or is being loaded, by one read of the source. */
interface Load {
  readonly start: number;
  readonly end: number;
  /** Settles with the bytes. Its rejection is always handled: it has a listener from the start. */
  readonly bytes: Promise<Uint8Array>;
  /** The bytes, once they are there. */
  ready: Uint8Array | undefined;
  /** How many reads wait for it. */
  waiting: number;
  readonly abort: AbortController;
}

/**
 * A bounded cache for a source whose reads are slow. Missing blocks that are neighbours come with one read; several loads
 * run at a time; reads that want the same block share its load, and one that is aborted does not take it from the
 * others. A failed load is forgotten at once. Sequential reads trigger read-ahead, never of more than has been read
 * already, and long reads bypass the cache.
 */
export class CachedSource implements ArrivingSource {
  readonly size: number;
  readonly name?: string;
  /** Present if the source has it: these bytes come once, and are not kept. */
  readonly arriving?: NonNullable<ArrivingSource['arriving']>;
  /** Present if the source has it. */
  readonly readIntoSync?: NonNullable<RandomAccessSource['readIntoSync']>;
  readonly #source: HintedSource;
  readonly #options: CacheOptions;
  readonly #sequences = new SequenceTracker(BLOCK);
  /** Which load covers a block, by the block's number. */
  readonly #blocks = new Map<number, Load>();
  /** The loads that are there, the one not used for longest first. */
  readonly #ready = new Set<Load>();
  /** Loads that wait for their turn. */
  readonly #queue: (() => void)[] = [];
  #running = 0;
  /** Bytes that are there or on their way. */
  #held = 0;
  #closed = false;

  constructor(source: HintedSource, options: CacheOptions) {
    this.#source = source;
    this.#options = options;
    this.size = source.size;
    if (source.name !== undefined) this.name = source.name;
    if (source.arriving !== undefined) this.arriving = source.arriving.bind(source);
    if (source.readIntoSync !== undefined) this.readIntoSync = (target, offset) => this.#readSync(target, offset);
  }

  async readInto(target: Uint8Array, offset: number, options?: ReadOptions): Promise<void> {
    const signal = options?.signal;
    signal?.throwIfAborted();
    if (this.#closed) throw this.#closedError();
    checkRead(this.size, target, offset);

    const jobs: Job[] = [];
    const ahead = this.#sequences.follow(offset, target.byteLength);
    const end = offset + target.byteLength;
    const direct = this.#directFrom(ahead);
    for (let position = offset; position < end; ) {
      const from = position;
      const load = this.#blocks.get(Math.floor(from / BLOCK));
      const to = load === undefined ? this.#endOfGap(from, end) : Math.min(end, load.end);
      const part = target.subarray(from - offset, to - offset);
      if (load?.ready !== undefined) {
        part.set(load.ready.subarray(from - load.start, to - load.start));
        this.#touch(load);
      } else if (load !== undefined) {
        jobs.push((stop) => this.#copy(load, part, from, stop));
      } else if (to - from >= direct) {
        jobs.push((stop) => this.#source.readInto(part, from, { signal: stop, ahead }));
      } else {
        for (const fresh of this.#loadRange(from, to, ahead)) {
          const piece = target.subarray(Math.max(from, fresh.start) - offset, Math.min(to, fresh.end) - offset);
          jobs.push((stop) => this.#copy(fresh, piece, Math.max(from, fresh.start), stop));
        }
      }
      position = to;
    }
    const done = runJobs(jobs, signal);
    // After a long read the source has the hint, and its own ways.
    if (target.byteLength < direct) this.#readAhead(end, ahead);
    await done;
  }

  /** Takes what is there, and brings what is not block by block; what is on its way to other reads is not waited for. */
  #readSync(target: Uint8Array, offset: number): void {
    if (this.#closed) throw this.#closedError();
    checkRead(this.size, target, offset);
    const end = offset + target.byteLength;
    for (let at = offset; at < end; ) {
      const load = this.#blocks.get(Math.floor(at / BLOCK));
      let [start, bytes] = [load?.start ?? 0, load?.ready];
      if (load && bytes) this.#touch(load);
      else {
        start = Math.floor(at / BLOCK) * BLOCK;
        bytes = new Uint8Array(Math.min(BLOCK, this.size - start));
        this.#source.readIntoSync?.(bytes, start);
        if (!load) this.put(start, bytes);
      }
      const to = Math.min(end, start + bytes.byteLength);
      target.set(bytes.subarray(at - start, to - start), at - offset);
      at = to;
    }
  }

  /** Puts bytes into the cache that were read without it. They begin at a multiple of 64 KiB. */
  put(start: number, bytes: Uint8Array): void {
    // The last block only if it is whole.
    const end =
      start + bytes.byteLength === this.size ? this.size : Math.floor((start + bytes.byteLength) / BLOCK) * BLOCK;
    if (end <= start) return;
    const ready = bytes.subarray(0, end - start);
    const load: Load = { start, end, bytes: Promise.resolve(ready), ready, waiting: 0, abort: new AbortController() };
    this.#makeRoom(end - start);
    this.#enter(load);
    this.#held += end - start;
    this.#ready.add(load);
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    for (const load of new Set(this.#blocks.values())) load.abort.abort(this.#closedError());
    this.#blocks.clear();
    this.#ready.clear();
    await this.#source.close?.();
  }

  /** The length from which on a read after `ahead` bytes in sequence bypasses the cache. */
  #directFrom(ahead: number): number {
    const { direct, cacheSize } = this.#options;
    return ahead >= LONGEST_LOAD ? direct : Math.max(direct, cacheSize / 4);
  }

  /** The end of the missing blocks from `position` on: a block that is there, or `end`. */
  #endOfGap(position: number, end: number): number {
    let border = (Math.floor(position / BLOCK) + 1) * BLOCK;
    while (border < end && !this.#blocks.has(border / BLOCK)) border += BLOCK;
    return Math.min(border, end);
  }

  /** Starts loading the missing blocks that a range touches. */
  #loadRange(from: number, to: number, ahead: number): Load[] {
    const loads: Load[] = [];
    const end = Math.min(this.size, Math.ceil(to / BLOCK) * BLOCK);
    for (let start = Math.floor(from / BLOCK) * BLOCK; start < end; start += LONGEST_LOAD) {
      loads.push(this.#load(start, Math.min(end, start + LONGEST_LOAD), ahead));
    }
    return loads;
  }

  #load(start: number, end: number, ahead: number): Load {
    const abort = new AbortController();
    const load: Load = {
      start,
      end,
      bytes: this.#fetch(start, end, ahead, abort.signal),
      ready: undefined,
      waiting: 0,
      abort,
    };
    this.#enter(load);
    load.bytes.then(
      (bytes) => {
        load.ready = bytes;
        if (this.#blocks.get(start / BLOCK) === load) this.#ready.add(load);
        else this.#held -= end - start; // aborted or closed in the meantime
      },
      () => this.#forget(load),
    );
    return load;
  }

  /** Brings bytes from the source as soon as there is room for them. */
  async #fetch(start: number, end: number, ahead: number, signal: AbortSignal): Promise<Uint8Array> {
    if (this.#running < this.#options.loads) this.#running++;
    else await new Promise<void>((resolve) => this.#queue.push(resolve));
    try {
      signal.throwIfAborted();
      this.#makeRoom(end - start);
      this.#held += end - start;
      const bytes = new Uint8Array(end - start);
      try {
        await this.#source.readInto(bytes, start, { signal, ahead });
      } catch (error) {
        this.#held -= end - start;
        throw error;
      }
      return bytes;
    } finally {
      // The next in the queue takes over this place; counted down and up again, a third could take it in between.
      const next = this.#queue.shift();
      if (next === undefined) this.#running--;
      else next();
    }
  }

  /** Waits for a load and takes what is wanted from it. */
  async #copy(load: Load, target: Uint8Array, from: number, signal: AbortSignal | undefined): Promise<void> {
    load.waiting++;
    try {
      const bytes = await untilAborted(load.bytes, signal);
      target.set(bytes.subarray(from - load.start, from - load.start + target.byteLength));
    } finally {
      load.waiting--;
      if (load.waiting === 0 && load.ready === undefined && signal?.aborted) {
        // The last read that wanted it was aborted. The next begins again instead of sharing the end of this one.
        this.#forget(load);
        load.abort.abort(signal.reason);
      }
    }
  }

  /** Loads what sequential reads will want next, once less than half of what they should have ahead is there. */
  #readAhead(end: number, ahead: number): void {
    const reach = Math.min(ahead, this.#options.readAhead);
    if (reach < BLOCK / 2 || end >= this.size) return;
    const limit = Math.min(this.size, end + reach);
    const first = this.#endOfPresent(end, limit);
    if (first >= limit || first - end > reach / 2) return;
    if (this.#running >= this.#options.loads) return;
    this.#loadRange(first, this.#endOfGap(first, limit), ahead);
  }

  #endOfPresent(position: number, limit: number): number {
    let border = position;
    for (let load = this.#blocks.get(Math.floor(border / BLOCK)); load !== undefined && border < limit; ) {
      border = load.end;
      load = this.#blocks.get(Math.floor(border / BLOCK));
    }
    return border;
  }

  #enter(load: Load): void {
    for (let block = load.start / BLOCK; block * BLOCK < load.end; block++) this.#blocks.set(block, load);
  }

  #forget(load: Load): void {
    for (let block = load.start / BLOCK; block * BLOCK < load.end; block++) {
      if (this.#blocks.get(block) === load) this.#blocks.delete(block);
    }
    if (this.#ready.delete(load)) this.#held -= load.end - load.start;
  }

  #touch(load: Load): void {
    if (this.#ready.delete(load)) this.#ready.add(load);
  }

  #makeRoom(length: number): void {
    for (const load of this.#ready) {
      if (this.#held + length <= this.#options.cacheSize) return;
      this.#forget(load);
    }
  }

  #closedError(): VhdxError {
    return new VhdxError('closed', `${this.name ?? 'the source'} was closed`);
  }
}

import { PAGE_BYTES } from './core-numbers.generated.js';
import type { Core } from './instance.js';

/** Moves the bytes of a page into its slot, all of it. */
export type FillPage = (slot: Uint8Array) => Promise<void>;

/** Slots that may be filling at a time; the others keep what translations need meanwhile. */
const MAX_FILLING = 32;
/** Loads of one disk that may be in flight at a time. */
const LOADS_PER_DISK = 16;

/** Bytes of a page that are new. */
interface PageBytes {
  readonly offset: number;
  readonly bytes: Uint8Array;
}

interface PageLoad {
  readonly done: Promise<void>;
  /** What changed since the load began, oldest first. */
  readonly changes: PageBytes[];
}

interface LoadQueue {
  running: number;
  readonly waiting: (() => void)[];
}

/**
 * The pages of BATs and sector bitmaps in the core's memory, shared by all disks: bounded, least recently used out.
 *
 * A load is shared by all that wait for its page and goes on when one of them is aborted. A load that fails frees its
 * slot: nothing of it is kept, and the next call tries again.
 */
export class PageCache {
  readonly #core: Core;
  readonly #loads = new Map<string, PageLoad>();
  readonly #queues = new Map<number, LoadQueue>();
  #disks = 0;
  #filling = 0;

  constructor(core: Core) {
    this.#core = core;
  }

  /** A number for a disk, under which its pages are kept. */
  addDisk(): number {
    this.#disks += 1;
    return this.#disks;
  }

  /**
   * Drops the pages of a disk. Does not wait for its loads in flight, because a source may never answer: what they bring
   * is dropped when they end.
   */
  removeDisk(disk: number): void {
    const own = [...this.#loads].filter(([key]) => key.startsWith(`${disk}/`)).map(([, { done }]) => done);
    this.#core.exports.dropPages(disk);
    if (own.length > 0) void Promise.allSettled(own).then(() => this.#core.exports.dropPages(disk));
  }

  /** Whether a page is in the core's memory. */
  has(disk: number, page: number): boolean {
    return this.#core.exports.findPage(disk, page) !== 0;
  }

  /** Brings a page into the core's memory. */
  load(disk: number, page: number, fill: FillPage): Promise<void> {
    const key = `${disk}/${page}`;
    const running = this.#loads.get(key);
    if (running !== undefined) return running.done;
    const changes: PageBytes[] = [];
    const fillAndChange = async (slot: Uint8Array): Promise<void> => {
      await fill(slot);
      for (const { offset, bytes } of changes) slot.set(bytes, offset);
    };
    const done = this.#load(disk, page, fillAndChange).finally(() => this.#loads.delete(key));
    this.#loads.set(key, { done, changes });
    return done;
  }

  /** Brings a page into the core's memory at once, whether or not a load of it is on its way. */
  loadSync(disk: number, page: number, fill: (bytes: Uint8Array) => void): void {
    const copy = new Uint8Array(PAGE_BYTES);
    fill(copy);
    this.#keep(disk, page, copy);
  }

  /**
   * Replaces bytes of a page, if it is in the core's memory or on its way there: a load in flight may have read the old
   * ones. The bytes must stay as they are until then.
   */
  replace(disk: number, page: number, offset: number, bytes: Uint8Array): void {
    this.#loads.get(`${disk}/${page}`)?.changes.push({ offset, bytes });
    const slot = this.#core.exports.findPage(disk, page);
    if (slot !== 0) this.#core.bytes.set(bytes, slot + offset);
  }

  async #load(disk: number, page: number, fill: FillPage): Promise<void> {
    await this.#enter(disk);
    try {
      if (this.#filling < MAX_FILLING) await this.#fillSlot(disk, page, fill);
      else await this.#fillCopy(disk, page, fill);
    } finally {
      this.#leave(disk);
    }
  }

  async #fillSlot(disk: number, page: number, fill: FillPage): Promise<void> {
    const { exports, bytes } = this.#core;
    const slot = exports.claimPage();
    let owner = 0;
    this.#filling += 1;
    try {
      await fill(bytes.subarray(slot, slot + PAGE_BYTES));
      // A page has one slot: a synchronous read may have brought it meanwhile.
      if (!this.has(disk, page)) owner = disk;
    } finally {
      exports.setPage(slot, owner, page);
      this.#filling -= 1;
    }
  }

  /** Not by waiting for a slot: a page of a disk inside a disk may be what a slot that is filling waits for. */
  async #fillCopy(disk: number, page: number, fill: FillPage): Promise<void> {
    const copy = new Uint8Array(PAGE_BYTES);
    await fill(copy);
    this.#keep(disk, page, copy);
  }

  #keep(disk: number, page: number, copy: Uint8Array): void {
    if (this.has(disk, page)) return;
    const { exports, bytes } = this.#core;
    const slot = exports.claimPage();
    bytes.set(copy, slot);
    exports.setPage(slot, disk, page);
  }

  /** Waits while the disk has many loads in flight: a page must not be evicted before its readers have used it. */
  async #enter(disk: number): Promise<void> {
    const queue = this.#queues.get(disk) ?? { running: 0, waiting: [] };
    this.#queues.set(disk, queue);
    if (queue.running >= LOADS_PER_DISK) await new Promise<void>((resolve) => queue.waiting.push(resolve));
    else queue.running += 1;
  }

  /** Hands the place on to the next in the queue. */
  #leave(disk: number): void {
    const queue = this.#queues.get(disk);
    if (!queue) return;
    const next = queue.waiting.shift();
    if (next) next();
    else queue.running -= 1;
    if (queue.running === 0) this.#queues.delete(disk);
  }
}

const caches = new WeakMap<Core, PageCache>();

/** The page cache of a core. */
export function pageCacheOf(core: Core): PageCache {
  let cache = caches.get(core);
  if (!cache) {
    cache = new PageCache(core);
    caches.set(core, cache);
  }
  return cache;
}

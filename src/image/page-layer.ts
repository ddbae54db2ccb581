import { KiB } from '../base/units.js';
import type { RandomAccessSource, ReadOptions } from '../io/random-access.js';

/** Bytes of a page: what a log descriptor changes. */
export const PAGE_SIZE = 4 * KiB;

/** Unchanged pages that are kept, because neighbouring blocks have their entries in one page. */
const KEPT_PAGES = 256;

interface Page {
  readonly offset: number;
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** Operations that are about to change it. */
  users: number;
  /** Whether the page has changes that no group was closed over. */
  changed: boolean;
  /** Whether it is in a group that may not be in its place in the file yet. */
  leaving: boolean;
}

/**
 * Pages of the BAT, of sector bitmaps and of the metadata that were changed and are not in their places in the file
 * yet, as a layer over the file: all that read through it see the changes at once.
 */
export class PageLayer {
  readonly #file: RandomAccessSource;
  /** Pages by their offsets, the least recently loaded first. */
  readonly #pages = new Map<number, Page>();
  readonly #loads = new Map<number, Promise<Page>>();
  #changed: Page[] = [];
  #leaving: Page[] = [];

  constructor(file: RandomAccessSource) {
    this.#file = file;
  }

  /** How many pages have changes that wait for a group to be closed. */
  get changedPages(): number {
    return this.#changed.length;
  }

  /** The bytes of a page as they are now. They change with the page: read them before the next wait. */
  async read(offset: number): Promise<Uint8Array> {
    return (this.#pages.get(offset) ?? (await this.#load(offset))).bytes;
  }

  /**
   * Brings pages into the layer and changes them all at once.
   *
   * @param offsets file offsets of the pages, multiples of {@link PAGE_SIZE}, none twice
   * @param limit changed pages that may wait at most
   * @param makeRoom called if these were too many: closes the group of those that wait
   * @param change gets the bytes of each page by its offset; must not wait
   */
  async change(
    offsets: readonly number[],
    limit: number,
    makeRoom: () => Promise<void>,
    change: (bytesOf: (offset: number) => Uint8Array<ArrayBuffer>) => void,
  ): Promise<void> {
    if (offsets.length > limit) throw new RangeError(`${offsets.length} pages cannot change at once`);
    const pages = new Map<number, Page>();
    try {
      for (const offset of offsets) {
        while (!this.#pages.has(offset)) await this.#load(offset);
        const page = this.#pages.get(offset) as Page;
        page.users += 1;
        pages.set(offset, page);
      }
      const added = () => [...pages.values()].filter((page) => !page.changed).length;
      while (this.#changed.length + added() > limit) await makeRoom();
      change((offset) => (pages.get(offset) as Page).bytes);
      for (const page of pages.values()) {
        if (!page.changed) this.#changed.push(page);
        page.changed = true;
      }
    } finally {
      for (const page of pages.values()) page.users -= 1;
    }
  }

  /** Copies of all pages with changes that wait, by their offsets; from now on they wait no more. */
  close(): Map<number, Uint8Array<ArrayBuffer>> {
    const group = new Map(this.#changed.map(({ offset, bytes }) => [offset, bytes.slice()]));
    for (const page of this.#changed) {
      page.changed = false;
      page.leaving = true;
    }
    this.#leaving.push(...this.#changed);
    this.#changed = [];
    return group;
  }

  /** Says that the pages of all groups closed so far are in their places in the file. */
  settle(): void {
    for (const page of this.#leaving) page.leaving = false;
    this.#leaving = [];
    this.#evict();
  }

  /** Forgets what a range of the file held: it is free, and what is written there next does not come through the layer. */
  forget(offset: number, length: number): void {
    for (const page of this.#overlapping(offset, length)) this.#pages.delete(page.offset);
  }

  /** Fills `target` from the file as it is with all changes. */
  async readInto(target: Uint8Array, offset: number, options?: ReadOptions): Promise<void> {
    // Held from before the read on: a page may be written to its place while the file is read.
    const before = this.#overlapping(offset, target.length);
    await this.#file.readInto(target, offset, options);
    for (const page of new Set([...before, ...this.#overlapping(offset, target.length)])) {
      const start = Math.max(offset, page.offset);
      const end = Math.min(offset + target.length, page.offset + PAGE_SIZE);
      target.set(page.bytes.subarray(start - page.offset, end - page.offset), start - offset);
    }
  }

  #overlapping(offset: number, length: number): Page[] {
    const found: Page[] = [];
    if (length / PAGE_SIZE > this.#pages.size) {
      for (const page of this.#pages.values()) {
        if (page.offset < offset + length && offset < page.offset + PAGE_SIZE) found.push(page);
      }
      return found;
    }
    for (let at = offset - (offset % PAGE_SIZE); at < offset + length; at += PAGE_SIZE) {
      const page = this.#pages.get(at);
      if (page) found.push(page);
    }
    return found;
  }

  #load(offset: number): Promise<Page> {
    const running = this.#loads.get(offset);
    if (running !== undefined) return running;
    const load = (async () => {
      const bytes = new Uint8Array(PAGE_SIZE);
      await this.#file.readInto(bytes, offset);
      const page = { offset, bytes, users: 0, changed: false, leaving: false };
      this.#pages.set(offset, page);
      this.#evict(page);
      return page;
    })().finally(() => this.#loads.delete(offset));
    this.#loads.set(offset, load);
    return load;
  }

  /** Forgets the oldest pages that nothing needs. */
  #evict(but?: Page): void {
    for (const page of this.#pages.values()) {
      if (this.#pages.size <= KEPT_PAGES) return;
      if (page !== but && !page.changed && !page.leaving && page.users === 0) this.#pages.delete(page.offset);
    }
  }
}

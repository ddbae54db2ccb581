import { untilAborted } from '../base/abort.js';
import { BatCalls, bitmapPage, PAGE_BYTES } from '../core/bat-calls.js';
import type { Core } from '../core/instance.js';
import { type PageCache, pageCacheOf } from '../core/page-cache.js';
import { BAT_ENTRY_SIZE, type Geometry } from '../format/bat.js';
import type { RandomAccessSource, ReadOptions } from '../io/random-access.js';

/** Pages of the BAT that are read ahead of a reader that goes through it. */
const PAGES_AHEAD = 8;

/** A page that a translation lacks. */
export interface MissingPage {
  /** Of the BAT, or of the sector bitmaps, counted from the start of the disk. */
  readonly page: number;
  /** Of a page of the sector bitmaps: where it is in the file. */
  readonly bitmapAt?: number;
}

/**
 * The pages of one open image's BAT and sector bitmaps in the core's memory: loaded once for all that use the image,
 * the check at open as well as the reads after it, and dropped when it is closed.
 */
export class BatPages {
  /** The core's calls on these pages. */
  readonly calls: BatCalls;
  readonly #cache: PageCache;
  readonly #source: RandomAccessSource;
  readonly #batOffset: number;
  /** Length in bytes of the part of the BAT that counts. */
  readonly #batLength: number;
  readonly #batPages: number;
  /** The page that is asked for next by a reader that goes through the BAT. */
  #nextPage = 1;

  constructor(core: Core, source: RandomAccessSource, geometry: Geometry, batOffset: number) {
    this.#cache = pageCacheOf(core);
    this.calls = new BatCalls(core, this.#cache.addDisk(), geometry);
    this.#source = source;
    this.#batOffset = batOffset;
    this.#batLength = geometry.batEntries * BAT_ENTRY_SIZE;
    this.#batPages = Math.ceil(this.#batLength / PAGE_BYTES);
  }

  /** Loads a page of the BAT; a reader that goes through the BAT gets the next ones on the way too. */
  loadBat(page: number, options?: ReadOptions): Promise<void> {
    const load = this.#readBat(page);
    if (page === this.#nextPage) {
      const end = Math.min(page + 1 + PAGES_AHEAD, this.#batPages);
      for (let ahead = page + 1; ahead < end; ahead++) {
        // A reader that needs a page that could not be read ahead tries again, and gets the error.
        if (!this.#cache.has(this.calls.disk, ahead)) this.#readBat(ahead).catch(() => undefined);
      }
      this.#nextPage = end;
    } else if (page > this.#nextPage || page + PAGES_AHEAD < this.#nextPage) {
      this.#nextPage = page + 1;
    }
    return untilAborted(load, options?.signal);
  }

  /** Loads a page that a translation lacks. */
  load({ page, bitmapAt }: MissingPage, options?: ReadOptions): Promise<void> {
    if (bitmapAt === undefined) return this.loadBat(page, options);
    const fill = (slot: Uint8Array): Promise<void> => this.#source.readInto(slot, bitmapAt);
    return untilAborted(this.#cache.load(this.calls.disk, bitmapPage(page), fill), options?.signal);
  }

  /** The same at once, of a source that can be read so. */
  loadSync({ page, bitmapAt }: MissingPage): void {
    const { offset, length } = bitmapAt === undefined ? this.#placeOf(page) : { offset: bitmapAt, length: PAGE_BYTES };
    this.#cache.loadSync(this.calls.disk, bitmapAt === undefined ? page : bitmapPage(page), (bytes) =>
      this.#source.readIntoSync?.(bytes.subarray(0, length), offset),
    );
  }

  /** Says that bytes of the BAT changed, from `offset` of the BAT on. They lie in one page and stay as they are. */
  replaceBat(offset: number, bytes: Uint8Array): void {
    this.#cache.replace(this.calls.disk, Math.floor(offset / PAGE_BYTES), offset % PAGE_BYTES, bytes);
  }

  /** The same of page `page` of the sector bitmaps, from `offset` of the page on. */
  replaceBitmap(page: number, offset: number, bytes: Uint8Array): void {
    this.#cache.replace(this.calls.disk, bitmapPage(page), offset, bytes);
  }

  /** Frees the pages; does not wait for those that are on their way. */
  async close(): Promise<void> {
    this.#cache.removeDisk(this.calls.disk);
  }

  #readBat(page: number): Promise<void> {
    return this.#cache.load(this.calls.disk, page, async (slot) => {
      const { offset, length } = this.#placeOf(page);
      await this.#source.readInto(slot.subarray(0, length), offset);
      slot.fill(0, length);
    });
  }

  /** Where a page of the BAT is in the file. */
  #placeOf(page: number): { offset: number; length: number } {
    const start = page * PAGE_BYTES;
    return { offset: this.#batOffset + start, length: Math.min(PAGE_BYTES, this.#batLength - start) };
  }
}

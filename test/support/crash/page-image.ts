/** Length in bytes of a page of a {@link PageImage}. */
export const PAGE_SIZE = 4096;

/** The page of everything that was never written. */
export const ZERO_PAGE = new Uint8Array(PAGE_SIZE);

/** How many images may lie one upon the other before their pages are put together again. */
const MAX_DEPTH = 6;

/**
 * The content of a file as pages of 4 KiB. A page object never changes once it is in an image: a write replaces it.
 * So images share pages, a fork costs nothing, and what was computed from a page can be remembered by its identity.
 */
export class PageImage {
  readonly #pages = new Map<number, Uint8Array>();
  readonly #base: PageImage | undefined;
  readonly #depth: number;
  /** Pages of the base from this one on are cut off. */
  #baseLimit: number;
  #size: number;
  #frozen = false;

  constructor(size = 0, base?: PageImage) {
    this.#base = base;
    this.#depth = base === undefined ? 0 : base.#depth + 1;
    this.#baseLimit = base === undefined ? 0 : Number.POSITIVE_INFINITY;
    this.#size = size;
  }

  /** An image that holds these bytes. */
  static of(bytes: Uint8Array): PageImage {
    const image = new PageImage();
    image.write(bytes, 0);
    return image;
  }

  /** Length in bytes. */
  get size(): number {
    return this.#size;
  }

  /** An image with the same content that may be changed; this one may not any more. */
  fork(): PageImage {
    this.#frozen = true;
    return this.#depth < MAX_DEPTH ? new PageImage(this.#size, this) : this.flat();
  }

  /** An image with the same content that lies on no other: quick to read. */
  flat(): PageImage {
    const flat = new PageImage(this.#size);
    for (const [index, page] of this.pages()) flat.#pages.set(index, page);
    return flat;
  }

  /** The page with a number; never to be written into. */
  page(index: number): Uint8Array {
    for (let image: PageImage | undefined = this; image !== undefined; image = image.#base) {
      const page = image.#pages.get(index);
      if (page !== undefined) return page;
      if (index >= image.#baseLimit) return ZERO_PAGE;
    }
    return ZERO_PAGE;
  }

  /** Every page that may hold more than zeros, with its number, in no order. */
  pages(): Map<number, Uint8Array> {
    const all = this.#base === undefined ? new Map<number, Uint8Array>() : this.#base.pages();
    for (const index of all.keys()) if (index >= this.#baseLimit) all.delete(index);
    for (const [index, page] of this.#pages) {
      if (page === ZERO_PAGE) all.delete(index);
      else all.set(index, page);
    }
    return all;
  }

  /** Replaces a page, whatever the file's length is. */
  setPage(index: number, page: Uint8Array): void {
    if (this.#frozen) throw new Error('the image was forked and must not change any more');
    this.#pages.set(index, page);
  }

  /** Replaces the bytes from `from` to `to` of a page with those at the same place of another. */
  patchPage(index: number, page: Uint8Array, from: number, to: number): void {
    if (from === 0 && to === PAGE_SIZE) {
      this.setPage(index, page);
      return;
    }
    const own = this.page(index).slice();
    own.set(page.subarray(from, to), from);
    this.setPage(index, own);
  }

  /** Writes bytes; a write past the end makes the image longer. */
  write(bytes: Uint8Array, offset: number): void {
    for (const { index, from, to, page } of pagesOf(bytes, offset)) this.patchPage(index, page, from, to);
    this.#size = Math.max(this.#size, offset + bytes.length);
  }

  /** Fills `target` from `offset` on. */
  readInto(target: Uint8Array, offset: number): void {
    if (offset < 0 || offset + target.length > this.#size) {
      throw new RangeError(`read of ${target.length} bytes at ${offset} leaves the file of ${this.#size} bytes`);
    }
    for (let done = 0; done < target.length; ) {
      const from = (offset + done) % PAGE_SIZE;
      const length = Math.min(PAGE_SIZE - from, target.length - done);
      target.set(this.page(Math.floor((offset + done) / PAGE_SIZE)).subarray(from, from + length), done);
      done += length;
    }
  }

  /** The `length` bytes from `offset` on. */
  read(offset: number, length: number): Uint8Array {
    const target = new Uint8Array(length);
    this.readInto(target, offset);
    return target;
  }

  /** Cuts the image or adds zeros to it. */
  truncate(size: number): void {
    if (this.#frozen) throw new Error('the image was forked and must not change any more');
    if (size < this.#size) {
      const keep = Math.ceil(size / PAGE_SIZE);
      for (const index of this.#pages.keys()) if (index >= keep) this.#pages.delete(index);
      this.#baseLimit = Math.min(this.#baseLimit, keep);
      if (size % PAGE_SIZE !== 0) this.patchPage(keep - 1, ZERO_PAGE, size % PAGE_SIZE, PAGE_SIZE);
    }
    this.#size = size;
  }
}

/** A part of a write: the bytes from `from` to `to` of `page` belong at the same place of page `index`. */
export interface PagePart {
  readonly index: number;
  readonly from: number;
  readonly to: number;
  readonly page: Uint8Array;
}

/** Copies bytes into the pages that they belong to. */
export function pagesOf(bytes: Uint8Array, offset: number): PagePart[] {
  const parts: PagePart[] = [];
  for (let done = 0; done < bytes.length; ) {
    const from = (offset + done) % PAGE_SIZE;
    const length = Math.min(PAGE_SIZE - from, bytes.length - done);
    const page = new Uint8Array(PAGE_SIZE);
    page.set(bytes.subarray(done, done + length), from);
    parts.push({ index: Math.floor((offset + done) / PAGE_SIZE), from, to: from + length, page });
    done += length;
  }
  return parts;
}

/** The first place where two images differ, in words; undefined where they are the same. */
export function differenceOf(a: PageImage, b: PageImage): string | undefined {
  if (a.size !== b.size) return `one has ${a.size} bytes, the other ${b.size}`;
  for (const index of new Set([...a.pages().keys(), ...b.pages().keys()])) {
    const [own, other] = [a.page(index), b.page(index)];
    if (own === other) continue;
    const at = own.findIndex((byte, i) => byte !== other[i]);
    if (at >= 0 && index * PAGE_SIZE + at < a.size) return `they differ at 0x${(index * PAGE_SIZE + at).toString(16)}`;
  }
  return undefined;
}

/** Length in bytes of a page of a {@link PageImage}. */
export const PAGE_SIZE = 4096;

/** Length in bytes of a {@link Chunk}: everything in a VHDX file lies at multiples of it. */
export const CHUNK_SIZE = 2 ** 20;

/** Pages of a chunk. */
export const CHUNK_PAGES = CHUNK_SIZE / PAGE_SIZE;

/** The page of everything that was never written. */
export const ZERO_PAGE = new Uint8Array(PAGE_SIZE);

/** Pages that follow one another. Images share chunks; one changes only in the image that owns it. */
export class Chunk {
  readonly pages: Uint8Array[];
  readonly owner: PageImage | undefined;
  #fingerprint: number | undefined;

  constructor(pages: Uint8Array[], owner?: PageImage) {
    this.pages = pages;
    this.owner = owner;
  }

  /** A number of 53 bits that two chunks share if their bytes are the same, and hardly ever otherwise; 0 for zeros. */
  get fingerprint(): number {
    this.#fingerprint ??= mixed(this.pages, pageFingerprint);
    return this.#fingerprint;
  }
}

/** The chunk of everything that was never written. */
const ZERO_CHUNK = new Chunk(new Array<Uint8Array>(CHUNK_PAGES).fill(ZERO_PAGE));

/**
 * The content of a file as pages of 4 KiB, in chunks of 1 MiB. A page object never changes once it is in an image: a
 * write replaces it. So images share pages and chunks, a fork costs nothing, and what was computed from a page or from
 * a chunk can be remembered by its identity.
 */
export class PageImage {
  #chunks: Chunk[];
  #size: number;
  #frozen = false;

  constructor(size = 0) {
    this.#chunks = [];
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

  /** From now on the image cannot be changed, and what is computed from its chunks can be remembered. */
  freeze(): this {
    this.#frozen = true;
    return this;
  }

  /** An image with the same content that may be changed; this one may not any more. */
  fork(): PageImage {
    this.freeze();
    const fork = new PageImage(this.#size);
    fork.#chunks = this.#chunks.slice();
    return fork;
  }

  /** The page with a number; never to be written into. */
  page(index: number): Uint8Array {
    const chunk = this.#chunks[Math.floor(index / CHUNK_PAGES)];
    return chunk === undefined ? ZERO_PAGE : (chunk.pages[index % CHUNK_PAGES] as Uint8Array);
  }

  /** The chunk with a number. */
  chunk(index: number): Chunk {
    return this.#chunks[index] ?? ZERO_CHUNK;
  }

  /** The chunks of a range that begins and ends at chunks. */
  chunksIn(offset: number, length: number): Chunk[] {
    return Array.from({ length: length / CHUNK_SIZE }, (_, i) => this.chunk(offset / CHUNK_SIZE + i));
  }

  /** Every page that may hold more than zeros, with its number. */
  pages(): Map<number, Uint8Array> {
    const all = new Map<number, Uint8Array>();
    for (const [chunk, { pages }] of this.#entries()) {
      for (const [i, page] of pages.entries()) if (page !== ZERO_PAGE) all.set(chunk * CHUNK_PAGES + i, page);
    }
    return all;
  }

  /** Replaces a page, whatever the file's length is. */
  setPage(index: number, page: Uint8Array): void {
    this.#own(Math.floor(index / CHUNK_PAGES)).pages[index % CHUNK_PAGES] = page;
  }

  /** Replaces a chunk by one that never changes any more. */
  setChunk(index: number, chunk: Chunk): void {
    this.#mustBeOwn();
    while (this.#chunks.length < index) this.#chunks.push(ZERO_CHUNK);
    this.#chunks[index] = chunk;
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
    this.#mustBeOwn();
    if (size < this.#size) {
      this.#cut(Math.ceil(size / PAGE_SIZE));
      if (size % PAGE_SIZE !== 0) this.patchPage(Math.floor(size / PAGE_SIZE), ZERO_PAGE, size % PAGE_SIZE, PAGE_SIZE);
    }
    this.#size = size;
  }

  /** As the fingerprint of a chunk, for all of the image; it may not be changed any more. */
  fingerprint(): number {
    this.freeze();
    return mixed(this.#chunks, ({ fingerprint }) => fingerprint, this.#size);
  }

  /** Forgets the pages from a number on. */
  #cut(pages: number): void {
    const whole = Math.ceil(pages / CHUNK_PAGES);
    if (whole < this.#chunks.length) this.#chunks.length = whole;
    if (pages % CHUNK_PAGES === 0) return;
    const last = this.#chunks[whole - 1];
    if (last?.pages.some((page, i) => i >= pages % CHUNK_PAGES && page !== ZERO_PAGE)) {
      this.#own(whole - 1).pages.fill(ZERO_PAGE, pages % CHUNK_PAGES);
    }
  }

  /** A chunk that may be changed. */
  #own(index: number): Chunk {
    const chunk = this.chunk(index);
    if (chunk.owner === this && !this.#frozen) return chunk;
    const own = new Chunk(chunk.pages.slice(), this);
    this.setChunk(index, own);
    return own;
  }

  #mustBeOwn(): void {
    if (this.#frozen) throw new Error('the image was forked and must not change any more');
  }

  *#entries(): Generator<[number, Chunk]> {
    for (const [index, chunk] of this.#chunks.entries()) if (chunk !== ZERO_CHUNK) yield [index, chunk];
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

const fingerprints = new WeakMap<Uint8Array, number>();

/** 53 bits of a hash of a page: 0 for zeros. Remembered, because pages never change. */
export function pageFingerprint(page: Uint8Array): number {
  if (page === ZERO_PAGE) return 0;
  let fingerprint = fingerprints.get(page);
  if (fingerprint === undefined) {
    const words = new Int32Array(page.buffer, page.byteOffset, PAGE_SIZE / 4);
    let [a, b, any] = [1, 2, 0];
    for (let i = 0; i < PAGE_SIZE / 4; i++) {
      const word = words[i] as number;
      any |= word;
      a = Math.imul(a ^ word, 0x9e3779b1);
      a ^= a >>> 15;
      b = Math.imul(b + word, 0x85ebca77) ^ (b >>> 13);
    }
    fingerprint = any === 0 ? 0 : ofHalves(a, b);
    fingerprints.set(page, fingerprint);
  }
  return fingerprint;
}

const ofHalves = (high: number, low: number) => (high & 0x1fffff) * 2 ** 32 + (low >>> 0);

/** One fingerprint of several, which depends on their order; 0 if all are. */
function mixed<T>(parts: readonly T[], fingerprintOf: (part: T) => number, initial = 0): number {
  let [a, b, any] = [initial | 0, Math.floor(initial / 2 ** 32), initial > 0];
  for (let i = 0; i < parts.length; i++) {
    const part = fingerprintOf(parts[i] as T);
    if (part === 0) continue;
    any = true;
    a = Math.imul(a ^ (part | 0) ^ Math.imul(i + 1, 0x27d4eb2f), 0x9e3779b1);
    a ^= a >>> 15;
    b = Math.imul(b + Math.floor(part / 2 ** 32) + i + (part | 0), 0x85ebca77) ^ (b >>> 13) ^ a;
  }
  return any ? ofHalves(a, b) : 0;
}

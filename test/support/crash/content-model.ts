import { PAGE_SIZE } from './page-image.js';
import { must, viewOf } from './state-bytes.js';
import type { StateView } from './state-reader.js';

const SECTOR = 512;
const SECTORS = PAGE_SIZE / SECTOR;

/** What a sector holds: 0 for zeros, the number of the write that made it, or −1 for what no write made. */
export type Tag = number;

/** What a spec notes in the trace of a {@link CrashFile}, so that the model can follow. */
export type ContentNote =
  /** A write, zero or trim of a range was begun; the sectors may hold any of `tags` from now on. */
  | {
      readonly kind: 'begun';
      readonly id: number;
      readonly offset: number;
      readonly length: number;
      readonly tags: readonly Tag[];
    }
  /** A flush settled: what was begun with these numbers, and had ended before it, is durable. */
  | { readonly kind: 'flushed'; readonly ids: ReadonlySet<number> };

/**
 * The bytes that write number `tag` puts at an offset: every sector says whose it is and where it belongs, so that a
 * stale sector, or one of another block, gives itself away.
 */
export function taggedBytes(tag: Tag, offset: number, length: number): Uint8Array {
  const bytes = new Uint8Array(length);
  const view = viewOf(bytes);
  for (let at = 0; at < length; at += 8) {
    view.setUint32(at, tag, true);
    view.setUint32(at + 4, Math.floor((offset + at) / SECTOR), true);
  }
  return bytes;
}

const parsed = new WeakMap<Uint8Array, Int32Array>();

/** The tag and the sector number of each sector of a page. */
function tagsOf(page: Uint8Array): Int32Array {
  let tags = parsed.get(page);
  if (tags === undefined) {
    tags = new Int32Array(2 * SECTORS);
    const words = new Uint32Array(page.buffer, page.byteOffset, PAGE_SIZE / 4);
    for (let sector = 0; sector < SECTORS; sector++) {
      const from = (sector * SECTOR) / 4;
      const [tag, place] = [words[from] as number, words[from + 1] as number];
      let same = true;
      for (let i = 2; same && i < SECTOR / 4; i += 2) same = words[from + i] === tag && words[from + i + 1] === place;
      tags[2 * sector] = same ? tag : -1;
      tags[2 * sector + 1] = place;
    }
    parsed.set(page, tags);
  }
  return tags;
}

interface Version {
  readonly id: number;
  readonly tags: readonly Tag[];
}

/** What each sector of a virtual disk may hold: what was flushed last, and what was written since. */
export class ContentModel {
  /** Versions of the sectors that were written, oldest first. */
  readonly #versions = new Map<number, Version[]>();
  readonly #before: (sector: number) => Tag;
  readonly #pages = new Set<number>();
  /** Pages of content that were found to be right at a place, as long as nothing is noted about it. */
  readonly #right = new Map<number, WeakSet<Uint8Array>>();
  /** The sectors of each write that is not known to be durable. */
  readonly #open = new Map<number, number[]>();

  /** `before` says what a sector holds before anything is written; zeros where it is left out. */
  constructor(before: (sector: number) => Tag = () => 0) {
    this.#before = before;
  }

  /** Follows a note of the trace. */
  follow(note: ContentNote): void {
    if (note.kind === 'begun') {
      const { id, tags, offset, length } = note;
      const sectors: number[] = [];
      for (let sector = offset / SECTOR; sector < (offset + length) / SECTOR; sector++) {
        const versions = this.#versions.get(sector) ?? [{ id: 0, tags: [this.#before(sector)] }];
        versions.push({ id, tags });
        this.#versions.set(sector, versions);
        this.#pages.add(Math.floor(sector / SECTORS));
        this.#right.delete(Math.floor(sector / SECTORS));
        sectors.push(sector);
      }
      this.#open.set(id, sectors);
      return;
    }
    for (const id of note.ids) {
      for (const sector of this.#open.get(id) ?? []) {
        const versions = this.#versions.get(sector) as Version[];
        const last = versions.findLastIndex((version) => version.id === 0 || note.ids.has(version.id));
        if (last > 0) versions.splice(0, last);
        this.#right.delete(Math.floor(sector / SECTORS));
      }
      this.#open.delete(id);
    }
  }

  /**
   * I2, I3 and I4: every sector of the disk holds what it may hold, and nothing of another place.
   * Looks at the pages of the blocks that are present and at what was ever written.
   */
  check({ bat, metadata, page }: StateView): void {
    const perBlock = metadata.blockSize / PAGE_SIZE;
    const end = Math.ceil(metadata.size / PAGE_SIZE);
    const present = new Set(bat.present);
    for (const block of present) {
      for (let index = block * perBlock; index < Math.min(end, (block + 1) * perBlock); index++) {
        this.#checkPage(index, page(index), metadata.size);
      }
    }
    for (const index of this.#pages) {
      if (!present.has(Math.floor(index / perBlock))) this.#checkPage(index, page(index), metadata.size);
    }
  }

  #checkPage(index: number, page: Uint8Array, size: number): void {
    const right = this.#right.get(index) ?? new WeakSet();
    if (right.has(page)) return;
    const tags = tagsOf(page);
    for (let i = 0; i < SECTORS && index * PAGE_SIZE + i * SECTOR < size; i++) {
      this.#checkSector(index * SECTORS + i, tags[2 * i] as number, tags[2 * i + 1] as number);
    }
    right.add(page);
    this.#right.set(index, right);
  }

  #checkSector(sector: number, tag: Tag, place: number): void {
    const versions = this.#versions.get(sector);
    const allowed = versions?.flatMap(({ tags }) => tags) ?? [this.#before(sector)];
    must(allowed.includes(tag), () => `content: sector ${sector} holds ${tag}, allowed are ${allowed.join(', ')}`);
    must(tag === 0 || place === sector, () => `content: sector ${sector} holds what write ${tag} put into ${place}`);
  }
}

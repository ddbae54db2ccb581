import { CHUNK_PAGES, CHUNK_SIZE, PAGE_SIZE } from './page-image.js';
import type { StateBat } from './state-bat.js';
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
  | { readonly kind: 'flushed'; readonly ids: ReadonlySet<number> }
  /** An operation was refused because the device is full; it may have been done in part. */
  | { readonly kind: 'no-space' };

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

/** The tag of a sector of a disk as a state shows it. */
export function tagOf(view: StateView, sector: number): Tag {
  return tagsOf(view.page(Math.floor(sector / SECTORS)))[2 * (sector % SECTORS)] as number;
}

interface Version {
  readonly id: number;
  readonly tags: readonly Tag[];
}

/** Pages of a MiB of the disk that were found to be right; up to two for each place, the last ones. */
interface RightPages {
  /** By the chunk that holds the MiB, and what says which of its sectors count. */
  readonly whole: WeakMap<object, WeakSet<object>>;
  readonly last: Uint8Array[];
  readonly before: Uint8Array[];
}

/** What each sector of a virtual disk may hold: what was flushed last, and what was written since. */
export class ContentModel {
  /** Versions of the sectors that were written, oldest first. */
  readonly #versions = new Map<number, Version[]>();
  readonly #before: (sector: number) => Tag;
  /** The sectors of each write that is not known to be durable. */
  readonly #open = new Map<number, number[]>();
  /** What was found to be right of each MiB, as long as nothing is noted about it. */
  readonly #right = new Map<number, RightPages>();
  /** Whether each MiB may be in the parent now, and whether it may be zeros. */
  readonly #rightInParent: boolean[] = [];
  readonly #rightZeros: boolean[] = [];
  /** BATs whose blocks that are not present were found to be right, as long as nothing is noted. */
  #rightBats = new WeakSet<StateBat>();

  /** `before` says what a sector holds before anything is written; zeros where it is left out. */
  constructor(before: (sector: number) => Tag = () => 0) {
    this.#before = before;
  }

  /** Follows a note of the trace. */
  follow(note: ContentNote): void {
    this.#rightBats = new WeakSet();
    if (note.kind === 'begun') {
      const { id, tags, offset, length } = note;
      const sectors: number[] = [];
      for (let sector = offset / SECTOR; sector < (offset + length) / SECTOR; sector++) {
        const versions = this.#versions.get(sector) ?? [{ id: 0, tags: [this.#before(sector)] }];
        versions.push({ id, tags });
        this.#versions.set(sector, versions);
        sectors.push(sector);
      }
      this.#forget(sectors);
      this.#open.set(id, sectors);
      return;
    }
    if (note.kind === 'no-space') return;
    for (const id of note.ids) {
      const sectors = this.#open.get(id) ?? [];
      for (const sector of sectors) {
        const versions = this.#versions.get(sector) as Version[];
        const last = versions.findLastIndex((version) => version.id === 0 || note.ids.has(version.id));
        if (last > 0) versions.splice(0, last);
      }
      this.#forget(sectors);
      this.#open.delete(id);
    }
  }

  /** I2, I3 and I4: every sector of the disk holds what it may hold, and nothing of another place. */
  check(view: StateView): void {
    const { bat, metadata, image } = view;
    const perBlock = metadata.blockSize / CHUNK_SIZE;
    for (const block of bat.present) {
      const { state, offset } = bat.block(block);
      for (let i = 0; i < perBlock; i++) {
        const bits = state === 6 ? NOTHING : this.#bitsPage(view, block * perBlock + i);
        this.#checkMiB(view, block * perBlock + i, image.chunk(offset / CHUNK_SIZE + i), bits);
      }
    }
    if (this.#rightBats.has(bat)) return;
    for (let block = 0; block < bat.blocks; block++) {
      const { state } = bat.block(block);
      if (state >= 6) continue;
      const isParent = state === 0 && metadata.hasParent;
      for (let mib = block * perBlock; mib < (block + 1) * perBlock; mib++) {
        const right = isParent ? this.#rightInParent : this.#rightZeros;
        if (right[mib] === true) continue;
        this.#checkPages(view, mib);
        right[mib] = true;
      }
    }
    this.#rightBats.add(bat);
  }

  #bitsPage({ bat, metadata, image }: StateView, mib: number): Uint8Array {
    const at = bat.bitOffset((mib * CHUNK_SIZE) / metadata.logicalSectorSize);
    return image.page(Math.floor(at / PAGE_SIZE));
  }

  /** A MiB lies in one chunk of the file; the bits of all its sectors are in one page. */
  #checkMiB(view: StateView, mib: number, chunk: object, bits: object): void {
    let right = this.#right.get(mib);
    if (right === undefined) {
      right = { whole: new WeakMap(), last: [], before: [] };
      this.#right.set(mib, right);
    }
    const known = right.whole.get(chunk) ?? new WeakSet();
    if (known.has(bits)) return;
    this.#checkPages(view, mib, right);
    known.add(bits);
    right.whole.set(chunk, known);
  }

  #checkPages(view: StateView, mib: number, right?: RightPages): void {
    const { size } = view.metadata;
    for (let i = 0; i < CHUNK_PAGES && mib * CHUNK_SIZE + i * PAGE_SIZE < size; i++) {
      const page = view.page(mib * CHUNK_PAGES + i);
      if (right && (page === right.last[i] || page === right.before[i])) continue;
      this.#checkPage(mib * CHUNK_PAGES + i, page, size);
      if (right === undefined) continue;
      right.before[i] = right.last[i] ?? page;
      right.last[i] = page;
    }
  }

  #checkPage(index: number, page: Uint8Array, size: number): void {
    const tags = tagsOf(page);
    for (let i = 0; i < SECTORS && index * PAGE_SIZE + i * SECTOR < size; i++) {
      this.#checkSector(index * SECTORS + i, tags[2 * i] as number, tags[2 * i + 1] as number);
    }
  }

  #checkSector(sector: number, tag: Tag, place: number): void {
    const versions = this.#versions.get(sector);
    const before = versions === undefined ? this.#before(sector) : undefined;
    const isAllowed = before === undefined ? versions?.some(({ tags }) => tags.includes(tag)) : before === tag;
    must(isAllowed === true, () => {
      const allowed = versions?.flatMap(({ tags }) => tags) ?? [before];
      return `content: sector ${sector} holds ${tag}, allowed are ${allowed.join(', ')}`;
    });
    must(tag === 0 || place === sector, () => `content: sector ${sector} holds what write ${tag} put into ${place}`);
  }

  #forget(sectors: readonly number[]): void {
    for (const mib of new Set(sectors.map((sector) => Math.floor((sector * SECTOR) / CHUNK_SIZE)))) {
      this.#right.delete(mib);
      this.#rightInParent[mib] = false;
      this.#rightZeros[mib] = false;
    }
  }
}

/** What stands for the bits of a MiB that needs none. */
const NOTHING = {};

import { BAT_ENTRY_SIZE, type BatEntry, writeBatEntry } from '../../format/bat.js';

/** Entries that are kept together. */
const PAGE = 8192;

/**
 * The BAT entries of a new image that are known one by one, until the BAT is written. Only pages that have any take
 * memory: 8 bytes for each block of a dense disk.
 */
export class StoredEntries {
  readonly #pages = new Map<number, DataView>();

  /** Sets an entry by its number in the BAT. */
  set(index: number, entry: Omit<BatEntry, 'reserved'>): void {
    const number = Math.floor(index / PAGE);
    let page = this.#pages.get(number);
    if (page === undefined) {
      page = new DataView(new ArrayBuffer(PAGE * BAT_ENTRY_SIZE));
      this.#pages.set(number, page);
    }
    writeBatEntry(page, (index % PAGE) * BAT_ENTRY_SIZE, entry);
  }

  /** Whether any of `count` entries from `first` on may be set. Both are multiples of the size of a page, or end the BAT. */
  hasAny(first: number, count: number): boolean {
    for (let page = Math.floor(first / PAGE); page * PAGE < first + count; page++)
      if (this.#pages.has(page)) return true;
    return false;
  }

  /** Copies the entries that are set over the part of a BAT that begins with entry `first`. */
  copyTo(bytes: Uint8Array, first: number): void {
    const count = bytes.length / BAT_ENTRY_SIZE;
    const target = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    for (let number = Math.floor(first / PAGE); number * PAGE < first + count; number++) {
      const page = this.#pages.get(number);
      if (page === undefined) continue;
      const from = Math.max(first, number * PAGE);
      const to = Math.min(first + count, (number + 1) * PAGE);
      for (let index = from; index < to; index++) {
        const at = (index - number * PAGE) * BAT_ENTRY_SIZE;
        const low = page.getUint32(at, true);
        const high = page.getUint32(at + 4, true);
        if (low === 0 && high === 0) continue;
        target.setUint32((index - first) * BAT_ENTRY_SIZE, low, true);
        target.setUint32((index - first) * BAT_ENTRY_SIZE + 4, high, true);
      }
    }
  }
}

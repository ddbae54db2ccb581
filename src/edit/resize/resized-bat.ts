import { viewOf } from '../../base/bytes.js';
import { BAT_ENTRY_SIZE, type BatEntry, type Geometry, PayloadState, writeBatEntry } from '../../format/bat.js';
import { PAGE_SIZE } from '../../image/page-layer.js';
import type { NewEntry } from '../writable/block-table.js';

/** What the blocks are that a disk gets when it grows: zeros without space, or one after another in the file. */
export type AddedBlocks = 'zero' | { readonly from: number };

const ENTRIES_PER_PAGE = PAGE_SIZE / BAT_ENTRY_SIZE;

/**
 * The BAT of a disk that gets another size, block and sector size staying the same: what every one of its slots is to
 * hold. Slots that did not count before may hold anything ([MS-VHDX] 2.5), those of the last chunk among them, so none
 * of them is taken over.
 */
export class ResizedBat {
  /** The first slot that may change. */
  readonly firstSlot: number;
  readonly #before: Geometry;
  readonly #after: Geometry;
  readonly #keptBlocks: number;
  readonly #keptChunks: number;
  readonly #added: AddedBlocks;
  readonly #others: readonly NewEntry[];

  /** @param others entries of old blocks that change besides */
  constructor(before: Geometry, after: Geometry, added: AddedBlocks, others: readonly NewEntry[] = []) {
    this.#before = before;
    this.#after = after;
    this.#keptBlocks = Math.min(before.payloadBlocks, after.payloadBlocks);
    this.#keptChunks = before.hasParent ? Math.min(before.chunks, after.chunks) : 0;
    this.#added = added;
    this.#others = others;
    // The slot after that of the last old block, also if that is one of a bitmap block, which may not have counted before.
    const next = this.#keptBlocks === 0 ? 0 : this.#keptBlocks + Math.floor((this.#keptBlocks - 1) / before.chunkRatio);
    this.firstSlot = Math.min(next, ...others.map(({ index }) => index));
  }

  /** How many bytes the slots take that count afterwards. */
  get length(): number {
    return this.#after.batEntries * BAT_ENTRY_SIZE;
  }

  /** The pages with slots that change and that count at both sizes: they must change together with the size. */
  sharedPages(): number[] {
    const shared = Math.min(this.#before.batEntries, this.#after.batEntries);
    return pageNumbers(Math.floor(this.firstSlot / ENTRIES_PER_PAGE), Math.ceil(shared / ENTRIES_PER_PAGE));
  }

  /** The other pages with slots that count before or afterwards: at one of the two sizes no reader looks at them. */
  otherPages(): number[] {
    const [fewer, more] = [this.#before.batEntries, this.#after.batEntries].sort((a, b) => a - b) as [number, number];
    const first = Math.max(Math.ceil(fewer / ENTRIES_PER_PAGE), Math.floor(this.firstSlot / ENTRIES_PER_PAGE));
    return pageNumbers(first, Math.ceil(more / ENTRIES_PER_PAGE));
  }

  /**
   * Changes slots to what they are to hold.
   *
   * @param bytes slots as they are, zeros where the BAT was shorter
   * @param first number of the first of them
   */
  fill(bytes: Uint8Array, first: number): void {
    const view = viewOf(bytes);
    const period = this.#after.chunkRatio + 1;
    const end = first + bytes.length / BAT_ENTRY_SIZE;
    let index = Math.max(first, this.firstSlot);
    let within = index % period;
    let block = index - Math.floor(index / period);
    for (; index < end; index++) {
      const isBitmap = within === period - 1;
      if (isBitmap) {
        const chunk = (index - within) / period;
        if (chunk >= this.#keptChunks) writeBatEntry(view, (index - first) * BAT_ENTRY_SIZE, NOTHING);
      } else if (block >= this.#keptBlocks) {
        writeBatEntry(view, (index - first) * BAT_ENTRY_SIZE, this.#newEntry(block));
      }
      if (!isBitmap) block += 1;
      within = isBitmap ? 0 : within + 1;
    }
    for (const entry of this.#others) {
      if (entry.index >= first && entry.index < end) {
        writeBatEntry(view, (entry.index - first) * BAT_ENTRY_SIZE, entry);
      }
    }
  }

  #newEntry(block: number): Omit<BatEntry, 'reserved'> {
    if (block >= this.#after.payloadBlocks) return NOTHING;
    if (this.#added === 'zero') return ZEROS;
    const offset = this.#added.from + (block - this.#before.payloadBlocks) * this.#before.blockSize;
    return { state: PayloadState.FullyPresent, offset };
  }
}

const NOTHING = { state: PayloadState.NotPresent, offset: 0 };
const ZEROS = { state: PayloadState.Zero, offset: 0 };

function pageNumbers(first: number, end: number): number[] {
  return Array.from({ length: Math.max(0, end - first) }, (_, i) => first + i);
}

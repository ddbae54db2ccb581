import { viewOf } from '../../base/bytes.js';
import {
  BAT_ENTRY_SIZE,
  type BatEntry,
  bitmapEntryIndex,
  type Geometry,
  PayloadState,
  readBatEntry,
  writeBatEntry,
} from '../../format/bat.js';
import { PAGE_SIZE } from '../../image/page-layer.js';
import type { Freed, WriteSession } from '../../image/session.js';
import type { MetadataChange } from '../../image/translator.js';

/** The image whose blocks change. */
export interface BlockTableImage {
  readonly geometry: Geometry;
  /** File offset of the BAT. */
  readonly batOffset: number;
  readonly session: Pick<WriteSession, 'page' | 'change'>;
  /** Called when bytes of the BAT or of a sector bitmap block changed, before anything can read them. */
  readonly onChange: (change: MetadataChange) => void;
}

/** A BAT entry that is to be written. */
export interface NewEntry {
  readonly index: number;
  readonly state: number;
  readonly offset: number;
}

/** Where the bits of a block are. */
export interface BitsPlace {
  readonly chunk: number;
  /** BAT entry of the sector bitmap block. */
  readonly index: number;
  /** First byte of the block's bits in the sector bitmap block, and how many bytes there are. */
  readonly byte: number;
  readonly length: number;
  /** File offset of the sector bitmap block, if there is one. */
  readonly blockOffset: number | undefined;
}

/** What changes together with BAT entries. */
export interface EntriesChange {
  readonly bits?: BitsPlace & { readonly blockOffset: number; readonly bytes: Uint8Array };
  readonly frees?: readonly Freed[];
  /** End of the space that is referred to from now on. */
  readonly end?: number;
}

/** BAT entries and sector bitmaps as they are now, and changes to them that are made in one step. */
export class BlockTable {
  readonly #image: BlockTableImage;

  constructor(image: BlockTableImage) {
    this.#image = image;
  }

  /** The BAT entry of a payload block. */
  payloadIndex(block: number): number {
    return block + Math.floor(block / this.#image.geometry.chunkRatio);
  }

  /** Reads a BAT entry. */
  async entry(index: number): Promise<BatEntry> {
    const at = this.#image.batOffset + index * BAT_ENTRY_SIZE;
    return readBatEntry(viewOf(await this.#image.session.page(at - (at % PAGE_SIZE))), at % PAGE_SIZE);
  }

  /** Where the bits of a block are in its chunk's sector bitmap block, and where that is if there is one. */
  async bitsOf(block: number): Promise<BitsPlace> {
    const { blockSize, logicalSectorSize, chunkRatio } = this.#image.geometry;
    const chunk = Math.floor(block / chunkRatio);
    const index = bitmapEntryIndex(this.#image.geometry, chunk);
    const length = blockSize / logicalSectorSize / 8;
    const { state, offset } = await this.entry(index);
    const blockOffset = state === PayloadState.FullyPresent ? offset : undefined;
    return { chunk, index, byte: (block % chunkRatio) * length, length, blockOffset };
  }

  /** Reads `length` bytes of a sector bitmap block from `offset` of the file on. */
  async readBits(offset: number, length: number): Promise<Uint8Array> {
    const bits = new Uint8Array(length);
    for (let at = offset; at < offset + length; ) {
      const page = await this.#image.session.page(at - (at % PAGE_SIZE));
      const count = Math.min(PAGE_SIZE - (at % PAGE_SIZE), offset + length - at);
      bits.set(page.subarray(at % PAGE_SIZE, (at % PAGE_SIZE) + count), at - offset);
      at += count;
    }
    return bits;
  }

  /** Changes BAT entries and the bits of one block, all at once. */
  async change(entries: readonly NewEntry[], { bits, frees, end }: EntriesChange): Promise<void> {
    const { batOffset, session, onChange } = this.#image;
    const writes: { offset: number; bytes: Uint8Array; change: MetadataChange }[] = entries.map((entry) => {
      const bytes = new Uint8Array(BAT_ENTRY_SIZE);
      writeBatEntry(viewOf(bytes), 0, entry);
      const offset = entry.index * BAT_ENTRY_SIZE;
      return { offset: batOffset + offset, bytes, change: { offset, bytes } };
    });
    if (bits) {
      const { chunk, blockOffset, byte, bytes } = bits;
      for (let at = 0; at < bytes.length; at += PAGE_SIZE) {
        const piece = bytes.subarray(at, at + PAGE_SIZE);
        writes.push({
          offset: blockOffset + byte + at,
          bytes: piece,
          change: { chunk, offset: byte + at, bytes: piece },
        });
      }
    }
    const pageOf = (offset: number) => offset - (offset % PAGE_SIZE);
    await session.change({
      pages: [...new Set(writes.map(({ offset }) => pageOf(offset)))],
      change: (bytesOf) => {
        for (const write of writes) {
          bytesOf(pageOf(write.offset)).set(write.bytes, write.offset % PAGE_SIZE);
          onChange(write.change);
        }
      },
      ...(frees && { frees }),
      ...(end !== undefined && { end }),
    });
  }
}

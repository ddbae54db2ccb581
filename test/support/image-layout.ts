import { KiB, MiB } from './encode-primitives.js';
import type { ByteRange } from './sparse-file.js';

/** Sectors that one sector bitmap block describes, [MS-VHDX] 2.4: a bit for each in 1 MiB. */
const SECTORS_PER_CHUNK = 2 ** 23;

/** The numbers that follow from block size, sector size and disk size, [MS-VHDX] 2.5. */
export interface Geometry {
  readonly blockSize: number;
  readonly logicalSectorSize: number;
  /** Payload blocks of a chunk. */
  readonly chunkRatio: number;
  readonly payloadBlocks: number;
  /** Chunks, and so sector bitmap blocks of a differencing disk. */
  readonly chunks: number;
  /** Entries that the BAT needs. */
  readonly batEntries: number;
}

/** Computes the geometry of a disk. */
export function geometryOf(disk: {
  readonly virtualSize: number;
  readonly blockSize: number;
  readonly logicalSectorSize: number;
  readonly hasParent: boolean;
}): Geometry {
  const { virtualSize, blockSize, logicalSectorSize } = disk;
  const chunkRatio = (SECTORS_PER_CHUNK * logicalSectorSize) / blockSize;
  const payloadBlocks = Math.ceil(virtualSize / blockSize);
  const chunks = Math.ceil(payloadBlocks / chunkRatio);
  const interleaved = payloadBlocks === 0 ? 0 : payloadBlocks + Math.floor((payloadBlocks - 1) / chunkRatio);
  return {
    blockSize,
    logicalSectorSize,
    chunkRatio,
    payloadBlocks,
    chunks,
    batEntries: disk.hasParent ? chunks * (chunkRatio + 1) : interleaved,
  };
}

/** Where the pieces of a built image are. All offsets are file offsets in bytes. */
export class ImageLayout {
  readonly headerOffsets = [64 * KiB, 128 * KiB] as const;
  readonly regionTableOffsets = [192 * KiB, 256 * KiB] as const;
  readonly geometry: Geometry;
  readonly log: ByteRange;
  readonly metadata: ByteRange;
  readonly bat: ByteRange;
  readonly #blocks: ReadonlyMap<number, number>;
  readonly #bitmaps: ReadonlyMap<number, number>;
  readonly #items: ReadonlyMap<string, { readonly entry: number; readonly data: number }>;

  constructor(parts: {
    geometry: Geometry;
    log: ByteRange;
    metadata: ByteRange;
    bat: ByteRange;
    /** File offsets of payload blocks, by block. */
    blocks: ReadonlyMap<number, number>;
    /** File offsets of sector bitmap blocks, by chunk. */
    bitmaps: ReadonlyMap<number, number>;
    /** Entry number and offset in the region of the metadata items, by their GUID in lower case. */
    items: ReadonlyMap<string, { readonly entry: number; readonly data: number }>;
  }) {
    this.geometry = parts.geometry;
    this.log = parts.log;
    this.metadata = parts.metadata;
    this.bat = parts.bat;
    this.#blocks = parts.blocks;
    this.#bitmaps = parts.bitmaps;
    this.#items = parts.items;
  }

  /** Where entry `index` of a copy of the region table is. */
  regionEntryOffset(copy: 0 | 1, index: number): number {
    return this.regionTableOffsets[copy] + 16 + 32 * index;
  }

  /** Where the data of a metadata item is. */
  itemOffset(id: string): number {
    return this.metadata.offset + this.#item(id).data;
  }

  /** Where the metadata table's entry of an item is. */
  itemEntryOffset(id: string): number {
    return this.metadata.offset + 32 + 32 * this.#item(id).entry;
  }

  /** The BAT index of a payload block. */
  batIndexOfBlock(block: number): number {
    return block + Math.floor(block / this.geometry.chunkRatio);
  }

  /** The BAT index of a chunk's sector bitmap block. */
  batIndexOfBitmap(chunk: number): number {
    return chunk * (this.geometry.chunkRatio + 1) + this.geometry.chunkRatio;
  }

  /** Where the BAT entry with an index is. */
  batEntryOffset(index: number): number {
    return this.bat.offset + 8 * index;
  }

  /** Where the BAT entry of a payload block is. */
  blockEntryOffset(block: number): number {
    return this.batEntryOffset(this.batIndexOfBlock(block));
  }

  /** Where the BAT entry of a chunk's sector bitmap block is. */
  bitmapEntryOffset(chunk: number): number {
    return this.batEntryOffset(this.batIndexOfBitmap(chunk));
  }

  /** Where a payload block is. Throws for a block without a place. */
  blockOffset(block: number): number {
    return placeOf(this.#blocks, block, 'payload block');
  }

  /** Whether a payload block has a place. */
  hasBlockOffset(block: number): boolean {
    return this.#blocks.has(block);
  }

  /** Chunks whose sector bitmap block has a place. */
  get bitmapChunks(): number[] {
    return [...this.#bitmaps.keys()];
  }

  /** Where a sector bitmap block is. Throws for one without a place. */
  bitmapOffset(chunk: number): number {
    return placeOf(this.#bitmaps, chunk, 'sector bitmap block');
  }

  /** The end of the last piece: the size of a file that holds them all. */
  get end(): number {
    const regions = [this.log, this.metadata, this.bat].map(({ offset, length }) => offset + length);
    let end = Math.max(MiB, ...regions);
    for (const offset of this.#blocks.values()) end = Math.max(end, offset + this.geometry.blockSize);
    for (const offset of this.#bitmaps.values()) end = Math.max(end, offset + MiB);
    return end;
  }

  #item(id: string): { readonly entry: number; readonly data: number } {
    const item = this.#items.get(id.toLowerCase());
    if (!item) throw new Error(`the image has no metadata item ${id}`);
    return item;
  }
}

function placeOf(places: ReadonlyMap<number, number>, index: number, what: string): number {
  const offset = places.get(index);
  if (offset === undefined) throw new Error(`${what} ${index} has no place in the file`);
  return offset;
}

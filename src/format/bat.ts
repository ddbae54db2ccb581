import { KiB, MiB, TiB } from '../base/units.js';

/** Length in bytes of a sector bitmap block. */
export const SECTOR_BITMAP_BLOCK_SIZE = 1 * MiB;
/** Length in bytes of a BAT entry. */
export const BAT_ENTRY_SIZE = 8;
/** Sectors that one sector bitmap block describes: a chunk. */
const SECTORS_PER_CHUNK = 8 * 1024 * KiB;

/** The largest disk, with all that belongs to it, makes a file that is far shorter than this; in bytes. */
export const LONGEST_FILE = 128 * TiB;

/** States of a payload block ([MS-VHDX] 2.5.1.1). 4 is reserved; 5 was UNMAPPED in the 0.95 draft. */
export const PayloadState = {
  NotPresent: 0,
  Undefined: 1,
  Zero: 2,
  Unmapped: 3,
  DraftUnmapped: 5,
  FullyPresent: 6,
  PartiallyPresent: 7,
} as const;

/** An entry of the BAT ([MS-VHDX] 2.5.1). */
export interface BatEntry {
  /** 0 to 7: of a payload block one of {@link PayloadState}, of a sector bitmap block 0 or 6. */
  readonly state: number;
  /** Where the block begins, in bytes from the start of the file; a multiple of 1 MiB below 2^64, and so exact. */
  readonly offset: number;
  /** The 17 reserved bits. */
  readonly reserved: number;
}

/** Reads the BAT entry at `at`. */
export function readBatEntry(view: DataView, at: number): BatEntry {
  const low = view.getUint32(at, true);
  const high = view.getUint32(at + 4, true);
  return { state: low & 7, offset: high * 2 ** 32 + (low >>> 20) * MiB, reserved: (low >>> 3) & 0x1ffff };
}

/** Writes a BAT entry at `at`; the reserved bits are zero unless they are given. */
export function writeBatEntry(
  view: DataView,
  at: number,
  { state, offset, reserved = 0 }: Omit<BatEntry, 'reserved'> & Partial<BatEntry>,
): void {
  const inWord = offset % 2 ** 32;
  view.setUint32(at, inWord + (reserved << 3) + state, true);
  view.setUint32(at + 4, (offset - inWord) / 2 ** 32, true);
}

/** How a disk is laid out over its BAT ([MS-VHDX] 2.5). */
export interface Geometry {
  /** Virtual size in bytes. */
  readonly virtualSize: number;
  /** In bytes. */
  readonly blockSize: number;
  /** In bytes. */
  readonly logicalSectorSize: number;
  readonly hasParent: boolean;
  /** Payload blocks to one sector bitmap block. */
  readonly chunkRatio: number;
  /** Number of payload blocks. */
  readonly payloadBlocks: number;
  /** Number of chunks, each with its sector bitmap block if there is a parent. */
  readonly chunks: number;
  /** Number of BAT entries that are used; what follows them in the region is ignored. */
  readonly batEntries: number;
}

/** Computes the layout from the disk's parameters; never from the length of the BAT region. */
export function computeGeometry(
  disk: Pick<Geometry, 'virtualSize' | 'blockSize' | 'logicalSectorSize' | 'hasParent'>,
): Geometry {
  const { virtualSize, blockSize, logicalSectorSize, hasParent } = disk;
  const chunkRatio = (SECTORS_PER_CHUNK * logicalSectorSize) / blockSize;
  const payloadBlocks = Math.ceil(virtualSize / blockSize);
  const chunks = Math.ceil(payloadBlocks / chunkRatio);
  const interleaved = payloadBlocks === 0 ? 0 : payloadBlocks + Math.floor((payloadBlocks - 1) / chunkRatio);
  const batEntries = hasParent ? chunks * (chunkRatio + 1) : interleaved;
  return { virtualSize, blockSize, logicalSectorSize, hasParent, chunkRatio, payloadBlocks, chunks, batEntries };
}

/** The BAT entry of a chunk's sector bitmap block. */
export function bitmapEntryIndex(geometry: Geometry, chunk: number): number {
  return chunk * (geometry.chunkRatio + 1) + geometry.chunkRatio;
}

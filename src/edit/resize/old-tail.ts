import { MiB } from '../../base/units.js';
import { type Geometry, PayloadState, SECTOR_BITMAP_BLOCK_SIZE } from '../../format/bat.js';
import { PAGE_SIZE } from '../../image/page-layer.js';
import type { Allocation } from '../../image/space.js';
import type { RandomAccessSource } from '../../io/random-access.js';
import type { JobImage } from '../job.js';
import type { Patch } from '../page-patches.js';
import { BlockTable, type NewEntry } from '../writable/block-table.js';

/** What changes, together with the size of a disk that grows, so that the tail of its old last block reads as zeros. */
export interface OldTail {
  /** BAT entries of old blocks that change. */
  readonly entries: readonly NewEntry[];
  /** Bits that change. */
  readonly patches: readonly Patch[];
  /** End of the space that they refer to, in bytes. */
  readonly end: number;
}

/** What the tail needs of the resize. */
export interface TailResize {
  readonly before: Geometry;
  readonly after: Geometry;
  /** Takes space for a structure; it is given back if the resize fails. */
  readonly allocate: (length: number) => Promise<Allocation>;
}

/** A page as the file has it, for a dry run. */
async function pageOf(source: RandomAccessSource, offset: number): Promise<Uint8Array> {
  const page = new Uint8Array(PAGE_SIZE);
  await source.readInto(page, offset);
  return page;
}

const NOTHING: OldTail = { entries: [], patches: [], end: 0 };
const ZEROS = new Uint8Array(1 * MiB);

/**
 * Zeros what a disk that grows would show of its last block after its old end ([MS-VHDX] 2.5.1.1): bytes of an earlier,
 * larger size, or those of a parent that is longer. Nothing of it can be read yet, so payload is zeroed in place; what
 * leads to it must change together with the size.
 *
 * The parent is not looked at, which may be absent: what it may have after the old end of the disk never shows.
 */
export async function zeroOldTail(image: JobImage, resize: TailResize): Promise<OldTail> {
  const { before } = resize;
  const start = before.virtualSize % before.blockSize;
  if (start === 0) return NOTHING;
  const { session, examination } = image;
  const block = before.payloadBlocks - 1;
  const table = new BlockTable({
    geometry: before,
    batOffset: examination.regions.bat.offset,
    session: session ?? { page: (offset) => pageOf(image.source, offset), change: () => Promise.reject() },
    onChange: () => undefined,
  });
  const entry = await table.entry(table.payloadIndex(block));
  const zero = async (offset: number, length: number) => {
    for (let at = 0; session && at < length; at += ZEROS.length) {
      await session.writePayload(ZEROS.subarray(0, Math.min(ZEROS.length, length - at)), offset + at);
    }
  };
  const isStored = entry.state === PayloadState.FullyPresent || entry.state === PayloadState.PartiallyPresent;
  if (isStored) await zero(entry.offset + start, before.blockSize - start);
  const reachesParent = entry.state === PayloadState.NotPresent && before.hasParent;
  if (entry.state !== PayloadState.PartiallyPresent && !reachesParent) return NOTHING;

  const bits = await table.bitsOf(block);
  const own =
    bits.blockOffset !== undefined && isStored
      ? await table.readBits(bits.blockOffset + bits.byte, bits.length)
      : new Uint8Array(bits.length); // of an earlier life of the block, if there are any
  setTail(own, resize);
  if (isStored) return { ...NOTHING, patches: [{ offset: (bits.blockOffset as number) + bits.byte, bytes: own }] };

  const taken = async (length: number): Promise<Allocation> => {
    const allocation = await resize.allocate(length);
    if (!allocation.zeros) await zero(allocation.offset, length);
    return allocation;
  };
  const { offset } = await taken(before.blockSize);
  const entries: NewEntry[] = [{ index: table.payloadIndex(block), state: PayloadState.PartiallyPresent, offset }];
  let { blockOffset } = bits;
  if (blockOffset === undefined) {
    blockOffset = (await taken(SECTOR_BITMAP_BLOCK_SIZE)).offset;
    entries.push({ index: bits.index, state: PayloadState.FullyPresent, offset: blockOffset });
  }
  const end = Math.max(offset + before.blockSize, blockOffset + SECTOR_BITMAP_BLOCK_SIZE);
  return { entries, patches: [{ offset: blockOffset + bits.byte, bytes: own }], end };
}

/** Sets the bits of the sectors from the old end of the disk to the end of its old last block, as far as it reaches now. */
function setTail(bits: Uint8Array, { before, after }: TailResize): void {
  const { blockSize, logicalSectorSize, virtualSize } = before;
  const blockStart = (before.payloadBlocks - 1) * blockSize;
  const first = (virtualSize - blockStart) / logicalSectorSize;
  const end = Math.min(blockSize, after.virtualSize - blockStart) / logicalSectorSize;
  for (let sector = first; sector < end; sector++) {
    bits[sector >>> 3] = (bits[sector >>> 3] as number) | (1 << (sector & 7));
  }
}

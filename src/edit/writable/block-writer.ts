import { MiB } from '../../base/units.js';
import { type BatEntry, type Geometry, PayloadState, SECTOR_BITMAP_BLOCK_SIZE } from '../../format/bat.js';
import type { Freed, WriteSession } from '../../image/session.js';
import { type BitsPlace, BlockTable, type BlockTableImage, type NewEntry } from './block-table.js';

/** A part of a payload block and what it becomes. */
export interface BlockPart {
  /** Number of the block. */
  readonly block: number;
  /** First byte, from the start of the block. */
  readonly start: number;
  /** The byte after the last one. */
  readonly end: number;
  /** What is written there; zeros if it is not given. */
  readonly bytes?: Uint8Array;
}

/** The disk that is written. */
export interface WrittenDisk extends BlockTableImage {
  readonly session: WriteSession;
  /** Whether blocks keep their space whatever is zeroed or trimmed: a fixed disk. */
  readonly keepsSpace: boolean;
  /** Fills `target` with the disk's bytes as they are now, those of parents among them. */
  readonly read: (target: Uint8Array, offset: number) => Promise<void>;
}

/** Zeros are written in pieces of this many bytes. */
const ZEROS = new Uint8Array(1 * MiB);

/**
 * Changes payload blocks: every transition of a block's state that writing, zeroing and trimming make, with and without
 * a parent ([MS-VHDX] 2.5.1.1). The caller holds the whole block while one of them runs.
 *
 * Payload goes to its place first, then the BAT entry and the bits change in one step of the session: the next commit
 * makes the payload durable before the entry that leads to it.
 */
export class BlockWriter {
  readonly #disk: WrittenDisk;
  readonly #session: WriteSession;
  readonly #geometry: Geometry;
  readonly #table: BlockTable;
  /** Chunks whose sector bitmap block is looked for or made, and what the next that wants it waits for. */
  readonly #chunks = new Map<number, Promise<void>>();

  constructor(disk: WrittenDisk) {
    this.#disk = disk;
    this.#session = disk.session;
    this.#geometry = disk.geometry;
    this.#table = new BlockTable(disk);
  }

  /** Writes bytes, or zeros, to a part of a block. */
  async write(part: BlockPart): Promise<void> {
    const entry = await this.#table.entry(this.#table.payloadIndex(part.block));
    const whole = this.#isWhole(part);
    switch (entry.state) {
      case PayloadState.FullyPresent:
        await this.#session.begin(true);
        return this.#fill(entry.offset + part.start, part.end - part.start, part.bytes);
      case PayloadState.PartiallyPresent:
        return whole ? this.#completePartial(part, entry) : this.#writePartial(part, entry);
      case PayloadState.NotPresent:
        return this.#geometry.hasParent && !whole ? this.#allocatePartial(part) : this.#allocateWhole(part, entry);
      default:
        return this.#allocateWhole(part, entry);
    }
  }

  /** Makes zeros of a part of a block, giving back its space if it can. */
  async zero(part: BlockPart): Promise<void> {
    const index = this.#table.payloadIndex(part.block);
    const entry = await this.#table.entry(index);
    if (entry.state === PayloadState.Zero) return;
    const isStored = entry.state >= PayloadState.FullyPresent;
    const reachesParent = entry.state === PayloadState.NotPresent && this.#geometry.hasParent;
    const stays = isStored && (!this.#isWhole(part) || this.#keepsSpace(entry));
    if (stays || (reachesParent && !this.#isWhole(part))) {
      return this.write({ block: part.block, start: part.start, end: part.end });
    }
    await this.#session.begin(true);
    await this.#setState(index, PayloadState.Zero, entry);
  }

  /** Gives back the space of a block; nothing happens to a part of one, which must not change. */
  async trim(part: BlockPart): Promise<void> {
    const index = this.#table.payloadIndex(part.block);
    const entry = await this.#table.entry(index);
    if (entry.state < PayloadState.FullyPresent || !this.#isWhole(part) || this.#keepsSpace(entry)) return;
    await this.#session.begin(true);
    await this.#setState(index, PayloadState.Unmapped, entry);
  }

  /** Whether a part is all of the block that is on the disk. */
  #isWhole({ block, start, end }: BlockPart): boolean {
    return start === 0 && end === this.#usedBytes(block);
  }

  #keepsSpace(entry: BatEntry): boolean {
    return this.#disk.keepsSpace && entry.state === PayloadState.FullyPresent;
  }

  /** Bytes of a block that are on the disk: the last one may reach past its end. */
  #usedBytes(block: number): number {
    const { virtualSize, blockSize } = this.#geometry;
    return Math.min(blockSize, virtualSize - block * blockSize);
  }

  async #setState(index: number, state: number, entry: BatEntry): Promise<void> {
    await this.#table.change([{ index, state, offset: 0 }], { frees: this.#spaceOf(entry) });
  }

  /** A block that is not stored becomes one that is: what is not written of it reads as zeros. */
  async #allocateWhole(part: BlockPart, entry: BatEntry): Promise<void> {
    await this.#session.begin(true);
    const { blockSize } = this.#geometry;
    await this.#allocated(blockSize, async (offset, zeros) => {
      await this.#fillNew(offset, zeros, part);
      const index = this.#table.payloadIndex(part.block);
      await this.#table.change([{ index, state: PayloadState.FullyPresent, offset }], {
        frees: this.#spaceOf(entry),
        end: offset + blockSize,
      });
    });
  }

  /** A block of the parent becomes partially present: the sectors that are written are here, the rest there. */
  async #allocatePartial(part: BlockPart): Promise<void> {
    await this.#session.begin(true);
    const { blockSize } = this.#geometry;
    const whole = await this.#completeSectors(part, () => false);
    await this.#allocated(blockSize, async (offset, zeros) => {
      await this.#fillNew(offset, zeros, whole);
      const payload = { index: this.#table.payloadIndex(part.block), state: PayloadState.PartiallyPresent, offset };
      await this.#withBitmap(part.block, async (bits, bitmap) => {
        // Bits of an earlier life of the block may still be set: all of them are written.
        const bytes = this.#setBits(new Uint8Array(bits.length), whole);
        const end = Math.max(offset + blockSize, bits.blockOffset + SECTOR_BITMAP_BLOCK_SIZE);
        await this.#table.change([payload, ...bitmap], { end, bits: { ...bits, bytes } });
      });
    });
  }

  /**
   * Does something with the bits of a block whose chunk may have no sector bitmap block yet: then one is made, of
   * zeros, and `bitmap` is the BAT entry that is to be written with the bits. One block of a chunk at a time.
   */
  async #withBitmap(
    block: number,
    use: (bits: BitsPlace & { readonly blockOffset: number }, bitmap: NewEntry[]) => Promise<void>,
  ): Promise<void> {
    const chunk = Math.floor(block / this.#geometry.chunkRatio);
    const before = this.#chunks.get(chunk) ?? Promise.resolve();
    const done = before.then(async () => {
      const bits = await this.#table.bitsOf(block);
      if (bits.blockOffset !== undefined) return use({ ...bits, blockOffset: bits.blockOffset }, []);
      await this.#allocated(SECTOR_BITMAP_BLOCK_SIZE, async (blockOffset, zeros) => {
        if (!zeros) await this.#fill(blockOffset, SECTOR_BITMAP_BLOCK_SIZE);
        await use({ ...bits, blockOffset }, [
          { index: bits.index, state: PayloadState.FullyPresent, offset: blockOffset },
        ]);
      });
    });
    const settled = done.catch(() => undefined);
    this.#chunks.set(chunk, settled);
    try {
      await done;
    } finally {
      if (this.#chunks.get(chunk) === settled) this.#chunks.delete(chunk);
    }
  }

  /** A partially present block gets more sectors, and may become fully present. */
  async #writePartial(part: BlockPart, entry: BatEntry): Promise<void> {
    await this.#session.begin(true);
    const bits = await this.#table.bitsOf(part.block);
    if (bits.blockOffset === undefined) throw new Error('block writer: a partially present block has no sector bitmap');
    const present = await this.#table.readBits(bits.blockOffset + bits.byte, bits.length);
    const sectorSize = this.#geometry.logicalSectorSize;
    const isPresent = (sector: number) => (((present[sector >>> 3] as number) >>> (sector & 7)) & 1) === 1;
    const whole = await this.#completeSectors(part, isPresent);
    await this.#fill(entry.offset + whole.start, whole.end - whole.start, whole.bytes);
    const set = this.#setBits(present.slice(), whole);
    if (set.every((byte, i) => byte === present[i])) return;
    const index = this.#table.payloadIndex(part.block);
    if (isAllSet(set, this.#usedBytes(part.block) / sectorSize)) {
      return this.#table.change([{ index, state: PayloadState.FullyPresent, offset: entry.offset }], {});
    }
    await this.#table.change([], { bits: { ...bits, blockOffset: bits.blockOffset, bytes: set } });
  }

  /** A partially present block is overwritten as a whole. */
  async #completePartial(part: BlockPart, entry: BatEntry): Promise<void> {
    await this.#session.begin(true);
    await this.#fill(entry.offset, part.end, part.bytes);
    const index = this.#table.payloadIndex(part.block);
    await this.#table.change([{ index, state: PayloadState.FullyPresent, offset: entry.offset }], {});
  }

  /**
   * Widens a part to whole sectors, because a sector is the unit of a sector bitmap's bit: what it lacks of a sector
   * that is not in this file comes from the parent.
   */
  async #completeSectors(part: BlockPart, isPresent: (sector: number) => boolean): Promise<BlockPart> {
    const sectorSize = this.#geometry.logicalSectorSize;
    const first = Math.floor(part.start / sectorSize);
    const last = Math.floor((part.end - 1) / sectorSize);
    const start = isPresent(first) ? part.start : first * sectorSize;
    const end = isPresent(last) ? part.end : Math.min((last + 1) * sectorSize, this.#usedBytes(part.block));
    if (start === part.start && end === part.end) return part;
    const bytes = new Uint8Array(end - start);
    const blockStart = part.block * this.#geometry.blockSize;
    // Not the middle, which is overwritten: the first and the last sector.
    const head = Math.min(end, (first + 1) * sectorSize);
    if (start < part.start) await this.#disk.read(bytes.subarray(0, head - start), blockStart + start);
    if (end > part.end) {
      const tail = Math.max(start, last * sectorSize);
      await this.#disk.read(bytes.subarray(tail - start), blockStart + tail);
    }
    if (part.bytes) bytes.set(part.bytes, part.start - start);
    else bytes.fill(0, part.start - start, part.end - start);
    return { block: part.block, start, end, bytes };
  }

  /** Takes space for a structure, and gives it back if what is done with it fails. */
  async #allocated(length: number, use: (offset: number, zeros: boolean) => Promise<void>): Promise<void> {
    const { offset, zeros } = await this.#session.allocate(length);
    try {
      await use(offset, zeros);
    } catch (error) {
      this.#session.release(offset, length);
      throw error;
    }
  }

  /** Writes all of a new block: the part, and zeros around it if the space may hold something else. */
  async #fillNew(offset: number, zeros: boolean, { start, end, bytes }: BlockPart): Promise<void> {
    if (bytes || !zeros) await this.#fill(offset + start, end - start, bytes);
    if (zeros) return;
    await this.#fill(offset, start);
    await this.#fill(offset + end, this.#geometry.blockSize - end);
  }

  async #fill(offset: number, length: number, bytes?: Uint8Array): Promise<void> {
    if (bytes) return this.#session.writePayload(bytes, offset);
    for (let at = 0; at < length; at += ZEROS.length) {
      await this.#session.writePayload(ZEROS.subarray(0, Math.min(ZEROS.length, length - at)), offset + at);
    }
  }

  /** The space that an entry owns. */
  #spaceOf({ state, offset }: BatEntry): Freed[] {
    const owns =
      state >= PayloadState.FullyPresent || state === PayloadState.Undefined || state === PayloadState.Unmapped;
    return owns && offset > 0 ? [{ offset, length: this.#geometry.blockSize }] : [];
  }

  /** Sets the bits of the sectors of a part; the lowest bit of a byte is the first sector. */
  #setBits(bits: Uint8Array, { start, end }: BlockPart): Uint8Array {
    const sectorSize = this.#geometry.logicalSectorSize;
    for (let sector = Math.floor(start / sectorSize); sector < Math.ceil(end / sectorSize); sector++) {
      bits[sector >>> 3] = (bits[sector >>> 3] as number) | (1 << (sector & 7));
    }
    return bits;
  }
}

/** Whether the first `count` bits are set. */
function isAllSet(bits: Uint8Array, count: number): boolean {
  const whole = count >>> 3;
  for (let i = 0; i < whole; i++) if (bits[i] !== 0xff) return false;
  const rest = (1 << (count & 7)) - 1;
  return ((bits[whole] ?? 0) & rest) === rest;
}

import { InFlight } from '../../base/concurrency.js';
import { equalBytes, zeroBytes } from '../../core/buffer-bytes.js';
import type { LeasedBuffer } from '../../core/buffers.js';
import type { Core } from '../../core/instance.js';
import { bitmapEntryIndex, type Geometry, PayloadState, SECTOR_BITMAP_BLOCK_SIZE } from '../../format/bat.js';
import type { WrittenFile } from './new-file.js';
import type { StoredPayload } from './new-image.js';
import { StoredEntries } from './stored-entries.js';

/** The block that is being compared: what is known of it so far. */
interface Block {
  readonly number: number;
  /** File offset, as soon as something is stored. */
  offset?: number;
  /** Sectors that are not the parent's. */
  differing: number;
  /** Whether anything in it is not zero. */
  hasData: boolean;
}

/**
 * Takes the bytes of a disk together with its parent's, in the order of the disk, and writes what differs, sector by
 * sector, to the blocks of a new child. What is passed over is zeros in both.
 *
 * A block that is the same stays NOT_PRESENT; one that is all zeros, where the parent's is not, becomes ZERO; one whose
 * every sector differs FULLY_PRESENT; and any other PARTIALLY_PRESENT, with the bits of what differs
 * ([MS-VHDX] 2.5.1.1).
 */
export class ChildSink {
  readonly #core: Core;
  readonly #file: WrittenFile;
  readonly #geometry: Geometry;
  readonly #entries = new StoredEntries();
  /** Writes of sector bitmap blocks. */
  readonly #writes = new InFlight(Number.POSITIVE_INFINITY);
  #end: number;
  #block: Block | undefined;
  /** The sector bitmap of the chunk of the block, and whether a block of it is partially present. */
  #bits: Uint8Array<ArrayBuffer> | undefined;
  #isPartial = false;

  constructor(core: Core, file: WrittenFile, geometry: Geometry, payloadOffset: number) {
    this.#core = core;
    this.#file = file;
    this.#geometry = geometry;
    this.#end = payloadOffset;
  }

  /** Compares the start of two buffers and begins at once to write what differs; settles when that is written. */
  store(
    { offset, length }: { readonly offset: number; readonly length: number },
    own: LeasedBuffer,
    parent: LeasedBuffer,
  ): Promise<void> {
    const { blockSize } = this.#geometry;
    const writes = new InFlight(Number.POSITIVE_INFINITY);
    try {
      for (let at = 0; at < length; ) {
        const number = Math.floor((offset + at) / blockSize);
        const count = Math.min(length - at, (number + 1) * blockSize - offset - at);
        this.#storePart(this.#enter(number), offset + at, part(own, at, count), part(parent, at, count), writes);
        at += count;
      }
    } catch (error) {
      writes.fail(error);
    }
    return writes.settle();
  }

  /** Ends the last block. Settles when everything is written. */
  async finish(): Promise<StoredPayload> {
    this.#endBlock();
    this.#endChunk();
    await this.#writes.settle();
    return { entries: this.#entries, end: this.#end };
  }

  #storePart(block: Block, offset: number, own: LeasedBuffer, parent: LeasedBuffer, writes: InFlight): void {
    const core = this.#core;
    const { logicalSectorSize: sector, blockSize } = this.#geometry;
    const length = own.bytes.length;
    const isZero = (from: number, to: number) => zeroBytes(core, own, from, to - from) === to - from;
    for (let at = 0; at < length; ) {
      const equal = equalBytes(core, part(own, at, length - at), part(parent, at, length - at), length - at);
      const differs = at + equal - (equal % sector);
      if (differs > at) block.hasData ||= !isZero(at, differs);
      at = differs;
      let end = at;
      while (end < length && equalBytes(core, part(own, end, sector), part(parent, end, sector), sector) < sector) {
        end += sector;
      }
      if (end === at) continue;
      this.#setBits((offset + at) / sector, (offset + end) / sector);
      block.differing += (end - at) / sector;
      if (!isZero(at, end)) {
        block.hasData = true;
        const place = this.#place(block) + ((offset + at) % blockSize);
        void writes.add(this.#file.write(own.bytes.subarray(at, end), place));
      }
      at = end;
    }
  }

  #enter(number: number): Block {
    if (this.#block?.number === number) return this.#block;
    const { chunkRatio } = this.#geometry;
    const before = this.#block?.number;
    this.#endBlock();
    if (before !== undefined && Math.floor(before / chunkRatio) !== Math.floor(number / chunkRatio)) this.#endChunk();
    this.#block = { number, differing: 0, hasData: false };
    return this.#block;
  }

  #place(block: Block): number {
    if (block.offset === undefined) {
      block.offset = this.#end;
      this.#end += this.#geometry.blockSize;
    }
    return block.offset;
  }

  #endBlock(): void {
    const block = this.#block;
    if (!block || block.differing === 0) return;
    const { blockSize, chunkRatio, logicalSectorSize, virtualSize } = this.#geometry;
    const sectors = Math.min(blockSize, virtualSize - block.number * blockSize) / logicalSectorSize;
    const index = block.number + Math.floor(block.number / chunkRatio);
    if (!block.hasData) {
      this.#entries.set(index, { state: PayloadState.Zero, offset: 0 });
    } else if (block.differing === sectors) {
      this.#entries.set(index, { state: PayloadState.FullyPresent, offset: this.#place(block) });
    } else {
      this.#entries.set(index, { state: PayloadState.PartiallyPresent, offset: this.#place(block) });
      this.#isPartial = true;
      return;
    }
    const bytes = blockSize / logicalSectorSize / 8;
    const from = (block.number % chunkRatio) * bytes;
    this.#bits?.fill(0, from, from + bytes);
  }

  /** Writes the sector bitmap block of a chunk that needs one. */
  #endChunk(): void {
    if (this.#isPartial && this.#bits && this.#block) {
      const chunk = Math.floor(this.#block.number / this.#geometry.chunkRatio);
      this.#entries.set(bitmapEntryIndex(this.#geometry, chunk), {
        state: PayloadState.FullyPresent,
        offset: this.#end,
      });
      void this.#writes.add(this.#file.write(this.#bits, this.#end));
      this.#end += SECTOR_BITMAP_BLOCK_SIZE;
    }
    this.#bits = undefined;
    this.#isPartial = false;
  }

  /** Sets the bits of sectors of the disk, the least significant bit of a byte first. */
  #setBits(from: number, to: number): void {
    this.#bits ??= new Uint8Array(SECTOR_BITMAP_BLOCK_SIZE);
    const sectors = SECTOR_BITMAP_BLOCK_SIZE * 8;
    for (let sector = from; sector < to; sector++) {
      const bit = sector % sectors;
      const byte = Math.floor(bit / 8);
      this.#bits[byte] = (this.#bits[byte] as number) | (1 << (bit % 8));
    }
  }
}

/** A part of a buffer, as a buffer. */
function part({ address, bytes }: LeasedBuffer, at: number, length: number): LeasedBuffer {
  return { address: address === undefined ? undefined : address + at, bytes: bytes.subarray(at, at + length) };
}

import { InFlight } from '../../base/concurrency.js';
import type { SparseSink } from '../../disk/copy.js';
import { PayloadState } from '../../format/bat.js';
import type { WrittenFile } from './new-file.js';
import type { StoredPayload } from './new-image.js';
import { StoredEntries } from './stored-entries.js';

/** How the payload blocks of a new image without a parent are laid out. */
export interface BlockLayout {
  /** In bytes. */
  readonly blockSize: number;
  /** Payload blocks to one sector bitmap block, whose entries are between theirs in the BAT. */
  readonly chunkRatio: number;
  /** File offset of the first block. */
  readonly payloadOffset: number;
  /** Whether every block has its place, stored or not. */
  readonly isFixed: boolean;
}

/**
 * Takes the bytes of a disk at their offsets on it and writes them to the blocks of a new image. A block of a dynamic
 * image gets the next place in the file at the first byte that is stored in it, so that blocks are in the order of the
 * disk if its bytes come in that order. What is not written of a block is a hole of the file, and reads as zeros.
 */
export class BlockSink implements SparseSink {
  readonly #file: WrittenFile;
  readonly #layout: BlockLayout;
  readonly #entries = new StoredEntries();
  #end: number;
  /** The block that was placed last, and its file offset. */
  #last = { block: -1, offset: 0 };

  constructor(file: WrittenFile, layout: BlockLayout) {
    this.#file = file;
    this.#layout = layout;
    this.#end = layout.payloadOffset;
  }

  /** What was stored. */
  get payload(): StoredPayload {
    return { entries: this.#entries, end: this.#end };
  }

  /** Writes bytes that may be in several blocks; in one call for blocks that follow one another in the file too. */
  write(bytes: Uint8Array<ArrayBuffer>, offset: number): Promise<void> {
    const { blockSize } = this.#layout;
    const writes = new InFlight(Number.POSITIVE_INFINITY);
    let from = 0;
    let place = this.#placeOf(offset);
    for (let done = blockSize - (offset % blockSize); done < bytes.length; done += blockSize) {
      const next = this.#placeOf(offset + done);
      if (next === place + done - from) continue;
      void writes.add(this.#file.write(bytes.subarray(from, done), place));
      [from, place] = [done, next];
    }
    void writes.add(this.#file.write(bytes.subarray(from), place));
    return writes.settle();
  }

  /** File offset of an offset on the disk. */
  #placeOf(offset: number): number {
    const { blockSize, chunkRatio, payloadOffset, isFixed } = this.#layout;
    const block = Math.floor(offset / blockSize);
    if (isFixed) return payloadOffset + offset;
    if (block !== this.#last.block) {
      this.#last = { block, offset: this.#end };
      const index = block + Math.floor(block / chunkRatio);
      this.#entries.set(index, { state: PayloadState.FullyPresent, offset: this.#end });
      this.#end += blockSize;
    }
    return this.#last.offset + (offset % blockSize);
  }
}

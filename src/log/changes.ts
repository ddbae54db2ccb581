import type { FileRange } from '../base/byte-range.js';
import { DESCRIPTOR_SIZE, DISPLACED_OFFSET, LOG_SECTOR_SIZE } from '../format/log.js';
import type { WriteTable } from './entries.js';

/**
 * What replaying a log changes: ranges that do not overlap, in the order of their offsets, each either zeros or one
 * 4 KiB sector of data that stays where it is in the log. Typed arrays of 24 bytes a change.
 */
export class LogChanges {
  /** Number of changes. */
  readonly count: number;
  readonly #log: FileRange;
  readonly #offset: Float64Array;
  readonly #length: Float64Array;
  readonly #descriptor: Uint32Array;
  readonly #data: Uint32Array;

  /**
   * @param log the place of the log that the writes are in
   * @param writes in the order of their offsets, none overlapping another
   */
  constructor(log: FileRange, writes: WriteTable) {
    this.#log = log;
    this.count = writes.count;
    this.#offset = writes.offset.slice(0, writes.count);
    this.#length = writes.length.slice(0, writes.count);
    this.#descriptor = writes.descriptor.slice(0, writes.count);
    this.#data = writes.data.slice(0, writes.count);
  }

  /** File offset of a change, in bytes. */
  offset(i: number): number {
    return this.#offset[i] as number;
  }

  /** File offset of the first byte after a change. */
  end(i: number): number {
    return (this.#offset[i] as number) + (this.#length[i] as number);
  }

  /** File offset of the data sector in the log, for a change that is one; undefined for zeros. */
  dataOffset(i: number): number | undefined {
    const sector = this.#data[i] as number;
    return sector === 0 ? undefined : this.#log.offset + (sector - 1) * LOG_SECTOR_SIZE;
  }

  /** File offset of the bytes that are missing in the data sector ({@link DISPLACED_OFFSET}). */
  displacedOffset(i: number): number {
    return this.#log.offset + (this.#descriptor[i] as number) * DESCRIPTOR_SIZE + DISPLACED_OFFSET;
  }

  /** The first change that ends after an offset; `count` if there is none. */
  firstAfter(offset: number): number {
    let low = 0;
    let high = this.count;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.end(middle) > offset) high = middle;
      else low = middle + 1;
    }
    return low;
  }
}

import type { FreeRange } from './compact-report.js';

/**
 * Ranges of a disk that hold nothing of use, gone through together with the blocks of the disk: however many they are,
 * one is kept at a time.
 */
export class FreeRanges {
  readonly #ranges: AsyncIterator<FreeRange> | Iterator<FreeRange>;
  readonly #size: number;
  /** The present run: ranges that follow one another without a gap. */
  #start = 0;
  #end = 0;
  /** A range that was taken from the iterator and is not in the run. */
  #next: FreeRange | undefined;
  #lastEnd = 0;
  #isAtEnd = false;

  constructor(ranges: Iterable<FreeRange> | AsyncIterable<FreeRange>, size: number) {
    this.#ranges = Symbol.asyncIterator in ranges ? ranges[Symbol.asyncIterator]() : ranges[Symbol.iterator]();
    this.#size = size;
  }

  /** Whether all of a range of the disk is free. Ranges that are asked about come in ascending order. */
  async cover(start: number, end: number): Promise<boolean> {
    while (this.#end < end) {
      const next = await this.#peek();
      if (next === undefined) break;
      if (next.offset > this.#end) {
        if (next.offset > start) break; // a later question may be about it
        this.#start = next.offset;
      }
      this.#end = next.offset + next.length;
      this.#next = undefined;
    }
    return this.#start <= start && end <= this.#end;
  }

  /** Goes through the rest, so that a range that is wrong is found wherever it is. */
  async finish(): Promise<void> {
    while ((await this.#peek()) !== undefined) this.#next = undefined;
  }

  /** Ends the iteration, if it has not come to its end. */
  async close(): Promise<void> {
    if (!this.#isAtEnd) await this.#ranges.return?.();
    this.#isAtEnd = true;
  }

  async #peek(): Promise<FreeRange | undefined> {
    while (this.#next === undefined && !this.#isAtEnd) {
      const result = await this.#ranges.next();
      if (result.done) this.#isAtEnd = true;
      else if (this.#checked(result.value).length > 0) this.#next = result.value;
    }
    return this.#next;
  }

  #checked(range: FreeRange): FreeRange {
    const { offset, length } = range;
    const isRange = Number.isSafeInteger(offset) && Number.isSafeInteger(length) && offset >= 0 && length >= 0;
    if (!isRange || offset + length > this.#size) {
      throw new RangeError(`free: ${length} bytes at ${offset} are not a range of a disk of ${this.#size} bytes`);
    }
    if (offset < this.#lastEnd) {
      throw new RangeError(`free: the range at ${offset} begins before the end of the one before, ${this.#lastEnd}`);
    }
    this.#lastEnd = offset + length;
    return range;
  }
}

import { checkRange } from '../base/byte-range.js';
import { InFlight } from '../base/concurrency.js';
import type { RandomAccessSource, ReadOptions } from '../io/random-access.js';

/**
 * A change to a source: from `offset` on, `length` bytes are zeros or, as a log keeps a sector, are what stands
 * elsewhere in the source, with the first and the last few bytes standing apart.
 */
export interface OverlayChange {
  readonly offset: number;
  readonly length: number;
  /** Where the bytes stand in the source; undefined for zeros. */
  readonly from?: number;
  /** Where the last {@link DISPLACED_LAST} and then the first {@link DISPLACED_FIRST} bytes stand in the source. */
  readonly displacedFrom?: number;
}

/** Reads of one call that may be under way at a time. */
const READS_IN_FLIGHT = 16;

const DISPLACED_LAST = 4;
const DISPLACED_FIRST = 8;

/**
 * A source that answers as another one would after some changes; the other one is never written. It refers to the
 * bytes of the changes where they stand in the source and does not copy them, so it stays small whatever they hold.
 */
class OverlaySource implements RandomAccessSource {
  readonly size: number;
  readonly name?: string;
  readonly #base: RandomAccessSource;
  readonly #changes: readonly OverlayChange[];

  constructor(base: RandomAccessSource, changes: readonly OverlayChange[], size: number) {
    this.#base = base;
    this.#changes = changes;
    this.size = size;
    if (base.name !== undefined) this.name = base.name;
  }

  async readInto(target: Uint8Array, offset: number, options?: ReadOptions): Promise<void> {
    checkRange(this.size, offset, target.length);
    const end = offset + target.length;
    const reads = new InFlight(READS_IN_FLIGHT);
    let at = offset;
    for (let i = this.#firstBehind(offset); at < end && !reads.failed; i++) {
      const change = this.#changes[i];
      const gapEnd = Math.min(end, change?.offset ?? end);
      if (gapEnd > at) await reads.add(this.#readBase(target.subarray(at - offset, gapEnd - offset), at, options));
      at = Math.max(at, gapEnd);
      if (!change || at >= end) continue;
      const changeEnd = Math.min(end, change.offset + change.length);
      const part = target.subarray(at - offset, changeEnd - offset);
      await reads.add(this.#readChange(part, change, at - change.offset, options));
      at = changeEnd;
    }
    // All of them end before this one does: nothing writes into the target of a read that has failed.
    await reads.settle();
  }

  async close(): Promise<void> {
    await this.#base.close?.();
  }

  /** The first change that ends behind an offset. */
  #firstBehind(offset: number): number {
    let low = 0;
    let high = this.#changes.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      const change = this.#changes[middle] as OverlayChange;
      if (change.offset + change.length > offset) high = middle;
      else low = middle + 1;
    }
    return low;
  }

  /** Reads what was not changed; behind the end of the source there are zeros. */
  async #readBase(target: Uint8Array, offset: number, options?: ReadOptions): Promise<void> {
    const there = Math.max(0, Math.min(target.length, this.#base.size - offset));
    target.fill(0, there);
    if (there > 0) await this.#base.readInto(target.subarray(0, there), offset, options);
  }

  async #readChange(target: Uint8Array, change: OverlayChange, skip: number, options?: ReadOptions): Promise<void> {
    if (change.from === undefined) {
      target.fill(0);
      return;
    }
    await this.#base.readInto(target, change.from + skip, options);
    if (change.displacedFrom === undefined) return;
    const displaced = new Uint8Array(DISPLACED_LAST + DISPLACED_FIRST);
    await this.#base.readInto(displaced, change.displacedFrom, options);
    const replace = (bytes: Uint8Array, place: number) => {
      for (let i = 0; i < bytes.length; i++) {
        const at = place + i - skip;
        if (at >= 0 && at < target.length) target[at] = bytes[i] as number;
      }
    };
    replace(displaced.subarray(DISPLACED_LAST), 0);
    replace(displaced.subarray(0, DISPLACED_LAST), change.length - DISPLACED_LAST);
  }
}

/**
 * Lays changes over a source; the result is `size` bytes long, and reads as zeros behind the end of the source where
 * nothing was changed. The source belongs to the result, which closes it.
 *
 * @param changes in the order of their offsets, none overlapping another
 */
export function overlay(base: RandomAccessSource, changes: readonly OverlayChange[], size: number): RandomAccessSource {
  return new OverlaySource(base, changes, size);
}

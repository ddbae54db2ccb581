import { checkRead, rangeOf } from '../base/byte-range.js';
import type { RangeOptions } from '../base/options.js';
import { MiB } from '../base/units.js';
import type { Extent, RandomAccessSource, ReadOptions } from './random-access.js';
import type { ArrivingSource } from './sequential-reads.js';

/** A source with zeros after its end. */
class PaddedSource implements ArrivingSource {
  readonly size: number;
  readonly name?: string;
  readonly path?: string;
  /** Present if the source has it. */
  readonly extents?: NonNullable<RandomAccessSource['extents']>;
  /** Present if the source has it. */
  readonly arriving?: NonNullable<ArrivingSource['arriving']>;
  readonly #source: ArrivingSource;

  constructor(source: ArrivingSource, size: number) {
    this.#source = source;
    this.size = size;
    if (source.name !== undefined) this.name = source.name;
    if (source.path !== undefined) this.path = source.path;
    if (source.extents !== undefined) this.extents = (range) => this.#extents(range ?? {});
    if (source.arriving !== undefined) this.arriving = (...range) => this.#arriving(...range);
  }

  async readInto(target: Uint8Array, offset: number, options?: ReadOptions): Promise<void> {
    checkRead(this.size, target, offset);
    const there = this.#there(offset, target.byteLength);
    target.fill(0, there);
    if (there > 0) await this.#source.readInto(target.subarray(0, there), offset, options);
  }

  async *#arriving(offset: number, length: number, signal: AbortSignal | undefined): AsyncGenerator<Uint8Array, void> {
    const there = this.#there(offset, length);
    if (there > 0) yield* this.#source.arriving?.(offset, there, signal) ?? [];
    for (let left = length - there; left > 0; left -= MiB) yield new Uint8Array(Math.min(MiB, left));
  }

  async *#extents(options: RangeOptions): AsyncGenerator<Extent> {
    const { offset, length } = rangeOf(this.size, options);
    const there = this.#there(offset, length);
    if (there > 0) yield* this.#source.extents?.({ offset, length: there, signal: options.signal }) ?? [];
    if (there < length) yield { offset: offset + there, length: length - there, kind: 'unmapped', depth: 0 };
  }

  /** How many bytes of a range the source has. */
  #there(offset: number, length: number): number {
    return Math.max(0, Math.min(length, this.#source.size - offset));
  }
}

/** Adds zeros to a source, so that it has a size that is not less than its own. The source stays the caller's to close. */
export function paddedSource(source: RandomAccessSource, size: number): RandomAccessSource {
  return size === source.size ? source : new PaddedSource(source, size);
}

import { checkRead, rangeOf } from '../base/byte-range.js';
import type { RangeOptions } from '../base/options.js';
import type { Extent, RandomAccessSource, ReadOptions } from './random-access.js';

/** A source with zeros after its end. */
class PaddedSource implements RandomAccessSource {
  readonly size: number;
  readonly name?: string;
  readonly path?: string;
  /** Present if the source has it. */
  readonly extents?: NonNullable<RandomAccessSource['extents']>;
  readonly #source: RandomAccessSource;

  constructor(source: RandomAccessSource, size: number) {
    this.#source = source;
    this.size = size;
    if (source.name !== undefined) this.name = source.name;
    if (source.path !== undefined) this.path = source.path;
    if (source.extents !== undefined) this.extents = (range) => this.#extents(range ?? {});
  }

  async readInto(target: Uint8Array, offset: number, options?: ReadOptions): Promise<void> {
    checkRead(this.size, target, offset);
    const there = Math.max(0, Math.min(target.byteLength, this.#source.size - offset));
    target.fill(0, there);
    if (there > 0) await this.#source.readInto(target.subarray(0, there), offset, options);
  }

  async *#extents(options: RangeOptions): AsyncGenerator<Extent> {
    const { offset, length } = rangeOf(this.size, options);
    const there = Math.max(0, Math.min(length, this.#source.size - offset));
    if (there > 0) yield* this.#source.extents?.({ offset, length: there, signal: options.signal }) ?? [];
    if (there < length) yield { offset: offset + there, length: length - there, kind: 'unmapped', depth: 0 };
  }
}

/** Adds zeros to a source, so that it has a size that is not less than its own. The source stays the caller's to close. */
export function paddedSource(source: RandomAccessSource, size: number): RandomAccessSource {
  return size === source.size ? source : new PaddedSource(source, size);
}

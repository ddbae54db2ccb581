import { checkRange, checkRead, rangeOf } from '../base/byte-range.js';
import { VhdxError } from '../errors.js';
import type { Extent, RandomAccessSource, ReadOptions } from './random-access.js';

/** A part of a source, as a source. */
class SliceSource implements RandomAccessSource {
  readonly size: number;
  readonly name?: string;
  /** Present if the source has it. */
  readonly extents?: NonNullable<RandomAccessSource['extents']>;
  /** Present if the source has it. */
  readonly readIntoSync?: NonNullable<RandomAccessSource['readIntoSync']>;
  readonly #source: RandomAccessSource;
  readonly #start: number;
  #closed = false;

  constructor(source: RandomAccessSource, start: number, size: number) {
    this.#source = source;
    this.#start = start;
    this.size = size;
    if (source.name !== undefined) this.name = source.name;
    if (source.extents !== undefined)
      this.extents = (range) => this.#extents(rangeOf(size, range ?? {}), range?.signal);
    if (source.readIntoSync !== undefined)
      this.readIntoSync = (target, offset) => source.readIntoSync?.(target, this.#placeOf(target, offset));
  }

  async readInto(target: Uint8Array, offset: number, options?: ReadOptions): Promise<void> {
    await this.#source.readInto(target, this.#placeOf(target, offset), options);
  }

  /** Where a read is in the source, if it may be. */
  #placeOf(target: Uint8Array, offset: number): number {
    if (this.#closed) throw new VhdxError('closed', 'the slice was closed');
    checkRead(this.size, target, offset);
    return this.#start + offset;
  }

  async close(): Promise<void> {
    this.#closed = true;
  }

  async *#extents(
    { offset, length }: { offset: number; length: number },
    signal?: AbortSignal,
  ): AsyncGenerator<Extent> {
    const extents = this.#source.extents?.({ offset: this.#start + offset, length, signal }) ?? [];
    for await (const extent of extents) yield { ...extent, offset: extent.offset - this.#start };
  }
}

/**
 * Shows a part of a source as a source of its own, such as a partition of a disk or an image inside a file.
 * Closing the slice leaves the source open.
 *
 * @param source the source of the bytes
 * @param offset first byte of the part
 * @param length length of the part in bytes; up to the end of the source when left out
 * @throws RangeError when the part is not wholly inside the source
 */
export function slice(source: RandomAccessSource, offset: number, length?: number): RandomAccessSource {
  const size = length === undefined ? source.size - offset : length;
  if (!Number.isSafeInteger(size)) throw new RangeError(`${size} is not a length in bytes`);
  checkRange(source.size, offset, size);
  return new SliceSource(source, offset, size);
}

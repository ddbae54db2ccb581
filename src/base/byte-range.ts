import type { RangeOptions } from './options.js';

/** A range of bytes in the file. */
export interface FileRange {
  /** What lies there, by the specification's own name. */
  readonly structure: string;
  /** First byte. */
  readonly offset: number;
  /** Number of bytes. */
  readonly length: number;
}

/** Whether two ranges share a byte. */
export function overlaps(a: FileRange, b: FileRange): boolean {
  return a.offset < b.offset + b.length && b.offset < a.offset + a.length;
}

/**
 * The first of some ranges that shares a byte with a place in the file; undefined where none does.
 *
 * @param sorted by their offsets, none overlapping another
 */
export function findOverlap<Range extends FileRange>(
  sorted: readonly Range[],
  offset: number,
  length: number,
): Range | undefined {
  let low = 0;
  let high = sorted.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    const range = sorted[middle] as Range;
    if (range.offset + range.length > offset) high = middle;
    else low = middle + 1;
  }
  const first = sorted[low];
  return first && first.offset < offset + length ? first : undefined;
}

/**
 * Refuses a read that leaves its source, so that no source has to think about it twice.
 *
 * @param size length of the source in bytes
 * @param offset first byte wanted
 * @param length number of bytes wanted
 * @throws RangeError when the offset is not a whole number or the range is not wholly inside the source
 */
export function checkRange(size: number, offset: number, length: number): void {
  // Not `offset + length > size`: a sum may be rounded, a difference of two safe integers is not.
  if (Number.isSafeInteger(offset) && offset >= 0 && length >= 0 && length <= size - offset) return;
  throw new RangeError(`${length} bytes at ${offset} are not inside the ${size} bytes that there are`);
}

/** The range that is meant. RangeError where it leaves the disk. */
export function rangeOf(size: number, { offset = 0, length }: RangeOptions): { offset: number; length: number } {
  const bytes = length ?? size - offset;
  if (
    Number.isSafeInteger(offset) &&
    Number.isSafeInteger(bytes) &&
    offset >= 0 &&
    bytes >= 0 &&
    bytes <= size - offset
  ) {
    return { offset, length: bytes };
  }
  throw new RangeError(`${bytes} bytes at ${offset} are not inside the ${size} bytes of the disk`);
}

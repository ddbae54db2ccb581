import type { RangeOptions } from './options.js';

/** A range of bytes in the file. */
export interface FileRange {
  /** What is stored there, by the specification's own name. */
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
 * The first of some ranges that shares a byte with a place in the file; undefined if none does.
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
 * Refuses a range that leaves what it is a range of, so that every source checks it in the same way.
 *
 * @param size length of the whole in bytes
 * @param offset first byte wanted
 * @param length number of bytes wanted
 * @throws RangeError when offset or length is not a whole number or the range is not wholly inside
 */
export function checkRange(size: number, offset: number, length: number): void {
  // Not `offset + length > size`: a sum may be rounded, a difference of two safe integers is not.
  const whole = Number.isSafeInteger(offset) && Number.isSafeInteger(length);
  if (whole && offset >= 0 && length >= 0 && length <= size - offset) return;
  throw new RangeError(`${length} bytes at ${offset} are not inside the ${size} bytes that there are`);
}

/**
 * Checks what a source is asked for: a `Uint8Array` to fill, and a range that it has.
 *
 * @returns the number of bytes to read
 * @throws TypeError when `target` is something else, RangeError when the range leaves the source
 */
export function checkRead(size: number, target: Uint8Array, offset: number): number {
  checkBytes(target);
  checkRange(size, offset, target.byteLength);
  return target.byteLength;
}

/**
 * Checks what a file is given to write: a `Uint8Array`, and an offset that a file can have.
 *
 * @throws TypeError when `bytes` is something else, RangeError for the offset
 */
export function checkWrite(bytes: Uint8Array, offset: number): void {
  checkBytes(bytes);
  checkRange(Number.MAX_SAFE_INTEGER, offset, bytes.byteLength);
}

/**
 * Refuses what is no `Uint8Array`: a view with larger elements has another length than its number of bytes.
 *
 * @throws TypeError
 */
export function checkBytes(bytes: unknown): void {
  // The second for those of another frame or realm.
  if (bytes instanceof Uint8Array || Object.prototype.toString.call(bytes) === '[object Uint8Array]') return;
  const kind = Object.prototype.toString.call(bytes).slice(8, -1);
  throw new TypeError(`the bytes must be a Uint8Array, not ${kind}`);
}

/**
 * The range that options ask for; all of it if they do not say.
 *
 * @throws RangeError when it leaves the disk
 */
export function rangeOf(size: number, { offset = 0, length }: RangeOptions): { offset: number; length: number } {
  if (offset > size) throw new RangeError(`offset ${offset} is past the end, which is at ${size}`);
  const bytes = length === undefined ? size - offset : length;
  checkRange(size, offset, bytes);
  return { offset, length: bytes };
}

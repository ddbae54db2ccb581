/** 1,024 bytes. */
export const KiB = 1024;
/** 1,024 KiB, the unit in which everything behind the header section is aligned. */
export const MiB = 1024 * KiB;
/** 1,024 MiB. */
const GiB = 1024 * MiB;
/** 1,024 GiB. */
export const TiB = 1024 * GiB;

/** The largest disk, with all that belongs to it, makes a file that is far shorter than this; in bytes. */
export const LONGEST_FILE = 128 * TiB;

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

/** An offset or a size as messages show it. */
export function hex(value: number | bigint): string {
  return `0x${value.toString(16)}`;
}

/**
 * An unsigned 64-bit integer as a number. Past 2^53 it is rounded, and still past 2^53:
 * whoever parses an offset or a size compares it with what it may be before using it.
 */
export function readU64(view: DataView, offset: number): number {
  return Number(view.getBigUint64(offset, true));
}

/** A view of the same bytes. */
export function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

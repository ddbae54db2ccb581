/** 1,024 bytes. */
export const KiB = 1024;
/** 1,024 KiB, the unit in which everything behind the header section is aligned. */
export const MiB = 1024 * KiB;
/** 1,024 MiB. */
const GiB = 1024 * MiB;
/** 1,024 GiB. */
export const TiB = 1024 * GiB;

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

/** An offset or a size as messages show it. */
export function hex(value: number | bigint): string {
  return `0x${value.toString(16)}`;
}

/**
 * An unsigned 64-bit integer as a number. Past 2^53 it is rounded, and still past 2^53:
 * a parser compares an offset or a size with its limit before using it.
 */
export function readU64(view: DataView, offset: number): number {
  return Number(view.getBigUint64(offset, true));
}

/** A view of the same bytes. */
export function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

import { viewOf } from '../base/bytes.js';

/** Computes a CRC-32C, continuing from `initial` (0 for a new one). */
export type Crc = (bytes: Uint8Array, initial?: number) => number;

const FIELD = 4;
const ZEROS = new Uint8Array(4);

/**
 * CRC-32C of a structure whose own checksum field, the four bytes at offset 4, counts as zero
 * ([MS-VHDX] 2.2.2, 2.2.3.1, 2.3.1.1).
 */
export function structureChecksum(bytes: Uint8Array, crc: Crc): number {
  const head = crc(bytes.subarray(0, FIELD));
  return crc(bytes.subarray(FIELD + 4), crc(ZEROS, head));
}

/** Puts the checksum of a structure into its own checksum field, the four bytes at offset 4. */
export function setStructureChecksum(bytes: Uint8Array, crc: Crc): void {
  viewOf(bytes).setUint32(FIELD, structureChecksum(bytes, crc), true);
}

/** A CRC as messages show it: eight hexadecimal digits. */
export function crcText(value: number): string {
  return `0x${value.toString(16).padStart(8, '0')}`;
}

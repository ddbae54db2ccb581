// Reflected Castagnoli polynomial, [MS-VHDX] 2.2.2 by way of RFC 3385.
const POLYNOMIAL = 0x82f63b78;

const TABLE = Uint32Array.from({ length: 256 }, (_, byte) => {
  let remainder = byte;
  for (let bit = 0; bit < 8; bit++) remainder = remainder & 1 ? (remainder >>> 1) ^ POLYNOMIAL : remainder >>> 1;
  return remainder >>> 0;
});

/** The CRC-32C of `bytes`, one byte at a time as the textbook says: slow, and easy to believe. `initial` continues an earlier sum. */
export function crc32cReference(bytes: Uint8Array, initial = 0): number {
  let remainder = ~initial;
  for (let i = 0; i < bytes.length; i++) {
    remainder = (remainder >>> 8) ^ (TABLE[(remainder ^ (bytes[i] as number)) & 0xff] as number);
  }
  return ~remainder >>> 0;
}

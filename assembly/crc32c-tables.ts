import { CHECKSUM_TABLES } from './memory';

/**
 * The base kernel of CRC-32C, slicing-by-8 (Kounavis and Berry, 2005): eight tables take eight bytes a step.
 *
 * A register holds 32 bits reflected: bit 31 is the coefficient of x^0.
 */

/** The Castagnoli polynomial without its x^32, reflected: 0x1EDC6F41 read from the other end. */
export const POLYNOMIAL: u32 = 0x82f63b78;
const TABLE_BYTES: usize = 1024;

/** Fills the tables: entry i of table k is the register after the byte i and k zero bytes. */
export function buildChecksumTables(): void {
  for (let i: u32 = 0; i < 256; i++) {
    let register = i;
    for (let bit = 0; bit < 8; bit++) register = (register >>> 1) ^ (register & 1 ? POLYNOMIAL : 0);
    store<u32>(CHECKSUM_TABLES + ((<usize>i) << 2), register);
  }
  for (let at = CHECKSUM_TABLES; at < CHECKSUM_TABLES + 7 * TABLE_BYTES; at += 4) {
    store<u32>(at, step(load<u32>(at), 0), TABLE_BYTES);
  }
}

/** The register after one more byte. */
function step(register: u32, byte: u32): u32 {
  return load<u32>(CHECKSUM_TABLES + ((<usize>(register ^ byte) & 0xff) << 2)) ^ (register >>> 8);
}

/** The register after `length` more bytes. */
export function slicingBy8(register: u32, at: usize, length: usize): u32 {
  const end = at + length;
  // The JavaScript made of the scalar build reads words from aligned addresses only.
  while (at & 7 && at < end) register = step(register, load<u8>(at++));
  while (at + 8 <= end) {
    const low = <usize>(register ^ load<u32>(at));
    const high = <usize>load<u32>(at, 4);
    register =
      load<u32>(CHECKSUM_TABLES + ((low & 0xff) << 2), 7 * TABLE_BYTES) ^
      load<u32>(CHECKSUM_TABLES + (((low >>> 8) & 0xff) << 2), 6 * TABLE_BYTES) ^
      load<u32>(CHECKSUM_TABLES + (((low >>> 16) & 0xff) << 2), 5 * TABLE_BYTES) ^
      load<u32>(CHECKSUM_TABLES + ((low >>> 24) << 2), 4 * TABLE_BYTES) ^
      load<u32>(CHECKSUM_TABLES + ((high & 0xff) << 2), 3 * TABLE_BYTES) ^
      load<u32>(CHECKSUM_TABLES + (((high >>> 8) & 0xff) << 2), 2 * TABLE_BYTES) ^
      load<u32>(CHECKSUM_TABLES + (((high >>> 16) & 0xff) << 2), 1 * TABLE_BYTES) ^
      load<u32>(CHECKSUM_TABLES + ((high >>> 24) << 2));
    at += 8;
  }
  while (at < end) register = step(register, load<u8>(at++));
  return register;
}

import { CHECKSUM_TABLES } from './memory';

/**
 * CRC-32C (Castagnoli), the checksum of headers, region tables and log entries ([MS-VHDX] 2.2).
 *
 * Bits are reflected: bit 31 of a register is the coefficient of x^0. A checksum is the register after all bytes, started
 * from all ones, inverted; a checksum handed in as `crc` is inverted back and carried on from, so `crc32c(0, …)` starts anew.
 */

/** The polynomial without its x^32, reflected: x^28 + x^27 + x^26 + x^25 + x^23 + … + x^6 + 1. */
const POLYNOMIAL: u32 = 0x82f63b78;
const TABLE_BYTES: usize = 1024;

/** Fills the tables: entry i of table k is the byte i followed by k zero bytes, mod P. */
export function buildChecksumTables(): void {
  for (let i: u32 = 0; i < 256; i++) {
    let register = i;
    for (let bit = 0; bit < 8; bit++) register = (register >>> 1) ^ (register & 1 ? POLYNOMIAL : 0);
    store<u32>(CHECKSUM_TABLES + ((<usize>i) << 2), register);
  }
  for (let at = CHECKSUM_TABLES; at < CHECKSUM_TABLES + 7 * TABLE_BYTES; at += 4) {
    const shorter = load<u32>(at);
    store<u32>(at, step(shorter, 0), TABLE_BYTES);
  }
}

/** The register after one more byte. */
function step(register: u32, byte: u32): u32 {
  return load<u32>(CHECKSUM_TABLES + ((<usize>(register ^ byte) & 0xff) << 2)) ^ (register >>> 8);
}

/** Carries a register over `length` bytes, eight at a time. */
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

/** The CRC-32C of what `crc` is the checksum of (0 for nothing), followed by `length` bytes from `at` on. */
export function crc32c(crc: u32, at: usize, length: usize): u32 {
  return ~slicingBy8(~crc, at, length);
}

/** The same checksum by slicing-by-8 alone, whatever the length: the yardstick of the benchmarks. */
export function crc32cSlicing(crc: u32, at: usize, length: usize): u32 {
  return ~slicingBy8(~crc, at, length);
}

/** Product of two polynomials mod P, both reflected. */
function multiply(a: u32, b: u32): u32 {
  let product: u32 = 0;
  while (a != 0) {
    // The top bit of `a` is its coefficient of x^0, the next one that of x^1, …; `b` is multiplied by x along with it.
    if (<i32>a < 0) product ^= b;
    a <<= 1;
    b = (b >>> 1) ^ (b & 1 ? POLYNOMIAL : 0);
  }
  return product;
}

/** A register after `count` zero bytes: multiplied by x^(8 · count) mod P, by repeated squaring. */
function appendZeros(register: u32, count: f64): u32 {
  let power: u32 = 0x00800000; // x^8
  for (let rest = <u64>count; rest != 0; rest >>>= 1) {
    if (rest & 1) register = multiply(register, power);
    power = multiply(power, power);
  }
  return register;
}

/** The checksum of A followed by B, from the checksums of both and the length of B in bytes (a whole number below 2^53). */
export function crc32cCombine(a: u32, b: u32, lengthOfB: f64): u32 {
  // Both inversions of `a` cancel against those of `b`: what is left is linear.
  return appendZeros(a, lengthOfB) ^ b;
}

/** The checksum of what `crc` is the checksum of, followed by `count` zero bytes (a whole number below 2^53). */
export function crc32cZeros(crc: u32, count: f64): u32 {
  return ~appendZeros(~crc, count);
}

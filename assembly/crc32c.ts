/**
 * CRC-32C, the checksum of headers, region tables and log entries ([MS-VHDX] 2.2.2), and its relatives that a disk needs.
 *
 * A checksum is the register after all bytes, started from all ones, inverted. The checksum of what came before, handed
 * in as `crc`, is inverted back and carried on from; 0 is the checksum of nothing.
 */
import { RECURRENCE_MINIMUM, recurrence } from './crc32c-recurrence';
import { POLYNOMIAL, slicingBy8 } from './crc32c-tables';

/** The CRC-32C of what `crc` is the checksum of, followed by `length` bytes from `at` on. */
export function crc32c(crc: u32, at: usize, length: usize): u32 {
  if (length < RECURRENCE_MINIMUM) return ~slicingBy8(~crc, at, length);
  if (ASC_FEATURE_SIMD) return ~recurrence<v128>(~crc, at, length);
  return ~recurrence<u64>(~crc, at, length);
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
  // The inversions of `a` cancel against those of `b`: what is left is linear.
  return appendZeros(a, lengthOfB) ^ b;
}

/** The checksum of what `crc` is the checksum of, followed by `count` zero bytes (a whole number below 2^53). */
export function crc32cZeros(crc: u32, count: f64): u32 {
  return ~appendZeros(~crc, count);
}

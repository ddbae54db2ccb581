/** The Castagnoli polynomial, highest power first. */
export const CASTAGNOLI = 0x11edc6f41n;

/** The sum of the powers of x with these exponents. */
export const polynomial = (...exponents: readonly number[]): bigint =>
  exponents.reduce((sum, exponent) => sum ^ (1n << BigInt(exponent)), 0n);

const degree = (a: bigint): number => a.toString(2).length - 1;

/** Remainder of a division of polynomials over GF(2), by long division. */
export function remainder(dividend: bigint, divisor: bigint): bigint {
  let rest = dividend;
  const size = degree(divisor);
  while (rest !== 0n && degree(rest) >= size) rest ^= divisor << BigInt(degree(rest) - size);
  return rest;
}

/** Product of two polynomials over GF(2) mod the Castagnoli polynomial. */
export function product(a: bigint, b: bigint): bigint {
  let sum = 0n;
  for (let bit = 0; bit <= degree(b); bit++) if ((b >> BigInt(bit)) & 1n) sum ^= a << BigInt(bit);
  return remainder(sum, CASTAGNOLI);
}

/** x to the power of `exponent` mod the Castagnoli polynomial. */
export function powerOfX(exponent: bigint): bigint {
  if (exponent === 0n) return 1n;
  const half = powerOfX(exponent >> 1n);
  const square = product(half, half);
  return exponent & 1n ? product(square, 2n) : square;
}

/** The 32 bits of a number in reverse: a checksum's register as a polynomial, highest power first, and back. */
export function reversed(register: number): bigint {
  return BigInt(`0b${(register >>> 0).toString(2).padStart(32, '0').split('').reverse().join('')}`);
}

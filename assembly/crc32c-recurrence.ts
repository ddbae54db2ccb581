import { slicingBy8 } from './crc32c-tables';
import { CHECKSUM_HISTORY, CHECKSUM_RESIDUE } from './memory';

/**
 * CRC-32C of long inputs by loads and XORs alone, an order of magnitude faster than tables.
 *
 * A message is a polynomial over GF(2), its first bit the highest power, and its checksum the remainder mod P. Adding a
 * multiple of P does not change the remainder. So take a multiple with few terms, line it up with the first word of the
 * message and add it: that word is gone, and a few words further on have been flipped by it. Eliminate word after word
 * in this way until a short message with the same remainder is left.
 *
 * Two multiples of P are used:
 *
 *     x^502 + x^427 + x^425 + x^65 + x + 1       flips at distances 75, 77, 437, 501, 502
 *     x^209 + x^144 + x^54 + x^39 + x^14 + 1     flips at distances 65, 155, 170, 195, 209
 *
 * The distances count bits, or bytes, or words: squaring a polynomial over GF(2) doubles its exponents and no more,
 * Q(x)^2 = Q(x^2), and what P divides, P divides squared.
 *
 * 209 is the smallest degree of any multiple with six terms: it leaves least. The other one has its distances in
 * neighbouring pairs: of the five words that flip a word, two were loaded a step or two before and are still in registers.
 *
 * The idea is published: K. Kadatch and B. Jenkins on interleaving (2010); S. Russell, "Chorba" (2024).
 */

/** Inputs below this are left to the tables. */
export const RECURRENCE_MINIMUM: usize = 1024;

/** Messages of fewer words than this are shortened at once. */
const LONG: usize = 1536;
/** Degree of the multiple that {@link eliminate} uses. */
const REACH: usize = 502;
/** Eliminated words are kept in blocks of so many bytes, so that history and block stay in the first-level cache. */
const BLOCK_BYTES: usize = 24 * 1024;
/** The finest unit of {@link shorten}. The JavaScript made of the scalar build reads words from multiples of 4 only. */
const FINEST: usize = ASC_FEATURE_SIMD ? 1 : 4;

/** The register after `length` more bytes, taken as words of type T: v128 or u64. */
export function recurrence<T>(register: u32, at: usize, length: usize): u32 {
  const size = sizeof<T>();
  const unaligned = -at & (size - 1);
  const words = (length - unaligned) / size;
  register = slicingBy8(register, at, unaligned);
  const end = at + length;
  at += unaligned;
  if (words < LONG) {
    memory.copy(CHECKSUM_RESIDUE, at, words * size);
    store<u32>(CHECKSUM_RESIDUE, load<u32>(CHECKSUM_RESIDUE) ^ register);
    register = shorten<T>(words * size);
  } else {
    register = shorten<T>(eliminate<T>(register, at, words) * size);
  }
  at += words * size;
  return slicingBy8(register, at, end - at);
}

/**
 * Eliminates all words but the last 502 to 505, writes what has become of these to CHECKSUM_RESIDUE, and returns their
 * number.
 *
 * With m for the message, word i is v[i] = m[i] ^ v[i-75] ^ v[i-77] ^ v[i-437] ^ v[i-501] ^ v[i-502] when its turn comes,
 * and v[i] = 0 for i < 0; but v[-502], which flips v[0] only, is the register.
 */
function eliminate<T>(register: u32, at: usize, words: usize): usize {
  const size = sizeof<T>();
  const left = REACH + ((words - REACH) & 3);
  const last = at + (words - left) * size;
  let v = CHECKSUM_HISTORY; // address of v[i-502], while `at` is that of m[i]
  memory.fill(v, 0, REACH * size);
  store<u32>(v, register);
  for (;;) {
    const next = min(at + BLOCK_BYTES, last);
    v = eliminateBlock<T>(v, at, next);
    at = next;
    if (at == last) break;
    memory.copy(CHECKSUM_HISTORY, v, REACH * size);
    v = CHECKSUM_HISTORY;
  }
  // The words that are left are flipped by eliminated ones only, not by one another.
  memory.fill(v + REACH * size, 0, left * size);
  for (let i: usize = 0; i < left * size; i += size) {
    const here = v + i;
    const near = xor<T>(load<T>(here, (REACH - 75) * size), load<T>(here, (REACH - 77) * size));
    const far = xor<T>(load<T>(here, size), load<T>(here));
    const middle = xor<T>(load<T>(at + i), load<T>(here, (REACH - 437) * size));
    store<T>(CHECKSUM_RESIDUE + i, xor<T>(middle, xor<T>(near, far)));
  }
  return left;
}

/** Writes v[i] for the words from `at` to `end`, four at a time. Takes and returns the address of v[i-502]. */
function eliminateBlock<T>(v: usize, at: usize, end: usize): usize {
  const size = sizeof<T>();
  let near0 = load<T>(v, (REACH - 77) * size);
  let near1 = load<T>(v, (REACH - 76) * size);
  let far0 = load<T>(v);
  while (at < end) {
    // In this order nothing waits in a register longer than it must.
    const near2 = load<T>(v, (REACH - 75) * size);
    const far1 = load<T>(v, size);
    const middle0 = xor<T>(load<T>(at), load<T>(v, (REACH - 437) * size));
    store<T>(v, xor<T>(xor<T>(middle0, xor<T>(near0, near2)), xor<T>(far0, far1)), REACH * size);
    const near3 = load<T>(v, (REACH - 74) * size);
    const far2 = load<T>(v, 2 * size);
    const middle1 = xor<T>(load<T>(at, size), load<T>(v, (REACH - 436) * size));
    store<T>(v, xor<T>(xor<T>(middle1, xor<T>(near1, near3)), xor<T>(far1, far2)), (REACH + 1) * size);
    const near4 = load<T>(v, (REACH - 73) * size);
    const far3 = load<T>(v, 3 * size);
    const middle2 = xor<T>(load<T>(at, 2 * size), load<T>(v, (REACH - 435) * size));
    store<T>(v, xor<T>(xor<T>(middle2, xor<T>(near2, near4)), xor<T>(far2, far3)), (REACH + 2) * size);
    const near5 = load<T>(v, (REACH - 72) * size);
    const far4 = load<T>(v, 4 * size);
    const middle3 = xor<T>(load<T>(at, 3 * size), load<T>(v, (REACH - 434) * size));
    store<T>(v, xor<T>(xor<T>(middle3, xor<T>(near3, near5)), xor<T>(far3, far4)), (REACH + 3) * size);
    near0 = near4;
    near1 = near5;
    far0 = far4;
    v += 4 * size;
    at += 4 * size;
  }
  return v;
}

/**
 * Shortens the message of `length` bytes at CHECKSUM_RESIDUE in place, and returns its remainder: eliminates words with
 * distances in words, then in half words, and so on, each time down to 209 of them. The tables take what is left.
 */
function shorten<T>(length: usize): u32 {
  let at = CHECKSUM_RESIDUE;
  const end = at + length;
  for (let unit = sizeof<T>(); unit >= FINEST; unit >>= 1) {
    // 65 units are at least a word, so no word flips itself.
    while (at + sizeof<T>() + 209 * unit <= end) {
      const word = load<T>(at);
      flip<T>(at + 65 * unit, word);
      flip<T>(at + 155 * unit, word);
      flip<T>(at + 170 * unit, word);
      flip<T>(at + 195 * unit, word);
      flip<T>(at + 209 * unit, word);
      at += sizeof<T>();
    }
  }
  return slicingBy8(0, at, end - at);
}

function flip<T>(at: usize, word: T): void {
  store<T>(at, xor<T>(load<T>(at), word));
}

function xor<T>(a: T, b: T): T {
  if (isVector<T>()) return <T>v128.xor(<v128>a, <v128>b);
  return <T>(<u64>a ^ <u64>b);
}

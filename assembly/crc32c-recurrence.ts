import { slicingBy8 } from './crc32c-tables';
import { CHECKSUM_SCRATCH } from './memory';

/**
 * CRC-32C of long inputs by loads and XORs alone, an order of magnitude faster than tables.
 *
 * A message is a polynomial over GF(2), its first bit the highest power; its checksum is its remainder mod P. Whatever
 * is a multiple of P may be added without changing the remainder, so a multiple with few terms, lined up with the
 * message's first word and added, clears that word and flips as many words further on as the multiple has other terms.
 * Word after word is eliminated in this way, until a short message with the same remainder is left.
 *
 * Two multiples are used; DISTANCES are how far each term is from the leading one:
 *
 *     x^502 + x^427 + x^425 + x^65 + x + 1       distances 75, 77, 437, 501, 502
 *     x^209 + x^144 + x^54 + x^39 + x^14 + 1     distances 65, 155, 170, 195, 209
 *
 * The distances may count units of any 2^k bits, because squaring a polynomial over GF(2) doubles all exponents:
 * Q(x)^(2^k) = Q(x^(2^k)), and what P divides, its powers are divided by too. Here units go from one byte to a whole word.
 *
 * 209 is the smallest degree of any multiple with six terms, so it leaves least. The other one has its terms in
 * neighbouring pairs: of five distant words, two were loaded a step or two before and still lie in registers.
 *
 * The idea is published: K. Kadatch and B. Jenkins (interleaving, 2010); S. Russell, "Chorba" (sparse multiples, 2024).
 */

/** Degree of the multiple that {@link eliminate} uses, and how many words it leaves at most 3 more of. */
const REACH: usize = 502;
/** Messages with fewer words than that are not worth {@link eliminate}. */
const LONG: usize = 1536;
/** Eliminated words are kept in blocks of so many bytes: history and block stay in the first-level cache. */
const BLOCK_BYTES: usize = 32 * 1024;

/** What {@link eliminate} keeps: REACH words of history, a block, room for REACH words more. */
const HISTORY: usize = CHECKSUM_SCRATCH;
/** The message that is made ever shorter in place. */
const RESIDUE: usize = CHECKSUM_SCRATCH + 64 * 1024;
/**
 * The finest unit of the last steps, in bytes. The JavaScript made of the scalar build reads words from addresses that are
 * multiples of 4 only.
 */
const FINEST: usize = ASC_FEATURE_SIMD ? 1 : 4;

/** Inputs below this are left to the tables. */
export const RECURRENCE_MINIMUM: usize = 1024;

function xor<T>(a: T, b: T): T {
  if (isVector<T>()) return <T>v128.xor(<v128>a, <v128>b);
  return <T>(<u64>a ^ <u64>b);
}

/** The register after `length` more bytes, taken as words of type T. */
export function recurrence<T>(register: u32, at: usize, length: usize): u32 {
  const head = -at & (sizeof<T>() - 1);
  register = slicingBy8(register, at, head);
  at += head;
  const words = (length - head) / sizeof<T>();
  const rest = (length - head) % sizeof<T>();
  let left = words;
  if (words < LONG) {
    memory.copy(RESIDUE, at, words * sizeof<T>());
    store<u32>(RESIDUE, load<u32>(RESIDUE) ^ register);
  } else {
    left = eliminate<T>(register, at, words);
  }
  register = shorten<T>(left * sizeof<T>());
  return slicingBy8(register, at + words * sizeof<T>(), rest);
}

/** What is added to a word from eliminated ones; `v` is the address of the word REACH before it. */
function distant<T>(v: usize): T {
  const pair = xor<T>(load<T>(v), load<T>(v, sizeof<T>()));
  const far = load<T>(v, (REACH - 437) * sizeof<T>());
  const near = xor<T>(load<T>(v, (REACH - 77) * sizeof<T>()), load<T>(v, (REACH - 75) * sizeof<T>()));
  return xor<T>(xor<T>(pair, far), near);
}

/**
 * Eliminates all words but the last 502 to 505 and writes what these have become to RESIDUE. Returns their number.
 *
 * With m for the message, v[i] = m[i] ^ v[i-75] ^ v[i-77] ^ v[i-437] ^ v[i-501] ^ v[i-502] is what stands in the place of
 * word i when its turn comes; v[j] = 0 for j < 0. (Only v[0] sees v[-502]: that is where the register goes in.)
 */
function eliminate<T>(register: u32, at: usize, words: usize): usize {
  memory.fill(HISTORY, 0, REACH * sizeof<T>());
  store<u32>(HISTORY, register);
  const end = at + words * sizeof<T>();
  const last = end - (REACH + ((words - REACH) & 3)) * sizeof<T>();
  let v = HISTORY; // address of v[i-502], while `at` is that of m[i]
  while (true) {
    const pause = min(at + BLOCK_BYTES, last);
    v = eliminateBlock<T>(v, at, pause);
    at = pause;
    if (at == last) break;
    memory.copy(HISTORY, v, REACH * sizeof<T>());
    v = HISTORY;
  }
  // Those that are left are hit by eliminated words only: past the last of these, v reads as zero.
  memory.fill(v + REACH * sizeof<T>(), 0, end - at);
  for (let residue = RESIDUE; at < end; residue += sizeof<T>()) {
    store<T>(residue, xor<T>(load<T>(at), distant<T>(v)));
    at += sizeof<T>();
    v += sizeof<T>();
  }
  return (end - last) / sizeof<T>();
}

/** Writes v[i] for the words from `at` up to `end`, four at a time, and returns how far `v` has come. */
function eliminateBlock<T>(v: usize, at: usize, end: usize): usize {
  let far0 = load<T>(v);
  let near0 = load<T>(v, (REACH - 77) * sizeof<T>());
  let near1 = load<T>(v, (REACH - 76) * sizeof<T>());
  while (at < end) {
    const near2 = load<T>(v, (REACH - 75) * sizeof<T>());
    const far1 = load<T>(v, 1 * sizeof<T>());
    const mid0 = xor<T>(load<T>(at), load<T>(v, (REACH - 437) * sizeof<T>()));
    store<T>(v, xor<T>(xor<T>(mid0, xor<T>(near0, near2)), xor<T>(far0, far1)), REACH * sizeof<T>());
    const near3 = load<T>(v, (REACH - 74) * sizeof<T>());
    const far2 = load<T>(v, 2 * sizeof<T>());
    const mid1 = xor<T>(load<T>(at, 1 * sizeof<T>()), load<T>(v, (REACH - 436) * sizeof<T>()));
    store<T>(v, xor<T>(xor<T>(mid1, xor<T>(near1, near3)), xor<T>(far1, far2)), (REACH + 1) * sizeof<T>());
    const near4 = load<T>(v, (REACH - 73) * sizeof<T>());
    const far3 = load<T>(v, 3 * sizeof<T>());
    const mid2 = xor<T>(load<T>(at, 2 * sizeof<T>()), load<T>(v, (REACH - 435) * sizeof<T>()));
    store<T>(v, xor<T>(xor<T>(mid2, xor<T>(near2, near4)), xor<T>(far2, far3)), (REACH + 2) * sizeof<T>());
    const near5 = load<T>(v, (REACH - 72) * sizeof<T>());
    const far4 = load<T>(v, 4 * sizeof<T>());
    const mid3 = xor<T>(load<T>(at, 3 * sizeof<T>()), load<T>(v, (REACH - 434) * sizeof<T>()));
    store<T>(v, xor<T>(xor<T>(mid3, xor<T>(near3, near5)), xor<T>(far3, far4)), (REACH + 3) * sizeof<T>());
    near0 = near4;
    near1 = near5;
    far0 = far4;
    at += 4 * sizeof<T>();
    v += 4 * sizeof<T>();
  }
  return v;
}

/**
 * Makes the message at RESIDUE shorter in place and returns its remainder: eliminates words with units of a word, then
 * of half a word, and so on, each time down to 209 units; the tables take the last of them.
 */
function shorten<T>(length: usize): u32 {
  const end = RESIDUE + length;
  let at = RESIDUE;
  for (let unit = sizeof<T>(); unit >= FINEST; unit >>= 1) {
    // 65 units are no less than a word: a word is never hit by itself, and is complete when its turn comes.
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

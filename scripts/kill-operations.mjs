// @ts-check
/** The operations of a writer that is killed: each follows from a seed and its number. */

const SECTOR = 512;
const MiB = 2 ** 20;

/**
 * Operation `number` of a writer. The bytes of a write name it in each sector.
 *
 * @param {number} seed
 * @param {number} number from 1 on
 * @param {number} size of the disk, in bytes, a multiple of 1 MiB
 * @returns {{ kind: 'write' | 'zero', offset: number, bytes: Uint8Array }}
 */
export function operation(seed, number, size) {
  const pick = (/** @type {number} */ limit, /** @type {number} */ of) => {
    let hash = Math.imul(seed ^ 0x9e3779b9, 0x85ebca6b) ^ Math.imul(number, 0xc2b2ae35) ^ Math.imul(of + 1, 0x27d4eb2f);
    hash = Math.imul(hash ^ (hash >>> 15), 0x2c1b3c6d);
    hash ^= hash >>> 13;
    return (hash >>> 0) % limit;
  };
  if (pick(5, 0) === 0) {
    return { kind: 'zero', offset: pick(size / MiB, 1) * MiB, bytes: new Uint8Array(MiB) };
  }
  const length = pick(8, 2) === 0 ? MiB : (1 + pick(24, 3)) * SECTOR;
  const offset = pick((size - length) / SECTOR, 4) * SECTOR;
  const bytes = new Uint8Array(length);
  for (let at = 0; at < length; at += SECTOR) {
    new DataView(bytes.buffer, at, SECTOR).setUint32(0, number, true);
    bytes.fill((seed + number) & 0xff, at + 4, at + SECTOR);
  }
  return { kind: 'write', offset, bytes };
}

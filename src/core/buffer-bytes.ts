/**
 * What the core finds in a buffer, wherever that is. One in the core's memory it looks at directly; one in memory of its
 * own is copied to the copy area piece by piece, and pieces are a multiple of every granule.
 */

import type { LeasedBuffer } from './buffers.js';
import { COPY_AREA, COPY_BYTES } from './core-memory.generated.js';
import { sumBytes } from './crc32c.js';
import type { Core } from './instance.js';

/** The CRC-32C of the first `length` bytes, continued from `crc`. */
export function sumBuffer(core: Core, { bytes }: LeasedBuffer, length: number, crc: number): number {
  return sumBytes(core, bytes.subarray(0, length), crc);
}

/** Length of the run of zeros at the start of `length` bytes from `at` on, rounded down to 16 unless it is all of them. */
export function zeroBytes(core: Core, buffer: LeasedBuffer, at: number, length: number): number {
  return prefix(core, buffer, at, length, (address, bytes) => core.exports.zeroPrefix(address, bytes));
}

/** Length of the run of granules at the start of `length` bytes from `at` on of which none is all zeros. */
export function nonzeroBytes(core: Core, buffer: LeasedBuffer, at: number, length: number, granule: number): number {
  return prefix(core, buffer, at, length, (address, bytes) => core.exports.nonzeroPrefix(address, bytes, granule));
}

/** How many of the first `length` bytes, from the start on, are the same in both. */
export function equalBytes(core: Core, a: LeasedBuffer, b: LeasedBuffer, length: number): number {
  if (a.address !== undefined && b.address !== undefined) return core.exports.equalPrefix(a.address, b.address, length);
  const half = COPY_BYTES / 2;
  for (let done = 0; done < length; done += half) {
    const bytes = Math.min(half, length - done);
    core.bytes.set(a.bytes.subarray(done, done + bytes), COPY_AREA);
    core.bytes.set(b.bytes.subarray(done, done + bytes), COPY_AREA + half);
    const same = core.exports.equalPrefix(COPY_AREA, COPY_AREA + half, bytes);
    if (same < bytes) return done + same;
  }
  return length;
}

function prefix(
  core: Core,
  { address, bytes }: LeasedBuffer,
  at: number,
  length: number,
  prefixOf: (address: number, length: number) => number,
): number {
  if (address !== undefined) return prefixOf(address + at, length);
  for (let done = 0; done < length; done += COPY_BYTES) {
    const piece = bytes.subarray(at + done, at + Math.min(done + COPY_BYTES, length));
    core.bytes.set(piece, COPY_AREA);
    const found = prefixOf(COPY_AREA, piece.length);
    if (found < piece.length) return done + found;
  }
  return length;
}

// A chain of which long data arrives in several runs, with all that can lie between them.
import { expect } from 'vitest';
import { crc32c, type VhdxDisk } from '../../src/index.js';
import { pattern, sectorBits } from './block-content.js';
import { chainOf } from './chain-files.js';
import { STATE } from './image-spec.js';
import { expectSameBytes } from './same-bytes.js';

const MiB = 1024 * 1024;
const SIZE = 64 * MiB;

/** Runs of 8 MiB that do not follow one another in their files, single sectors, holes, and the parent's blocks. */
export function arrivingChain() {
  const base = {
    virtualSize: SIZE,
    blockSize: 8 * MiB,
    placement: 'reverse' as const,
    blocks: Object.fromEntries([0, 2, 3, 5].map((i) => [i, { state: STATE.fullyPresent, data: pattern(i) }])),
  };
  const child = {
    ...base,
    blocks: {
      1: { state: STATE.fullyPresent, data: pattern(11) },
      2: { state: STATE.partiallyPresent, bitmap: sectorBits(16_384, [3, 9], [9_000, 16_000]), data: pattern(12) },
      6: { state: STATE.fullyPresent, data: pattern(16) },
    },
  };
  const { files, model } = chainOf(base, child);
  return { files, expected: model.expected(0, SIZE) };
}

/**
 * Wants a disk to stream and to sum that content, all of it and parts, each chunk in memory of its own. Returns the length
 * of the longest.
 */
export async function expectArriving(disk: VhdxDisk, expected: Uint8Array): Promise<number> {
  let longest = 0;
  for (const [offset, length] of [
    [0, SIZE],
    [MiB + 77, 50 * MiB],
    [8 * MiB, 8 * MiB],
  ] as const) {
    const whole = new Uint8Array(length);
    const buffers = new Set<ArrayBufferLike>();
    let at = 0;
    for await (const chunk of disk.stream({ offset, length })) {
      longest = Math.max(longest, chunk.length);
      expect(buffers.has(chunk.buffer)).toBe(false); // its reader may transfer it
      buffers.add(chunk.buffer);
      whole.set(chunk, at);
      at += chunk.length;
    }
    expect(at).toBe(length);
    const part = expected.subarray(offset, offset + length);
    expectSameBytes(whole, part);
    const progress: number[] = [];
    const sum = await disk.checksum({ offset, length, onProgress: ({ done }) => progress.push(done) });
    expect(sum).toBe(await crc32c(part));
    expect(progress.at(-1)).toBe(length);
  }
  return longest;
}

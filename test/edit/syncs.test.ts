// What a flush costs, counted in the operations that a file gets: on a disk that syncs, syncs decide how fast it is.
import { describe, expect, test } from 'vitest';
import { createVhdx, editVhdx, type RandomAccessFile } from '../../src/index.js';
import { memoryFile } from '../../src/io/memory.js';
import { KiB, MiB } from '../support/encode-primitives.js';

interface Counts {
  writes: number;
  flushes: number;
  /** Changes of the length. */
  truncates: number;
  bytes: number;
}

/** A file in memory that counts what is done to it; a flush takes a few turns of the event loop. */
async function countedFile(size: number): Promise<{ file: RandomAccessFile; counts: Counts }> {
  const memory = memoryFile();
  await createVhdx(memory, { size, blockSize: MiB });
  const counts: Counts = { writes: 0, flushes: 0, truncates: 0, bytes: 0 };
  const file: RandomAccessFile = {
    get size() {
      return memory.size;
    },
    readInto: (target, offset) => memory.readInto(target, offset),
    write(bytes, offset) {
      counts.writes += 1;
      counts.bytes += bytes.length;
      return memory.write(bytes, offset);
    },
    truncate(length) {
      counts.truncates += 1;
      return memory.truncate(length);
    },
    async flush() {
      counts.flushes += 1;
      for (let i = 0; i < 3; i++) await new Promise((resolve) => setTimeout(resolve, 0));
    },
  };
  return { file, counts };
}

const BLOCKS = 96;
const bytes = new Uint8Array(4 * KiB).fill(1);

describe('writing costs', () => {
  test('two syncs a flush, into a new block each time, and three writes: payload, log entry, page', async () => {
    const { file, counts } = await countedFile(BLOCKS * MiB);
    const disk = await editVhdx(file);
    await disk.write(bytes, 0);
    await disk.flush();
    const before = { ...counts };
    for (let block = 1; block < BLOCKS; block++) {
      await disk.write(bytes, ((block * 37) % BLOCKS) * MiB + 8 * KiB);
      await disk.flush();
    }
    const flushes = BLOCKS - 1;
    expect(counts.flushes - before.flushes).toBe(2 * flushes);
    expect(counts.writes - before.writes).toBeLessThanOrEqual(3 * flushes + 1);
    // The file grows by 32 MiB at a time.
    expect(counts.truncates - before.truncates).toBeLessThanOrEqual(3);
    // Payload, an entry of two sectors, a page of the BAT.
    expect(counts.bytes - before.bytes).toBeLessThanOrEqual(flushes * 16 * KiB);
    await disk.close();
  });

  test('one sync a flush if nothing was allocated, and none if nothing was written', async () => {
    const { file, counts } = await countedFile(8 * MiB);
    const disk = await editVhdx(file);
    await disk.flush();
    expect(counts).toEqual({ writes: 0, flushes: 0, truncates: 0, bytes: 0 });
    await disk.write(bytes, 0);
    await disk.flush();
    const before = { ...counts };
    for (let i = 0; i < 10; i++) {
      await disk.write(bytes, i * 4 * KiB);
      await disk.flush();
    }
    expect(counts.flushes - before.flushes).toBe(10);
    expect(counts.writes - before.writes).toBeLessThanOrEqual(10 + 1);
    await disk.close();
  });

  test('the syncs of one writer for sixty-four that write and flush at the same time', async () => {
    const { file, counts } = await countedFile(64 * MiB);
    const disk = await editVhdx(file);
    await disk.write(bytes, 0);
    await disk.flush();
    const before = counts.flushes;
    const rounds = 6;
    await Promise.all(
      Array.from({ length: 64 }, async (_, writer) => {
        for (let round = 0; round < rounds; round++) {
          await disk.write(bytes, writer * MiB + round * 4 * KiB);
          await disk.flush();
        }
      }),
    );
    // One that flushes alone takes two syncs each time: 768 for so many.
    expect(counts.flushes - before).toBeLessThanOrEqual((64 * rounds * 2) / 8);
    await disk.close();
  });

  test('as much time as there are writes, whatever the disk holds: a page of the BAT for 512 blocks', async () => {
    const { file, counts } = await countedFile(600 * MiB);
    const disk = await editVhdx(file);
    await disk.write(new Uint8Array(600 * KiB), 0);
    await disk.flush();
    const before = { ...counts };
    for (let block = 0; block < 600; block++) await disk.write(bytes, block * MiB + 700 * KiB);
    await disk.flush();
    expect(counts.flushes - before.flushes).toBe(2);
    expect(counts.writes - before.writes).toBeLessThanOrEqual(600 + 1 + 2);
    await disk.close();
  });
});

import { describe, expect, test } from 'vitest';
import { memoryFile, type RandomAccessFile } from '../../src/index.js';
import { checkGptBackup, fixGpt, readPartitionTable } from '../../src/volumes/index.js';
import { encodeGpt, type GptPartition } from '../app/support/encode-gpt.js';
import { MiB } from '../support/encode-primitives.js';
import { expectSameBytes } from '../support/same-bytes.js';

const LINUX = '0fc63daf-8483-4772-8e79-3d69d8477de4';
const PARTITIONS: readonly GptPartition[] = [
  { type: LINUX, name: 'one', first: 2048, last: 4095 },
  { type: LINUX, name: 'two', first: 8192, last: 12_287 },
];

/** A disk with a table for `tableSize` bytes that has `size` bytes. */
async function diskWith(
  tableSize: number,
  size: number,
  sectorSize = 512,
  partitions = PARTITIONS,
): Promise<RandomAccessFile & { readonly logicalSectorSize: number }> {
  const file = memoryFile();
  const { start, end } = encodeGpt(tableSize / sectorSize, sectorSize, partitions);
  await file.truncate(Math.max(size, tableSize));
  await file.write(start, 0);
  await file.write(end, tableSize - end.length);
  await file.truncate(size);
  return Object.assign(file, { logicalSectorSize: sectorSize });
}

async function bytesOf(file: RandomAccessFile, offset: number, length: number): Promise<Uint8Array> {
  const bytes = new Uint8Array(length);
  await file.readInto(bytes, offset);
  return bytes;
}

describe('the backup of a GPT', () => {
  test.each([512, 4096])('is put to the end of a disk that grew or shrank (sectors of %i)', async (sectorSize) => {
    const partitions =
      sectorSize === 512
        ? PARTITIONS
        : PARTITIONS.map((one) => ({ ...one, first: one.first / 8, last: (one.last + 1) / 8 - 1 }));
    for (const size of [48 * MiB, 7 * MiB]) {
      const disk = await diskWith(16 * MiB, size, sectorSize, partitions);
      expect(await checkGptBackup(disk)).toEqual({ state: 'misplaced' });
      expect(await fixGpt(disk)).toEqual({ state: 'misplaced' });
      expect(await checkGptBackup(disk)).toEqual({ state: 'in-place' });
      // Just what a table would be that was made for a disk of this size.
      const { start, end } = encodeGpt(size / sectorSize, sectorSize, partitions);
      expectSameBytes(await bytesOf(disk, 0, start.length), start);
      expectSameBytes(await bytesOf(disk, size - end.length, end.length), end);
      expect((await readPartitionTable(disk)).notes).toEqual([]);
    }
  });

  test('is left alone where it is right, and may be asked about for another size', async () => {
    const disk = await diskWith(16 * MiB, 16 * MiB);
    expect(await checkGptBackup(disk, { size: 20 * MiB })).toEqual({ state: 'misplaced' });
    expect(await checkGptBackup(disk, { size: 6 * MiB })).toMatchObject({ state: 'not-understood', reason: /two|2/ });
    const before = await bytesOf(disk, 0, disk.size);
    expect(await fixGpt(disk)).toEqual({ state: 'in-place' });
    expectSameBytes(await bytesOf(disk, 0, disk.size), before);
  });

  test('is written again if it is damaged', async () => {
    const disk = await diskWith(16 * MiB, 16 * MiB);
    await disk.write(new Uint8Array([1]), disk.size - 512 + 20);
    expect(await fixGpt(disk)).toEqual({ state: 'misplaced' });
    expect(await checkGptBackup(disk)).toEqual({ state: 'in-place' });
  });

  test('is written before the primary table names it, each step durable', async () => {
    const disk = await diskWith(16 * MiB, 20 * MiB);
    const steps: string[] = [];
    await fixGpt({
      ...disk,
      size: disk.size,
      readInto: (target, offset) => disk.readInto(target, offset),
      write: async (bytes, offset) => {
        steps.push(offset > MiB ? 'backup' : offset === 0 ? 'MBR' : 'primary');
        await disk.write(bytes, offset);
      },
      flush: async () => {
        steps.push('flush');
      },
    });
    expect(steps).toEqual(['backup', 'backup', 'flush', 'primary', 'flush', 'MBR', 'flush']);
  });
});

describe('a table that is not understood', () => {
  const MBR_ENTRY = 446;
  const cases: readonly [string, (disk: RandomAccessFile) => Promise<void>, RegExp][] = [
    ['has a wrong checksum', (disk) => disk.write(new Uint8Array([9]), 512 + 60), /checksum of its header/],
    ['has damaged entries', (disk) => disk.write(new Uint8Array([9]), 1024 + 60), /checksum of its entries/],
    ['has an MBR with partitions', (disk) => disk.write(new Uint8Array([0, 0, 0, 0, 7]), MBR_ENTRY + 16), /MBR/],
    ['has no MBR', (disk) => disk.write(new Uint8Array(2), 510), /MBR/],
    ['has bytes after its header', (disk) => disk.write(new Uint8Array([9]), 512 + 92), /follow its header/],
  ];

  test.each(cases)('because it %s is not changed', async (_, damage, reason) => {
    const disk = await diskWith(16 * MiB, 20 * MiB);
    await damage(disk);
    const before = await bytesOf(disk, 0, disk.size);
    expect(await fixGpt(disk)).toMatchObject({ state: 'not-understood', reason: expect.stringMatching(reason) });
    expectSameBytes(await bytesOf(disk, 0, disk.size), before);
  });

  test('is none on a disk without a GPT, or of another sector size', async () => {
    const disk = memoryFile();
    await disk.truncate(MiB);
    expect(await fixGpt(disk)).toEqual({ state: 'none' });
    await disk.truncate(1024);
    expect(await checkGptBackup(disk)).toEqual({ state: 'none' });
    expect(
      await checkGptBackup(Object.assign(await diskWith(16 * MiB, 20 * MiB), { logicalSectorSize: 4096 })),
    ).toEqual({ state: 'none' });
  });

  test('with partitions that overlap, or lie in the table, is not changed', async () => {
    const one = { type: LINUX, name: 'one', first: 2048, last: 4095 };
    const overlapping = [one, { ...one, name: 'two', first: 4095, last: 5000 }];
    expect(await fixGpt(await diskWith(16 * MiB, 20 * MiB, 512, overlapping))).toMatchObject({
      state: 'not-understood',
    });
    const inTable = [{ ...one, first: 20 }];
    expect(await fixGpt(await diskWith(16 * MiB, 20 * MiB, 512, inTable))).toMatchObject({ state: 'not-understood' });
  });
});

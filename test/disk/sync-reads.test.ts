// What is special about synchronous reads: which files have them, and what they do to reads that are under way. That they
// read what the others do, and fail as they do, the specs of reading say, which go through both doors.
import { describe, expect, test } from 'vitest';
import { memoryFile, openVhdx, type RandomAccessSource, slice } from '../../src/index.js';
import { pattern } from '../support/block-content.js';
import { buildImage } from '../support/build-image.js';
import { dirtied, structureSectors } from '../support/dirty-images.js';
import { modelOf } from '../support/disk-model.js';
import { GiB, KiB, MiB } from '../support/encode-primitives.js';
import { STATE } from '../support/image-spec.js';
import { expectSameBytes } from '../support/same-bytes.js';

const present = (seed: number) => ({ state: STATE.fullyPresent, data: pattern(seed) });
const image = buildImage({ virtualSize: 8 * MiB, blocks: { 0: present(0), 2: present(2), 5: present(5) } });
const model = modelOf(image);
const bytes = image.toUint8Array() as Uint8Array<ArrayBuffer>;
const hasReader = 'FileReaderSync' in globalThis;

/** Reads here and there, and all of it. */
function expectDisk(disk: { readSync(offset: number, length: number): Uint8Array }): void {
  for (const [offset, length] of [
    [0, 512],
    [MiB - 100, 200],
    [2 * MiB + 4097, 64 * KiB],
    [5 * MiB + 513, 3],
    [0, 8 * MiB],
    [8 * MiB, 0],
  ] as const)
    expectSameBytes(disk.readSync(offset, length), model.expected(offset, length), `from ${offset} on`);
}

async function inMemory(): Promise<RandomAccessSource> {
  const file = memoryFile();
  await file.write(bytes, 0);
  return file;
}

/** An image that has the image on its disk. */
function around(): Uint8Array {
  const blocks = Array.from({ length: Math.ceil(bytes.length / MiB) }, (_, i) => [
    i,
    { state: STATE.fullyPresent, data: bytes.subarray(i * MiB, (i + 1) * MiB) },
  ]);
  return buildImage({ virtualSize: bytes.length, blocks: Object.fromEntries(blocks) }).toUint8Array();
}

describe('a disk is read synchronously', () => {
  const sources: Readonly<Record<string, () => Promise<Parameters<typeof openVhdx>[0]>>> = {
    bytes: async () => bytes,
    'a file in memory': inMemory,
    'a source of the caller': async () => image.source().twin() as RandomAccessSource,
    'a slice of a source': async () => {
      const whole = memoryFile();
      await whole.write(bytes, 700);
      return slice(whole, 700, bytes.length);
    },
    'a disk that is open so': async () => openVhdx(around(), { sync: true }),
    ...(hasReader && { 'a Blob in a worker': async () => new Blob([bytes]) }),
  };
  for (const [name, make] of Object.entries(sources)) {
    test(`from ${name}`, async () => {
      const disk = await openVhdx(await make(), { sync: true });
      expectDisk(disk);
      const target = new Uint8Array(20).fill(7);
      disk.readIntoSync(target.subarray(5, 15), 2 * MiB);
      expect([...target]).toEqual([7, 7, 7, 7, 7, ...model.expected(2 * MiB, 10), 7, 7, 7, 7, 7]);
      await disk.close();
      expect(() => disk.readSync(0, 1)).toThrow(expect.objectContaining({ code: 'closed' }));
    });
  }

  test('also if it is dirty, or its bytes are of an untrusted image', async () => {
    const dirty = dirtied(image, structureSectors(image)).toUint8Array();
    for (const options of [{}, { untrusted: true }]) {
      const disk = await openVhdx(dirty, { ...options, sync: true });
      expect(disk.info.log.dirty).toBe(true);
      expectDisk(disk);
      await disk.close();
    }
  });
});

describe('a disk that cannot be read synchronously', () => {
  test('says so when it is opened for that', async () => {
    const refused = { code: 'unsupported-input', message: expect.stringMatching(/cannot be read synchronously here/) };
    await expect(openVhdx(image.source(), { sync: true })).rejects.toMatchObject(refused);
    if (!hasReader) await expect(openVhdx(new Blob([bytes]), { sync: true })).rejects.toMatchObject(refused);
    const source = image.source({ name: 'mine.vhdx' });
    await expect(openVhdx(slice(source, 0), { sync: true })).rejects.toThrow(/the file mine\.vhdx cannot be read/);
    const outer = await openVhdx(around());
    await expect(openVhdx(outer, { sync: true })).rejects.toThrow(/the disk was not opened with the option sync/);
    await outer.close();
  });

  test('says so when it was not opened for that', async () => {
    const disk = await openVhdx(bytes);
    const refused = expect.objectContaining({
      code: 'unsupported-input',
      message: expect.stringMatching(/option sync/),
    });
    expect(() => disk.readSync(0, 512)).toThrow(refused);
    expect(() => disk.readIntoSync(new Uint8Array(1), 0)).toThrow(refused);
  });
});

describe('arguments of synchronous reads', () => {
  test('are held to the same', async () => {
    const disk = await openVhdx(bytes, { sync: true });
    for (const [offset, length] of [
      [-1, 1],
      [0, -1],
      [8 * MiB, 1],
      [0.5, 1],
      [Number.NaN, 1],
      [0, 2 ** 53],
    ] as const)
      expect(() => disk.readSync(offset, length), `${length} at ${offset}`).toThrow(RangeError);
    expect(() => disk.readIntoSync(new Uint16Array(2) as unknown as Uint8Array, 0)).toThrow(TypeError);
    await disk.close();
  });
});

describe('a synchronous read', () => {
  test('takes no page from a read that waits for it, and makes no second one of it', async () => {
    const blocks = { 0: present(1), 9000: present(2), 17000: present(3) };
    const large = buildImage({ virtualSize: 20 * GiB, blocks });
    const twin = large.source().twin() as RandomAccessSource;
    let release = (): void => undefined;
    const gate = new Promise<void>((resolve) => {
      release = resolve;
    });
    let isHeld = false;
    const source: RandomAccessSource = {
      ...twin,
      async readInto(target, offset) {
        if (isHeld) await gate;
        twin.readIntoSync?.(target, offset);
      },
    };
    const disk = await openVhdx(source, { sync: true });
    const expected = modelOf(large);
    isHeld = true;
    const waiting = [9000, 17_000, 9000].map((block) => disk.read(block * MiB, 1000));
    for (const block of [9000, 17_000, 0])
      expectSameBytes(disk.readSync(block * MiB, 1000), expected.expected(block * MiB, 1000));
    release();
    for (const [i, block] of [9000, 17_000, 9000].entries())
      expectSameBytes((await waiting[i]) as Uint8Array, expected.expected(block * MiB, 1000));
    isHeld = false;
    for (const block of [0, 9000, 17_000])
      expectSameBytes(await disk.read(block * MiB + 7, 1000), expected.expected(block * MiB + 7, 1000));
    await disk.close();
  });
});

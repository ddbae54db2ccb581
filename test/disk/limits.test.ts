// What a server may ask of a disk: a bound on the work of one call, and how much the file really stores.
import { describe, expect, test } from 'vitest';
import { compareDisks, exportDisk, type VhdxDisk } from '../../src/index.js';
import { pattern } from '../support/block-content.js';
import { buildImage } from '../support/build-image.js';
import { MiB, TiB } from '../support/encode-primitives.js';
import { STATE } from '../support/image-spec.js';
import { openVhdx } from '../support/two-doors.js';

/** A block of 2,048 sectors of which every second one is in the file: 2,048 extents. */
const everySecond = new Uint8Array(256).fill(0b01010101);
const image = buildImage({
  type: 'differencing',
  virtualSize: MiB,
  blocks: { 0: { state: STATE.partiallyPresent, data: pattern(1), bitmap: everySecond } },
});
const parent = buildImage({ virtualSize: MiB, blocks: { 0: { state: STATE.fullyPresent, data: pattern(2) } } });
const open = (maxExtents?: number) =>
  openVhdx(image.source(), { parent: parent.source(), ignoreParentMismatch: true, maxExtents });

const works: Readonly<Record<string, (disk: VhdxDisk) => Promise<unknown>>> = {
  read: (disk) => disk.read(0, MiB),
  extents: async (disk) => {
    let count = 0;
    for await (const extent of disk.extents()) count += extent.length > 0 ? 1 : 0;
    return count;
  },
  stream: async (disk) => {
    for await (const chunk of disk.stream()) void chunk;
  },
  checksum: (disk) => disk.checksum(),
  compareDisks: (disk) => compareDisks(disk, disk),
  exportDisk: (disk) => exportDisk(disk, { truncate: async () => {}, write: async () => {} }),
};

describe('maxExtents', () => {
  test.each(Object.entries(works))('bounds %s', async (_name, work) => {
    await expect(work(await open(2047))).rejects.toMatchObject({ name: 'VhdxError', code: 'limit-exceeded' });
    await work(await open(2048));
    await work(await open());
  });

  test('is counted by each call for itself, and of what the call asks for', async () => {
    const disk = await open(2);
    for (let i = 0; i < 5; i++) expect(await disk.read(i * 1024, 1024)).toHaveLength(1024);
    await expect(disk.read(0, 1536)).rejects.toMatchObject({ code: 'limit-exceeded' });
  });

  test.each([0, -1, 1.5, Number.NaN, '5', null])('refuses %s', async (odd) => {
    await expect(open(odd as number)).rejects.toThrow(RangeError);
  });
});

describe('what the file stores', () => {
  const blocks = {
    0: { state: STATE.fullyPresent, offset: 64 * MiB },
    5: { state: STATE.fullyPresent, offset: 64 * MiB },
  };

  test('is said by info and usage, each place counted once', async () => {
    const disk = await openVhdx(buildImage({ blocks }).source());
    expect(disk.info.blocks).toMatchObject({ fullyPresent: 2, storedBytes: MiB, damaged: 2 });
    expect(await disk.usage({ bins: 1 })).toMatchObject({ storedBytes: MiB });
  });

  test('is not known of a long BAT until it was checked', async () => {
    const disk = await openVhdx(buildImage({ virtualSize: 1 * TiB, blocks }).source());
    expect(disk.info).not.toHaveProperty('blocks');
    expect(await disk.usage({ bins: 1 })).not.toHaveProperty('storedBytes');
    expect((await disk.check()).blocks).toMatchObject({ storedBytes: MiB });
    expect(await disk.usage({ bins: 1 })).toMatchObject({ storedBytes: MiB });
  });
});

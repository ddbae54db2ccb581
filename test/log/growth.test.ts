// A log may make the file longer: what it adds reads as zeros, and is a hole, not data.
import { expect, test } from 'vitest';
import { pattern } from '../support/block-content.js';
import { type BuiltImage, buildImage } from '../support/build-image.js';
import { writeLog } from '../support/build-log.js';
import { KiB, MiB, u64Bytes } from '../support/encode-primitives.js';
import { STATE } from '../support/image-spec.js';
import { openVhdx } from '../support/two-doors.js';

const SECTOR = 4 * KiB;
const FAR = 2 ** 45;

/** An image whose log puts blocks 1 and 2 to places past the end of the file, and one sector of data into block 2. */
function growing(): BuiltImage {
  const image = buildImage({ blocks: { 0: { state: STATE.fullyPresent, data: pattern(1) } } });
  const { bat } = image.layout;
  const page = image.read(bat.offset, SECTOR);
  page.set(u64Bytes(FAR + 6), 8);
  page.set(u64Bytes(FAR + image.spec.blockSize + 6), 16);
  writeLog(image, {
    entries: [
      {
        lastFileOffset: FAR + 2 * image.spec.blockSize,
        descriptors: [
          { fileOffset: bat.offset, bytes: page },
          { fileOffset: FAR, zeroLength: 64 * KiB },
          { fileOffset: FAR + image.spec.blockSize + 2 * SECTOR, bytes: new Uint8Array(SECTOR).fill(7) },
        ],
      },
    ],
  });
  return image;
}

test('what replay adds past the end of the file is a hole, but for sectors of data in the log', async () => {
  const image = growing();
  const { blockSize } = image.spec;
  const disk = await openVhdx(image.source());
  const extents = [];
  for await (const { offset, length, kind, fileOffset } of disk.extents({ offset: 0, length: 3 * blockSize })) {
    extents.push([offset, length, kind, ...(fileOffset === undefined ? [] : [fileOffset])]);
  }
  const place = 2 * blockSize + 2 * SECTOR;
  expect(extents).toEqual([
    [0, blockSize, 'data', image.layout.blockOffset(0)],
    [blockSize, blockSize + 2 * SECTOR, 'unmapped'],
    [place, SECTOR, 'data', FAR + blockSize + 2 * SECTOR],
    [place + SECTOR, blockSize - 3 * SECTOR, 'unmapped'],
  ]);
  expect((await disk.read(place - 1, SECTOR + 2)).join()).toBe([0, ...new Uint8Array(SECTOR).fill(7), 0].join());
  await disk.close();
});

test('nothing of it is read for a checksum', async () => {
  const image = growing();
  const source = image.source();
  const disk = await openVhdx(source);
  const before = source.bytesRead;
  await disk.checksum();
  expect(source.bytesRead - before).toBeLessThan(image.spec.blockSize + MiB);
  await disk.close();
});

test('usage and a check count nothing of it as stored', async () => {
  const image = growing();
  const { blockSize } = image.spec;
  const disk = await openVhdx(image.source());
  const { data, unmapped, damaged } = await disk.usage({ bins: 1, offset: 0, length: 3 * blockSize });
  expect([...data, ...unmapped, ...damaged]).toEqual([blockSize, 2 * blockSize, 0]);
  const { blocks } = await disk.check();
  expect(blocks?.fullyPresent).toBe(3);
  expect(blocks?.storedBytes).toBeLessThanOrEqual(image.size);
  await disk.close();
});

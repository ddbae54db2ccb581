// Large logs, and logs made to waste time: work is linear in the log's length and memory is bounded.
import { describe, expect, test } from 'vitest';
import { checkVhdx, editVhdx, memoryFile, openVhdx, type RandomAccessFile } from '../../src/index.js';
import { buildImage } from '../support/build-image.js';
import { LOG_GUID, setLogGuid, writeLog } from '../support/build-log.js';
import { guidBytes, KiB, MiB, u32Bytes, u64Bytes } from '../support/encode-primitives.js';
import { expectRefused } from '../support/expect-opening.js';
import { STATE } from '../support/image-spec.js';
import { mark, markable, marksOf, unmark, withLog } from '../support/log-marks.js';
import type { SparseFile } from '../support/sparse-file.js';

import { SLOW } from '../support/time-limits.js';

/** An image as a file that can be written. */
async function fileOf(image: SparseFile): Promise<RandomAccessFile> {
  const file = memoryFile();
  await file.truncate(image.size);
  for (const { offset, bytes } of image.pieces()) await file.write(bytes, offset);
  return file;
}

const SECTOR = 4 * KiB;
const largeLog = (length: number) => ({ places: { log: { length } } });

describe('many changes', () => {
  test('an entry of 5,000 descriptors, in 40 sectors, of which all count', async () => {
    const image = markable(largeLog(2 * MiB));
    const zeros = Array.from({ length: 4_990 }, (_, i) => unmark(image, i % 10));
    const marks = Array.from({ length: 10 }, (_, place) => mark(image, place, place + 1));
    const dirty = withLog(image, [{ descriptors: [...marks, ...zeros] }, { descriptors: marks }]);
    expect(await marksOf(dirty, 10)).toEqual(marks.map((_, place) => place + 1));
    const other = withLog(image, [{ descriptors: [...zeros, ...marks.slice(0, 9)] }]);
    expect(await marksOf(other, 10)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 0]);
  });

  test('a log of 1,000 entries over several windows and across the end of the ring', async () => {
    const image = markable({ ...largeLog(16 * MiB), blockSize: 4 * MiB });
    const entries = Array.from({ length: 1000 }, (_, i) => ({
      descriptors: [mark(image, i % 700, 1 + (i % 251)), unmark(image, (i * 7) % 700)],
    }));
    const marks = new Array<number>(700).fill(0);
    for (let i = 0; i < 1000; i++) {
      marks[i % 700] = 1 + (i % 251);
      marks[(i * 7) % 700] = 0;
    }
    const dirty = withLog(image, entries, { start: 14 * MiB + 3 * SECTOR, firstSequence: 2n ** 61n });
    expect(await marksOf(dirty, 700)).toEqual(marks);
  });

  test('more changes than are kept track of are refused', SLOW.largest, async () => {
    const image = markable(largeLog(34 * MiB));
    // Written by hand: the log builder is made for clarity, and not for a million descriptors.
    const descriptorCount = 2 ** 20 + 1;
    const [one] = writeLog(image.clone(), { entries: [{ descriptors: [unmark(image, 0)] }] });
    const descriptor = one?.bytes.subarray(64, 96) as Uint8Array;
    const edit = (bytes: Uint8Array) => {
      for (let i = 0; i < descriptorCount; i++) bytes.set(descriptor, 64 + 32 * i);
    };
    const extraSectors = Math.ceil((64 + 32 * descriptorCount) / SECTOR) - 1;
    await expectRefused(withLog(image, [{ descriptorCount, extraSectors, edit }]), 'log-too-large');
  });
});

describe('logs made to waste time', () => {
  const LOG = 32 * MiB;
  /** Reads of a log, in all and at a time, while an image is found to be unusable. */
  const effortOn = async (content: Uint8Array) => {
    const image = buildImage({ ...largeLog(LOG), logContent: content, blocks: { 0: { state: STATE.fullyPresent } } });
    setLogGuid(image, LOG_GUID);
    const source = image.source();
    await expect(openVhdx(source)).rejects.toMatchObject({ code: 'log-no-sequence' });
    return { total: source.bytesRead, largest: Math.max(...source.reads.map(({ length }) => length)) };
  };
  const patterns: Record<string, (at: number) => Uint8Array | undefined> = {
    'with nothing in it': () => undefined,
    'full of headers of entries as long as the log': () => header(LOG),
    'full of headers, each with data sectors behind it as if it went on': (at) =>
      (at / SECTOR) % 200 === 0 ? header(LOG) : dataSector,
    'with one entry as long as the log, whose checksum is wrong': (at) => (at === 0 ? header(LOG) : dataSector),
  };
  const dataSector = new Uint8Array(SECTOR);
  dataSector.set([0x64, 0x61, 0x74, 0x61]);
  dataSector.set(u32Bytes(1), SECTOR - 4);
  const header = (length: number) => {
    const bytes = new Uint8Array(64);
    bytes.set([0x6c, 0x6f, 0x67, 0x65]);
    bytes.set(u32Bytes(length), 8);
    bytes.set(u64Bytes(1), 16);
    bytes.set(guidBytes(LOG_GUID), 32);
    return bytes;
  };

  for (const [title, at] of Object.entries(patterns)) {
    test(`a log ${title} is read a few times over, in small pieces`, async () => {
      const content = new Uint8Array(LOG);
      for (let offset = 0; offset < LOG; offset += SECTOR) {
        const sector = at(offset);
        if (sector) content.set(sector, offset);
      }
      const { total, largest } = await effortOn(content);
      expect(largest).toBeLessThanOrEqual(MiB);
      expect(total).toBeLessThan(5 * LOG);
    });
  }

  test('a file said to become enormous costs nothing', async () => {
    const image = markable();
    const lastFileOffset = 2 ** 47;
    const dirty = withLog(image, [
      { lastFileOffset, descriptors: [mark(image, 0, 1), { fileOffset: 16 * MiB, zeroLength: 2 ** 46 }] },
    ]);
    expect(await marksOf(dirty, 2)).toEqual([1, 0]);
    const report = await checkVhdx(dirty.source());
    expect(report.info?.log.replay).toMatchObject({ fileSizeAfter: lastFileOffset, zeroedBytes: 2 ** 46 });
    expect(report.blocks?.leakedBytes).toBe(lastFileOffset - 5 * MiB);
  });

  test('a file said to become longer than any image is refused', async () => {
    const image = markable();
    const dirty = withLog(image, [{ lastFileOffset: 2 ** 47 + MiB, descriptors: [mark(image, 0, 1)] }]);
    const report = await checkVhdx(dirty.source());
    expect(report.status).toBe('unreadable');
    expect(report.findings.map(({ code }) => code)).toContain('log-file-size');
  });
});

describe('maxLogLength', () => {
  const log = 66 * MiB;
  const dirty = () => {
    const image = markable(largeLog(log));
    return withLog(image, [{ descriptors: [mark(image, 0, 1)] }]);
  };
  const refused = { name: 'VhdxError', code: 'log-too-large' };

  test('refuses a dirty image with a longer log, which is not read', async () => {
    const source = dirty().source();
    await expect(openVhdx(source, { maxLogLength: log - 1 })).rejects.toMatchObject(refused);
    expect(source.bytesRead).toBeLessThan(2 * MiB);
    const report = await checkVhdx(dirty().source(), { maxLogLength: MiB });
    expect(report.status).toBe('unreadable');
    expect(report.findings.map(({ code }) => code)).toEqual(['log-too-large', 'salvage-possible']);
    const salvaged = await openVhdx(dirty().source(), { maxLogLength: 0, salvage: 'unverified' });
    expect(salvaged.findings.map(({ code }) => code)).toContain('salvage-log');
    await expect(editVhdx(await fileOf(dirty()), { maxLogLength: MiB })).rejects.toMatchObject(refused);
  });

  test('allows one of just that length, and says nothing of the log of a clean image', async () => {
    expect((await openVhdx(dirty().source(), { maxLogLength: log })).info.log.replay?.entries).toBe(1);
    await openVhdx(buildImage(largeLog(log)).source(), { maxLogLength: 0 });
  });

  test('is 64 MiB of an untrusted image, unless it is given; maxExtents is 4,194,304', SLOW.largest, async () => {
    await expect(openVhdx(dirty().source(), { untrusted: true })).rejects.toMatchObject(refused);
    await openVhdx(dirty().source(), { untrusted: true, maxLogLength: log });
    await openVhdx(withLog(markable(largeLog(64 * MiB)), [{}]).source(), { untrusted: true });
    // Sector by sector in the file and in the parent: 4,718,592 extents in 2,304 MiB.
    const split = buildImage({
      type: 'differencing',
      virtualSize: 2304 * MiB,
      blockSize: 256 * MiB,
      blocks: Object.fromEntries(
        Array.from({ length: 9 }, (_, i) => [
          i,
          { state: STATE.partiallyPresent, bitmap: new Uint8Array(65536).fill(0x55) },
        ]),
      ),
    });
    const disk = await openVhdx(split.source(), { parent: false, untrusted: true });
    let extents = 0;
    const counting = (async () => {
      for await (const { length } of disk.extents()) extents += length > 0 ? 1 : 0;
    })();
    await expect(counting).rejects.toMatchObject({ code: 'limit-exceeded' });
    expect(extents).toBeGreaterThan(4_180_000);
  });

  test.each([-1, 1.5, Number.NaN, '5', null])('refuses %s', async (odd) => {
    const wanted = { maxLogLength: odd as number };
    await expect(openVhdx(buildImage().source(), wanted)).rejects.toThrow(RangeError);
    await expect(checkVhdx(buildImage().source(), wanted)).rejects.toThrow(RangeError);
  });
});

test('opening can be aborted while the log is being read', async () => {
  const image = markable(largeLog(8 * MiB));
  writeLog(image, { entries: [{ descriptors: [mark(image, 0, 1)] }] });
  const abort = new AbortController();
  const source = image.source({
    fail: (offset) => {
      if (offset > 2 * MiB) abort.abort(new Error('enough'));
      return undefined;
    },
  });
  await expect(openVhdx(source, { signal: abort.signal })).rejects.toThrow('enough');
  expect(source.bytesRead).toBeLessThan(8 * MiB);
});

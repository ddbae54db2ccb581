// Rules 83, 84 and 94 to 98: what replay in memory may change, and that everything is read through it.
import { describe, expect, test } from 'vitest';
import { checkVhdx } from '../../src/index.js';
import { pattern, sectorBits } from '../support/block-content.js';
import { type BuiltImage, buildImage } from '../support/build-image.js';
import { LOG_GUID, type LogEntrySpec, setLogGuid, writeLog } from '../support/build-log.js';
import { dirtied, restoring, structureSectors } from '../support/dirty-images.js';
import { modelOf } from '../support/disk-model.js';
import { KiB, MiB, u64Bytes, ZERO_GUID } from '../support/encode-primitives.js';
import { expectContent, expectRefused, expectSound, expectWarned } from '../support/expect-opening.js';
import { BASE_DATA_WRITE_GUID, STATE } from '../support/image-spec.js';
import { mark, markable, marksOf, withLog } from '../support/log-marks.js';
import { expectSameBytes } from '../support/same-bytes.js';
import { openVhdx } from '../support/two-doors.js';

const SECTOR = 4 * KiB;
const image = markable();
const present = (seed: number) => ({ state: STATE.fullyPresent, data: pattern(seed) });
const full = buildImage({ blocks: { 0: present(1), 3: present(2), 7: present(3) } });

/** The image with a log of one entry. */
const logging = (entry: LogEntrySpec): BuiltImage => withLog(image, [{ descriptors: [mark(image, 0, 1)] }, entry]);
const zeros = (fileOffset: number, zeroLength: number) => ({ fileOffset, zeroLength });
const data = (fileOffset: number) => ({ fileOffset, bytes: new Uint8Array(SECTOR) });

describe('where a log may write', () => {
  const { log } = image.layout;
  for (const [title, target] of [
    ['the file identifier', data(0)],
    ['header 1', data(64 * KiB)],
    ['header 2', data(128 * KiB)],
    ['the last sector before the region tables', data(188 * KiB)],
    ['the file identifier, with zeros', zeros(0, SECTOR)],
    ['both headers, with zeros', zeros(64 * KiB, 192 * KiB)],
    ['the first sector of the log', data(log.offset)],
    ['the last sector of the log', data(log.offset + log.length - SECTOR)],
    ['all of the log, with zeros from before it to behind it', zeros(log.offset - SECTOR, log.length + 2 * SECTOR)],
  ] as const) {
    test(`rule 83: a log that wants to overwrite ${title} is refused`, async () => {
      const error = await expectRefused(logging({ descriptors: [target] }), 'log-target');
      expect(error.message).toContain(`0x${target.fileOffset.toString(16)}`);
      // Where the descriptor stands that asks for it: the first one of the second entry.
      expect(error.offset).toBe(log.offset + 2 * SECTOR + 64);
      expect(error.structure).toBe('log entry 2');
    });
  }

  test('rule 83: the region tables, and what lies next to the log, it may overwrite', async () => {
    const descriptors = [
      restoring(image, 192 * KiB),
      restoring(image, log.offset - SECTOR),
      restoring(image, log.offset + log.length),
    ];
    await expectSound(logging({ descriptors }), {}, marked(1));
  });

  test('rule 84: a log that wants to write behind the end of the file is refused', async () => {
    for (const target of [
      data(image.size),
      zeros(image.size, SECTOR),
      zeros(image.size - SECTOR, 2 * SECTOR),
      data(2 ** 50),
      zeros(MiB * 4, 2 ** 52),
    ]) {
      await expectRefused(logging({ descriptors: [target] }), 'log-target');
    }
    await expectSound(logging({ descriptors: [zeros(image.size - SECTOR, SECTOR)] }), {}, marked(1));
  });

  test('rule 84: behind the end of the file is behind what the newest entry says will be its end', async () => {
    const lastFileOffset = image.size + MiB;
    const inside = { lastFileOffset, descriptors: [data(image.size), zeros(image.size, MiB)] };
    expect(await marksOf(logging(inside), 2)).toEqual([1, 0]);
    await expectRefused(logging({ lastFileOffset, descriptors: [data(lastFileOffset)] }), 'log-target');
    const onlyOlder = withLog(image, [{ lastFileOffset, descriptors: [data(image.size)] }, {}]);
    await expectRefused(onlyOlder, 'log-target');
  });
});

/** The disk of {@link image} with one mark. */
function marked(value: number) {
  const bytes = new Uint8Array(8 * MiB).fill(value, 0, SECTOR);
  return { size: 8 * MiB, expected: (offset: number, length: number) => bytes.slice(offset, offset + length) };
}

describe('the length of the file', () => {
  test('rule 94: file offsets that are no multiples of 1 MiB are a warning', async () => {
    for (const change of [
      { lastFileOffset: image.size + SECTOR },
      { flushedFileOffset: image.size - SECTOR },
      { lastFileOffset: 1 },
    ]) {
      await expectWarned(logging(change), 'log-file-size', {}, marked(1));
    }
  });

  test('rule 94: those of older entries are not looked at', async () => {
    const dirty = withLog(image, [{ lastFileOffset: 1, flushedFileOffset: 1, descriptors: [mark(image, 0, 1)] }, {}]);
    await expectSound(dirty, {}, marked(1));
  });

  test('a length that no file can have is refused', async () => {
    for (const lastFileOffset of [2n ** 53n, 2n ** 64n - BigInt(MiB)]) {
      await expectRefused(logging({ lastFileOffset }), 'log-file-size');
    }
  });

  for (const [title, growth] of [
    ['an aligned length', 3 * MiB],
    ['an unaligned length', 2 * MiB + 512 * KiB],
  ] as const) {
    test(`rule 95: the file is as long as the newest entry says, ${title}, and holds zeros there`, async () => {
      // Block 5 lies where the file as it is on disk does not reach.
      const grown = image.clone();
      const entry = u64Bytes(BigInt(image.size + MiB) | 6n);
      const bat = image.read(image.layout.bat.offset, SECTOR);
      bat.set(entry, 8 * 5);
      const lastFileOffset = image.size + growth;
      writeLog(grown, {
        entries: [{ lastFileOffset, descriptors: [{ fileOffset: image.layout.bat.offset, bytes: bat }] }],
      });
      const disk = await openVhdx(grown.source());
      expect(disk.findings.map(({ code }) => code)).not.toContain('bat-past-end');
      expectSameBytes(await disk.read(5 * MiB, MiB), new Uint8Array(MiB));
      expect(disk.info.log.replay).toMatchObject({ fileSizeBefore: image.size, fileSizeAfter: lastFileOffset });
      // What the log does not promise is not there.
      const short = image.clone();
      writeLog(short, { entries: [{ descriptors: [{ fileOffset: image.layout.bat.offset, bytes: bat }] }] });
      const cut = await openVhdx(short.source());
      await expect(cut.read(5 * MiB, 512)).rejects.toMatchObject({ code: 'bat-past-end' });
    });
  }

  test('rule 95: a log that says less than the file has does not cut it', async () => {
    const disk = await expectSound(withLog(full, [{ lastFileOffset: MiB }]));
    expect(disk.info.log.replay).toMatchObject({ fileSizeBefore: full.size, fileSizeAfter: full.size });
  });
});

describe('everything is read through the replayed log', () => {
  const { layout } = full;
  for (const [title, sectors] of [
    ['the region table', [192 * KiB]],
    ['both region tables', [192 * KiB, 256 * KiB]],
    ['the metadata table', [layout.metadata.offset]],
    ['the metadata items', [layout.metadata.offset + 64 * KiB]],
    ['the BAT', [layout.bat.offset]],
    ['all of them', structureSectors(full)],
  ] as const) {
    test(`rule 96: a log that restores ${title}`, async () => {
      await expectSound(dirtied(full, sectors));
    });
  }

  test('rule 96: a log that restores a sector bitmap and its BAT entry', async () => {
    const bitmap = sectorBits(2048, [3, 9], [2000, 2048]);
    const blocks = { 1: { ...present(5), state: STATE.partiallyPresent, bitmap } };
    const child = buildImage({ type: 'differencing', blocks });
    const at = child.layout.bitmapOffset(0);
    const entry = Math.floor(child.layout.bitmapEntryOffset(0) / SECTOR) * SECTOR;
    const model = modelOf(child, modelOf(full));
    const dirty = dirtied(child, [at, entry]);
    await expectSound(dirty, { parent: full.source() }, model);
  });

  test('rule 96: a log that makes the file longer than it was, with the BAT in the new part', async () => {
    const grown = buildImage({
      blocks: { 0: present(1) },
      places: { bat: { offset: 8 * MiB } },
      firstBlockOffset: 4 * MiB,
    });
    const { bat } = grown.layout;
    const restore = { lastFileOffset: bat.offset + MiB, descriptors: [restoring(grown, bat.offset)] };
    const dirty = grown.clone().truncate(bat.offset);
    writeLog(dirty, { entries: [restore] });
    await expectSound(dirty);
  });

  test('an image that only its log makes whole says what was wrong with it without it', async () => {
    const clean = dirtied(full, [layout.metadata.offset]);
    setLogGuid(clean, ZERO_GUID);
    await expectRefused(clean, 'metadata-signature');
  });
});

describe('a dirty image', () => {
  const lost = [full.layout.bat.offset, full.layout.metadata.offset];
  const dirty = dirtied(full, lost, { entries: [{ descriptors: [] }], firstSequence: 2n ** 60n });

  test('rule 97: it is replayed in memory, and tells what that changed', async () => {
    const disk = await openVhdx(dirty.source());
    expect(disk.info.log).toEqual({
      dirty: true,
      offset: MiB,
      length: MiB,
      replay: {
        entries: 2,
        firstSequenceNumber: String(2n ** 60n),
        lastSequenceNumber: String(2n ** 60n + 1n),
        dataSectors: 2,
        zeroedBytes: 0,
        fileSizeBefore: full.size,
        fileSizeAfter: full.size,
      },
    });
    expect(disk.info.header.logGuid).toBe(LOG_GUID);
    expect(disk.findings).toEqual([expect.objectContaining({ code: 'log-replayed', severity: 'info', spec: '2.3.3' })]);
    expect(JSON.parse(JSON.stringify(disk.info))).toEqual(disk.info);
    await expectContent(disk, modelOf(full));
  });

  test('rule 97: what lies on disk is never served for what the log says', async () => {
    const stale = withLog(image, [{ descriptors: [mark(image, 0, 7)] }]);
    expect(await marksOf(stale, 1)).toEqual([7]);
    const disk = await openVhdx(stale.source());
    const whole = new Uint8Array(SECTOR).fill(7);
    for await (const chunk of disk.stream({ length: SECTOR })) expect(chunk).toEqual(whole);
    const clean = image.clone();
    clean.write(image.layout.blockOffset(0), whole);
    expect(await disk.checksum()).toBe(await (await openVhdx(clean.source())).checksum());
  });

  test("rule 97: with replay: 'refuse' it is refused in words", async () => {
    const error = await expectRefused(dirty, 'log-dirty', { replay: 'refuse' });
    expect(error.message).toMatch(/dirty.*log.*replay/);
    expect(error.message).toContain(LOG_GUID);
    await expectSound(full, { replay: 'refuse' });
  });

  test("rule 97: with replay: 'refuse' a parent that is dirty is refused as well", async () => {
    const child = buildImage({ type: 'differencing', blocks: { 1: present(9) } });
    const options = { parent: dirty.source(), replay: 'refuse' } as const;
    const error = await expectRefused(child, 'parent-damaged', options);
    expect((error.cause as Error).message).toMatch(/dirty/);
    await expectSound(child, { parent: dirty.source() }, modelOf(child, modelOf(full)));
  });

  test('rule 98: replay changes no GUID, so a child still fits', async () => {
    const disk = await openVhdx(dirty.source());
    const clean = await openVhdx(full.source());
    expect(disk.info.header).toEqual({ ...clean.info.header, logGuid: LOG_GUID });
    expect(disk.info.header.dataWriteGuid).toBe(BASE_DATA_WRITE_GUID);
    const child = buildImage({ type: 'differencing', blocks: { 1: present(9) } });
    expect((await openVhdx(child.source(), { parent: dirty.source() })).parent?.info.log.dirty).toBe(true);
  });

  test('rule 98: the file is not written, and opening it again finds it as dirty as before', async () => {
    const bytes = dirty.toUint8Array();
    const before = bytes.slice();
    for (let i = 0; i < 2; i++) {
      const disk = await openVhdx(bytes);
      await disk.checksum();
      await disk.check();
      expect(disk.info.log.dirty).toBe(true);
      await disk.close();
    }
    expectSameBytes(bytes, before);
  });

  test('its check says that it is sound, and that its log was replayed', async () => {
    const report = await checkVhdx(dirty.source());
    expect(report.status).toBe('sound');
    expect(report.findings.map(({ code }) => code)).toEqual(['log-replayed']);
    expect(report.info?.log.replay?.entries).toBe(2);
  });
});

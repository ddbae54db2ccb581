// Images that are at fault as a whole: a plain opening refuses them, and salvage reads what their structures still say,
// with a finding for each assumption.
import { describe, expect, test } from 'vitest';
import { checkVhdx, openVhdx, VhdxError } from '../../src/index.js';
import { pattern } from '../support/block-content.js';
import { type BuiltImage, buildImage } from '../support/build-image.js';
import { LOG_GUID, setLogGuid, writeLog } from '../support/build-log.js';
import { type DiskModel, modelOf } from '../support/disk-model.js';
import { asciiBytes, guidBytes, KiB, MiB, utf16Bytes } from '../support/encode-primitives.js';
import { expectContent, expectRefused } from '../support/expect-opening.js';
import { locatorEntries, STATE } from '../support/image-spec.js';
import { mark, markable, marksOf, withLog } from '../support/log-marks.js';
import { fixHeaderChecksum, patch } from '../support/patch-image.js';
import { expectSameBytes } from '../support/same-bytes.js';
import { SparseFile } from '../support/sparse-file.js';

const SALVAGE = { salvage: 'unverified' } as const;
const HEADERS = [64 * KiB, 128 * KiB] as const;
const TABLES = [192 * KiB, 256 * KiB] as const;
const present = (seed: number) => ({ state: STATE.fullyPresent, data: pattern(seed) });
const image = buildImage({ blocks: { 0: present(1), 2: present(2), 5: present(3) } });

/** The image with the same bytes at several places. */
const spoilt = (file: BuiltImage, offsets: readonly number[], bytes: readonly number[]) =>
  offsets.reduce((copy, offset) => patch(copy, offset, bytes), file);

/**
 * Asserts that an image is refused with an error that names the option, that a check names salvage and what it
 * assumes, and that salvage opens it with these findings and reads what the model has.
 */
async function expectSalvaged(file: BuiltImage, codes: readonly string[], model: DiskModel = modelOf(image)) {
  const error = await expectRefused(file, codes as never);
  expect(error.hints).toEqual(['salvage']);
  expect(error.message).toContain("salvage: 'unverified'");
  const report = await checkVhdx(file.source());
  expect(report.status).toBe('unreadable');
  const possible = report.findings.find(({ code }) => code === 'salvage-possible');
  const disk = await openVhdx(file.source(), SALVAGE);
  const found = disk.findings.filter(({ severity }) => severity !== 'info');
  expect(found.map(({ code, severity }) => `${severity}: ${code}`)).toEqual(codes.map((code) => `block: ${code}`));
  for (const { code, message } of found) if (code.startsWith('salvage-')) expect(possible?.message).toContain(message);
  expect(found.some(({ code }) => code.startsWith('salvage-'))).toBe(true);
  expect((await disk.check()).status).toBe('corrupt');
  await expectContent(disk, model);
  await expectRefused(file, codes as never, { ...SALVAGE, strict: true });
  return disk;
}

describe('salvage reads', () => {
  test('a file whose signature was overwritten', async () => {
    await expectSalvaged(patch(image, 0, new Uint8Array(520)), ['file-signature', 'salvage-signature']);
    await expectSalvaged(patch(image, 0, asciiBytes('conectix')), ['file-signature', 'salvage-signature']);
  });

  test('a file whose headers both have a wrong checksum', async () => {
    const file = spoilt(
      image,
      HEADERS.map((offset) => offset + 1000),
      [1],
    );
    const disk = await openVhdx(file.source(), SALVAGE);
    const codes = disk.findings.map(({ code, severity }) => `${severity}: ${code}`);
    expect(codes).toEqual([
      'warning: header-checksum',
      'warning: header-checksum',
      'block: header-none-valid',
      'block: salvage-header',
    ]);
    expect(disk.findings.at(-1)?.structure).toBe('header 2');
    await expectContent(disk, modelOf(image));
    const error = await expectRefused(file, 'header-none-valid');
    expect(error.hints).toEqual(['salvage']);
  });

  test('a file whose headers are both gone', async () => {
    const file = spoilt(image, HEADERS, Array.from(new Uint8Array(4096)));
    const disk = await openVhdx(file.source(), SALVAGE);
    expect(disk.findings.map(({ code }) => code)).toContain('salvage-header');
    expect(disk.info.header.dataWriteGuid).toBe('00000000-0000-0000-0000-000000000000');
    await expectContent(disk, modelOf(image));
  });

  test('a file with two different headers of one sequence number', async () => {
    const file = image.clone();
    for (const [i, offset] of HEADERS.entries()) {
      file.write(offset + 8, Uint8Array.of(7, 0, 0, 0, 0, 0, 0, 0));
      file.write(offset + 16, guidBytes(`${i}1111111-1111-4111-8111-111111111111`));
      fixHeaderChecksum(file, i as 0 | 1);
    }
    const disk = await expectSalvaged(file, ['header-sequence-tie', 'salvage-header']);
    expect(disk.info.header.copy).toBe(1);
  });

  for (const [title, offset] of [
    ['a wrong checksum', 40 * KiB],
    ['no signature', 0],
  ] as const) {
    test(`a file whose region tables both have ${title}`, async () => {
      const file = spoilt(
        image,
        TABLES.map((table) => table + offset),
        [1],
      );
      const disk = await openVhdx(file.source(), SALVAGE);
      const doubts = disk.findings.filter(({ severity }) => severity === 'block').map(({ code }) => code);
      expect(doubts.sort()).toEqual(['region-table-none-valid', 'salvage-region-table']);
      expect(disk.findings.find(({ code }) => code === 'salvage-region-table')?.structure).toBe('region table 1');
      await expectContent(disk, modelOf(image));
      expect((await expectRefused(file, 'region-table-none-valid')).hints).toEqual(['salvage']);
    });
  }

  test('by the second region table, if the first lists nothing that can be used', async () => {
    const noMetadata = patch(patch(image, TABLES[0] + 16, new Uint8Array(2000)), TABLES[1] + 5000, [1]);
    const disk = await openVhdx(noMetadata.source(), SALVAGE);
    expect(disk.findings.find(({ code }) => code === 'salvage-region-table')?.structure).toBe('region table 2');
    await expectContent(disk, modelOf(image));
  });

  test('a dirty file without a valid sequence as it is on disk, and says that it is stale', async () => {
    const file = image.clone();
    setLogGuid(file, LOG_GUID);
    const disk = await expectSalvaged(file, ['log-no-sequence', 'salvage-log']);
    expect(disk.info.log).toMatchObject({ dirty: true });
    expect(disk.info.log.replay).toBeUndefined();
  });

  test('a dirty file whose log writes to a forbidden place as it is on disk', async () => {
    const clean = markable();
    const target = { fileOffset: 0, bytes: new Uint8Array(4 * KiB) };
    const file = withLog(clean, [{ descriptors: [mark(clean, 0, 9)] }, { descriptors: [target] }]);
    await expectSalvaged(file, ['log-target', 'salvage-log'], modelOf(clean));
    expect(await marksOf(file, 1, SALVAGE)).toEqual([0]);
  });

  test('a dirty file whose log is past its end as it is on disk', async () => {
    const file = buildImage({ blocks: { 0: present(1) }, headers: [{ logOffset: 2 ** 40 }, { logOffset: 2 ** 40 }] });
    setLogGuid(file, LOG_GUID);
    await expectSalvaged(file, ['log-outside-file', 'salvage-log'], modelOf(file));
  });

  test('a file shorter than its log says, with its log replayed: what was cut off is damaged, never zeros', async () => {
    const clean = buildImage({ blocks: { 0: { state: STATE.fullyPresent, data: 0 }, 1: present(1), 2: present(2) } });
    const file = withLog(clean, [{ descriptors: [mark(clean, 0, 9)] }]);
    const end = clean.layout.blockOffset(2);
    file.truncate(end);
    const disk = await openVhdx(file.source(), SALVAGE);
    const doubts = disk.findings.filter(({ severity }) => severity === 'block').map(({ code }) => code);
    expect(doubts).toEqual(['log-truncated-file', 'salvage-truncated', 'bat-past-end']);
    expect((await disk.read(0, 2)).join()).toBe('9,9');
    const { blockSize } = disk;
    await expect(disk.read(2 * blockSize, 512)).rejects.toMatchObject({ code: 'bat-past-end' });
    expectSameBytes(await disk.read(blockSize, blockSize), modelOf(clean).expected(blockSize, blockSize));
    expect((await expectRefused(file, 'log-truncated-file')).hints).toEqual(['salvage']);
  });

  test('a dirty file with two damaged headers through its log, if that fits the log GUID in them', async () => {
    const clean = markable();
    const dirty = withLog(clean, [{ descriptors: [mark(clean, 0, 9)] }]);
    const file = spoilt(
      dirty,
      HEADERS.map((offset) => offset + 1000),
      [1],
    );
    expect(await marksOf(file, 1, SALVAGE)).toEqual([9]);
  });

  test('a file with several of these faults', async () => {
    const file = spoilt(patch(image, 0, utf16Bytes('gone')), [...HEADERS, TABLES[0] + 8000, TABLES[1] + 8000], [0]);
    const broken = patch(patch(file, TABLES[0] + 9000, [1]), TABLES[1] + 9000, [1]);
    const disk = await openVhdx(broken.source(), SALVAGE);
    const assumed = disk.findings.map(({ code }) => code).filter((code) => code.startsWith('salvage-'));
    expect(assumed).toEqual(['salvage-signature', 'salvage-header', 'salvage-region-table']);
    await expectContent(disk, modelOf(image));
  });
});

describe('salvage does not read', () => {
  test('what has no structure of a VHDX file, and the error does not name it', async () => {
    for (const file of [new SparseFile(8 * MiB), new SparseFile(8 * MiB).write(0, asciiBytes('QFI\xfb'))]) {
      for (const options of [{}, SALVAGE]) {
        expect((await expectRefused(file, 'file-signature', options)).hints).toBeUndefined();
      }
      expect((await checkVhdx(file.source())).findings.map(({ code }) => code)).not.toContain('salvage-possible');
    }
  });

  test('an image of another version, or one whose region tables list nothing that can be used', async () => {
    const version = buildImage({ headers: [{ version: 2 }, { version: 2 }] });
    expect((await expectRefused(version, 'header-version', SALVAGE)).hints).toBeUndefined();
    const empty = spoilt(image, TABLES, Array.from(new Uint8Array(64 * KiB)));
    await expectRefused(empty, 'region-table-none-valid', SALVAGE);
    expect((await checkVhdx(empty.source())).findings.map(({ code }) => code)).not.toContain('salvage-possible');
  });

  test('by accident: only the word unverified asks for it', async () => {
    const file = spoilt(image, HEADERS, [0]);
    for (const salvage of [true, 1, 'yes', {}]) {
      await expectRefused(file, 'header-none-valid', { salvage: salvage as never });
    }
  });

  test('a dirty image that the caller wants refused', async () => {
    const file = withLog(markable(), [{}]);
    await expectRefused(file, 'log-dirty', { ...SALVAGE, replay: 'refuse' });
  });

  test('a sound image differently', async () => {
    const disk = await openVhdx(image.source(), { ...SALVAGE, strict: true });
    expect(disk.findings).toEqual([]);
  });
});

test('what is assumed about a parent is a finding of the child', async () => {
  const linkage = '7c6b5a49-3827-4161-8504-a3b2c1d0e9f8';
  const clean = buildImage({ dataWriteGuid: linkage, blocks: { 1: present(4) } });
  const parent = spoilt(
    clean,
    TABLES.map((table) => table + 9000),
    [1],
  );
  const parentLocator = { entries: locatorEntries({ linkage, relativePath: 'base.vhdx' }) };
  const child = buildImage({ type: 'differencing', blocks: { 0: present(5) }, parentLocator });
  const error = await expectRefused(child, 'parent-damaged', { parent: parent.source() });
  expect(error.hints).toEqual(['salvage']);
  const disk = await openVhdx(child.source(), { ...SALVAGE, parent: parent.source() });
  expect(disk.findings.map(({ code }) => code)).toEqual(['salvage-region-table']);
  expect(disk.findings[0]?.message).toMatch(/^of the parent: /);
  await expectContent(disk, modelOf(child, modelOf(clean)));
});

describe('a log without a valid sequence', () => {
  const facts = async (file: BuiltImage) => {
    const error = await openVhdx(file.source()).catch((reason: unknown) => reason);
    if (!(error instanceof VhdxError)) return expect.fail('the image opened');
    expect(error.code).toBe('log-no-sequence');
    return error;
  };

  test('is told apart by whether it has valid entries: W51', async () => {
    const announced = image.clone();
    setLogGuid(announced, LOG_GUID);
    const unused = await facts(announced);
    expect(unused.facts).toEqual({ logEntries: 0 });
    expect(unused.message).toMatch(/announced and never used/);

    const lost = image.clone();
    writeLog(lost, { entries: [{}, { position: 16 * KiB, tail: 4 * KiB }, { position: 64 * KiB, tail: 8 * KiB }] });
    const broken = lost.clone().write(image.layout.log.offset, new Uint8Array(4 * KiB));
    const halfWritten = await facts(broken as BuiltImage);
    expect(halfWritten.facts).toEqual({ logEntries: 2 });
    expect(halfWritten.message).toMatch(/half written/);
  });
});

import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { checkVhdx, openVhdx, type RandomAccessFile, type RepairOptions, repairVhdx } from '../../src/index.js';
import { type BuiltImage, buildImage } from '../support/build-image.js';
import { LOG_GUID, setLogGuid, writeLog } from '../support/build-log.js';
import { CrashFile } from '../support/crash/crash-file.js';
import { differenceOf, PageImage, ZERO_PAGE } from '../support/crash/page-image.js';
import { readHeaders, readState } from '../support/crash/state-reader.js';
import { checkClosed, checkTrace } from '../support/crash/trace-rules.js';
import { arbitraryDirtyImage, dirtied, structureSectors } from '../support/dirty-images.js';
import { KiB, MiB, u64Bytes, ZERO_GUID } from '../support/encode-primitives.js';
import { fixHeaderChecksum, patch } from '../support/patch-image.js';
import { propertyRuns } from '../support/property-runs.js';
import { SLOW } from '../support/time-limits.js';

const imageOf = (image: BuiltImage) => PageImage.of(image.toUint8Array());

/** Repairs a copy of an image in memory. */
async function repaired(image: BuiltImage, options?: RepairOptions) {
  const file = new CrashFile(imageOf(image));
  const report = await repairVhdx(file, options);
  return { file, report, kinds: report.repairs.map(({ kind }) => kind), after: file.content() };
}

/** The same image without its headers and its log, which a repair changes. */
function withoutHeaders(image: PageImage, log = { offset: MiB, length: MiB }): PageImage {
  const copy = image.fork();
  for (const slot of [1, 2]) copy.setPage(slot * 16, ZERO_PAGE);
  for (let at = 0; at < log.length; at += 4096) copy.setPage((log.offset + at) / 4096, ZERO_PAGE);
  return copy;
}

const plain = buildImage({ virtualSize: 8 * MiB });

describe('a dirty image', () => {
  test('is replayed into its file, and has the same content and identity as before', async () => {
    const dirty = dirtied(plain, structureSectors(plain));
    const { file, report, kinds, after } = await repaired(dirty);
    expect(kinds).toEqual(['replay-log']);
    expect(report.replay?.entries).toBe(1);
    expect(differenceOf(withoutHeaders(after), withoutHeaders(imageOf(plain)))).toBeUndefined();
    checkClosed(after);
    checkTrace(file);
    const [before] = readHeaders(file.before);
    const headers = readHeaders(after);
    expect(headers.map(({ dataWriteGuid }) => dataWriteGuid)).toEqual([before?.dataWriteGuid, before?.dataWriteGuid]);
    expect(headers[0]?.fileWriteGuid).not.toBe(before?.fileWriteGuid);
    const again = new CrashFile(after);
    expect((await repairVhdx(again)).repairs).toEqual([]);
    expect(again.trace).toEqual([]);
  });

  test('of any kind becomes what its log says, and what replaying it in memory shows', SLOW.properties, async () => {
    await fc.assert(
      fc.asyncProperty(
        arbitraryDirtyImage({ maxBlockSize: 2 * MiB, manyChunks: false }),
        async ({ image, replayed }) => {
          const disk = await openVhdx(image.source());
          const checksum = await disk.checksum();
          const file = new CrashFile(imageOf(image));
          await repairVhdx(file, { only: 'leaks' });
          const after = file.content();
          const expected = imageOf(replayed);
          expected.truncate(after.size); // leaks at its end are cut
          expect(
            differenceOf(withoutHeaders(after, image.layout.log), withoutHeaders(expected, image.layout.log)),
          ).toBeUndefined();
          const clean = await openVhdx(file);
          expect(clean.info.log.dirty).toBe(false);
          expect(await clean.checksum()).toBe(checksum);
        },
      ),
      propertyRuns(20),
    );
  });

  test('whose log was announced and never used loses its log GUID', async () => {
    const image = plain.clone();
    setLogGuid(image, LOG_GUID);
    const { kinds, after } = await repaired(image);
    expect(kinds).toEqual(['clear-log']);
    expect(differenceOf(withoutHeaders(after), withoutHeaders(imageOf(plain)))).toBeUndefined();
    checkClosed(after);
  });

  test('whose log is damaged is refused, and stays as it was, unless the log may be discarded', async () => {
    const image = plain.clone();
    writeLog(image, { entries: [{ tail: 8192 }] });
    const file = new CrashFile(imageOf(image));
    const error: unknown = await repairVhdx(file).catch((reason: unknown) => reason);
    expect(error).toMatchObject({ code: 'log-no-sequence', hints: ['discard-log'] });
    expect(file.trace).toEqual([]);
    const { kinds, after } = await repaired(image, { discardLog: true });
    expect(kinds).toEqual(['discard-log']);
    expect(
      differenceOf(
        withoutHeaders(after, { offset: MiB, length: 0 }),
        withoutHeaders(imageOf(image), { offset: MiB, length: 0 }),
      ),
    ).toBeUndefined();
    checkClosed(after);
  });

  test('shorter than its log says, or whose log writes into a header, is not replayed either', async () => {
    for (const entry of [
      { flushedFileOffset: 100 * MiB },
      { descriptors: [{ fileOffset: 0x10000, zeroLength: 4096 }] },
    ]) {
      const image = plain.clone();
      writeLog(image, { entries: [entry] });
      const file = new CrashFile(imageOf(image));
      await expect(repairVhdx(file)).rejects.toMatchObject({ hints: ['discard-log'] });
      expect(file.trace).toEqual([]);
      checkClosed((await repaired(image, { discardLog: true })).after);
    }
  });

  test('that holds nothing without its log is refused even if the log may be discarded', async () => {
    const dirty = dirtied(plain, structureSectors(plain));
    dirty.write(MiB + 100, Uint8Array.of(1)); // no entry has its checksum any more
    writeLog(dirty, { entries: [{ tail: 8192 }], start: 64 * KiB });
    const file = new CrashFile(imageOf(dirty));
    await expect(repairVhdx(file, { discardLog: true })).rejects.toMatchObject({ code: 'region-table-none-valid' });
    expect(file.trace).toEqual([]);
  });
});

describe('a clean image', () => {
  test.each([0, 1] as const)('whose header %d is damaged gets both, equal but for their numbers', async (copy) => {
    const image = patch(plain, 0x10000 * (copy + 1) + 20, [1, 2, 3]);
    const [before] = readHeaders(imageOf(image));
    const { file, kinds, after } = await repaired(image);
    expect(kinds).toEqual(['header']);
    checkClosed(after);
    expect(readHeaders(after)[0]?.dataWriteGuid).toBe(before?.dataWriteGuid);
    expect(file.trace.find(({ kind }) => kind === 'write')).toMatchObject({ offset: 0x10000 * (copy + 1) });
  });

  test('whose older header names a log that was cleared is made safe', async () => {
    const image = fixHeaderChecksum(patch(plain, 0x10000 + 48, [1]), 0);
    const { kinds, after } = await repaired(image);
    expect(kinds).toEqual(['header']);
    checkClosed(after);
  });

  test.each([
    ['whose region table 1 is damaged', (image: BuiltImage) => patch(image, 0x30010, [9])],
    ['whose region table 2 is damaged', (image: BuiltImage) => patch(image, 0x4fff0, [9])],
    ['whose region table 2 has no signature', (image: BuiltImage) => patch(image, 0x40000, [9])],
  ])('%s gets the other copy over it, through the log', async (_, damage) => {
    const { kinds, after } = await repaired(damage(plain));
    expect(kinds).toEqual(['region-table']);
    checkClosed(after);
    expect(differenceOf(withoutHeaders(after), withoutHeaders(imageOf(plain)))).toBeUndefined();
  });

  test('loses the space at its end that nothing refers to, and keeps a soft anchor', async () => {
    const image = plain.clone();
    image.truncate(image.size + 5 * MiB);
    const cut = await repaired(image);
    expect(cut.kinds).toEqual(['cut-leak']);
    expect(cut.report).toMatchObject({ fileSizeBefore: plain.size + 5 * MiB, fileSizeAfter: plain.size });
    checkClosed(cut.after);
    image.write(image.layout.batEntryOffset(4), u64Bytes(BigInt(plain.size + 2 * MiB) | 3n)); // UNMAPPED, with its place
    const kept = await repaired(image);
    expect(kept.after.size).toBe(plain.size + 3 * MiB);
  });

  test('with several faults is repaired at once, and is sound to a check', async () => {
    const image = patch(patch(plain, 0x20010, [1]), 0x40010, [9]);
    image.truncate(image.size + MiB);
    const { file, kinds, after } = await repaired(image);
    expect(kinds).toEqual(['header', 'region-table', 'cut-leak']);
    checkClosed(after);
    expect((await checkVhdx(file)).status).toBe('sound');
  });

  test('keeps its copies with only: leaks', async () => {
    const image = patch(plain, 0x40010, [9]);
    image.truncate(image.size + MiB);
    expect((await repaired(image, { only: 'leaks' })).kinds).toEqual(['cut-leak']);
  });

  test('that is sound is not written to', async () => {
    const { file, kinds } = await repaired(plain);
    expect(kinds).toEqual([]);
    expect(file.trace).toEqual([]);
  });
});

describe('a repair', () => {
  const faulty = patch(dirtied(plain, structureSectors(plain)), 0x20010, [1]);

  test('of a dry run says what it would do, and does not', async () => {
    const { file, kinds } = await repaired(faulty, { dryRun: true });
    expect(kinds).toEqual(['replay-log', 'header']);
    expect(file.trace).toEqual([]);
  });

  test.each([
    [
      'two blocks that share a place',
      plain,
      (i: BuiltImage) => patch(i, i.layout.batEntryOffset(0), i.read(i.layout.batEntryOffset(2), 8)),
    ],
    [
      'a block past the end of the file',
      plain,
      (i: BuiltImage) => patch(i, i.layout.batEntryOffset(1), u64Bytes(0x7000000006n)),
    ],
    ['no valid header', plain, (i: BuiltImage) => patch(patch(i, 0x10010, [1]), 0x20010, [1])],
    ['no valid region table', plain, (i: BuiltImage) => patch(patch(i, 0x30010, [1]), 0x40010, [1])],
    ['no signature', plain, (i: BuiltImage) => patch(i, 0, [1])],
  ])('refuses an image with %s, and changes nothing', async (_, image, damage) => {
    const damaged = damage(image);
    damaged.truncate(damaged.size + MiB); // there would be something to do
    const file = new CrashFile(imageOf(damaged));
    await expect(repairVhdx(file)).rejects.toMatchObject({ name: 'VhdxError', isAboutFormat: true });
    expect(file.trace).toEqual([]);
  });

  test('of a child needs no parent and keeps its identity', async () => {
    const child = buildImage({ type: 'differencing', virtualSize: 8 * MiB });
    const { kinds, after } = await repaired(dirtied(child, structureSectors(child)));
    expect(kinds).toEqual(['replay-log']);
    expect(readState(after).header.dataWriteGuid).toBe(
      child.spec.dataWriteGuid ?? readState(imageOf(child)).header.dataWriteGuid,
    );
  });

  test('stops if another program has changed a header since it was examined', async () => {
    const file: RandomAccessFile = new CrashFile(imageOf(faulty));
    const readInto = file.readInto.bind(file);
    let reads = 0;
    file.readInto = async (target, offset, options) => {
      await readInto(target, offset, options);
      if (offset === 0x10000 && target.length === 4096 && reads++ === 0) target[20] = (target[20] as number) ^ 1;
    };
    await expect(repairVhdx(file)).rejects.toMatchObject({ code: 'source-changed' });
    expect((file as CrashFile).trace).toEqual([]);
  });

  test('that fails at any write or flush leaves a file that can be repaired', async () => {
    for (let nth = 0; ; nth++) {
      let operations = 0;
      const file = new CrashFile(imageOf(faulty), {
        fail: () => (operations++ === nth ? new Error('EIO') : undefined),
      });
      const failed = await repairVhdx(file).then(
        () => false,
        (error: Error) => {
          expect(error.message).toContain('EIO');
          return true;
        },
      );
      const next = new CrashFile(file.content());
      await repairVhdx(next);
      expect(differenceOf(withoutHeaders(next.content()), withoutHeaders(imageOf(plain)))).toBeUndefined();
      checkClosed(next.content());
      if (!failed) break;
      expect(nth).toBeLessThan(40);
    }
  });

  test('never writes a log GUID of zeros where it meant a new one', async () => {
    const { file } = await repaired(patch(plain, 0x40010, [9]));
    const guids = file.trace.flatMap((event) =>
      event.kind === 'write' && event.offset === 0x10000 ? [event.parts[0]?.page.slice(48, 64)] : [],
    );
    expect(guids.some((guid) => guid?.some((byte) => byte !== 0))).toBe(true);
    expect(readHeaders(file.content())[0]?.logGuid).toBe(ZERO_GUID);
  });
});

// The report of a check: its verdict, its length, its progress, and what it says of images that do not open.
import { describe, expect, test } from 'vitest';
import { type CheckReport, checkVhdx, openVhdx, type Progress, VhdxError } from '../../src/index.js';
import { meaningOf, RULES, type RuleCode } from '../../src/rules.js';
import { pattern } from '../support/block-content.js';
import { type BuiltImage, buildImage } from '../support/build-image.js';
import { LOG_GUID, setLogGuid, writeLog } from '../support/build-log.js';
import { chainOf } from '../support/chain-files.js';
import { dirtied, structureSectors } from '../support/dirty-images.js';
import { GiB, KiB, MiB } from '../support/encode-primitives.js';
import { GUID, type RegionEntry } from '../support/encode-structures.js';
import { type BlockSpec, STATE } from '../support/image-spec.js';
import { mark, markable, withLog } from '../support/log-marks.js';
import { withChangedItem, withoutItem } from '../support/metadata-images.js';

const present = (seed: number): BlockSpec => ({ state: STATE.fullyPresent, data: pattern(seed) });
const codesOf = ({ findings }: { findings: readonly { code: string }[] }) => findings.map(({ code }) => code);
const withRegion = (index: number, change: Partial<RegionEntry>): BuiltImage =>
  buildImage({ regions: (plain) => plain.map((region, i) => (i === index ? { ...region, ...change } : region)) });
const childWithLocatorAt = (offset: number): BuiltImage =>
  buildImage({
    type: 'differencing',
    items: (plain) => plain.map((item) => (item.id === GUID.parentLocator ? { ...item, offset } : item)),
  });
const check = (image: BuiltImage): Promise<CheckReport> => checkVhdx(image.source());

describe('the verdict', () => {
  test('is sound where there is nothing worse than something to know', async () => {
    const dead = await check(withLog(markable(), [{}, {}], { headerLogGuid: null }));
    expect(dead).toMatchObject({ status: 'sound', counts: { fatal: 0, block: 0, warning: 0, info: 1 } });
  });

  test('is repairable where there are warnings, and all data is there', async () => {
    const image = buildImage({ regionTables: [{}, { checksum: 1 }] });
    expect(await check(image)).toMatchObject({ status: 'repairable', counts: { warning: 1 } });
  });

  test('is corrupt where blocks are damaged, or share one place', async () => {
    expect(await check(buildImage({ bat: { 5: 4n } }))).toMatchObject({ status: 'corrupt', counts: { block: 1 } });
    const { layout } = buildImage();
    const shared = buildImage({ bat: { 5: BigInt(layout.blockOffset(0)) | 6n } });
    expect(await check(shared)).toMatchObject({ status: 'corrupt', counts: { block: 2, warning: 0 } });
  });

  test('is unreadable where the image does not open', async () => {
    expect(await check(buildImage({ headers: { checksum: 1 } }))).toMatchObject({
      status: 'unreadable',
      counts: { fatal: 1 },
    });
  });

  test.each<[string, BuiltImage, RuleCode]>([
    [
      'an item of a wrong size',
      withChangedItem(GUID.virtualDiskSize, { data: new Uint8Array(7) }),
      'metadata-item-size',
    ],
    ['an item that is too long', withChangedItem(GUID.fileParameters, { length: 2 * MiB }), 'metadata-item-length'],
    [
      'an item outside its region',
      withChangedItem(GUID.logicalSectorSize, { offset: 2 * MiB }),
      'metadata-item-offset',
    ],
    ['a missing item', withoutItem(GUID.virtualDiskSize), 'metadata-item-missing'],
    ['a locator outside its region', childWithLocatorAt(2 * MiB), 'metadata-item-offset'],
    ['a BAT at an odd offset', withRegion(0, { offset: 3 * MiB + 1 }), 'region-offset'],
    ['a metadata region of no length', withRegion(1, { length: 0 }), 'region-length'],
    ['a missing region', buildImage({ regions: (plain) => plain.slice(1) }), 'region-missing'],
    ['too many regions', buildImage({ regionTables: { entryCount: 5000 } }), 'region-entry-count'],
  ])('has one fatal finding for one fault: %s', async (_, image, code) => {
    const { findings, counts } = await check(image);
    expect(findings.filter(({ severity }) => severity === 'fatal').map((found) => found.code)).toEqual([code]);
    expect(counts).toMatchObject({ fatal: 1, warning: 0 });
  });

  test('does not say that another copy is used where both are bad', async () => {
    for (const image of [
      buildImage({ headers: { checksum: 1 } }),
      buildImage({ regionTables: { signature: 'xxxx' } }),
    ]) {
      const { findings } = await check(image);
      expect(findings.length).toBeGreaterThan(2);
      expect(findings.map((found) => meaningOf(found.code)).join()).not.toContain('the other copy is used');
    }
  });

  test('of an opened disk is that of its file', async () => {
    const image = buildImage({ bat: { 5: 4n }, logContent: Uint8Array.of(0x6c, 0x6f, 0x67, 0x65) });
    const disk = await openVhdx(image.source());
    expect(await disk.check()).toEqual(await check(image));
    await disk.close();
    await expect(disk.check()).rejects.toMatchObject({ code: 'closed' });
  });

  test('is not thrown, unless the input cannot be read', async () => {
    for (const bytes of [new Uint8Array(0), new Uint8Array(100), new Uint8Array(2 * MiB)]) {
      expect(await checkVhdx(bytes)).toMatchObject({ status: 'unreadable', fileSize: bytes.length });
    }
    const source = buildImage().source({
      fail: (offset) => (offset >= 2 * MiB ? new Error('a bad sector') : undefined),
    });
    await expect(checkVhdx(source)).rejects.toThrow('a bad sector');
  });
});

describe('an image that does not open', () => {
  test('is examined as far as it can be', async () => {
    const image = buildImage({
      headers: [{ checksum: 1 }, { logVersion: 3 }],
      regionTables: [{ signature: 'rege' }, { reserved: 1 }],
      items: (plain) => plain.filter(({ id }) => id !== GUID.virtualDiskSize),
    });
    const { status, findings, info, blocks } = await check(image);
    expect(status).toBe('unreadable');
    expect(findings.map(({ severity, code }) => `${severity} ${code}`).sort()).toEqual([
      'fatal metadata-item-missing',
      'warning header-checksum',
      'warning log-version',
      'warning region-table-reserved',
      'warning region-table-signature',
    ]);
    expect([info, blocks]).toEqual([undefined, undefined]);
    expect(findings.every(({ structure, message, spec }) => structure && message && spec)).toBe(true);
  });

  test('tells of everything that is fatal, and not only of the first', async () => {
    const image = buildImage({ blockSize: 3 * MiB, logicalSectorSize: 520, virtualSize: 2n ** 50n, blocks: {} });
    expect(codesOf(await check(image))).toEqual(
      expect.arrayContaining(['block-size', 'logical-sector-size', 'virtual-disk-size']),
    );
  });

  test('because of its log says so, and nothing that was not replayed is believed', async () => {
    const image = buildImage();
    setLogGuid(image, LOG_GUID);
    expect(codesOf(await check(image))).toEqual(['log-no-sequence', 'salvage-possible']);
    const dirty = dirtied(image, structureSectors(image));
    expect(codesOf(await checkVhdx(dirty.source(), { replay: 'refuse' }))).toEqual(['log-dirty']);
  });

  test('says what opening it says first', async () => {
    for (const image of [buildImage({ fileSignature: 'vhdyfile' }), buildImage({ metadata: { signature: 'meta' } })]) {
      const { findings } = await check(image);
      const fatal = findings.find(({ severity }) => severity === 'fatal');
      const error = await openVhdx(image.source()).catch((reason: unknown) => reason);
      expect(error).toBeInstanceOf(VhdxError);
      expect((error as VhdxError).code).toBe(fatal?.code);
    }
  });
});

describe('what is good to know', () => {
  test('old entries in the log of a clean image', async () => {
    const image = markable();
    const dead = withLog(image, [{ descriptors: [mark(image, 0, 1)] }, {}, { checksum: 7 }], { headerLogGuid: null });
    const { status, findings } = await check(dead);
    expect(status).toBe('sound');
    expect(findings).toMatchObject([
      {
        code: 'log-dead',
        severity: 'info',
        structure: 'log',
        offset: MiB,
        message: expect.stringContaining('3 old entries'),
      },
    ]);
    expect(codesOf(await openVhdx(dead.source()))).toEqual([]);
    expect(codesOf(await check(image))).toEqual([]);
  });

  test('an older header that tells of another state', async () => {
    const image = buildImage({ headers: [{ sequenceNumber: 8n, dataWriteGuid: LOG_GUID }, { sequenceNumber: 9n }] });
    const { status, findings } = await check(image);
    expect(status).toBe('sound');
    expect(findings).toMatchObject([
      {
        code: 'header-copies-differ',
        severity: 'info',
        structure: 'header 1',
        message: expect.stringContaining('dataWriteGuid'),
      },
    ]);
    expect(codesOf(await check(buildImage()))).toEqual([]);
  });
});

describe('an image with very many faults', () => {
  const bad = 5000;
  const image = buildImage({ virtualSize: 12 * GiB, blocks: {} });
  for (let i = 0; i < bad; i++)
    image.write(image.layout.blockEntryOffset(2 * i), Uint8Array.of(i % 2 ? 4 : 14, 0, 0, 0));

  test('lists a thousand findings of a kind, and counts the others', async () => {
    const report = await check(image);
    const listed = new Map<string, number>();
    for (const { code } of report.findings) listed.set(code, (listed.get(code) ?? 0) + 1);
    expect(Object.fromEntries(listed)).toEqual({
      'bat-reserved-state': 1000,
      'bat-reserved-bits': 1000,
      'bat-offset-missing': 1000,
    });
    expect(report.unlisted).toEqual({
      'bat-reserved-state': 1500,
      'bat-reserved-bits': 1500,
      'bat-offset-missing': 1500,
    });
    expect(report.counts).toEqual({ fatal: 0, block: 5000, warning: 2500, info: 0 });
    expect(report.blocks?.damaged).toBe(bad);
    expect(report.status).toBe('corrupt');
  });

  test('opens, and tells as many', async () => {
    const disk = await openVhdx(image.source());
    expect(disk.findings).toHaveLength(3000);
    await expect(disk.read(0, 1)).rejects.toMatchObject({ code: 'bat-offset-missing' });
  });
});

describe('progress', () => {
  // An unmapped block that still owns its place makes a second pass necessary.
  const anchored = { ...present(2), state: STATE.unmapped };
  const large = buildImage({ virtualSize: 300 * GiB, blocks: { 0: present(0), 5: anchored, 300000: present(1) } });

  test('grows to the end, and there it is done', async () => {
    const seen: Progress[] = [];
    await checkVhdx(large.source(), { onProgress: (progress) => seen.push({ ...progress }) });
    expect(seen.length).toBeGreaterThan(10);
    const last = seen.at(-1) as Progress;
    expect(last.done).toBe(last.total);
    expect(seen.every(({ done, total }, i) => done >= (seen[i - 1]?.done ?? 0) && total === last.total)).toBe(true);
  });

  test('a check can be aborted', async () => {
    const abort = new AbortController();
    const source = large.source();
    const onProgress = () => abort.abort(new Error('enough'));
    await expect(checkVhdx(source, { onProgress, signal: abort.signal })).rejects.toThrow('enough');
    expect(source.bytesRead).toBeLessThan(2 * MiB);
    const early = new AbortController();
    early.abort(new Error('before it began'));
    await expect(checkVhdx(large.source(), { signal: early.signal })).rejects.toThrow('before it began');
    const disk = await openVhdx(large.source());
    await expect(disk.check({ signal: early.signal })).rejects.toThrow('before it began');
    // And what was aborted blocks nothing: all buffers are there again.
    expect((await disk.check()).status).toBe('sound');
  });

  test('several checks at once do not disturb one another', async () => {
    const broken = buildImage({ virtualSize: 300 * GiB, bat: { 299000: 4n } });
    const reports = await Promise.all([large, broken, large, broken, large, broken].map(check));
    expect(reports.map(({ status }) => status)).toEqual(['sound', 'corrupt', 'sound', 'corrupt', 'sound', 'corrupt']);
    expect(reports[1]).toEqual(reports[5]);
  });
});

describe('a chain', () => {
  const chain = chainOf({ blocks: { 0: present(1) } }, { blocks: { 1: present(2) } }, { blocks: { 2: present(3) } });

  test('is as good as its worst member', async () => {
    for (const [spoilt, status] of [
      [0, 'corrupt'],
      [1, 'corrupt'],
      [2, 'corrupt'],
    ] as const) {
      const files = chain.files.map((file, i) => {
        const copy = file.clone();
        if (i === spoilt) copy.write(copy.layout.blockEntryOffset(7), Uint8Array.of(4));
        return copy.source();
      });
      const [top, ...parent] = files;
      const report = await checkVhdx(top as (typeof files)[0], { parent });
      expect(report.status).toBe(status);
      const members = [report, report.parent, report.parent?.parent];
      expect(members.map((member) => member?.findings.length)).toEqual([0, 1, 2].map((i) => (i === spoilt ? 1 : 0)));
      expect(members.at(-1)?.parent).toBeUndefined();
    }
  });

  test('tells that a parent is smaller than its child', async () => {
    const { files } = chainOf({ virtualSize: 2 * MiB, blocks: { 0: present(1) } }, { blocks: { 1: present(2) } });
    const report = await checkVhdx(files[0].source(), { parent: (files[1] as BuiltImage).source() });
    expect(report).toMatchObject({ status: 'sound', findings: [{ code: 'parent-smaller', severity: 'info' }] });
  });

  test('whose parent does not open, or does not belong to it, is corrupt and still examined', async () => {
    const base = chain.files[1]?.clone() as BuiltImage;
    writeLog(base, { entries: [{ flushedFileOffset: base.size + MiB }] });
    const report = await checkVhdx(chain.files[0].source(), { parent: [base.source()] });
    expect(report).toMatchObject({
      status: 'corrupt',
      parent: { status: 'unreadable', findings: [{ code: 'log-truncated-file' }, { code: 'salvage-possible' }] },
    });
    const { files } = chainOf({ logicalSectorSize: 4096, bat: { 3: 4n } }, {});
    const mixed = await checkVhdx(files[0].source(), { parent: (files[1] as BuiltImage).source() });
    expect(mixed).toMatchObject({ status: 'corrupt', findings: [{ code: 'parent-sector-size' }] });
    expect(codesOf(mixed.parent as CheckReport)).toEqual(['bat-reserved-state']);
  });
});

test('every rule has a section of the specification, and a sentence on what it means for the data', async () => {
  for (const [code, { spec }] of Object.entries(RULES) as [RuleCode, { spec: string }][]) {
    expect(spec, code).toMatch(code.startsWith('vhd-') ? /^VHD, [a-zA-Z][a-zA-Z ]+$/ : /^2\.[2-6](\.\d){0,3}$/);
    expect(await meaningOf(code), code).toMatch(/^[A-Z].{10,}\.$/);
  }
});

test('a check reads metadata and no payload', async () => {
  const image = buildImage({ blocks: Object.fromEntries(Array.from({ length: 8 }, (_, i) => [i, present(i)])) });
  const source = image.source();
  await checkVhdx(source);
  const first = image.layout.blockOffset(0);
  expect(source.reads.filter(({ offset, length }) => offset + length > first)).toEqual([]);
  expect(source.bytesRead).toBeLessThan(3 * MiB + 512 * KiB);
});

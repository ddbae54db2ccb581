// Rule 106, and parents that the caller hands over: one, several in any order, a function, or none.
import { describe, expect, test } from 'vitest';
import { checkVhdx, openVhdx, type ParentRequest } from '../../src/index.js';
import { pattern } from '../support/block-content.js';
import { type BuiltImage, buildImage } from '../support/build-image.js';
import { chainOf, guidAt } from '../support/chain-files.js';
import { modelOf } from '../support/disk-model.js';
import { MiB, ZERO_GUID } from '../support/encode-primitives.js';
import { expectContent, expectRefused, expectSound } from '../support/expect-opening.js';
import { type BlockSpec, type ImageSpec, locatorEntries, STATE } from '../support/image-spec.js';

const present = (seed: number): BlockSpec => ({ state: STATE.fullyPresent, data: pattern(seed) });
const { files, model } = chainOf(
  { blocks: { 0: present(1), 3: present(2) } },
  { blocks: { 1: present(3) } },
  { blocks: { 2: present(4) } },
);
const [top, middle, base] = files as unknown as [BuiltImage, BuiltImage, BuiltImage];
const other = buildImage({ dataWriteGuid: guidAt(99) });

/** The child of {@link base}, with another locator. */
const childWith = (locator: Parameters<typeof locatorEntries>[0], spec: ImageSpec = {}): BuiltImage =>
  buildImage({
    type: 'differencing',
    blocks: { 1: present(3) },
    parentLocator: { entries: locatorEntries({ relativePath: 'x', ...locator }) },
    ...spec,
  });
const modelOfMiddle = modelOf(middle, modelOf(base));

describe('one input', () => {
  test('is a candidate, by its DataWriteGuid', async () => {
    await expectSound(middle, { parent: base.source() }, modelOfMiddle);
    await expectSound(middle, { parent: base.toUint8Array() }, modelOfMiddle);
    await expectSound(middle, { parent: base.toBlob() }, modelOfMiddle);
  });

  test('serves the whole chain: it is taken where it fits, and the next parent is still missing', async () => {
    const error = await expectRefused(top, 'parent-missing', { parent: middle.source() });
    expect(error.message).toContain(guidAt(0));
  });

  test('an opened disk is none: the parent is a file', async () => {
    const disk = await openVhdx(base.source());
    await expectRefused(middle, 'parent-damaged', { parent: disk });
  });
});

describe('several candidates', () => {
  const orders = [
    [middle, base],
    [base, middle],
    [other, base, top, middle],
    [middle, other, base],
  ];
  for (const [i, candidates] of orders.entries()) {
    test(`are matched by their GUIDs, in whatever order they come: order ${i}`, async () => {
      await expectSound(top, { parent: candidates.map((file) => file.source()) }, model);
    });
  }

  test('among which are files that are no images', async () => {
    const text = new TextEncoder().encode('a letter to mother');
    await expectSound(
      top,
      { parent: [text, new Uint8Array(0), middle.source(), new Uint8Array(2 * MiB), base.source()] },
      model,
    );
  });

  test('among which the parent is not: each is named with its GUID', async () => {
    const candidates = [other.source({ name: 'other.vhdx' }), middle.source({ name: 'middle.vhdx' })];
    const error = await expectRefused(top, 'parent-missing', { parent: candidates });
    const start = `middle.vhdx: Parent Locator: the parent with DataWriteGuid ${guidAt(0)} was not found`;
    expect(error.message).toContain(`${start} (other.vhdx has DataWriteGuid ${guidAt(99)}); `);
    expect(error.message).toMatch(/option parent$/);
    expect(error).toMatchObject({ depth: 1, file: 'middle.vhdx', hints: ['parent'] }); // the top has what it needs
    await expectRefused(top, 'parent-missing', { parent: [] });
  });

  test("of which those that do not fit are not read again, and none is closed: they are the caller's", async () => {
    const sources = [other, base, middle].map((file) => file.source());
    const disk = await openVhdx(top.source(), { parent: sources });
    const before = sources[0]?.bytesRead;
    await expectContent(disk, model);
    expect(sources[0]?.bytesRead).toBe(before);
    // Sources that were handed over stay the caller's.
    await disk.close();
    expect(sources.map(({ closed }) => closed)).toEqual([false, false, false]);
  });
});

describe('a function', () => {
  test('is asked for each parent in turn, and told what fits', async () => {
    const requests: ParentRequest[] = [];
    const disk = await openVhdx(top.source({ name: 'top.vhdx' }), {
      parent: async (request) => {
        requests.push(request);
        return request.depth === 1 ? middle.source({ name: 'middle.vhdx' }) : base.source();
      },
    });
    await expectContent(disk, model);
    expect(requests).toEqual([
      {
        linkages: [guidAt(1)],
        locator: { parent_linkage: `{${guidAt(1)}}`, relative_path: '.\\1.vhdx' },
        childName: 'top.vhdx',
        depth: 1,
      },
      {
        linkages: [guidAt(0)],
        locator: { parent_linkage: `{${guidAt(0)}}`, relative_path: '.\\0.vhdx' },
        childName: 'middle.vhdx',
        depth: 2,
      },
    ]);
  });

  test('may know of none', async () => {
    await expectRefused(top, 'parent-missing', { parent: () => undefined });
    await expectRefused(top, 'parent-missing', { parent: ({ depth }) => (depth === 1 ? middle.source() : undefined) });
  });

  test('may fail: its error comes through', async () => {
    const parent = () => Promise.reject(new Error('the server is away'));
    await expect(openVhdx(top.source(), { parent })).rejects.toThrow('the server is away');
    await expect(checkVhdx(top.source(), { parent })).rejects.toThrow('the server is away');
  });
});

describe('no parent', () => {
  test('parent: false opens the child alone, and only what lies in the parent cannot be read', async () => {
    const disk = await openVhdx(middle.source(), { parent: false });
    expect(disk.parent).toBeUndefined();
    expect(disk.findings).toMatchObject([{ code: 'parent-missing', severity: 'info' }]);
    expect(await disk.read(MiB, 4096)).toEqual(modelOfMiddle.expected(MiB, 4096));
    for (const [offset, length] of [
      [0, 512],
      [MiB - 1, 2],
      [2 * MiB - 512, 1024],
      [7 * MiB, 1],
    ] as const) {
      await expect(disk.read(offset, length)).rejects.toMatchObject({ name: 'VhdxError', code: 'parent-missing' });
    }
    const extents = [];
    for await (const { offset, length, kind, code } of disk.extents()) extents.push({ offset, length, kind, code });
    expect(extents).toEqual([
      { offset: 0, length: MiB, kind: 'damaged', code: 'parent-missing' },
      { offset: MiB, length: MiB, kind: 'data', code: undefined },
      { offset: 2 * MiB, length: 6 * MiB, kind: 'damaged', code: 'parent-missing' },
    ]);
    // Nothing is wrong with an image that was to be opened alone.
    await (await openVhdx(middle.source(), { parent: false, strict: true })).close();
  });

  test('an image without a path whose parent was not handed over is refused, and the parent named', async () => {
    const error = await expectRefused(middle, 'parent-missing');
    for (const part of [guidAt(0), 'calls it .\\0.vhdx', 'option parent']) expect(error.message).toContain(part);
    expect(error.message).not.toContain('--parent'); // that is what the command calls it
  });
});

describe('the linkage', () => {
  test('rule 106: a parent with another DataWriteGuid is refused, and both GUIDs told', async () => {
    // The last one has the name that the child gives to its parent.
    for (const parent of [() => other.source({ name: '0.vhdx' }), other.source(), other.source({ name: '0.vhdx' })]) {
      const error = await expectRefused(middle, 'parent-mismatch', { parent });
      for (const part of [guidAt(0), guidAt(99), 'ignoreParentMismatch']) expect(error.message).toContain(part);
    }
  });

  test('the way round is not advised for a file of another name: it may be another member of the chain', async () => {
    const error = await expectRefused(top, 'parent-missing', { parent: base.source({ name: '0.vhdx' }) });
    for (const part of [guidAt(1), `0.vhdx has DataWriteGuid ${guidAt(0)}`]) expect(error.message).toContain(part);
    expect(error.hints).toEqual(['parent']);
    expect(error.message).not.toContain('ignoreParentMismatch');
  });

  test('rule 106: a parent that was written to after the child was made is refused', async () => {
    const written = buildImage({ ...base.spec, dataWriteGuid: guidAt(50) });
    await expectRefused(middle, 'parent-mismatch', { parent: written.source() });
  });

  test("rule 106: the parent's current header counts, not its older one", async () => {
    const headers = (first: string, second: string) =>
      buildImage({
        headers: [
          { sequenceNumber: 8n, dataWriteGuid: first },
          { sequenceNumber: 9n, dataWriteGuid: second },
        ],
      });
    await expectRefused(middle, 'parent-mismatch', { parent: headers(guidAt(0), guidAt(50)).source() });
    const disk = await openVhdx(middle.source(), { parent: headers(guidAt(50), guidAt(0)).source() });
    expect(disk.parent?.info.header.dataWriteGuid).toBe(guidAt(0));
  });

  test('rule 106: parent_linkage2 is as good', async () => {
    for (const linkages of [
      { linkage: guidAt(50), linkage2: guidAt(0) },
      { linkage2: guidAt(0), linkage: guidAt(0) },
    ]) {
      await expectSound(childWith(linkages), { parent: base.source() }, modelOfMiddle);
      await expectSound(childWith(linkages), { parent: [other.source(), base.source()] }, modelOfMiddle);
    }
    const error = await expectRefused(childWith({ linkage: guidAt(50), linkage2: guidAt(51) }), 'parent-mismatch', {
      parent: base.source(),
    });
    for (const part of [guidAt(50), guidAt(51), guidAt(0)]) expect(error.message).toContain(part);
  });

  test('rule 106: of two candidates, the one that parent_linkage names is taken before the one of parent_linkage2', async () => {
    const second = buildImage({ dataWriteGuid: guidAt(51), blocks: {} });
    const child = childWith({ linkage: guidAt(0), linkage2: guidAt(51) });
    await expectSound(child, { parent: [second.source(), base.source()] }, modelOfMiddle);
  });

  test('rule 106: ignoreParentMismatch takes another parent all the same', async () => {
    const child = childWith({ linkage: guidAt(50) });
    for (const parent of [base.source(), [base.source()], () => base.source()]) {
      const disk = await openVhdx(child.source(), { parent, ignoreParentMismatch: true });
      await expectContent(disk, modelOfMiddle);
      // What was overridden stays said, and a check is no better for it.
      expect(disk.findings.map(({ code }) => code)).toEqual(['parent-mismatch']);
      expect((await disk.check()).status).toBe('corrupt');
      const report = await checkVhdx(child.source(), { parent, ignoreParentMismatch: true });
      expect([report.status, ...report.findings.map(({ code }) => code)]).toEqual(['corrupt', 'parent-mismatch']);
      expect(report.findings[0]?.message).toContain(guidAt(50));
      await expectRefused(child, 'parent-mismatch', { parent, ignoreParentMismatch: true, strict: true });
    }
    // Of several it is not known which one is meant.
    const parent = [base.source(), other.source()];
    await expectRefused(child, 'parent-missing', { parent, ignoreParentMismatch: true });
  });

  test('rule 106: a zero GUID is no value: it fits nothing, not even another one', async () => {
    const zero = buildImage({ ...base.spec, dataWriteGuid: ZERO_GUID });
    for (const locator of [{ linkage: ZERO_GUID }, { linkage: ZERO_GUID, linkage2: ZERO_GUID }]) {
      const child = childWith(locator);
      for (const parent of [zero.source(), [zero.source()], () => zero.source(), base.source()]) {
        const error = await expectRefused(child, 'parent-unverified', { parent });
        expect(error.message).not.toContain(ZERO_GUID); // nothing to look for
      }
    }
    // Checkpoints of Hyper-V have a parent_linkage2 of zeros.
    const checkpoint = childWith({ linkage: guidAt(0), linkage2: ZERO_GUID });
    await expectSound(checkpoint, { parent: base.source() }, modelOfMiddle);
    await expectSound(checkpoint, { parent: [zero.source(), base.source()] }, modelOfMiddle);
    const error = await expectRefused(checkpoint, 'parent-mismatch', { parent: zero.source() });
    expect(error.message).not.toContain(ZERO_GUID);
  });

  test('a check tells of a parent that does not fit, and of one that is missing', async () => {
    const found = async (options: Parameters<typeof checkVhdx>[1]) => {
      const { status, findings } = await checkVhdx(middle.source(), options);
      return [status, ...findings.map(({ code }) => code)];
    };
    expect(await found({ parent: base.source() })).toEqual(['sound']);
    expect(await found({ parent: other.source() })).toEqual(['corrupt', 'parent-mismatch']);
    expect(await found({ parent: [other.source()] })).toEqual(['corrupt', 'parent-mismatch']);
    const several = [other.source(), other.source({ name: 'too' })];
    expect(await found({ parent: several })).toEqual(['incomplete', 'parent-missing']);
    expect(await found({ parent: false })).toEqual(['sound', 'parent-missing']); // as was asked for
    expect(await found({})).toEqual(['incomplete', 'parent-missing']);
  });
});

test('rule 112: a parent that is no VHDX is refused for what it is', async () => {
  const vhd = new Uint8Array(4 * MiB);
  vhd.set(new TextEncoder().encode('conectix'), vhd.length - 512);
  for (const parent of [vhd, new Uint8Array(4096), new TextEncoder().encode('QFI\xfb')]) {
    const error = await expectRefused(middle, 'parent-damaged', { parent });
    expect(error.cause).toMatchObject({ code: 'file-signature' });
  }
  const report = await checkVhdx(middle.source(), { parent: vhd });
  expect(report.parent).toMatchObject({ status: 'unreadable', findings: [{ code: 'file-signature' }] });
  expect(report.status).toBe('corrupt');
});

test('a parent that is damaged where the child reads it damages the child there', async () => {
  const broken = base.clone();
  broken.truncate(base.layout.blockOffset(3) + 512);
  const disk = await openVhdx(middle.source(), { parent: broken.source() });
  expect(disk.parent?.findings.map(({ code }) => code)).toEqual(['bat-past-end']);
  await expectContent(disk, modelOfMiddle, new Set([3]));
  await expect(disk.read(3 * MiB, 1024)).rejects.toMatchObject({ code: 'bat-past-end' });
  const extents = [];
  for await (const { kind, depth, code } of disk.extents({ offset: 3 * MiB, length: MiB }))
    extents.push({ kind, depth, code });
  expect(extents).toEqual([
    { kind: 'data', depth: 1, code: undefined },
    { kind: 'damaged', depth: 1, code: 'bat-past-end' },
  ]);
});

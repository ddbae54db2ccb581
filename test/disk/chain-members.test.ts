// Rules 108, 109, 111 and 112: which images can be members of one chain, and how long a chain may be.
import { describe, expect, test } from 'vitest';
import { checkVhdx, type VhdxDisk } from '../../src/index.js';
import { pattern } from '../support/block-content.js';
import { type BuiltImage, buildImage } from '../support/build-image.js';
import { setLogGuid, writeLog } from '../support/build-log.js';
import { chainOf, guidAt } from '../support/chain-files.js';
import { dirtied, structureSectors } from '../support/dirty-images.js';
import { MiB, ZERO_GUID } from '../support/encode-primitives.js';
import { expectContent, expectRefused, expectSound } from '../support/expect-opening.js';
import { type BlockSpec, type ImageSpec, locatorEntries, STATE } from '../support/image-spec.js';
import { openVhdx } from '../support/two-doors.js';

const present = (seed: number): BlockSpec => ({ state: STATE.fullyPresent, data: pattern(seed) });
const sourcesOf = (files: readonly BuiltImage[]) => files.map((file) => file.source());

describe('sectors', () => {
  for (const [own, other] of [
    [512, 4096],
    [4096, 512],
  ] as const) {
    test(`rule 108: a parent with sectors of ${other} bytes is refused by a child with ${own}`, async () => {
      const { files } = chainOf({ logicalSectorSize: other }, { logicalSectorSize: own });
      const [child, parent] = files as [BuiltImage, BuiltImage];
      const error = await expectRefused(child, 'parent-sector-size', { parent: parent.source() });
      expect(error.message).toContain(String(own));
      expect(error.message).toContain(String(other));
      await expectRefused(child, 'parent-sector-size', { parent: parent.source(), ignoreParentMismatch: true });
      await expectRefused(child, 'parent-sector-size', { parent: [parent.source()] });
    });
  }

  test('rule 108: so is one further down the chain', async () => {
    const { files } = chainOf({ logicalSectorSize: 4096 }, {}, {});
    const [top, ...below] = files;
    await expectRefused(top, 'parent-sector-size', { parent: sourcesOf(below) });
  });

  test('physical sectors of another size are no obstacle', async () => {
    const { files, model } = chainOf(
      { physicalSectorSize: 512 },
      { physicalSectorSize: 4096, blocks: { 1: present(1) } },
    );
    await expectSound(files[0], { parent: sourcesOf(files.slice(1)) }, model);
  });
});

describe('dirty members', () => {
  const chain = () =>
    chainOf({ blocks: { 0: present(1), 3: present(2) } }, { blocks: { 1: present(3) } }, { blocks: { 2: present(4) } });

  for (const depth of [0, 1, 2]) {
    test(`rule 109: member ${depth} of three is dirty, and its log is replayed in memory`, async () => {
      const { files, model } = chain();
      const members = files.map((file, i) => (i === depth ? dirtied(file, structureSectors(file)) : file));
      const [top, ...below] = members as [BuiltImage, ...BuiltImage[]];
      const disk = await expectSound(top, { parent: sourcesOf(below) }, model);
      const dirty = [disk, disk.parent, disk.parent?.parent].map((member) => member?.info.log.dirty);
      expect(dirty).toEqual([0, 1, 2].map((i) => i === depth));
      const report = await checkVhdx(top.source(), { parent: sourcesOf(below) });
      expect(report.status).toBe('sound');
    });
  }

  test('rule 109: all members are dirty', async () => {
    const { files, model } = chain();
    const [top, ...below] = files.map((file) => dirtied(file, structureSectors(file))) as [BuiltImage, ...BuiltImage[]];
    await expectSound(top, { parent: sourcesOf(below) }, model);
  });

  test('rule 109: a parent whose log cannot be replayed is not read without its log', async () => {
    const { files } = chain();
    const [top, middle, base] = files as [BuiltImage, BuiltImage, BuiltImage];
    const lost = base.clone();
    setLogGuid(lost, guidAt(77));
    const error = await expectRefused(top, 'parent-damaged', { parent: sourcesOf([middle, lost]) });
    expect(error.message).toMatch(/log/);
    expect(error.cause).toMatchObject({ code: 'log-no-sequence' });
    const truncated = base.clone();
    writeLog(truncated, { entries: [{ flushedFileOffset: base.size + MiB }] });
    await expectRefused(top, 'parent-damaged', { parent: sourcesOf([middle, truncated]) });
  });
});

describe('chains that come back to themselves', () => {
  const link = (depth: number, linkage: number): ImageSpec => ({
    type: 'differencing',
    blocks: { [depth]: present(depth) },
    dataWriteGuid: guidAt(depth),
    headers: { fileWriteGuid: guidAt(1000 + depth) },
    parentLocator: { entries: locatorEntries({ linkage: guidAt(linkage), relativePath: '.\\other.vhdx' }) },
  });

  test('rule 111: an image that is its own parent is refused', async () => {
    const image = buildImage(link(0, 0));
    await expectRefused(image, 'parent-cycle', { parent: image.source() });
    await expectRefused(image, 'parent-cycle', { parent: [image.source()] });
    await expectRefused(image, 'parent-cycle', { parent: () => image.source() });
  });

  test('rule 111: two images that name each other as parents are refused', async () => {
    const [a, b] = [buildImage(link(0, 1)), buildImage(link(1, 0))];
    const byGuid = ({ linkages }: { linkages: readonly string[] }) => (linkages[0] === guidAt(0) ? a : b).source();
    await expectRefused(a, 'parent-cycle', { parent: byGuid });
    await expectRefused(b, 'parent-cycle', { parent: [b.source(), a.source()] });
  });

  test('rule 111: a chain that runs into a cycle of three is refused, and a check tells of it', async () => {
    const files = [buildImage(link(0, 1)), buildImage(link(1, 2)), buildImage(link(2, 3)), buildImage(link(3, 1))];
    const byGuid = ({ linkages }: { linkages: readonly string[] }) =>
      files.find((_, depth) => linkages[0] === guidAt(depth))?.source();
    await expectRefused(files[0] as BuiltImage, 'parent-cycle', { parent: byGuid });
    const report = await checkVhdx((files[0] as BuiltImage).source(), { parent: byGuid });
    expect(report.parent?.parent?.parent?.findings.map(({ code }) => code)).toContain('parent-cycle');
    expect(report.status).toBe('corrupt');
  });

  test('rule 111: images without GUIDs that go round for ever end at the limit', async () => {
    const image = buildImage({
      ...link(0, 0),
      dataWriteGuid: ZERO_GUID,
      headers: { fileWriteGuid: ZERO_GUID },
      parentLocator: { entries: locatorEntries({ linkage: ZERO_GUID, relativePath: 'x' }) },
    });
    await expectRefused(image, 'parent-unverified', { parent: () => image.source() });
    await expectRefused(image, 'parent-depth', { parent: () => image.source(), ignoreParentMismatch: true });
  });

  test('rule 111: one that was never written again after it was copied is still another image', async () => {
    // makevhdx leaves all GUIDs zero: that is not a name by which two images could be taken for one.
    const zero: ImageSpec = { dataWriteGuid: ZERO_GUID, headers: { fileWriteGuid: ZERO_GUID } };
    const { files, model } = chainOf(
      { ...zero, blocks: { 0: present(1) } },
      {
        ...zero,
        blocks: { 1: present(2) },
        parentLocator: { entries: locatorEntries({ linkage: ZERO_GUID, relativePath: 'x' }) },
      },
    );
    const parent = (files[1] as BuiltImage).source();
    await expectRefused(files[0], 'parent-unverified', { parent });
    const disk = await openVhdx(files[0].source(), { parent, ignoreParentMismatch: true });
    await expectContent(disk, model);
    expect(disk.findings.map(({ code }) => code)).toContain('parent-unverified');
  });
});

describe('long chains', () => {
  const members = chainOf(
    { blocks: { 0: present(7) } },
    ...Array.from({ length: 256 }, (_, i) => (i % 50 === 0 ? { blocks: { 1: present(i) } } : { blocks: {} })),
  );

  test('rule 111: a chain of 256 members is read', async () => {
    // From the last but one on: the whole chain has 257.
    const [top, ...below] = members.files.slice(1) as [BuiltImage, ...BuiltImage[]];
    const disk = await openVhdx(top.source(), { parent: sourcesOf(below) });
    let depth = 0;
    for (let member: VhdxDisk | undefined = disk; member; member = member.parent) depth += 1;
    expect(depth).toBe(256);
    expect(await disk.read(MiB - 512, 1024)).toEqual(members.model.expected(MiB - 512, 1024));
    const extents = [];
    for await (const extent of disk.extents({ length: 2 * MiB })) extents.push(extent);
    expect(extents.map(({ kind, depth: member }) => `${kind} ${member}`)).toEqual(['data 255', 'data 4']);
    await disk.close();
  });

  test('rule 111: one of 257 is refused, by opening and by a check', async () => {
    const [top, ...below] = members.files;
    const error = await expectRefused(top, 'parent-depth', { parent: sourcesOf(below) });
    expect(error.message).toContain('256');
    const report = await checkVhdx(top.source(), { parent: sourcesOf(below) });
    expect(report.status).toBe('corrupt');
  });
});

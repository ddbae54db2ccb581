// Rules 69 to 71 and 110: what a differencing disk has itself, what its parent has, and what is zeros.
import { describe, expect, test } from 'vitest';
import type { Extent, VhdxDisk } from '../../src/index.js';
import { pattern, sectorBits } from '../support/block-content.js';
import { type BuiltImage, buildImage } from '../support/build-image.js';
import { modelOf } from '../support/disk-model.js';
import { GiB, KiB, MiB } from '../support/encode-primitives.js';
import { expectContent, expectDamaged, expectSound } from '../support/expect-opening.js';
import { type BlockSpec, type ImageSpec, locatorEntries, STATE } from '../support/image-spec.js';
import { expectSameBytes } from '../support/same-bytes.js';
import { openVhdx } from '../support/two-doors.js';

const present = (seed: number): BlockSpec => ({ state: STATE.fullyPresent, data: pattern(seed) });
const allBlocks = Object.fromEntries([0, 1, 2, 3, 4, 5, 6, 7].map((block) => [block, present(100 + block)]));

/** An image with something in every block, for children to differ from. */
const parentOf = (spec: ImageSpec = {}): BuiltImage => buildImage({ blocks: allBlocks, ...spec });
const childOf = (spec: ImageSpec): BuiltImage => buildImage({ type: 'differencing', ...spec });

async function extentsOf(disk: VhdxDisk): Promise<Extent[]> {
  const extents: Extent[] = [];
  for await (const extent of disk.extents()) extents.push(extent);
  return extents;
}

for (const logicalSectorSize of [512, 4096]) {
  const sectors = MiB / logicalSectorSize;
  const parent = parentOf({ logicalSectorSize });
  const child = (spec: ImageSpec) => childOf({ logicalSectorSize, ...spec });
  const partial = (...ranges: readonly (readonly [number, number])[]): BlockSpec => ({
    ...present(7),
    state: STATE.partiallyPresent,
    bitmap: sectorBits(sectors, ...ranges),
  });
  const open = (image: BuiltImage) => openVhdx(image.source(), { parent: parent.source() });
  const options = () => ({ parent: parent.source() });
  const modelOfChild = (image: BuiltImage) => modelOf(image, modelOf(parent));

  describe(`sectors of ${logicalSectorSize} bytes`, () => {
    test("a block that is not present is the parent's", async () => {
      const image = child({ blocks: { 2: present(1) } });
      await expectSound(image, options(), modelOfChild(image));
    });

    for (const [title, ranges] of [
      ['no sector', []],
      ['all sectors', [[0, sectors]]],
      ['the first sector', [[0, 1]]],
      ['the last sector', [[sectors - 1, sectors]]],
      ['all but the first and the last sector', [[1, sectors - 1]]],
      ['every second sector', Array.from({ length: sectors / 2 }, (_, i) => [2 * i, 2 * i + 1] as const)],
      [
        'runs across the borders of bytes and words',
        [
          [5, 9],
          [15, 16],
          [31, 65],
          [127, 129],
          [sectors - 70, sectors - 3],
        ],
      ],
    ] as const) {
      test(`a partial block of which ${title} are its own`, async () => {
        const image = child({ blocks: { 2: present(1), 3: partial(...ranges), 4: partial([0, 1]) } });
        const disk = await expectSound(image, options(), modelOfChild(image));
        const model = modelOfChild(image);
        expectSameBytes(await disk.read(2 * MiB + 300, 3 * MiB), model.expected(2 * MiB + 300, 3 * MiB));
      });
    }

    test('a read that begins and ends inside sectors gets them right', async () => {
      const image = child({ blocks: { 0: partial([1, 2], [4, 6]) } });
      const disk = await open(image);
      const model = modelOfChild(image);
      for (let from = 0; from < 7; from++) {
        for (const away of [-1, 0, 1, 300]) {
          const offset = Math.max(0, from * logicalSectorSize + away);
          const length = 2 * logicalSectorSize + 7;
          expectSameBytes(await disk.read(offset, length), model.expected(offset, length), `at ${offset}`);
        }
      }
    });

    test('rule 69: without a sector bitmap block, partial blocks of the chunk are damaged and others are not', async () => {
      const spec: ImageSpec = { blocks: { 1: present(1), 3: partial([0, 9]) } };
      const { layout } = child(spec);
      const image = child({ ...spec, bat: { [layout.batIndexOfBitmap(0)]: 0n } });
      await expectDamaged(image, 'bitmap-missing', [3], options(), modelOfChild(image));
    });

    for (const [title, offsetOf] of [
      ['inside the header section', () => 0],
      ['behind the end of the file', (image: BuiltImage) => image.size],
      ['where no file reaches', () => 2 ** 62],
      ['on the log', (image: BuiltImage) => image.layout.log.offset],
      ['on the metadata', (image: BuiltImage) => image.layout.metadata.offset],
      ['on the BAT', (image: BuiltImage) => image.layout.bat.offset],
    ] as const) {
      test(`rule 69: a sector bitmap block ${title} damages the partial blocks of its chunk`, async () => {
        const spec: ImageSpec = { blocks: { 1: present(1), 3: partial([0, 9]) } };
        const { layout } = child(spec);
        const image = child({ ...spec, bat: { [layout.batIndexOfBitmap(0)]: BigInt(offsetOf(child(spec))) | 6n } });
        await expectDamaged(image, 'bitmap-state', [3], options(), modelOfChild(image));
      });
    }

    test('rule 69: a sector bitmap block that was cut off damages the partial blocks whose bits are lost', async () => {
      const image = child({ placement: 'reverse', blocks: { 1: present(1), 3: partial([0, 9]) } });
      const bitmap = image.layout.bitmapOffset(0);
      const cut = image.clone();
      cut.truncate(bitmap + 512 * KiB);
      const disk = await open(cut);
      expect(disk.findings.map(({ code }) => code)).toEqual(['bitmap-state']);
      await expectContent(disk, modelOfChild(image));
      cut.truncate(bitmap + 100);
      await expectDamaged(cut, 'bitmap-state', [3], options(), modelOfChild(image));
    });

    test('rule 65: a sector bitmap block in the place of a payload block damages both', async () => {
      const spec: ImageSpec = { blocks: { 1: present(1), 3: partial([0, 9]) } };
      const { layout } = child(spec);
      const image = child({ ...spec, bat: { [layout.batIndexOfBitmap(0)]: BigInt(layout.blockOffset(1)) | 6n } });
      await expectDamaged(image, 'bat-block-overlap', [1, 3], options(), modelOfChild(image));
    });

    test('rule 70: in a present block no bit counts, and the bitmap is not even read', async () => {
      const blocks = {
        2: { ...present(1), bitmap: sectorBits(sectors) },
        3: { ...present(2), bitmap: sectorBits(sectors, [3, 8]) },
      };
      const image = child({ blocks });
      const source = image.source();
      const disk = await openVhdx(source, options());
      await expectContent(disk, modelOfChild(image));
      await disk.checksum();
      const bitmap = image.layout.bitmapOffset(0);
      expect(source.reads.filter(({ offset, length }) => offset < bitmap + MiB && offset + length > bitmap)).toEqual(
        [],
      );
    });

    for (const [name, state] of [
      ['undefined', 1],
      ['zero', 2],
      ['unmapped', 3],
    ] as const) {
      test(`rule 71: a block that is ${name} reads as zeros and never as its parent`, async () => {
        for (const block of [
          { state },
          { ...present(5), state },
          { ...present(5), state, bitmap: sectorBits(sectors, [0, 5]) },
        ]) {
          const image = child({ blocks: { 0: present(1), 3: block, 7: block } });
          const disk = await expectSound(image, options(), modelOfChild(image));
          expectSameBytes(await disk.read(3 * MiB, MiB), new Uint8Array(MiB));
          expect((await extentsOf(disk)).filter(({ offset }) => offset === 3 * MiB)).toEqual([
            { offset: 3 * MiB, length: MiB, kind: state === 2 ? 'zero' : 'unmapped', depth: 0 },
          ]);
        }
      });
    }

    test('rule 71: state 5, unmapped in the 0.95 draft, reads as zeros too', async () => {
      const image = child({ blocks: { 3: { state: 5 } } });
      const disk = await open(image);
      expectSameBytes(await disk.read(3 * MiB, MiB), new Uint8Array(MiB));
      expectSameBytes(await disk.read(2 * MiB, MiB), modelOf(parent).expected(2 * MiB, MiB));
    });

    test("extents say which member each range comes from, and where it lies in that member's file", async () => {
      const image = child({ blocks: { 1: partial([0, 4]), 2: present(1), 3: { state: 2 }, 4: { state: 3 } } });
      const own = 4 * logicalSectorSize;
      const at = (block: number) => parent.layout.blockOffset(block);
      expect(await extentsOf(await open(image))).toEqual([
        { offset: 0, length: MiB, kind: 'data', depth: 1, fileOffset: at(0) },
        { offset: MiB, length: own, kind: 'data', depth: 0, fileOffset: image.layout.blockOffset(1) },
        { offset: MiB + own, length: MiB - own, kind: 'data', depth: 1, fileOffset: at(1) + own },
        { offset: 2 * MiB, length: MiB, kind: 'data', depth: 0, fileOffset: image.layout.blockOffset(2) },
        { offset: 3 * MiB, length: MiB, kind: 'zero', depth: 0 },
        { offset: 4 * MiB, length: MiB, kind: 'unmapped', depth: 0 },
        { offset: 5 * MiB, length: 3 * MiB, kind: 'data', depth: 1, fileOffset: at(5) },
      ]);
    });
  });
}

describe('parents of another size', () => {
  const blocks = { 1: present(1), 6: present(2) };
  const bitmap = sectorBits(2048, [0, 100]);
  const partial: BlockSpec = { ...present(3), state: STATE.partiallyPresent, bitmap };

  for (const [title, size] of [
    ['by some blocks', 3 * MiB],
    ['so that it ends inside a block', 3 * MiB + 200 * KiB],
    ['so that it ends inside a sector run of a partial block', 4 * MiB + 512],
  ] as const) {
    test(`rule 110: a parent that is smaller, ${title}, has zeros behind its end`, async () => {
      const kept = Object.fromEntries(Object.entries(allBlocks).filter(([block]) => Number(block) * MiB < size));
      const parent = parentOf({ virtualSize: size, blocks: kept });
      const image = childOf({ blocks: { ...blocks, 4: partial, 5: partial } });
      const model = modelOf(image, modelOf(parent));
      const disk = await expectSound(image, { parent: parent.source() }, model);
      const target = new Uint8Array(disk.size).fill(0xee);
      await disk.readInto(target, 0);
      expectSameBytes(target, model.expected(0, disk.size));
      expect(disk.findings).toMatchObject([{ code: 'parent-smaller', severity: 'info' }]);
      expect((await extentsOf(disk)).at(-1)).toEqual({ offset: 7 * MiB, length: MiB, kind: 'unmapped', depth: 0 });
    });
  }

  test('rule 110: what a parent has behind the end of its child is not there', async () => {
    const parent = parentOf();
    const image = childOf({ virtualSize: 3 * MiB + 512, blocks: { 1: present(1) } });
    const disk = await expectSound(image, { parent: parent.source() }, modelOf(image, modelOf(parent)));
    expect(disk.size).toBe(3 * MiB + 512);
    await expect(disk.read(3 * MiB, MiB)).rejects.toThrow(RangeError);
  });

  test('rule 110: where a member in the middle is the smallest, zeros come from it and not from below', async () => {
    const base = parentOf({ dataWriteGuid: '00000000-0000-4000-8000-000000000001' });
    const link = (linkage: string) => ({
      entries: [
        { key: 'parent_linkage', value: linkage },
        { key: 'relative_path', value: 'x' },
      ],
    });
    const middle = childOf({
      virtualSize: 2 * MiB,
      blocks: {},
      dataWriteGuid: '00000000-0000-4000-8000-000000000002',
      headers: { fileWriteGuid: '00000000-0000-4000-8000-00000000000f' },
      parentLocator: link('00000000-0000-4000-8000-000000000001'),
    });
    const top = childOf({ blocks: {}, parentLocator: link('00000000-0000-4000-8000-000000000002') });
    const disk = await openVhdx(top.source(), { parent: [base.source(), middle.source()] });
    expectSameBytes(await disk.read(0, 2 * MiB), modelOf(base).expected(0, 2 * MiB));
    expectSameBytes(await disk.read(2 * MiB, 6 * MiB), new Uint8Array(6 * MiB));
  });

  test('parents with blocks of another size', async () => {
    for (const [own, other] of [
      [MiB, 4 * MiB],
      [4 * MiB, MiB],
      [2 * MiB, 32 * MiB],
    ] as const) {
      const parent = parentOf({ blockSize: other, blocks: { 0: present(1), 1: present(2) }, virtualSize: 40 * MiB });
      const bits = sectorBits(own / 512, [3, 99], [own / 512 - 5, own / 512]);
      const image = childOf({
        blockSize: own,
        virtualSize: 40 * MiB,
        blocks: { 0: { ...partial, bitmap: bits }, 1: present(4) },
      });
      await expectSound(image, { parent: parent.source() }, modelOf(image, modelOf(parent)));
    }
  });
});

test('each chunk has its own sector bitmap block', async () => {
  // 4,096 blocks of 1 MiB make a chunk of 512-byte sectors.
  const bits = [
    [0, 3],
    [7, 9],
    [2000, 2048],
    [5, 6],
  ].map(([from, to]) => sectorBits(2048, [from as number, to as number]));
  const listed = [4095, 4096, 8191, 8192];
  const parent = parentOf({
    virtualSize: 8 * GiB + 8 * MiB,
    blocks: Object.fromEntries(listed.map((block) => [block, present(block)])),
  });
  const blocks = Object.fromEntries(
    listed.map((block, i) => [block, { ...present(i), state: STATE.partiallyPresent, bitmap: bits[i] as Uint8Array }]),
  );
  const image = childOf({ virtualSize: 8 * GiB + 8 * MiB, blocks });
  const model = modelOf(image, modelOf(parent));
  const disk = await openVhdx(image.source(), { parent: parent.source() });
  for (const block of [4095, 8191]) {
    const offset = block * MiB;
    expectSameBytes(await disk.read(offset, 2 * MiB), model.expected(offset, 2 * MiB));
  }
  const missing = childOf({ virtualSize: 8 * GiB + 8 * MiB, blocks, bat: { [image.layout.batIndexOfBitmap(1)]: 0n } });
  await expectDamaged(missing, 'bitmap-missing', [4096, 8191], { parent: parent.source() }, model);
});

describe('damage further down in a chain', () => {
  const guid = (last: number) => `00000000-0000-4000-8000-00000000000${last}`;
  const childOfGuid = (linkage: string, spec: ImageSpec = {}) =>
    childOf({ blocks: {}, parentLocator: { entries: locatorEntries({ linkage, relativePath: 'x' }) }, ...spec });
  const bottom = parentOf({ bat: { 2: 4n }, dataWriteGuid: guid(1) });
  const middle = childOfGuid(guid(1), { dataWriteGuid: guid(2) });
  const top = childOfGuid(guid(2));
  const named = (image: BuiltImage, name: string) => Object.assign(image.source(), { name });

  test('is told with the name of the file that has it, and with its place there', async () => {
    const parent = [named(middle, 'middle.avhdx'), named(bottom, 'bottom.vhdx')];
    const disk = await openVhdx(named(top, 'top.avhdx'), { parent });
    const expected = { code: 'bat-reserved-state', file: 'bottom.vhdx', structure: 'BAT entry 2' };
    const error = await disk.read(2 * MiB, 512).catch((reason: unknown) => reason);
    expect(error).toMatchObject(expected);
    expect(String(error)).toMatch(/^VhdxError: bottom\.vhdx: BAT entry 2: payload block 2 has a reserved state; /);
    // Through no other file than its own, the image needs no name.
    const own = await disk.parent?.parent?.read(2 * MiB, 512).catch((reason: unknown) => reason);
    expect(own).toMatchObject({ code: 'bat-reserved-state', file: undefined });
    await disk.close();
  });
});

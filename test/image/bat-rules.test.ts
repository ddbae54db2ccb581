// Rules 58 to 68: the entries of the BAT.
import { describe, expect, test } from 'vitest';
import { pattern, sectorBits } from '../support/block-content.js';
import { type BuiltImage, buildImage } from '../support/build-image.js';
import { type DiskModel, modelOf } from '../support/disk-model.js';
import { GiB, KiB, MiB } from '../support/encode-primitives.js';
import { expectContent, expectDamaged, expectRefused, expectSound, expectWarned } from '../support/expect-opening.js';
import { type BlockSpec, type ImageSpec, STATE } from '../support/image-spec.js';
import { expectSameBytes } from '../support/same-bytes.js';
import { openVhdx } from '../support/two-doors.js';

const present = (seed: number): BlockSpec => ({ state: STATE.fullyPresent, data: pattern(seed) });
const zeroAt = (model: DiskModel, ...blocks: number[]): DiskModel => ({
  size: model.size,
  expected: (offset, length) => {
    const bytes = model.expected(offset, length);
    return blocks.includes(Math.floor(offset / MiB)) ? bytes.fill(0) : bytes;
  },
});

/** Eight blocks with content. The tests break what some of their entries say. */
const eight = (spec: ImageSpec = {}): BuiltImage =>
  buildImage({ blocks: Object.fromEntries([0, 1, 2, 3, 4, 5, 6, 7].map((block) => [block, present(block)])), ...spec });

/** A differencing image on {@link base}, with a partial block, a present one and one that is the parent's. */
const base = (): BuiltImage => eight();
const child = (spec: ImageSpec = {}): BuiltImage => {
  const bitmap = sectorBits(2048, [0, 5], [700, 2047]);
  const blocks = { 1: present(21), 3: { ...present(22), state: STATE.partiallyPresent, bitmap } };
  return buildImage({ type: 'differencing', blocks, ...spec });
};
const withBase = () => ({ parent: base().source() });
const modelOfChild = (image: BuiltImage) => modelOf(image, modelOf(base()));

/** Asserts that of a block the first `left` bytes can be read and the others are known to be gone. */
async function expectCutOff(image: BuiltImage, block: number, left: number): Promise<void> {
  const disk = await openVhdx(image.source());
  const complaints = disk.findings.filter(({ severity }) => severity !== 'info');
  expect(complaints).toMatchObject([{ code: 'bat-past-end', severity: 'block' }]);
  const start = block * disk.blockSize;
  const end = Math.min(disk.size, start + disk.blockSize);
  const gone = { name: 'VhdxError', code: 'bat-past-end' };
  await expect(disk.read(start, end - start)).rejects.toMatchObject(gone);
  await expect(disk.read(start + left - 1, 2)).rejects.toMatchObject(gone);
  await expect(disk.read(end - 1, 1)).rejects.toMatchObject(gone);
  const model = modelOf(image);
  const length = Math.min(left, 4096);
  expectSameBytes(await disk.read(start, length), model.expected(start, length));
  const tail = start + left - length;
  expectSameBytes(await disk.read(tail, length), model.expected(tail, length));
  await expectContent(disk, model, new Set([block]));
  await expectRefused(image, 'bat-past-end', { strict: true });
}

describe('payload block entries', () => {
  test('rule 58: reserved bits that are not zero are a warning', async () => {
    const entry = BigInt(eight().layout.blockOffset(2)) | 6n;
    for (const bit of [3n, 8n, 19n])
      await expectWarned(eight({ bat: { 2: entry | (1n << bit) } }), 'bat-reserved-bits');
  });

  test('rule 59: state 4 damages the block', async () => {
    const entry = BigInt(eight().layout.blockOffset(2)) | 4n;
    await expectDamaged(eight({ bat: { 2: entry } }), 'bat-reserved-state', [2]);
    await expectDamaged(eight({ bat: { 0: 4n, 7: 4n } }), 'bat-reserved-state', [0, 7]);
  });

  test('rule 59: state 5 is a warning and reads as zeros, as the 0.95 draft meant it', async () => {
    const image = eight({ bat: { 2: BigInt(eight().layout.blockOffset(2)) | 5n } });
    await expectWarned(image, 'bat-draft-unmapped', {}, zeroAt(modelOf(image), 2));
  });

  test('rule 60: a partial block in a disk without a parent is damaged', async () => {
    const entry = BigInt(eight().layout.blockOffset(5)) | 7n;
    await expectDamaged(eight({ bat: { 5: entry } }), 'bat-partial-without-parent', [5]);
    await expectDamaged(eight({ type: 'fixed', bat: { 5: entry } }), 'bat-partial-without-parent', [5]);
  });

  test('rule 61: a present block at offset 0 is damaged', async () => {
    await expectDamaged(eight({ bat: { 0: 6n } }), 'bat-offset-missing', [0]);
    const image = child({ bat: { 1: 6n } });
    await expectDamaged(image, 'bat-offset-missing', [1], withBase(), modelOfChild(image));
  });

  test('rule 61: a partial block at offset 0 is damaged, and its parent does not stand in for it', async () => {
    const image = child({ bat: { 3: 7n } });
    const disk = await expectDamaged(image, 'bat-offset-missing', [3], withBase(), modelOfChild(image));
    await expect(disk.read(3 * MiB, 512)).rejects.toMatchObject({ code: 'bat-offset-missing' });
  });

  test('rule 62: a block that begins behind the end of the file is damaged', async () => {
    await expectDamaged(eight({ bat: { 3: (1n << 30n) | 6n } }), 'bat-past-end', [3]);
    const image = eight();
    await expectDamaged(eight({ bat: { 3: BigInt(image.size) | 6n } }), 'bat-past-end', [3]);
  });

  test('rule 62: in a file that was cut off, the blocks behind the cut are damaged', async () => {
    const image = eight();
    await expectDamaged(image.truncate(image.layout.blockOffset(6)), 'bat-past-end', [6, 7]);
  });

  test('rule 62: one byte that is missing at the end of the file damages the block that it belongs to', async () => {
    const image = eight();
    await expectCutOff(image.truncate(image.size - 1), 7, MiB - 1);
    const reverse = eight({ placement: 'reverse' });
    await expectCutOff(reverse.truncate(reverse.size - 1), 0, MiB - 1);
  });

  test('rule 62: what is left of a block that was cut off is read', async () => {
    const image = eight();
    await expectCutOff(image.truncate(image.size - 300 * KiB - 7), 7, MiB - 300 * KiB - 7);
    const large = buildImage({ blockSize: 32 * MiB, virtualSize: 64 * MiB, blocks: { 0: present(1), 1: present(2) } });
    await expectCutOff(large.truncate(large.layout.blockOffset(1) + 512), 1, 512);
  });

  test('rule 62: the last block of the disk may end in the file where the disk ends', async () => {
    const spec: ImageSpec = { virtualSize: 7 * MiB + 64 * KiB };
    const image = eight(spec);
    const end = image.layout.blockOffset(7) + 64 * KiB;
    await expectSound(image.truncate(end));
    await expectCutOff(eight(spec).truncate(end - 1), 7, 64 * KiB - 1);
  });

  test('rule 62: only the last block of the disk may, not the last block of the file', async () => {
    const image = eight({ virtualSize: 7 * MiB + 64 * KiB, placement: 'reverse' });
    await expectCutOff(image.truncate(image.layout.blockOffset(0) + 64 * KiB), 0, 64 * KiB);
  });

  test('rule 62: the last block is told by its block number, not by its BAT index', async () => {
    // The fixed image that QEMU makes and then refuses: 4 GiB + 8 MiB in blocks of 32 MiB.
    const spec: ImageSpec = {
      type: 'fixed',
      habits: 'qemu',
      blockSize: 32 * MiB,
      virtualSize: 4 * GiB + 8 * MiB,
      blocks: { 127: present(127), 128: present(128) },
    };
    const image = buildImage(spec);
    const end = image.layout.blockOffset(128) + 8 * MiB;
    await expectSound(image.truncate(end));
    await expectCutOff(buildImage(spec).truncate(end - 1), 128, 8 * MiB - 1);
  });

  test('rule 63: a block at an offset that no file has is damaged', async () => {
    await expectDamaged(eight({ bat: { 4: 0xffff_ffff_fff0_0006n } }), 'bat-offset-range', [4]);
    await expectDamaged(eight({ bat: { 4: (1n << 63n) | 6n } }), 'bat-offset-range', [4]);
  });

  test('rule 63: an offset whose low 53 bits are those of a good block does not pass for it', async () => {
    const good = BigInt(eight().layout.blockOffset(4));
    for (const bit of [53n, 62n, 63n]) {
      const image = eight({ bat: { 4: (1n << bit) | good | 6n } });
      const disk = await openVhdx(image.source());
      await expect(disk.read(4 * MiB, 512)).rejects.toMatchObject({ code: 'bat-offset-range' });
      await expectContent(disk, modelOf(image), new Set([4]));
    }
  });

  const structures = [
    ['log', (image: BuiltImage) => image.layout.log.offset],
    ['BAT', (image: BuiltImage) => image.layout.bat.offset],
    ['metadata', (image: BuiltImage) => image.layout.metadata.offset],
    ['unknown region', () => 30 * MiB],
  ] as const;
  for (const [name, offsetOf] of structures) {
    const unknown = { id: 'a3e1f2c4-5b60-4d7e-8f90-112233445566', offset: 30 * MiB, length: MiB, flags: 0 };
    const withUnknown: ImageSpec = { regions: (plain) => [...plain, unknown], fileSize: 40 * MiB };

    test(`rule 64: a block on the ${name} is damaged`, async () => {
      const entry = BigInt(offsetOf(eight(withUnknown))) | 6n;
      await expectDamaged(eight({ ...withUnknown, bat: { 6: entry } }), 'bat-overlap-structure', [6]);
    });

    test(`rule 64: a block whose second half lies on the ${name} is damaged`, async () => {
      // Everything lies higher by 8 MiB, so that there is room before each structure.
      const places = { log: { offset: 9 * MiB }, metadata: { offset: 12 * MiB }, bat: { offset: 15 * MiB } };
      const spec: ImageSpec = { ...withUnknown, places, blockSize: 2 * MiB, blocks: { 0: present(0), 2: present(2) } };
      const entry = BigInt(offsetOf(buildImage(spec)) - MiB) | 6n;
      await expectDamaged(buildImage({ ...spec, bat: { 2: entry } }), 'bat-overlap-structure', [2]);
    });
  }

  test('rule 65: two blocks in one place are damaged: it has the content of one of them at most', async () => {
    const first = BigInt(eight().layout.blockOffset(1)) | 6n;
    await expectDamaged(eight({ bat: { 6: first } }), 'bat-block-overlap', [1, 6]);
  });

  test('rule 65: two blocks that share half of their place are damaged', async () => {
    const image = buildImage({
      blockSize: 2 * MiB,
      blocks: { 0: { state: STATE.fullyPresent, offset: 8 * MiB }, 2: { state: STATE.fullyPresent, offset: 9 * MiB } },
    });
    await expectDamaged(image, 'bat-block-overlap', [0, 2]);
  });

  test('rule 65: a payload block on a sector bitmap block damages it and the partial blocks of the chunk', async () => {
    const bitmap = BigInt(child().layout.bitmapOffset(0)) | 6n;
    const image = child({ bat: { 1: bitmap } });
    await expectDamaged(image, 'bat-block-overlap', [1, 3], withBase(), modelOfChild(image));
  });

  test('rule 65: a sector bitmap block that no block needs damages the block whose place it has', async () => {
    const blocks = { 1: present(21) };
    const entry = child({ blocks }).layout.batIndexOfBitmap(0);
    const image = child({ blocks, bat: { [entry]: BigInt(child({ blocks }).layout.blockOffset(1)) | 6n } });
    const disk = await openVhdx(image.source(), withBase());
    expect(disk.findings).toMatchObject([
      { code: 'bat-block-overlap', severity: 'block', facts: { block: 1 } },
      { code: 'bat-unused-place', severity: 'warning', facts: { batEntry: entry } },
    ]);
    await expect(disk.read(MiB, 512)).rejects.toMatchObject({ code: 'bat-block-overlap', facts: { block: 1 } });
    await expectContent(disk, modelOfChild(image), new Set([1]));
  });

  for (const state of [STATE.undefined, STATE.unmapped]) {
    test(`rule 65: a block of state ${state} that keeps the place of another one is a warning, and harms neither`, async () => {
      const image = eight({ bat: { 6: BigInt(eight().layout.blockOffset(1)) | BigInt(state) } });
      await expectWarned(image, 'bat-unused-place', {}, zeroAt(modelOf(image), 6));
    });

    test(`rule 65: a block of state ${state} that keeps a place past the end of the file is a warning`, async () => {
      const image = eight({ bat: { 6: BigInt(eight().size) | BigInt(state) } });
      await expectWarned(image, 'bat-unused-place', {}, zeroAt(modelOf(image), 6));
    });

    test(`rule 65: a block of state ${state} that keeps the place of the log is a warning`, async () => {
      const image = eight({ bat: { 6: BigInt(eight().layout.log.offset) | BigInt(state) } });
      await expectWarned(image, 'bat-unused-place', {}, zeroAt(modelOf(image), 6));
    });
  }

  test('rule 65: a BAT that opening does not check has no shared places until a check finds them', async () => {
    const at = 8 * MiB;
    const blocks = { 0: { state: STATE.fullyPresent, offset: at }, 9: { state: STATE.fullyPresent, offset: at } };
    const image = buildImage({ virtualSize: 129 * GiB + 64 * GiB, blocks });
    const disk = await openVhdx(image.source());
    expect(disk.findings).toEqual([]);
    await disk.read(9 * MiB, 512);
    expect((await disk.check()).counts.block).toBe(2);
    const inDoubt = { code: 'bat-block-overlap', facts: { block: 9 } };
    await expect(disk.read(9 * MiB, 512)).rejects.toMatchObject(inDoubt);
    await expectRefused(image, 'bat-block-overlap', { strict: true });
  });

  for (const offset of [MiB, 3 * MiB, 1 << 30, 0xffff_ffff_fff0_0000n]) {
    test(`rule 66: blocks that are not present or zero read as zeros, whatever their offset, ${offset}, says`, async () => {
      const image = eight({ bat: { 1: BigInt(offset), 4: BigInt(offset) | 2n } });
      await expectSound(image, {}, zeroAt(modelOf(image), 1, 4));
    });
  }

  test('rule 66: undefined and unmapped blocks read as zeros, although their bytes are still there', async () => {
    const blocks = {
      0: present(0),
      1: { state: STATE.undefined, data: pattern(1) },
      2: { state: STATE.unmapped, data: pattern(2) },
    };
    const image = buildImage({ blocks });
    expect(image.layout.hasBlockOffset(1)).toBe(true);
    await expectSound(image);
  });
});

describe('sector bitmap block entries', () => {
  for (const state of [1n, 2n, 3n, 4n, 5n, 7n]) {
    test(`rule 67: state ${state} of a sector bitmap block damages the partial blocks of its chunk`, async () => {
      const { layout } = child();
      const image = child({ bat: { [layout.batIndexOfBitmap(0)]: BigInt(layout.bitmapOffset(0)) | state } });
      await expectDamaged(image, 'bitmap-state', [3], withBase(), modelOfChild(image));
    });
  }

  const impossible = [
    ['inside the header section', () => 0],
    ['behind the end of the file', (image: BuiltImage) => image.size + MiB],
    ['across the end of the file', (image: BuiltImage) => image.size - 4 * KiB],
    ['on the log', (image: BuiltImage) => image.layout.log.offset],
    ['on the BAT', (image: BuiltImage) => image.layout.bat.offset],
  ] as const;
  for (const [title, offsetOf] of impossible) {
    test(`rule 67: a sector bitmap block ${title} damages the partial blocks of its chunk`, async () => {
      const plain = child({ fileSize: (end) => end + 4 * KiB });
      const entry = BigInt(Math.floor(offsetOf(plain) / MiB) * MiB) | 6n;
      const image = child({ bat: { [plain.layout.batIndexOfBitmap(0)]: entry }, fileSize: plain.size });
      const disk = await openVhdx(image.source(), withBase());
      const code = disk.findings.find(({ severity }) => severity === 'block')?.code;
      expect(['bitmap-state', 'bat-overlap-structure']).toContain(code);
      await expectDamaged(image, code as 'bitmap-state', [3], withBase(), modelOfChild(image));
    });
  }

  test('rule 67: where no block is partial, the state of the sector bitmap block harms nothing', async () => {
    const spec: ImageSpec = { blocks: { 1: present(21) } };
    const image = child({ ...spec, bat: { [child().layout.batIndexOfBitmap(0)]: 5n } });
    const disk = await openVhdx(image.source(), withBase());
    await expectContent(disk, modelOfChild(image));
  });

  for (const type of ['fixed', 'dynamic'] as const) {
    test(`rule 68: a sector bitmap block in a ${type} disk is a warning, and is not looked at`, async () => {
      const spec: ImageSpec = {
        type,
        blockSize: 32 * MiB,
        virtualSize: 4 * GiB + 32 * MiB,
        blocks: { 127: present(1), 128: present(2) },
      };
      await expectWarned(buildImage({ ...spec, extraBitmaps: [0] }), 'bitmap-unexpected');
      await expectWarned(buildImage({ ...spec, bat: { 128: 4n } }), 'bitmap-unexpected');
    });
  }
});

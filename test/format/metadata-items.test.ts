// Rules 45 to 55: the known metadata items.
import { describe, expect, test } from 'vitest';
import { openVhdx } from '../../src/index.js';
import { contentBytes, pattern, sectorBits } from '../support/block-content.js';
import { buildImage } from '../support/build-image.js';
import { type DiskModel, modelOf } from '../support/disk-model.js';
import { concatBytes, GiB, KiB, MiB, TiB, u32Bytes, ZERO_GUID } from '../support/encode-primitives.js';
import { GUID, IS_REQUIRED, IS_VIRTUAL_DISK } from '../support/encode-structures.js';
import { expectContent, expectRefused, expectSound, expectWarned } from '../support/expect-opening.js';
import { STATE } from '../support/image-spec.js';
import { EXPECTED_ITEMS, NEEDED_ITEMS, withChangedItem, withItems, withoutItem } from '../support/metadata-images.js';
import { expectSameBytes } from '../support/same-bytes.js';

describe('the known items', () => {
  for (const [name, id, length] of [...NEEDED_ITEMS, ...EXPECTED_ITEMS]) {
    test(`rule 45: a ${name} that has not ${length} bytes is refused`, async () => {
      for (const wrong of [0, length - 1, length + 1, 2 * length]) {
        const data = new Uint8Array(wrong);
        data.set(buildImage().read(buildImage().layout.itemOffset(id), Math.min(wrong, length)));
        await expectRefused(withChangedItem(id, { data }), 'metadata-item-size');
      }
    });

    test(`rule 47: other flags of the ${name} are a warning`, async () => {
      for (const flags of [0, IS_VIRTUAL_DISK, IS_REQUIRED, IS_VIRTUAL_DISK | IS_REQUIRED]) {
        const right = id === GUID.fileParameters ? IS_REQUIRED : IS_VIRTUAL_DISK | IS_REQUIRED;
        if (flags !== right) await expectWarned(withChangedItem(id, { flags }), 'metadata-item-flags');
      }
    });
  }

  for (const [name, id] of NEEDED_ITEMS) {
    test(`rule 46: an image without the ${name} is refused`, async () => {
      await expectRefused(withoutItem(id), 'metadata-item-missing');
    });
  }

  for (const logicalSectorSize of [512, 4096]) {
    test(`rule 46: where the physical sector size is missing, it is the logical one, ${logicalSectorSize}`, async () => {
      const image = withoutItem(GUID.physicalSectorSize, {
        logicalSectorSize,
        physicalSectorSize: 4608 - logicalSectorSize,
      });
      const disk = await expectWarned(image, 'metadata-item-absent');
      expect(disk.physicalSectorSize).toBe(logicalSectorSize);
    });
  }

  test('rule 46: an image without a virtual disk id has none', async () => {
    const disk = await expectWarned(withoutItem(GUID.virtualDiskId), 'metadata-item-absent');
    expect(disk.id).toBeUndefined();
  });

  test('rule 46: a virtual disk id of zeros is none', async () => {
    const disk = await expectSound(buildImage({ virtualDiskId: ZERO_GUID }));
    expect(disk.id).toBeUndefined();
    expect(disk.info).not.toHaveProperty('virtualDiskId');
  });

  test('the items are told as they are', async () => {
    const virtualDiskId = 'FC7209F1-F6EB-4616-9B77-E994E3017DDD';
    const disk = await expectSound(
      buildImage({ virtualDiskId, blockSize: 4 * MiB, logicalSectorSize: 4096, physicalSectorSize: 512 }),
    );
    expect(disk).toMatchObject({ blockSize: 4 * MiB, logicalSectorSize: 4096, physicalSectorSize: 512, size: 8 * MiB });
    expect(disk).toMatchObject({ id: virtualDiskId.toLowerCase(), type: 'dynamic' });
  });

  for (const blockSize of [0, 1, 512 * KiB, MiB + 512, 3 * MiB, 512 * MiB, 0x8000_0000, 0xffff_ffff]) {
    test(`rule 48: a block size of ${blockSize} is refused`, async () => {
      await expectRefused(
        withChangedItem(GUID.fileParameters, { data: concatBytes(u32Bytes(blockSize), u32Bytes(0)) }),
        'block-size',
      );
    });
  }

  for (const blockSize of [1, 2, 4, 8, 16, 32, 64, 128, 256]) {
    test(`rule 48: a block size of ${blockSize} MiB is read`, async () => {
      const data = contentBytes(pattern(blockSize), 0, 64 * KiB);
      const blocks = { 1: { state: STATE.fullyPresent, data }, 2: { state: STATE.fullyPresent, data } };
      await expectSound(
        buildImage({ blockSize: blockSize * MiB, virtualSize: 2 * blockSize * MiB + 64 * KiB, blocks }),
      );
    });
  }

  test('rule 49: reserved bits of the file parameters are a warning', async () => {
    await expectWarned(buildImage({ fileParametersFlags: 4 }), 'file-parameters-reserved');
    await expectWarned(buildImage({ fileParametersFlags: 0x8000_0000 }), 'file-parameters-reserved');
  });

  test('rule 50: a disk with a parent is no fixed one, whatever is said of leaving blocks allocated', async () => {
    const base = buildImage();
    const bitmap = sectorBits(2048, [3, 900]);
    const blocks = { 2: { state: STATE.partiallyPresent, data: pattern(9), bitmap } };
    const child = buildImage({ type: 'differencing', fileParametersFlags: 3, blocks });
    const disk = await expectSound(child, { parent: base.source() }, modelOf(child, modelOf(base)));
    expect(disk.type).toBe('differencing');
    const fixed = await expectSound(buildImage({ type: 'fixed' }));
    expect(fixed.type).toBe('fixed');
  });

  for (const size of [0, 1, 256, 520, 1024, 2048, 8192, 0x8000_0000]) {
    test(`rule 51: a logical sector size of ${size} is refused`, async () => {
      await expectRefused(withChangedItem(GUID.logicalSectorSize, { data: u32Bytes(size) }), 'logical-sector-size');
    });

    test(`rule 52: a physical sector size of ${size} is a warning, and the logical one is taken for it`, async () => {
      const disk = await expectWarned(buildImage({ physicalSectorSize: size }), 'physical-sector-size');
      expect(disk.physicalSectorSize).toBe(512);
    });
  }
});

describe('the virtual disk size', () => {
  for (const virtualSize of [64n * BigInt(TiB) + 512n, 2n ** 52n + 8n * BigInt(MiB), 2n ** 63n, 2n ** 64n - 512n]) {
    test(`rule 53: ${virtualSize} bytes are refused`, async () => {
      await expectRefused(buildImage({ virtualSize, blocks: {} }), 'virtual-disk-size');
    });
  }

  for (const [blockSize, logicalSectorSize] of [
    [1, 512],
    [1, 4096],
    [32, 512],
    [256, 512],
  ] as const) {
    test(`rule 53: 64 TiB in blocks of ${blockSize} MiB and sectors of ${logicalSectorSize} bytes are read`, async () => {
      const last = (64 * TiB) / (blockSize * MiB) - 1;
      const data = contentBytes(pattern(3), 0, 64 * KiB);
      const blocks = { [last]: { state: STATE.fullyPresent, data }, [last >> 1]: { state: STATE.fullyPresent, data } };
      const image = buildImage({ virtualSize: 64 * TiB, blockSize: blockSize * MiB, logicalSectorSize, blocks });
      const source = image.source();
      const disk = await openVhdx(source);
      await expectContent(disk, modelOf(image));
      const half = (last >> 1) * blockSize * MiB;
      expectSameBytes(await disk.read(half, 4096), modelOf(image).expected(half, 4096));
      // The BAT has up to 513 MiB: whoever reads it whole to open a disk has not understood it.
      expect(source.bytesRead).toBeLessThan(32 * MiB);
    });
  }

  test('rule 53: a disk that ends inside a sector is a warning, and readable to its end', async () => {
    for (const virtualSize of [8 * MiB - 100, 8 * MiB - 1, 3 * MiB + 1]) {
      const blocks = {
        3: { state: STATE.fullyPresent, data: pattern(1) },
        7: { state: STATE.fullyPresent, data: pattern(2) },
      };
      await expectWarned(
        buildImage({ virtualSize, blocks: virtualSize > 7 * MiB ? blocks : { 3: blocks[3] } }),
        'virtual-disk-size-alignment',
      );
    }
    await expectWarned(
      buildImage({ logicalSectorSize: 4096, virtualSize: 8 * MiB - 512 }),
      'virtual-disk-size-alignment',
    );
  });

  test('rule 53: a disk of no bytes is a warning, and empty', async () => {
    const disk = await expectWarned(buildImage({ virtualSize: 0, blocks: {} }), 'virtual-disk-size-zero');
    expect(disk.size).toBe(0);
    expect(await disk.read(0, 0)).toEqual(new Uint8Array(0));
    await expect(disk.read(0, 1)).rejects.toBeInstanceOf(RangeError);
    const extents = [];
    for await (const extent of disk.extents()) extents.push(extent);
    expect(extents).toEqual([]);
  });

  test('rule 53: an empty disk may have as large a BAT as QEMU gives it', async () => {
    await expectWarned(
      buildImage({ virtualSize: 0, blocks: {}, places: { bat: { length: 64 * MiB } } }),
      'virtual-disk-size-zero',
    );
  });

  test('sizes around 4 GiB and its multiples are read', async () => {
    for (const virtualSize of [4 * GiB - 512, 4 * GiB, 4 * GiB + 512, 8 * GiB + MiB]) {
      const last = Math.ceil(virtualSize / MiB) - 1;
      const blocks = {
        0: { state: STATE.fullyPresent, data: 1 },
        [last]: { state: STATE.fullyPresent, data: pattern(5) },
      };
      await expectSound(buildImage({ virtualSize, blocks }));
    }
  });
});

describe('items that go with the type of disk', () => {
  const zeros: DiskModel = { size: 8 * MiB, expected: (_, length) => new Uint8Array(length) };

  test('rule 54: a disk with a parent that does not name it is refused', async () => {
    await expectRefused(
      buildImage({ type: 'differencing', blocks: {}, parentLocator: null }),
      'parent-locator-missing',
    );
    await expectRefused(
      buildImage({ type: 'differencing', blocks: {}, parentLocator: null }),
      'parent-locator-missing',
      { parent: false },
    );
  });

  test('rule 54: a disk that names a parent and has none is a warning, and needs no parent', async () => {
    const child = buildImage({ type: 'differencing', blocks: {} });
    const locator = child.read(child.layout.itemOffset(GUID.parentLocator), 300);
    const disk = await expectWarned(
      buildImage({ blocks: {}, parentLocator: locator }),
      'parent-locator-extra',
      {},
      zeros,
    );
    expect(disk.type).toBe('dynamic');
    expect(disk.parent).toBeUndefined();
  });

  test('rule 55: an image that was never finished is refused for just that', async () => {
    const mark = { id: GUID.incompleteFile, flags: IS_REQUIRED, data: new Uint8Array(0) };
    await expectRefused(withItems(mark), 'incomplete-file');
    await expectRefused(withItems({ ...mark, flags: IS_REQUIRED | IS_VIRTUAL_DISK }), 'incomplete-file');
  });

  test("rule 55: Microsoft's other unpublished items are no reason to complain", async () => {
    const heads = { id: GUID.chsParameters, flags: IS_VIRTUAL_DISK, data: concatBytes(u32Bytes(16), u32Bytes(63)) };
    await expectSound(withItems(heads, { id: GUID.pmemLabels, flags: IS_VIRTUAL_DISK, data: new Uint8Array(256) }));
  });
});

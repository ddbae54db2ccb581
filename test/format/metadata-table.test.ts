// Rules 33 to 44: the metadata table, and items that nobody knows.
import { describe, expect, test } from 'vitest';
import { buildImage } from '../support/build-image.js';
import { concatBytes, guidBytes, KiB, MiB, u32Bytes, u64Bytes, ZERO_GUID } from '../support/encode-primitives.js';
import { GUID, IS_REQUIRED, IS_USER, IS_VIRTUAL_DISK, type MetadataItem } from '../support/encode-structures.js';
import { expectRefused, expectSound, expectWarned } from '../support/expect-opening.js';
import {
  EXPECTED_ITEMS,
  NEEDED_ITEMS,
  UNKNOWN_ITEM,
  unknownItem,
  withChangedItem,
  withItems,
  withItemsFirst,
} from '../support/metadata-images.js';

/** Items of a kind that nobody knows, each with an id of its own. */
const manyItems = (count: number, flags: number): MetadataItem[] =>
  Array.from({ length: count }, (_, i) => {
    const id = `00000000-0000-4000-8000-${(flags * 0x10000 + i + 1).toString(16).padStart(12, '0')}`;
    return { id, flags, data: new Uint8Array(0) };
  });

describe('the metadata table', () => {
  test('rule 33: a table without its signature is refused', async () => {
    await expectRefused(buildImage({ metadata: { signature: 'metadatb' } }), 'metadata-signature');
    await expectRefused(buildImage({ metadata: { signature: '\0\0\0\0\0\0\0\0' } }), 'metadata-signature');
  });

  test('rule 34: reserved bytes that are not zero are a warning', async () => {
    await expectWarned(buildImage({ metadata: { reserved: 0xff } }), 'metadata-reserved');
    const image = buildImage();
    await expectWarned(image.write(image.layout.metadata.offset + 8, Uint8Array.of(1)), 'metadata-reserved');
    const other = buildImage();
    await expectWarned(other.write(other.layout.metadata.offset + 31, Uint8Array.of(1)), 'metadata-reserved');
  });

  test('rule 35: a table of more than 2047 entries is refused', async () => {
    await expectRefused(buildImage({ metadata: { entryCount: 2048 } }), 'metadata-entry-count');
    await expectRefused(buildImage({ metadata: { entryCount: 0xffff } }), 'metadata-entry-count');
  });

  test('rule 35: a table of more than 1024 user entries is refused', async () => {
    await expectSound(withItems(...manyItems(1024, IS_USER)));
    await expectRefused(withItems(...manyItems(1025, IS_USER)), 'metadata-entry-count');
  });

  test('rule 35: a table of 2047 entries is full, not broken', async () => {
    const disk = await expectSound(withItemsFirst(...manyItems(1024, IS_USER), ...manyItems(1018, 0)));
    expect(disk.info.metadataItems).toHaveLength(2047);
  });

  test('rule 36: what stands behind the last entry is ignored', async () => {
    const stale = concatBytes(
      guidBytes(GUID.incompleteFile),
      u32Bytes(1),
      u32Bytes(0xffff_ffff),
      u32Bytes(IS_REQUIRED),
      u32Bytes(9),
    );
    await expectSound(buildImage({ metadata: { afterEntries: stale } }));
    await expectSound(buildImage({ metadata: { afterEntries: new Uint8Array(1024).fill(0xff) } }));
  });

  for (const [name, id, length] of [...NEEDED_ITEMS, ...EXPECTED_ITEMS]) {
    test(`rule 37: a second item that is the ${name} is refused`, async () => {
      const second = unknownItem({ id, flags: IS_REQUIRED, data: new Uint8Array(length) });
      await expectRefused(withItems(second), 'metadata-duplicate');
      await expectRefused(withItemsFirst(second), ['metadata-duplicate', 'block-size', 'logical-sector-size']);
    });

    test(`rule 37: a user item may have the GUID of the ${name}`, async () => {
      const namesake = unknownItem({ id, flags: IS_USER, data: new Uint8Array(length + 3).fill(0xff) });
      await expectSound(withItems(namesake));
      await expectSound(withItemsFirst(namesake));
    });
  }

  test('rule 37: two user items, or two system items, with one GUID are refused', async () => {
    await expectRefused(withItems(unknownItem(), unknownItem()), 'metadata-duplicate');
    await expectRefused(
      withItems(unknownItem({ flags: IS_USER }), unknownItem({ flags: IS_USER })),
      'metadata-duplicate',
    );
    await expectSound(withItems(unknownItem({ flags: IS_USER }), unknownItem()));
  });

  test('rule 38: an entry with a GUID of zeros is a warning', async () => {
    await expectWarned(withItems(unknownItem({ id: ZERO_GUID })), 'metadata-item-id');
  });

  test('rule 39: an item of more than 1 MiB is refused', async () => {
    const image = (length: number) =>
      buildImage({ places: { metadata: { length: 4 * MiB } }, items: (plain) => [...plain, unknownItem({ length })] });
    await expectSound(image(MiB));
    await expectRefused(image(MiB + 1), 'metadata-item-length');
    await expectRefused(image(0xffff_ffff), 'metadata-item-length');
  });

  test('rule 39: an empty item has no place', async () => {
    await expectSound(withItems(unknownItem({ data: new Uint8Array(0) })));
    const placed = unknownItem({ data: new Uint8Array(0), offset: 128 * KiB });
    await expectRefused(withItems(placed), ['metadata-item-length', 'metadata-item-offset']);
  });

  test('rule 40: an item in the table itself is refused', async () => {
    await expectRefused(withChangedItem(GUID.virtualDiskSize, { offset: 64 * KiB - 8 }), 'metadata-item-offset');
    await expectRefused(withChangedItem(GUID.virtualDiskSize, { offset: 32 * KiB }), 'metadata-item-offset');
    await expectRefused(withItems(unknownItem({ offset: 48 * KiB })), 'metadata-item-offset');
  });

  test('rule 40: an item that leaves the region is refused', async () => {
    const data = u64Bytes(8 * MiB);
    await expectSound(withChangedItem(GUID.virtualDiskSize, { offset: MiB - 8, data }));
    const image = buildImage();
    const entry = image.layout.itemEntryOffset(GUID.virtualDiskSize);
    for (const offset of [MiB - 7, MiB, 0xffff_fff8, 0xffff_ffff]) {
      await expectRefused(image.clone().write(entry + 16, u32Bytes(offset)), 'metadata-item-offset');
    }
    await expectRefused(
      withItems(unknownItem({ offset: MiB - 8, length: 9, data: new Uint8Array(8) })),
      'metadata-item-offset',
    );
  });

  test('rule 41: items that share bytes are a warning', async () => {
    const offset = 96 * KiB;
    await expectWarned(
      withItems(unknownItem({ offset, length: 9 }), unknownItem({ id: GUID.pmemLabels, offset: offset + 8 })),
      'metadata-item-overlap',
    );
    await expectWarned(
      withItems(unknownItem({ offset: 64 * KiB, length: 64 * KiB, data: new Uint8Array(0) })),
      'metadata-item-overlap',
    );
  });

  test('rule 41: an item that lies in the middle of a large one is found, whatever lies between their starts', async () => {
    const large = unknownItem({ offset: 96 * KiB, data: new Uint8Array(4096) });
    const inside = unknownItem({ id: GUID.pmemLabels, offset: 96 * KiB + 8 });
    const later = unknownItem({ id: GUID.chsParameters, offset: 98 * KiB, data: new Uint8Array(8) });
    const disk = await expectWarned(withItems(later, inside, large), 'metadata-item-overlap');
    expect(disk.findings.filter(({ code }) => code === 'metadata-item-overlap')).toHaveLength(2);
  });

  test('rule 42: reserved bits of an entry that are not zero are a warning', async () => {
    await expectWarned(withItems(unknownItem({ flags: 8 })), 'metadata-entry-reserved');
    await expectWarned(withItems(unknownItem({ flags: 0x8000_0000 })), 'metadata-entry-reserved');
    await expectWarned(withItems(unknownItem({ reserved: 1 })), 'metadata-entry-reserved');
    await expectWarned(withChangedItem(GUID.fileParameters, { reserved: 1 }), 'metadata-entry-reserved');
  });
});

describe('items that nobody knows', () => {
  test('rule 43: one that is required is refused, whether of a user or of the system', async () => {
    await expectRefused(withItems(unknownItem({ flags: IS_REQUIRED })), 'metadata-unknown-required');
    await expectRefused(withItems(unknownItem({ flags: IS_REQUIRED | IS_VIRTUAL_DISK })), 'metadata-unknown-required');
    await expectRefused(withItems(unknownItem({ flags: IS_REQUIRED | IS_USER })), 'metadata-unknown-required');
  });

  test('rule 43: a user item is unknown even if its GUID is one of the format', async () => {
    const namesake = unknownItem({ id: GUID.logicalSectorSize, flags: IS_USER | IS_REQUIRED, data: u32Bytes(512) });
    await expectRefused(withItems(namesake), 'metadata-unknown-required');
  });

  test('rule 44: the others are told', async () => {
    const disk = await expectSound(
      withItems(unknownItem({ flags: IS_USER }), unknownItem({ flags: IS_VIRTUAL_DISK, data: new Uint8Array(0) })),
    );
    expect(disk.info.metadataItems).toContainEqual(
      expect.objectContaining({ id: UNKNOWN_ITEM, user: true, virtualDisk: false, required: false, length: 9 }),
    );
    expect(disk.info.metadataItems).toContainEqual(
      expect.objectContaining({ id: UNKNOWN_ITEM, user: false, virtualDisk: true, required: false, length: 0 }),
    );
  });
});

// Rules 20 to 32: the region table.
import { describe, expect, test } from 'vitest';
import { buildImage } from '../support/build-image.js';
import { GiB, KiB, MiB } from '../support/encode-primitives.js';
import { GUID, type RegionEntry, type RegionTableFields } from '../support/encode-structures.js';
import { expectRefused, expectSound, expectWarned } from '../support/expect-opening.js';
import type { ImageSpec } from '../support/image-spec.js';
import { fixRegionTableChecksum, patch } from '../support/patch-image.js';

const UNKNOWN = 'a3e1f2c4-5b60-4d7e-8f90-112233445566';
const unknown = (fields: Partial<RegionEntry> = {}): RegionEntry => ({
  id: UNKNOWN,
  offset: 16 * MiB,
  length: MiB,
  flags: 0,
  ...fields,
});
const roomForUnknown = { fileSize: 20 * MiB };

/** Both regions lie elsewhere, where there is nothing but zeros. */
const elsewhere: RegionEntry[] = [
  { id: GUID.bat, offset: 8 * MiB, length: MiB, flags: 1 },
  { id: GUID.metadata, offset: 9 * MiB, length: MiB, flags: 1 },
];

/** An image whose table has one of the two known regions changed. */
function changed(id: string, fields: Partial<RegionEntry>, spec: ImageSpec = {}) {
  return buildImage({
    ...spec,
    regions: (plain) => plain.map((entry) => (entry.id === id ? { ...entry, ...fields } : entry)),
  });
}

const known = [
  ['BAT', GUID.bat],
  ['metadata', GUID.metadata],
] as const;

describe('the two copies of the region table', () => {
  for (const bad of [1, 2] as const) {
    const broken = (fields: Partial<RegionTableFields>): ImageSpec => {
      const wrong = { ...fields, entries: elsewhere };
      return { regionTables: bad === 1 ? [wrong, {}] : [{}, wrong], fileSize: 12 * MiB };
    };

    test(`rule 20: copy ${bad} without its signature is not used`, async () => {
      await expectWarned(buildImage(broken({ signature: 'rogi' })), 'region-table-signature');
    });

    test(`rule 20: copy ${bad} with a wrong checksum is not used`, async () => {
      await expectWarned(buildImage(broken({ checksum: 0 })), 'region-table-checksum');
    });

    test(`rule 20: the checksum of copy ${bad} covers all of its 64 KiB`, async () => {
      for (const at of [8, 79, 80, 64 * KiB - 1]) {
        const image = buildImage();
        await expectWarned(
          patch(image, (image.layout.regionTableOffsets[bad - 1] as number) + at, [0x5e]),
          'region-table-checksum',
        );
      }
    });
  }

  test('rule 20: without a valid copy the image is refused', async () => {
    await expectRefused(buildImage({ regionTables: { checksum: 5 } }), 'region-table-none-valid');
    await expectRefused(
      buildImage({ regionTables: [{ signature: 'head' }, { checksum: 5 }] }),
      'region-table-none-valid',
    );
  });

  test('rule 21: of two valid copies that differ the first is used', async () => {
    await expectWarned(
      buildImage({ regionTables: [{}, { entries: elsewhere }], fileSize: 12 * MiB }),
      'region-tables-differ',
    );
    const reverse: ImageSpec = { regionTables: [{ entries: elsewhere }, {}], fileSize: 12 * MiB };
    await expectRefused(buildImage(reverse), 'metadata-signature');
  });
});

describe('the table itself', () => {
  for (const entryCount of [2048, 0x8000_0000, 0xffff_ffff]) {
    test(`rule 22: a table of ${entryCount} entries is refused`, async () => {
      await expectRefused(buildImage({ regionTables: { entryCount } }), 'region-entry-count');
    });
  }

  test('rule 22: a table of 2047 entries is full, not broken', async () => {
    const more = Array.from({ length: 2045 }, (_, i) => {
      return unknown({
        id: `00000000-0000-4000-8000-${(i + 1).toString(16).padStart(12, '0')}`,
        offset: (16 + i) * MiB,
      });
    });
    const disk = await expectSound(buildImage({ regions: (plain) => [...more, ...plain], fileSize: 3 * GiB }));
    expect(disk.info.regions).toHaveLength(2047);
  });

  test('rule 22: what stands behind the last entry is ignored', async () => {
    const image = buildImage();
    for (const copy of [0, 1] as const) {
      image.write(image.layout.regionEntryOffset(copy, 2), new Uint8Array(4096).fill(0xff));
      fixRegionTableChecksum(image, copy);
    }
    await expectSound(image);
  });

  test('rule 23: a reserved word that is not zero is a warning', async () => {
    await expectWarned(buildImage({ regionTables: { reserved: 1 } }), 'region-table-reserved');
    await expectWarned(buildImage({ regionTables: { reserved: 0x8000_0000 } }), 'region-table-reserved');
  });
});

describe('the entries', () => {
  for (const [name, id] of known) {
    test(`rule 24: a second ${name} region is refused`, async () => {
      const second = { ...unknown({ id }) };
      await expectRefused(
        buildImage({ ...roomForUnknown, regions: (plain) => [...plain, second] }),
        'region-duplicate',
      );
      await expectRefused(
        buildImage({ ...roomForUnknown, regions: (plain) => [second, ...plain] }),
        'region-duplicate',
      );
    });

    for (const offset of [0, 512 * KiB, MiB - 1, 3 * MiB + 4 * KiB, 2n ** 63n + 1n]) {
      test(`rule 25: a ${name} region at ${offset} is refused`, async () => {
        await expectRefused(changed(id, { offset }), 'region-offset');
      });
    }

    for (const length of [0, 4 * KiB, MiB - 1, MiB + 64 * KiB]) {
      test(`rule 26: a ${name} region of ${length} bytes is refused`, async () => {
        await expectRefused(changed(id, { length }), 'region-length');
      });
    }

    test(`rule 26: a ${name} region whose end is no 64-bit number is refused`, async () => {
      const fields = { offset: 2n ** 64n - BigInt(MiB), length: 2 * MiB };
      await expectRefused(changed(id, fields), ['region-offset', 'region-length', 'region-outside-file']);
    });

    test(`rule 27: a ${name} region that the file does not hold is refused`, async () => {
      await expectRefused(changed(id, { offset: 64 * MiB }), 'region-outside-file');
      await expectRefused(changed(id, { offset: 2n ** 45n }), 'region-outside-file');
      const image = buildImage({ blocks: {}, habits: name === 'BAT' ? 'windows' : 'qemu' });
      const { offset, length } = name === 'BAT' ? image.layout.bat : image.layout.metadata;
      await expectRefused(image.truncate(offset + length - 1), 'region-outside-file');
    });

    test(`rule 28: a ${name} region that another region shares its place with is refused`, async () => {
      const image = buildImage(roomForUnknown);
      const { offset } = name === 'BAT' ? image.layout.bat : image.layout.metadata;
      const regions = (plain: RegionEntry[]) => [...plain, unknown({ offset })];
      await expectRefused(buildImage({ ...roomForUnknown, regions }), 'region-overlap');
    });

    test(`rule 31: unknown bits beside Required of the ${name} region are a warning`, async () => {
      await expectWarned(changed(id, { flags: 3 }), 'region-flags');
      await expectWarned(changed(id, { flags: 0x8000_0000 }), 'region-flags');
    });

    test(`rule 32: an image without a ${name} region is refused`, async () => {
      await expectRefused(
        buildImage({ regions: (plain) => plain.filter((entry) => entry.id !== id) }),
        'region-missing',
      );
    });
  }

  test('rule 24: a second region of an unknown kind is a warning', async () => {
    const regions = (plain: RegionEntry[]) => [...plain, unknown(), unknown({ offset: 18 * MiB })];
    await expectWarned(buildImage({ ...roomForUnknown, regions }), 'region-duplicate');
  });

  test('rule 25: an unknown region has to lie where regions lie, too', async () => {
    await expectRefused(buildImage({ regions: (plain) => [...plain, unknown({ offset: 4096 })] }), 'region-offset');
  });

  test('rule 27: an unknown region that the file does not hold is a warning', async () => {
    await expectWarned(
      buildImage({ regions: (plain) => [...plain, unknown({ offset: 64 * MiB })] }),
      'region-outside-file',
    );
  });

  test('rule 28: BAT and metadata in one place are refused', async () => {
    const image = buildImage();
    await expectRefused(changed(GUID.bat, { offset: image.layout.metadata.offset }), 'region-overlap');
    await expectRefused(changed(GUID.metadata, { length: 2 * MiB }), 'region-overlap');
  });

  test('rule 28: unknown regions that share a place are refused', async () => {
    const other = unknown({ id: 'b3e1f2c4-5b60-4d7e-8f90-112233445566', offset: 17 * MiB });
    const regions = (plain: RegionEntry[]) => [other, ...plain, unknown({ length: 2 * MiB })];
    await expectRefused(buildImage({ ...roomForUnknown, regions }), 'region-overlap');
  });

  test('rule 29: an unknown region that is required is refused', async () => {
    const regions = (plain: RegionEntry[]) => [unknown({ flags: 1 }), ...plain];
    await expectRefused(buildImage({ ...roomForUnknown, regions }), 'region-unknown-required');
  });

  test('rule 29: an unknown region that is not required is told and left alone', async () => {
    const regions = (plain: RegionEntry[]) => [unknown(), ...plain];
    const disk = await expectSound(buildImage({ ...roomForUnknown, regions }));
    expect(disk.info.regions).toContainEqual(
      expect.objectContaining({ guid: UNKNOWN, offset: 16 * MiB, length: MiB, required: false }),
    );
  });

  test('rule 30: BAT and metadata that are not marked required are read, as QEMU writes them', async () => {
    const disk = await expectSound(buildImage({ habits: 'qemu' }));
    expect(disk.info.regions.map(({ required }) => required)).toEqual([false, false]);
  });

  test('rule 32: an empty table is refused', async () => {
    await expectRefused(buildImage({ regions: () => [] }), 'region-missing');
  });

  test('quirk 16: the order of the entries does not matter', async () => {
    await expectSound(buildImage({ regions: (plain) => plain.reverse() }));
  });
});

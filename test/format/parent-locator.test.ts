// Rules 100 to 105 and 112: what a differencing image says about its parent.
import { describe, expect, test } from 'vitest';
import { openVhdx } from '../../src/index.js';
import { type BuiltImage, buildImage } from '../support/build-image.js';
import { modelOf } from '../support/disk-model.js';
import { concatBytes, u32Bytes, utf16Bytes } from '../support/encode-primitives.js';
import { encodeParentLocator, GUID, type LocatorEntry, type LocatorFields } from '../support/encode-structures.js';
import { expectRefused, expectSound, expectWarned } from '../support/expect-opening.js';
import { BASE_DATA_WRITE_GUID } from '../support/image-spec.js';

const parent = buildImage();
const options = () => ({ parent: parent.source() });
const linkage: LocatorEntry = { key: 'parent_linkage', value: `{${BASE_DATA_WRITE_GUID}}` };
const path: LocatorEntry = { key: 'relative_path', value: '.\\base.vhdx' };
type Locator = Partial<LocatorFields> & Pick<LocatorFields, 'entries'>;
const childWith = (parentLocator: Locator | Uint8Array): BuiltImage =>
  buildImage({ type: 'differencing', blocks: {}, parentLocator });
const modelOfChild = (image: BuiltImage) => modelOf(image, modelOf(parent));

/** Asserts that an image is refused, whether its parent is asked for or not. */
async function expectRefusedAlways(
  locator: Locator | Uint8Array,
  code: 'locator-type' | 'locator-bounds',
): Promise<void> {
  await expectRefused(childWith(locator), code, options());
  await expectRefused(childWith(locator), code, { parent: false });
}

test('what the locator says is told as it stands in the image', async () => {
  const entries = [
    linkage,
    path,
    { key: 'volume_path', value: '\\\\?\\Volume{4b8f0e3c}\\b.vhdx' },
    { key: 'Ключ 鍵', value: 'öäü 🖴' },
  ];
  const image = childWith({ entries });
  const disk = await expectSound(image, options(), modelOfChild(image));
  expect(disk.info.parentLocator).toEqual(Object.fromEntries(entries.map(({ key, value }) => [key, value])));
});

test('a key that means something to JavaScript means nothing here', async () => {
  const image = childWith({
    entries: [linkage, path, { key: '__proto__', value: 'x' }, { key: 'constructor', value: 'y' }],
  });
  const { info } = await openVhdx(image.source(), options());
  expect(Object.keys(info.parentLocator ?? {}).sort()).toEqual([
    '__proto__',
    'constructor',
    'parent_linkage',
    'relative_path',
  ]);
});

describe('type and bounds', () => {
  for (const type of ['B04AEFB7-D19E-4A81-B789-25B8E9445914', '00000000-0000-0000-0000-000000000000']) {
    test(`rule 100: a locator of type ${type} is refused`, async () => {
      await expectRefusedAlways({ type, entries: [linkage, path] }, 'locator-type');
    });
  }

  test('rule 112: a locator of another type is said to name a parent that is not supported', async () => {
    const error = await expectRefused(
      childWith({ type: GUID.metadata, entries: [linkage, path] }),
      'locator-type',
      options(),
    );
    expect(error.message).toMatch(/parent type 8b7ca206-4790-4b9a-b8fe-575f050f886e is not supported/);
  });

  test('rule 101: a locator that is shorter than its header is refused', async () => {
    for (const length of [1, 16, 19]) {
      await expectRefusedAlways(encodeParentLocator({ entries: [linkage] }).subarray(0, length), 'locator-bounds');
    }
  });

  test('rule 101: one that counts more entries than it has room for is refused', async () => {
    const length = encodeParentLocator({ entries: [linkage, path] }).length;
    for (const keyValueCount of [Math.ceil(length / 12), 0xffff]) {
      await expectRefusedAlways({ keyValueCount, entries: [linkage, path] }, 'locator-bounds');
    }
    // Two good entries, whose texts stand in the header, and half of a third one.
    const half = new Uint8Array(20 + 24 + 6);
    half.set(encodeParentLocator({ keyValueCount: 3, entries: [] }));
    for (const at of [20, 32]) half.set(concatBytes(u32Bytes(2), u32Bytes(2), Uint8Array.of(2, 0, 2, 0)), at);
    await expectRefusedAlways(half, 'locator-bounds');
  });

  for (const [title, change] of [
    ['a key at offset 0', { keyOffset: 0 }],
    ['a value at offset 0', { valueOffset: 0 }],
    ['a key of no length', { keyLength: 0 }],
    ['a value of no length', { valueLength: 0 }],
    ['a key behind the end of the item', { keyOffset: 4096 }],
    ['a value behind the end of the item', { valueOffset: 0xffffffff }],
    ['a key that ends behind the end of the item', { keyLength: 0xfffe }],
    ['a value that ends behind the end of the item', { valueLength: 0xfffe }],
    ['a value that ends two bytes behind the end of the item', { valueLength: 2 * 11 + 2 }],
  ] as const) {
    test(`rule 101: an entry with ${title} is refused`, async () => {
      await expectRefusedAlways({ entries: [linkage, { ...path, ...change }] }, 'locator-bounds');
    });
  }

  test('rule 101: a value may end where the item ends, and stand before its key', async () => {
    const image = childWith({ entries: [linkage, path] });
    await expectSound(image, options(), modelOfChild(image));
    const bytes = encodeParentLocator({ entries: [linkage, { ...path, keyOffset: 500, valueOffset: 400 }] });
    const moved = new Uint8Array(526);
    moved.set(bytes);
    moved.set(utf16Bytes('.\\base.vhdx'), 400);
    moved.set(utf16Bytes('relative_path'), 500);
    const disk = await expectSound(childWith(moved), options(), modelOfChild(image));
    expect(disk.info.parentLocator?.['relative_path']).toBe('.\\base.vhdx');
  });
});

describe('texts', () => {
  const text = (value: string, ...more: number[]) => concatBytes(utf16Bytes(value), Uint8Array.from(more));
  for (const [title, entry] of [
    ['a value that ends with a NUL', { key: 'relative_path', value: text('.\\base.vhdx', 0, 0) }],
    ['a key that ends with NULs', { key: text('relative_path', 0, 0, 0, 0), value: '.\\base.vhdx' }],
    ['a value of an odd length', { key: 'relative_path', value: text('.\\base.vhdx', 65) }],
    ['a key of an odd length', { key: text('relative_path', 65), value: '.\\base.vhdx' }],
  ] as const) {
    test(`rule 102: ${title} is a warning, and used without it`, async () => {
      const image = childWith({ entries: [linkage, entry] });
      const disk = await expectWarned(image, 'locator-text', options(), modelOfChild(image));
      expect(disk.info.parentLocator).toEqual({ parent_linkage: linkage.value, relative_path: '.\\base.vhdx' });
    });
  }

  test('rule 102: a NUL in the middle is a warning', async () => {
    const image = childWith({ entries: [linkage, { ...path, value: 'a\0b' }] });
    await expectWarned(image, 'locator-text', options(), modelOfChild(image));
  });

  test('rule 102: a GUID behind which a NUL stands is read', async () => {
    const image = childWith({ entries: [{ ...linkage, value: text(linkage.value as string, 0, 0) }, path] });
    await expectWarned(image, 'locator-text', options(), modelOfChild(image));
  });

  test('rule 102b: reserved bits that are not zero are a warning', async () => {
    for (const reserved of [1, 0x8000]) {
      const image = childWith({ reserved, entries: [linkage, path] });
      await expectWarned(image, 'locator-reserved', options(), modelOfChild(image));
    }
  });

  test('rule 103: where a key stands twice, the first counts, and that is a warning', async () => {
    const other = { ...linkage, value: '{11111111-1111-4111-8111-111111111111}' };
    const image = childWith({ entries: [linkage, path, other] });
    await expectWarned(image, 'locator-duplicate-key', options(), modelOfChild(image));
    await expectRefused(childWith({ entries: [other, path, linkage] }), 'parent-mismatch', options());
  });
});

describe('the linkage', () => {
  /** Asserts that no parent is assumed for an image, and that it can still be read by itself, with a warning. */
  async function expectUnverified(image: BuiltImage): Promise<void> {
    await expectRefused(image, 'parent-unverified', options());
    await expectRefused(image, 'parent-unverified', { parent: [parent.source()] });
    const { findings } = await openVhdx(image.source(), { parent: false });
    expect(findings).toContainEqual(expect.objectContaining({ code: 'locator-linkage', severity: 'warning' }));
  }

  test('rule 104: without parent_linkage no file is known to be the parent', async () => {
    await expectUnverified(childWith({ entries: [path] }));
  });

  test('rule 104: nor with one that is no GUID', async () => {
    for (const value of ['base', `${BASE_DATA_WRITE_GUID.slice(1)}`, `{${BASE_DATA_WRITE_GUID}}x`]) {
      await expectUnverified(childWith({ entries: [{ ...linkage, value }, path] }));
    }
  });

  test('rule 104: keys are compared as they are written, small letters and all', async () => {
    await expectUnverified(childWith({ entries: [{ ...linkage, key: 'PARENT_LINKAGE' }, path] }));
  });

  for (const value of [
    BASE_DATA_WRITE_GUID,
    BASE_DATA_WRITE_GUID.toUpperCase(),
    `{${BASE_DATA_WRITE_GUID}}`,
    `{${BASE_DATA_WRITE_GUID.toUpperCase()}}`,
  ]) {
    test(`rule 105: a GUID may be written as ${value}`, async () => {
      const image = childWith({ entries: [{ ...linkage, value }, path] });
      await expectSound(image, options(), modelOfChild(image));
      await expectSound(image, { parent: [parent.source()] }, modelOfChild(image));
    });
  }

  test('a locator that tells no path is a warning', async () => {
    const image = childWith({ entries: [linkage] });
    await expectWarned(image, 'locator-no-path', options(), modelOfChild(image));
    const other = childWith({ entries: [linkage, { key: 'Relative_Path', value: 'x' }] });
    await expectWarned(other, 'locator-no-path', options(), modelOfChild(image));
  });
});

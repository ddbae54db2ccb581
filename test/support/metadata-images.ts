import { type BuiltImage, buildImage } from './build-image.js';
import { asciiBytes, KiB, MiB } from './encode-primitives.js';
import { GUID, type MetadataItem } from './encode-structures.js';
import type { ImageSpec } from './image-spec.js';

/** The GUID of an unknown item. */
export const UNKNOWN_ITEM = 'c0ffee00-1234-4abc-8def-0123456789ab';

/** The items without which a disk cannot be read: name, GUID, length in bytes. */
export const NEEDED_ITEMS = [
  ['file parameters', GUID.fileParameters, 8],
  ['virtual disk size', GUID.virtualDiskSize, 8],
  ['logical sector size', GUID.logicalSectorSize, 4],
] as const;

/** The items that a disk should have and can be read without: name, GUID, length in bytes. */
export const EXPECTED_ITEMS = [
  ['physical sector size', GUID.physicalSectorSize, 4],
  ['virtual disk id', GUID.virtualDiskId, 16],
] as const;

/** An image with more items after its own. */
export function withItems(...more: MetadataItem[]): BuiltImage {
  return buildImage({ items: (plain) => [...plain, ...more] });
}

/** An image with more items before its own. */
export function withItemsFirst(...more: MetadataItem[]): BuiltImage {
  return buildImage({ items: (plain) => [...more, ...plain] });
}

/** An image in which one item is changed. */
export function withChangedItem(id: string, change: Partial<MetadataItem>): BuiltImage {
  return buildImage({ items: (plain) => plain.map((item) => (item.id === id ? { ...item, ...change } : item)) });
}

/** An image that lacks an item. */
export function withoutItem(id: string, spec: ImageSpec = {}): BuiltImage {
  return buildImage({ ...spec, items: (plain) => plain.filter((item) => item.id !== id) });
}

/** An unknown item, optional and of the system, with nine bytes. */
export function unknownItem(fields: Partial<MetadataItem> = {}): MetadataItem {
  return { id: UNKNOWN_ITEM, flags: 0, data: asciiBytes('something'), ...fields };
}

/** Items that fill what plain ones leave of a metadata region of 1 MiB, but for so many bytes. */
export function crowded(plain: readonly MetadataItem[], left = 0): MetadataItem[] {
  const used = plain.reduce((sum, { data }) => sum + Math.ceil(data.length / 8) * 8, 64 * KiB);
  return [...plain, unknownItem({ flags: 1, data: new Uint8Array(MiB - used - left).map((_, i) => i % 251) })];
}

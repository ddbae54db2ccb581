import { hex, readU64, viewOf } from '../base/bytes.js';
import { MiB, TiB } from '../base/units.js';
import { finding, type Report } from '../rules.js';
import { givenGuid, readGuid, writeGuid } from './guid.js';
import {
  encodeMetadataTable,
  type ItemName,
  knownItem,
  METADATA_TABLE_SIZE,
  type MetadataEntry,
  type MetadataTableEntry,
} from './metadata-table.js';
import type { ParentLocator } from './parent-locator.js';

/** Largest payload block, in bytes. */
export const LARGEST_BLOCK = 256 * MiB;
/** Largest possible virtual disk, in bytes. */
const MAX_VIRTUAL_SIZE = 64 * TiB;

/** What the metadata items say about the disk ([MS-VHDX] 2.6.2). */
export interface DiskMetadata {
  /** In bytes. */
  readonly blockSize: number;
  /** Whether blocks stay allocated; has no meaning if there is a parent. */
  readonly leaveBlocksAllocated: boolean;
  readonly hasParent: boolean;
  /** In bytes. */
  readonly virtualSize: number;
  /** Undefined if the image does not have one, or has one of zeros. */
  readonly virtualDiskId?: string;
  /** In bytes: 512 or 4096. */
  readonly logicalSectorSize: number;
  /** In bytes: 512 or 4096. */
  readonly physicalSectorSize: number;
  /** Of a differencing image; parsed apart. */
  readonly parentLocator?: ParentLocator;
}

/** The items whose bytes are read, by name. */
export const NEEDED_ITEMS: readonly ItemName[] = [
  'File Parameters',
  'Virtual Disk Size',
  'Virtual Disk ID',
  'Logical Sector Size',
  'Physical Sector Size',
  'Parent Locator',
];

interface Item {
  readonly view: DataView;
  readonly bytes: Uint8Array;
  readonly place: { readonly structure: string; readonly offset: number };
}

/**
 * Reads the disk's parameters from the metadata items; undefined if a required one is missing or impossible.
 * `listed` are all items of the table, `entries` those that can be read, and `bytesOf` gives their bytes. What is wrong
 * with the others was reported before.
 */
export function parseMetadata(
  entries: readonly MetadataEntry[],
  listed: ReadonlySet<ItemName>,
  bytesOf: (entry: MetadataEntry) => Uint8Array,
  report: Report,
): DiskMetadata | undefined {
  const find = (name: ItemName, absence?: 'metadata-item-missing' | 'metadata-item-absent'): Item | undefined => {
    const entry = entries.find((listed) => listed.name === name);
    if (entry) {
      const bytes = bytesOf(entry);
      return { bytes, view: viewOf(bytes), place: entry };
    }
    if (absence && !listed.has(name)) {
      report(finding(absence, `there is no ${name} item`, { structure: 'metadata table' }));
    }
    return undefined;
  };
  const file = parseFileParameters(find('File Parameters', 'metadata-item-missing'), report);
  const logicalSectorSize = parseLogicalSectorSize(find('Logical Sector Size', 'metadata-item-missing'), report);
  const virtualSize = parseVirtualSize(find('Virtual Disk Size', 'metadata-item-missing'), logicalSectorSize, report);
  const id = find('Virtual Disk ID', 'metadata-item-absent');
  const virtualDiskId = id && givenGuid(readGuid(id.view, 0));
  const physical = find('Physical Sector Size', 'metadata-item-absent');
  const locator = entries.find(({ name }) => name === 'Parent Locator');
  if (!file || logicalSectorSize === undefined || virtualSize === undefined) return undefined;

  if (file.hasParent && !listed.has('Parent Locator')) {
    const message = 'the disk has a parent, but there is no Parent Locator item';
    report(finding('parent-locator-missing', message, { structure: 'metadata table' }));
  }
  if (locator && !file.hasParent) {
    const message = 'the disk has no parent, but there is a Parent Locator item';
    report(finding('parent-locator-extra', message, locator));
  }
  return {
    ...file,
    virtualSize,
    ...(virtualDiskId !== undefined && { virtualDiskId }),
    logicalSectorSize,
    physicalSectorSize: parsePhysicalSectorSize(physical, logicalSectorSize, report),
  };
}

function parseFileParameters(item: Item | undefined, report: Report) {
  if (!item) return undefined;
  const blockSize = item.view.getUint32(0, true);
  const flags = item.view.getUint32(4, true);
  if (blockSize < MiB || blockSize > LARGEST_BLOCK || (blockSize & (blockSize - 1)) !== 0) {
    report(
      finding('block-size', `block size ${hex(blockSize)} is not a power of two from 1 MiB to 256 MiB`, item.place),
    );
    return undefined;
  }
  if (flags > 3) report(finding('file-parameters-reserved', `reserved bits are not zero: ${hex(flags)}`, item.place));
  return { blockSize, leaveBlocksAllocated: (flags & 1) !== 0, hasParent: (flags & 2) !== 0 };
}

function parseLogicalSectorSize(item: Item | undefined, report: Report): number | undefined {
  if (!item) return undefined;
  const size = item.view.getUint32(0, true);
  if (size === 512 || size === 4096) return size;
  report(finding('logical-sector-size', `logical sector size is ${size}, not 512 or 4096`, item.place));
  return undefined;
}

function parsePhysicalSectorSize(item: Item | undefined, logical: number, report: Report): number {
  if (!item) return logical;
  const size = item.view.getUint32(0, true);
  if (size === 512 || size === 4096) return size;
  report(finding('physical-sector-size', `physical sector size is ${size}, not 512 or 4096`, item.place));
  return logical;
}

function parseVirtualSize(item: Item | undefined, logical: number | undefined, report: Report): number | undefined {
  if (!item) return undefined;
  const size = readU64(item.view, 0);
  if (size > MAX_VIRTUAL_SIZE) {
    const exact = item.view.getBigUint64(0, true);
    report(finding('virtual-disk-size', `virtual disk size ${hex(exact)} is above 64 TiB`, item.place));
    return undefined;
  }
  if (size === 0) {
    report(finding('virtual-disk-size-zero', 'virtual disk size is 0', item.place));
  } else if (logical !== undefined && size % logical !== 0) {
    const message = `virtual disk size ${hex(size)} is not a multiple of the logical sector size ${logical}`;
    report(finding('virtual-disk-size-alignment', message, item.place));
  }
  return size;
}

/** A metadata item to be written: the value of an entry of the table, which says the rest. */
export interface MetadataItem extends Pick<MetadataTableEntry, 'itemId' | 'flags'> {
  readonly bytes: Uint8Array;
}

/** The bytes of a File Parameters item ([MS-VHDX] 2.6.2.1). `reserved` are the other 30 bits of its flags, in place. */
export function encodeFileParameters(
  file: Pick<DiskMetadata, 'blockSize' | 'leaveBlocksAllocated' | 'hasParent'>,
  reserved = 0,
): Uint8Array<ArrayBuffer> {
  return encodeItem(8, (view) => {
    view.setUint32(0, file.blockSize, true);
    view.setUint32(4, ((reserved & ~3) | (file.leaveBlocksAllocated ? 1 : 0) | (file.hasParent ? 2 : 0)) >>> 0, true);
  });
}

/** The bytes of a Virtual Disk Size item ([MS-VHDX] 2.6.2.2), in bytes. */
export function encodeVirtualDiskSize(virtualSize: number): Uint8Array<ArrayBuffer> {
  return encodeItem(8, (view) => view.setBigUint64(0, BigInt(virtualSize), true));
}

/** The bytes of a Virtual Disk ID item ([MS-VHDX] 2.6.2.3). */
export function encodeVirtualDiskId(id: string): Uint8Array<ArrayBuffer> {
  return encodeItem(16, (view) => writeGuid(view, 0, id));
}

/** The bytes of a Logical or Physical Sector Size item ([MS-VHDX] 2.6.2.4, 2.6.2.5), in bytes. */
export function encodeSectorSize(size: number): Uint8Array<ArrayBuffer> {
  return encodeItem(4, (view) => view.setUint32(0, size, true));
}

function encodeItem(length: number, fill: (view: DataView) => void): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(length);
  fill(viewOf(bytes));
  return bytes;
}

/**
 * The items of a disk in the order in which Windows writes them.
 *
 * @param locator the bytes of the Parent Locator item of a differencing disk
 */
export function encodeMetadataItems(disk: DiskMetadata, locator?: Uint8Array): MetadataItem[] {
  const { virtualDiskId } = disk;
  const item = (name: ItemName, bytes: Uint8Array): MetadataItem => ({ ...knownItem(name), bytes });
  return [
    item('File Parameters', encodeFileParameters(disk)),
    item('Virtual Disk Size', encodeVirtualDiskSize(disk.virtualSize)),
    item('Logical Sector Size', encodeSectorSize(disk.logicalSectorSize)),
    item('Physical Sector Size', encodeSectorSize(disk.physicalSectorSize)),
    ...(virtualDiskId === undefined ? [] : [item('Virtual Disk ID', encodeVirtualDiskId(virtualDiskId))]),
    ...(locator ? [item('Parent Locator', locator)] : []),
  ];
}

/** The start of a new metadata region: its table, and directly after it the items, one after another. */
export function encodeMetadata(items: readonly MetadataItem[]): Uint8Array<ArrayBuffer> {
  let end = METADATA_TABLE_SIZE;
  const entries = items.map(({ itemId, flags, bytes: { length } }): MetadataTableEntry => {
    const offset = length === 0 ? 0 : end;
    end += length;
    return { itemId, offset, length, flags, reserved: 0 };
  });
  const region = new Uint8Array(end);
  region.set(encodeMetadataTable(entries));
  for (const [i, { bytes }] of items.entries()) region.set(bytes, entries[i]?.offset);
  return region;
}

import type { FileRange } from '../base/byte-range.js';
import { hex, viewOf } from '../base/bytes.js';
import { KiB, MiB } from '../base/units.js';
import { finding, type Report } from '../rules.js';
import { readGuid, writeGuid, ZERO_GUID } from './guid.js';

/** Length in bytes of the metadata table at the start of the metadata region. */
export const METADATA_TABLE_SIZE = 64 * KiB;

const HEADER_LENGTH = 32;
const ENTRY_LENGTH = 32;
/** Entries that a metadata table may have. */
export const MAX_ENTRIES = 2047;
/** How many of them may be users' items. */
export const MAX_USER_ENTRIES = 1024;
const META = 0x6174656d; // "metadata" in two words
const DATA = 0x61746164;
const IS_USER = 1;
const IS_VIRTUAL_DISK = 2;
const IS_REQUIRED = 4;

/** An entry of a metadata table as the file has it ([MS-VHDX] 2.6.1.2). */
export interface MetadataTableEntry {
  readonly itemId: string;
  /** In bytes from the start of the metadata region. */
  readonly offset: number;
  /** In bytes. */
  readonly length: number;
  /** IsUser, IsVirtualDisk and IsRequired are bits 0, 1 and 2; the others are reserved. */
  readonly flags: number;
  /** The reserved word at its end. */
  readonly reserved: number;
}

/** An item of the metadata table that can be read ([MS-VHDX] 2.6.1.2). */
export interface MetadataEntry extends FileRange {
  readonly itemId: string;
  readonly isUser: boolean;
  readonly isVirtualDisk: boolean;
  readonly isRequired: boolean;
  /** The item's name if this reader knows it. */
  readonly name?: ItemName;
}

/** The metadata items that this reader knows, by the specification's names and, at the end, Microsoft's unpublished ones. */
export type ItemName =
  | 'File Parameters'
  | 'Virtual Disk Size'
  | 'Virtual Disk ID'
  | 'Logical Sector Size'
  | 'Physical Sector Size'
  | 'Parent Locator'
  | 'Incomplete File'
  | 'CHS Parameters'
  | 'PMEM Label Storage Area';

interface KnownItem {
  readonly name: ItemName;
  /** Its length in bytes, if that is fixed. */
  readonly size?: number;
  /** The flags that the specification gives it, if it does. */
  readonly flags?: number;
}

const KNOWN = new Map<string, KnownItem>([
  ['caa16737-fa36-4d43-b3b6-33f0aa44e76b', { name: 'File Parameters', size: 8, flags: IS_REQUIRED }],
  [
    '2fa54224-cd1b-4876-b211-5dbed83bf4b8',
    { name: 'Virtual Disk Size', size: 8, flags: IS_VIRTUAL_DISK | IS_REQUIRED },
  ],
  ['beca12ab-b2e6-4523-93ef-c309e000c746', { name: 'Virtual Disk ID', size: 16, flags: IS_VIRTUAL_DISK | IS_REQUIRED }],
  [
    '8141bf1d-a96f-4709-ba47-f233a8faab5f',
    { name: 'Logical Sector Size', size: 4, flags: IS_VIRTUAL_DISK | IS_REQUIRED },
  ],
  [
    'cda348c7-445d-4471-9cc9-e9885251c556',
    { name: 'Physical Sector Size', size: 4, flags: IS_VIRTUAL_DISK | IS_REQUIRED },
  ],
  ['a8d35f2d-b30b-454d-abf7-d3d84834ab0c', { name: 'Parent Locator', flags: IS_REQUIRED }],
  ['71cc85f0-1b69-4e28-9558-c3bf83ae75d3', { name: 'Incomplete File' }],
  ['da02d7bc-3d3a-423c-ac88-2a36ab21479b', { name: 'CHS Parameters' }],
  ['10e1ae8a-4b7e-4169-a40f-cd70de928393', { name: 'PMEM Label Storage Area' }],
]);

/** The GUID of an item that this reader knows, and the flags that the specification wants its entry to carry. */
export function knownItem(name: ItemName): { readonly itemId: string; readonly flags: number } {
  for (const [itemId, known] of KNOWN) if (known.name === name) return { itemId, flags: known.flags ?? 0 };
  throw new RangeError(`no item is called ${name}`);
}

/** Whether bytes begin with the signature of a metadata table. */
function hasMetadataSignature(view: DataView): boolean {
  return view.getUint32(0, true) === META && view.getUint32(4, true) === DATA;
}

/** The entries that a metadata table counts, in their order, as they are; nothing is checked but that they fit. */
export function readMetadataTableEntries(bytes: Uint8Array): MetadataTableEntry[] {
  const view = viewOf(bytes);
  const count = Math.min(view.getUint16(10, true), MAX_ENTRIES);
  return Array.from({ length: count }, (_, i) => {
    const at = HEADER_LENGTH + ENTRY_LENGTH * i;
    return {
      itemId: readGuid(view, at),
      offset: view.getUint32(at + 16, true),
      length: view.getUint32(at + 20, true),
      flags: view.getUint32(at + 24, true),
      reserved: view.getUint32(at + 28, true),
    };
  });
}

/** The known items that a metadata table lists, also those that cannot be read. */
export function listedItems(bytes: Uint8Array): ReadonlySet<ItemName> {
  const known = readMetadataTableEntries(bytes).map(({ itemId, flags }) =>
    flags & IS_USER ? undefined : KNOWN.get(itemId),
  );
  return new Set(known.flatMap((item) => item?.name ?? []));
}

/**
 * A metadata table with these entries as bytes ([MS-VHDX] 2.6.1); it has no checksum. A present table is changed by
 * encoding its own entries, changed, over its own bytes: everything else stays as it is, and slots of entries that it
 * has no more become zeros.
 *
 * @param base the present table, from which all other bytes are taken; zeros if it is not given
 */
export function encodeMetadataTable(
  entries: readonly MetadataTableEntry[],
  base?: Uint8Array,
): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(METADATA_TABLE_SIZE);
  if (base) bytes.set(base);
  const view = viewOf(bytes);
  const before = Math.min(view.getUint16(10, true), MAX_ENTRIES);
  bytes.fill(0, HEADER_LENGTH + ENTRY_LENGTH * entries.length, HEADER_LENGTH + ENTRY_LENGTH * before);
  view.setUint32(0, META, true);
  view.setUint32(4, DATA, true);
  view.setUint16(10, entries.length, true);
  for (const [i, { itemId, offset, length, flags, reserved }] of entries.entries()) {
    const at = HEADER_LENGTH + ENTRY_LENGTH * i;
    writeGuid(view, at, itemId);
    view.setUint32(at + 16, offset, true);
    view.setUint32(at + 20, length, true);
    view.setUint32(at + 24, flags, true);
    view.setUint32(at + 28, reserved, true);
  }
  return bytes;
}

/**
 * Parses the metadata table ([MS-VHDX] 2.6.1). `bytes` holds its 64 KiB, `region` is the metadata region.
 * Returns the entries whose items can be read; what follows the last counted entry is ignored.
 */
export function parseMetadataTable(bytes: Uint8Array, region: FileRange, report: Report): MetadataEntry[] | undefined {
  const view = viewOf(bytes);
  const place = { structure: 'metadata table', offset: region.offset };
  if (!hasMetadataSignature(view)) {
    report(finding('metadata-signature', 'does not begin with "metadata"', place));
    return undefined;
  }
  const count = view.getUint16(10, true);
  if (count > MAX_ENTRIES) {
    report(
      finding('metadata-entry-count', `${count} entries, the maximum is ${MAX_ENTRIES}`, {
        ...place,
        offset: region.offset + 10,
      }),
    );
    return undefined;
  }
  if (view.getUint16(8, true) !== 0 || bytes.subarray(12, 32).some((byte) => byte !== 0)) {
    report(finding('metadata-reserved', 'reserved bytes are not zero', place));
  }
  const entries: MetadataEntry[] = [];
  const seen = new Set<string>();
  for (const [i, tableEntry] of readMetadataTableEntries(bytes).entries()) {
    const entry = parseEntry(tableEntry, i, region, report);
    if (!entry) continue;
    const at = {
      structure: `metadata table entry ${i} (${entry.structure})`,
      offset: region.offset + HEADER_LENGTH + ENTRY_LENGTH * i,
    };
    const identity = `${entry.itemId} ${entry.isUser}`;
    if (seen.has(identity)) {
      report(finding('metadata-duplicate', 'this item is listed twice', at));
      continue;
    }
    seen.add(identity);
    entries.push(entry);
  }
  const users = entries.filter((entry) => entry.isUser).length;
  if (users > MAX_USER_ENTRIES) {
    report(finding('metadata-entry-count', `${users} user entries, the maximum is ${MAX_USER_ENTRIES}`, place));
  }
  checkOverlaps(entries, report);
  return entries;
}

function parseEntry(
  { itemId, offset, length, flags, reserved }: MetadataTableEntry,
  index: number,
  region: FileRange,
  report: Report,
): MetadataEntry | undefined {
  const isUser = (flags & IS_USER) !== 0;
  const known = isUser ? undefined : KNOWN.get(itemId);
  const label = known?.name ?? `${isUser ? 'user ' : ''}item ${itemId}`;
  const place = {
    structure: `metadata table entry ${index} (${label})`,
    offset: region.offset + HEADER_LENGTH + ENTRY_LENGTH * index,
  };
  if (flags > 7 || reserved !== 0) {
    report(finding('metadata-entry-reserved', 'reserved bits are not zero', place));
  }
  if (itemId === ZERO_GUID) {
    report(finding('metadata-item-id', 'the item id is zero', place));
    return undefined;
  }
  if (known?.name === 'Incomplete File') {
    report(finding('incomplete-file', 'the image is marked as never completely created', place));
  } else if (!known && (flags & IS_REQUIRED) !== 0) {
    report(finding('metadata-unknown-required', `required ${label} is not supported`, place));
  }
  if (known?.flags !== undefined && (flags & 7) !== known.flags) {
    report(finding('metadata-item-flags', `flags are ${flags & 7}, not ${known.flags}`, place));
  }
  if (length > MiB || (length === 0 && offset !== 0)) {
    const message = length === 0 ? `is empty and has offset ${hex(offset)}` : `length ${hex(length)} is above 1 MiB`;
    report(finding('metadata-item-length', message, place));
    return undefined;
  }
  if (length > 0 && (offset < METADATA_TABLE_SIZE || offset + length > region.length)) {
    const message = `occupies ${hex(offset)} to ${hex(offset + length)} of a region of ${hex(region.length)} whose first 64 KiB are the table`;
    report(finding('metadata-item-offset', message, place));
    return undefined;
  }
  if (known?.size !== undefined && length !== known.size) {
    report(finding('metadata-item-size', `has ${length} bytes, not ${known.size}`, place));
    return undefined;
  }
  return {
    structure: label,
    itemId,
    isUser,
    isVirtualDisk: (flags & IS_VIRTUAL_DISK) !== 0,
    isRequired: (flags & IS_REQUIRED) !== 0,
    ...(known && { name: known.name }),
    offset: region.offset + offset,
    length,
  };
}

function checkOverlaps(entries: readonly MetadataEntry[], report: Report): void {
  const sorted = entries.filter((entry) => entry.length > 0).sort((a, b) => a.offset - b.offset);
  let reach: MetadataEntry | undefined;
  for (const entry of sorted) {
    if (reach && entry.offset < reach.offset + reach.length) {
      report(finding('metadata-item-overlap', `overlaps the ${reach.structure}`, entry));
    }
    if (!reach || entry.offset + entry.length > reach.offset + reach.length) reach = entry;
  }
}

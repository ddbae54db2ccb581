import { crc32cReference } from './crc32c-reference.js';
import { asciiBytes, guidBytes, KiB, utf16Bytes, ZERO_GUID } from './encode-primitives.js';

/** The GUIDs of the format, [MS-VHDX] 2.2.3.2, 2.6.2 and 2.6.2.6.1; and three that Microsoft's code knows besides. */
export const GUID = {
  bat: '2DC27766-F623-4200-9D64-115E9BFD4A08',
  metadata: '8B7CA206-4790-4B9A-B8FE-575F050F886E',
  fileParameters: 'CAA16737-FA36-4D43-B3B6-33F0AA44E76B',
  virtualDiskSize: '2FA54224-CD1B-4876-B211-5DBED83BF4B8',
  virtualDiskId: 'BECA12AB-B2E6-4523-93EF-C309E000C746',
  logicalSectorSize: '8141BF1D-A96F-4709-BA47-F233A8FAAB5F',
  physicalSectorSize: 'CDA348C7-445D-4471-9CC9-E9885251C556',
  parentLocator: 'A8D35F2D-B30B-454D-ABF7-D3D84834AB0C',
  locatorTypeVhdx: 'B04AEFB7-D19E-4A81-B789-25B8E9445913',
  incompleteFile: '71CC85F0-1B69-4E28-9558-C3BF83AE75D3',
  chsParameters: 'DA02D7BC-3D3A-423C-AC88-2A36AB21479B',
  pmemLabels: '10E1AE8A-4B7E-4169-A40F-CD70DE928393',
} as const;

/** The fields of a header, [MS-VHDX] 2.2.2. */
export interface HeaderFields {
  signature: string;
  /** What to write for a checksum; computed where it is left out. */
  checksum?: number;
  sequenceNumber: bigint;
  fileWriteGuid: string;
  dataWriteGuid: string;
  logGuid: string;
  logVersion: number;
  version: number;
  logLength: number;
  logOffset: number | bigint;
  /** What the reserved bytes are filled with. */
  reserved: number;
}

/** The 4096 bytes of a header. */
export function encodeHeader(fields: HeaderFields): Uint8Array {
  const bytes = new Uint8Array(4 * KiB).fill(fields.reserved, 80);
  const view = new DataView(bytes.buffer);
  bytes.set(asciiBytes(fields.signature), 0);
  view.setBigUint64(8, fields.sequenceNumber, true);
  bytes.set(guidBytes(fields.fileWriteGuid), 16);
  bytes.set(guidBytes(fields.dataWriteGuid), 32);
  bytes.set(guidBytes(fields.logGuid), 48);
  view.setUint16(64, fields.logVersion, true);
  view.setUint16(66, fields.version, true);
  view.setUint32(68, fields.logLength, true);
  view.setBigUint64(72, BigInt(fields.logOffset), true);
  return withChecksum(bytes, fields.checksum);
}

/** An entry of a region table, [MS-VHDX] 2.2.3.2. */
export interface RegionEntry {
  id: string;
  offset: number | bigint;
  length: number;
  /** Bit 0: Required. */
  flags: number;
}

/** The fields of a region table, [MS-VHDX] 2.2.3. */
export interface RegionTableFields {
  signature: string;
  /** What to write for a checksum; computed where it is left out. */
  checksum?: number;
  /** What to write for the number of entries; counted where it is left out. */
  entryCount?: number;
  reserved: number;
  entries: readonly RegionEntry[];
}

/** The 65536 bytes of a region table. */
export function encodeRegionTable(fields: RegionTableFields): Uint8Array {
  const bytes = new Uint8Array(64 * KiB);
  const view = new DataView(bytes.buffer);
  bytes.set(asciiBytes(fields.signature), 0);
  view.setUint32(8, fields.entryCount ?? fields.entries.length, true);
  view.setUint32(12, fields.reserved, true);
  fields.entries.forEach((entry, i) => {
    const at = 16 + 32 * i;
    bytes.set(guidBytes(entry.id), at);
    view.setBigUint64(at + 16, BigInt(entry.offset), true);
    view.setUint32(at + 24, entry.length, true);
    view.setUint32(at + 28, entry.flags, true);
  });
  return withChecksum(bytes, fields.checksum);
}

/** A metadata item together with its entry, [MS-VHDX] 2.6.1.2. */
export interface MetadataItem {
  id: string;
  data: Uint8Array;
  /** Bit 0: IsUser, bit 1: IsVirtualDisk, bit 2: IsRequired. */
  flags: number;
  /** From the start of the region; after the item before it if it is left out, 0 for an empty item. */
  offset?: number;
  /** What the entry says of the length; that of the data where it is left out. */
  length?: number;
  /** The reserved word of the entry. */
  reserved?: number;
}

/** Flag of a metadata table entry: the item belongs to a user, not to the format. */
export const IS_USER = 1;
/** Flag of a metadata table entry: the item describes the virtual disk, not the file. */
export const IS_VIRTUAL_DISK = 2;
/** Flag of a metadata table entry: who does not know the item must not open the file. */
export const IS_REQUIRED = 4;

/** The fields of a metadata region, [MS-VHDX] 2.6. */
export interface MetadataFields {
  signature: string;
  /** What to write for the number of entries; counted where it is left out. */
  entryCount?: number;
  /** What the reserved bytes of the table's header are filled with. */
  reserved: number;
  items: readonly MetadataItem[];
  /** Bytes right after the last entry. */
  afterEntries?: Uint8Array;
}

/** The bytes of a metadata region, as far as they are used, and where each item's data is in it. */
export function encodeMetadata(fields: MetadataFields): { bytes: Uint8Array; itemOffsets: number[] } {
  let next = 64 * KiB;
  const itemOffsets = fields.items.map((item) => {
    if (item.offset !== undefined) return item.offset;
    if (item.data.length === 0) return 0;
    const offset = next;
    next += Math.ceil(item.data.length / 8) * 8;
    return offset;
  });
  const end = fields.items.reduce(
    (most, item, i) => Math.max(most, (itemOffsets[i] as number) + item.data.length),
    next,
  );
  const bytes = new Uint8Array(end);
  const view = new DataView(bytes.buffer);
  fields.items.forEach((item, i) => {
    bytes.set(item.data, itemOffsets[i]);
  });
  bytes.set(asciiBytes(fields.signature), 0);
  view.setUint16(10, fields.entryCount ?? fields.items.length, true);
  if (fields.reserved !== 0) bytes.fill(fields.reserved, 8, 10).fill(fields.reserved, 12, 32);
  fields.items.forEach((item, i) => {
    const at = 32 + 32 * i;
    bytes.set(guidBytes(item.id), at);
    view.setUint32(at + 16, itemOffsets[i] as number, true);
    view.setUint32(at + 20, item.length ?? item.data.length, true);
    view.setUint32(at + 24, item.flags, true);
    view.setUint32(at + 28, item.reserved ?? 0, true);
  });
  if (fields.afterEntries) bytes.set(fields.afterEntries, 32 + 32 * fields.items.length);
  return { bytes, itemOffsets };
}

/** An entry of a parent locator. Each field that is left out follows from key and value. */
export interface LocatorEntry {
  key: string | Uint8Array;
  value: string | Uint8Array;
  keyOffset?: number;
  valueOffset?: number;
  keyLength?: number;
  valueLength?: number;
}

/** The fields of a parent locator, [MS-VHDX] 2.6.2.6. */
export interface LocatorFields {
  type: string;
  reserved: number;
  keyValueCount?: number;
  entries: readonly LocatorEntry[];
}

/** The bytes of a parent locator item. */
export function encodeParentLocator(fields: Partial<LocatorFields> & Pick<LocatorFields, 'entries'>): Uint8Array {
  const texts = fields.entries.map(({ key, value }) => [textBytes(key), textBytes(value)] as const);
  const tableLength = 20 + 12 * texts.length;
  const bytes = new Uint8Array(texts.reduce((length, [key, value]) => length + key.length + value.length, tableLength));
  const view = new DataView(bytes.buffer);
  bytes.set(guidBytes(fields.type ?? GUID.locatorTypeVhdx), 0);
  view.setUint16(16, fields.reserved ?? 0, true);
  view.setUint16(18, fields.keyValueCount ?? texts.length, true);
  let next = tableLength;
  fields.entries.forEach((entry, i) => {
    const [key, value] = texts[i] as readonly [Uint8Array, Uint8Array];
    const at = 20 + 12 * i;
    bytes.set(key, next);
    bytes.set(value, next + key.length);
    view.setUint32(at, entry.keyOffset ?? next, true);
    view.setUint32(at + 4, entry.valueOffset ?? next + key.length, true);
    view.setUint16(at + 8, entry.keyLength ?? key.length, true);
    view.setUint16(at + 10, entry.valueLength ?? value.length, true);
    next += key.length + value.length;
  });
  return bytes;
}

function textBytes(text: string | Uint8Array): Uint8Array {
  return typeof text === 'string' ? utf16Bytes(text) : text;
}

/** Puts the CRC-32C of `bytes`, taken with the four bytes at 4 as zero, at 4; or `instead`, where that is given. */
export function withChecksum(bytes: Uint8Array, instead?: number): Uint8Array {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  view.setUint32(4, 0, true);
  view.setUint32(4, instead ?? crc32cReference(bytes), true);
  return bytes;
}

/** A header as a program that closed its image cleanly leaves it. */
export const PLAIN_HEADER: HeaderFields = {
  signature: 'head',
  sequenceNumber: 0n,
  fileWriteGuid: '6d1a3b0c-52f4-4e0f-9a37-0f4a4c6b8e21',
  dataWriteGuid: 'b3c9f1de-7a45-4c52-8d1e-2f60a7b4c893',
  logGuid: ZERO_GUID,
  logVersion: 0,
  version: 1,
  logLength: 1024 * KiB,
  logOffset: 1024 * KiB,
  reserved: 0,
};

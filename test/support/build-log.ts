import type { BuiltImage } from './build-image.js';
import { asciiBytes, guidBytes, KiB } from './encode-primitives.js';
import { withChecksum } from './encode-structures.js';
import { fixHeaderChecksum } from './patch-image.js';
import type { SparseFile } from './sparse-file.js';

const SECTOR = 4 * KiB;

/** The log GUID that entries carry where a spec does not say another. */
export const LOG_GUID = '3f7be2c4-8d10-4a69-b5e7-6c29f0d81a34';

/** A write of one 4 KiB sector, [MS-VHDX] 2.3.1.3, with its data sector, 2.3.1.4. */
export interface DataDescriptor {
  readonly fileOffset: number | bigint;
  /** The 4096 bytes that the sector is to hold. */
  readonly bytes: Uint8Array;
  readonly signature?: string;
  readonly sequenceNumber?: bigint;
  readonly sector?: { readonly signature?: string; readonly sequenceHigh?: number; readonly sequenceLow?: number };
}

/** A range that is to become zeros, [MS-VHDX] 2.3.1.2. */
export interface ZeroDescriptor {
  readonly fileOffset: number | bigint;
  readonly zeroLength: number | bigint;
  readonly signature?: string;
  readonly sequenceNumber?: bigint;
  readonly reserved?: number;
}

/** What a log entry asks for. */
export type LogDescriptor = DataDescriptor | ZeroDescriptor;

/** A log entry, [MS-VHDX] 2.3.1. */
export interface LogEntryFields {
  readonly sequenceNumber: bigint;
  /** Place in the ring of the oldest entry that still counts, in bytes. */
  readonly tail: number;
  readonly logGuid: string;
  readonly flushedFileOffset: number | bigint;
  readonly lastFileOffset: number | bigint;
  readonly descriptors: readonly LogDescriptor[];
  readonly signature?: string;
  readonly entryLength?: number;
  readonly descriptorCount?: number;
  readonly reserved?: number;
  /** Empty sectors after the data sectors, counted in the entry's length. */
  readonly extraSectors?: number;
  /** Changes the bytes before their checksum is taken. */
  readonly edit?: (bytes: Uint8Array, view: DataView) => void;
  /** What to write for a checksum instead of the right one. */
  readonly checksum?: number;
}

/** The bytes of a log entry. */
export function encodeLogEntry(entry: LogEntryFields): Uint8Array {
  const { descriptors } = entry;
  const descriptorArea = Math.ceil((64 + 32 * descriptors.length) / SECTOR) * SECTOR;
  const sectors = descriptors.filter((descriptor) => 'bytes' in descriptor).length + (entry.extraSectors ?? 0);
  const bytes = new Uint8Array(descriptorArea + SECTOR * sectors);
  const view = new DataView(bytes.buffer);
  bytes.set(asciiBytes(entry.signature ?? 'loge'), 0);
  view.setUint32(8, entry.entryLength ?? bytes.length, true);
  view.setUint32(12, entry.tail, true);
  view.setBigUint64(16, entry.sequenceNumber, true);
  view.setUint32(24, entry.descriptorCount ?? descriptors.length, true);
  view.setUint32(28, entry.reserved ?? 0, true);
  bytes.set(guidBytes(entry.logGuid), 32);
  view.setBigUint64(48, BigInt(entry.flushedFileOffset), true);
  view.setBigUint64(56, BigInt(entry.lastFileOffset), true);
  let sector = descriptorArea;
  descriptors.forEach((descriptor, i) => {
    const at = 64 + 32 * i;
    view.setBigUint64(at + 16, BigInt(descriptor.fileOffset), true);
    view.setBigUint64(at + 24, descriptor.sequenceNumber ?? entry.sequenceNumber, true);
    if ('bytes' in descriptor) {
      bytes.set(asciiBytes(descriptor.signature ?? 'desc'), at);
      bytes.set(descriptor.bytes.subarray(4092, 4096), at + 4);
      bytes.set(descriptor.bytes.subarray(0, 8), at + 8);
      writeDataSector(bytes.subarray(sector, sector + SECTOR), descriptor, entry.sequenceNumber);
      sector += SECTOR;
    } else {
      bytes.set(asciiBytes(descriptor.signature ?? 'zero'), at);
      view.setUint32(at + 4, descriptor.reserved ?? 0, true);
      view.setBigUint64(at + 8, BigInt(descriptor.zeroLength), true);
    }
  });
  entry.edit?.(bytes, view);
  return withChecksum(bytes, entry.checksum);
}

function writeDataSector(target: Uint8Array, descriptor: DataDescriptor, sequenceNumber: bigint): void {
  const view = new DataView(target.buffer, target.byteOffset, target.length);
  target.set(asciiBytes(descriptor.sector?.signature ?? 'data'), 0);
  view.setUint32(4, descriptor.sector?.sequenceHigh ?? Number(sequenceNumber >> 32n), true);
  target.set(descriptor.bytes.subarray(8, 4092), 8);
  view.setUint32(4092, descriptor.sector?.sequenceLow ?? Number(sequenceNumber & 0xffffffffn), true);
}

/** An entry of a log that is to be written; what is left out follows from the entries around it. */
export type LogEntrySpec = Partial<LogEntryFields> & {
  /** Place in the ring instead of right after the entry before it, in bytes. */
  readonly position?: number;
  /** How many of its bytes reached the disk, where not all did. */
  readonly tornAt?: number;
};

/** Entries to write one after another into the log of an image. */
export interface LogSpec {
  readonly entries: readonly LogEntrySpec[];
  /** Place of the first entry in the ring, in bytes. */
  readonly start?: number;
  /** Sequence number of the first entry; the others count on from it. */
  readonly firstSequence?: bigint;
  /** GUID of all entries. */
  readonly logGuid?: string;
  /** What the headers' log GUID becomes: that of the entries where it is left out, null to leave the headers as they are. */
  readonly headerLogGuid?: string | null;
}

/** Where an entry went. */
export interface WrittenEntry extends LogEntryFields {
  /** Place in the ring, in bytes. */
  readonly position: number;
  readonly bytes: Uint8Array;
}

/**
 * Writes log entries into the ring of an image, in place, and makes both headers say that the log counts.
 * Returns what was written, in order. Each entry's tail is the first entry and its file offsets are the file's size,
 * unless it says otherwise.
 */
export function writeLog(image: BuiltImage, spec: LogSpec): WrittenEntry[] {
  const { log } = image.layout;
  const logGuid = spec.logGuid ?? LOG_GUID;
  const start = spec.start ?? 0;
  let next = start;
  let sequenceNumber = spec.firstSequence ?? 1n;
  const written = spec.entries.map((partial): WrittenEntry => {
    const entry: LogEntryFields = {
      sequenceNumber,
      tail: start,
      logGuid,
      flushedFileOffset: image.size,
      lastFileOffset: image.size,
      descriptors: [],
      ...partial,
    };
    const position = (partial.position ?? next) % log.length;
    const bytes = encodeLogEntry(entry);
    writeToRing(image, position, bytes.subarray(0, partial.tornAt));
    next = (position + bytes.length) % log.length;
    sequenceNumber = entry.sequenceNumber + 1n;
    return { ...entry, position, bytes };
  });
  if (spec.headerLogGuid !== null) setLogGuid(image, spec.headerLogGuid ?? logGuid);
  return written;
}

/** Makes both headers carry a log GUID, in place. */
export function setLogGuid(image: BuiltImage, logGuid: string): void {
  for (const copy of [0, 1] as const) {
    image.write(image.layout.headerOffsets[copy] + 48, guidBytes(logGuid));
    fixHeaderChecksum(image, copy);
  }
}

function writeToRing(image: BuiltImage, position: number, bytes: Uint8Array): void {
  const { log } = image.layout;
  const untilEnd = Math.min(bytes.length, log.length - position);
  image.write(log.offset + position, bytes.subarray(0, untilEnd));
  if (untilEnd < bytes.length) image.write(log.offset, bytes.subarray(untilEnd));
}

/** Does to a file, in place, what a list of entries asks for, in order: the plain meaning of a replay, [MS-VHDX] 2.3.3. */
export function applyLog<File extends SparseFile>(file: File, entries: readonly LogEntryFields[]): File {
  for (const { descriptors } of entries) {
    for (const descriptor of descriptors) {
      const offset = Number(descriptor.fileOffset);
      if ('bytes' in descriptor) file.write(offset, descriptor.bytes);
      else file.clear(offset, Number(descriptor.zeroLength));
    }
  }
  const last = entries.at(-1);
  if (last && Number(last.lastFileOffset) > file.size) file.truncate(Number(last.lastFileOffset));
  return file;
}

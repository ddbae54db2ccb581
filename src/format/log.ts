import { readU64, viewOf } from '../base/bytes.js';
import { KiB } from '../base/units.js';
import { type Crc, setStructureChecksum } from './checksum.js';
import { type GuidMatcher, writeGuid } from './guid.js';

/** Length in bytes of a sector of the log: everything in it is a multiple of this ([MS-VHDX] 2.3). */
export const LOG_SECTOR_SIZE = 4 * KiB;
/** First file offset that the log may change: file identifier and headers are never logged. */
export const FIRST_LOGGED_OFFSET = 192 * KiB;

/**
 * Offset in a data descriptor of the bytes that signature and sequence number displaced in its data sector: the
 * sector's last 4 (TrailingBytes), then its first 8 (LeadingBytes).
 */
export const DISPLACED_OFFSET = 4;
/** Length in bytes of TrailingBytes. */
export const TRAILING_BYTES = 4;
/** Length in bytes of LeadingBytes. */
export const LEADING_BYTES = 8;

const ENTRY_HEADER_SIZE = 64;
/** Length in bytes of a descriptor. */
export const DESCRIPTOR_SIZE = 32;
const LOGE = 0x65676f6c;
const DESC = 0x63736564;
const ZERO = 0x6f72657a;
const DATA = 0x61746164;

/** The header of a log entry ([MS-VHDX] 2.3.1.1), its fields checked against the log that it is in. */
export interface LogEntryHeader {
  readonly checksum: number;
  /** Length of the whole entry, in log sectors. */
  readonly sectors: number;
  /** How many of them, from the first on, hold descriptors. */
  readonly descriptorSectors: number;
  readonly descriptorCount: number;
  /** The place of the oldest entry that must be replayed, in log sectors from the start of the log. */
  readonly tail: number;
  readonly sequenceNumber: bigint;
  /** In bytes: the least length of the file when the entry was written; 0 makes no claim. */
  readonly flushedFileOffset: number;
  /** In bytes: the least length of the file after replay. */
  readonly lastFileOffset: number;
}

/** A descriptor of a log entry ([MS-VHDX] 2.3.1.2, 2.3.1.3): zeros, or one 4 KiB sector of data, to be written. */
export interface LogDescriptor {
  /** Where in the file, in bytes. */
  readonly offset: number;
  /** In bytes. */
  readonly length: number;
  /** Its place in its log sector, counted in descriptors. */
  readonly slot: number;
  readonly kind: 'zero' | 'data';
}

/** Whether a log sector begins with the signature of a log entry. */
export function beginsLogEntry(view: DataView, at: number): boolean {
  return view.getUint32(at, true) === LOGE;
}

/**
 * Parses the entry header at `at`. Undefined if it is not a valid one of this log: that ends a sequence and is no fault
 * of the file, since old and torn entries are normal in a log. The checksum is not checked.
 *
 * @param ringSectors length of the log in log sectors
 * @param isOwn matches the log GUID of the current header
 */
export function parseLogEntryHeader(
  view: DataView,
  at: number,
  ringSectors: number,
  isOwn: GuidMatcher,
): LogEntryHeader | undefined {
  if (!beginsLogEntry(view, at)) return undefined;
  const length = view.getUint32(at + 8, true);
  const tail = view.getUint32(at + 12, true);
  const sequenceNumber = view.getBigUint64(at + 16, true);
  const descriptorCount = view.getUint32(at + 24, true);
  if (length === 0 || length % LOG_SECTOR_SIZE !== 0 || length / LOG_SECTOR_SIZE > ringSectors) return undefined;
  if (tail % LOG_SECTOR_SIZE !== 0 || tail / LOG_SECTOR_SIZE >= ringSectors) return undefined;
  if (sequenceNumber === 0n || !isOwn(view, at + 32)) return undefined;
  const descriptorSectors = descriptorSectorsOf(descriptorCount);
  if (descriptorSectors * LOG_SECTOR_SIZE > length) return undefined;
  return {
    checksum: view.getUint32(at + 4, true),
    sectors: length / LOG_SECTOR_SIZE,
    descriptorSectors,
    descriptorCount,
    tail: tail / LOG_SECTOR_SIZE,
    sequenceNumber,
    flushedFileOffset: readU64(view, at + 48),
    lastFileOffset: readU64(view, at + 56),
  };
}

/**
 * Parses the descriptors of an entry that are in its log sector number `index`, which begins at `at`.
 * Undefined if one of them is not valid.
 */
export function parseLogDescriptors(
  view: DataView,
  at: number,
  index: number,
  entry: LogEntryHeader,
): LogDescriptor[] | undefined {
  const perSector = LOG_SECTOR_SIZE / DESCRIPTOR_SIZE;
  const skipped = ENTRY_HEADER_SIZE / DESCRIPTOR_SIZE; // the header takes the place of two descriptors
  const first = index === 0 ? skipped : 0;
  const last = Math.min(perSector, entry.descriptorCount + skipped - index * perSector);
  const descriptors: LogDescriptor[] = [];
  for (let slot = first; slot < last; slot++) {
    const descriptor = parseDescriptor(view, at, slot, entry);
    if (!descriptor) return undefined;
    descriptors.push(descriptor);
  }
  return descriptors;
}

function parseDescriptor(
  view: DataView,
  sector: number,
  slot: number,
  entry: LogEntryHeader,
): LogDescriptor | undefined {
  const at = sector + slot * DESCRIPTOR_SIZE;
  const signature = view.getUint32(at, true);
  if ((signature !== DESC && signature !== ZERO) || view.getBigUint64(at + 24, true) !== entry.sequenceNumber)
    return undefined;
  const offset = readU64(view, at + 16);
  const length = signature === ZERO ? readU64(view, at + 8) : LOG_SECTOR_SIZE;
  if (offset % LOG_SECTOR_SIZE !== 0 || length % LOG_SECTOR_SIZE !== 0 || offset + length > Number.MAX_SAFE_INTEGER)
    return undefined;
  const kind = signature === ZERO ? 'zero' : 'data';
  return { kind, offset, length, slot };
}

/** Whether the log sector at `at` is a data sector of an entry ([MS-VHDX] 2.3.1.4). */
export function isDataSector(view: DataView, at: number, entry: LogEntryHeader): boolean {
  if (view.getUint32(at, true) !== DATA) return false;
  const high = BigInt(view.getUint32(at + 4, true));
  const low = BigInt(view.getUint32(at + LOG_SECTOR_SIZE - 4, true));
  return ((high << 32n) | low) === entry.sequenceNumber;
}

/** What an entry writes when it is replayed: the 4 KiB of a sector, or zeros. Offsets and lengths in bytes. */
export type LogWrite =
  | { readonly offset: number; readonly bytes: Uint8Array }
  | { readonly offset: number; readonly length: number };

/** A log entry to be written. Its tail is in log sectors, as in {@link LogEntryHeader}. */
export interface NewLogEntry
  extends Pick<LogEntryHeader, 'tail' | 'sequenceNumber' | 'flushedFileOffset' | 'lastFileOffset'> {
  readonly logGuid: string;
  readonly writes: readonly LogWrite[];
}

/** Length in bytes of an entry with so many descriptors, of which so many have a data sector. */
export function logEntryLength(descriptors: number, dataSectors: number): number {
  return (descriptorSectorsOf(descriptors) + dataSectors) * LOG_SECTOR_SIZE;
}

function descriptorSectorsOf(descriptors: number): number {
  return Math.ceil((ENTRY_HEADER_SIZE + descriptors * DESCRIPTOR_SIZE) / LOG_SECTOR_SIZE);
}

/** A log entry as bytes ([MS-VHDX] 2.3.1), with its checksum: descriptors in the order of the writes, then data sectors. */
export function encodeLogEntry(entry: NewLogEntry, crc: Crc): Uint8Array<ArrayBuffer> {
  const { sequenceNumber, writes } = entry;
  const dataSectors = writes.reduce((count, write) => count + ('bytes' in write ? 1 : 0), 0);
  const bytes = new Uint8Array(logEntryLength(writes.length, dataSectors));
  const view = viewOf(bytes);
  view.setUint32(0, LOGE, true);
  view.setUint32(8, bytes.length, true);
  view.setUint32(12, entry.tail * LOG_SECTOR_SIZE, true);
  view.setBigUint64(16, sequenceNumber, true);
  view.setUint32(24, writes.length, true);
  writeGuid(view, 32, entry.logGuid);
  view.setBigUint64(48, BigInt(entry.flushedFileOffset), true);
  view.setBigUint64(56, BigInt(entry.lastFileOffset), true);
  let sector = descriptorSectorsOf(writes.length) * LOG_SECTOR_SIZE;
  for (const [i, write] of writes.entries()) {
    const at = ENTRY_HEADER_SIZE + i * DESCRIPTOR_SIZE;
    view.setBigUint64(at + 16, BigInt(write.offset), true);
    view.setBigUint64(at + 24, sequenceNumber, true);
    if ('bytes' in write) {
      view.setUint32(at, DESC, true);
      bytes.set(write.bytes.subarray(LOG_SECTOR_SIZE - TRAILING_BYTES, LOG_SECTOR_SIZE), at + DISPLACED_OFFSET);
      bytes.set(write.bytes.subarray(0, LEADING_BYTES), at + DISPLACED_OFFSET + TRAILING_BYTES);
      bytes.set(write.bytes.subarray(0, LOG_SECTOR_SIZE), sector);
      view.setUint32(sector, DATA, true);
      view.setUint32(sector + 4, Number(sequenceNumber >> 32n), true);
      view.setUint32(sector + LOG_SECTOR_SIZE - 4, Number(sequenceNumber & 0xffffffffn), true);
      sector += LOG_SECTOR_SIZE;
    } else {
      view.setUint32(at, ZERO, true);
      view.setBigUint64(at + 8, BigInt(write.length), true);
    }
  }
  setStructureChecksum(bytes, crc);
  return bytes;
}

/**
 * Puts the bytes that signature and sequence number displaced back into a data sector, in place.
 *
 * @param sector the 4 KiB of a data sector
 * @param displaced the 12 bytes at {@link DISPLACED_OFFSET} of its descriptor
 */
export function restoreDataSector(sector: Uint8Array, displaced: Uint8Array): void {
  sector.set(displaced.subarray(TRAILING_BYTES, TRAILING_BYTES + LEADING_BYTES), 0);
  sector.set(displaced.subarray(0, TRAILING_BYTES), LOG_SECTOR_SIZE - TRAILING_BYTES);
}

import { type Crc, structureChecksum } from '../format/checksum.js';
import { type GuidMatcher, guidMatcher } from '../format/guid.js';
import {
  DESCRIPTOR_SIZE,
  isDataSector,
  LOG_SECTOR_SIZE,
  type LogEntryHeader,
  parseLogDescriptors,
  parseLogEntryHeader,
} from '../format/log.js';
import type { LogRing } from './ring.js';

/** Most writes that the valid entries of a log may hold; a log of 4 GiB has room for fewer sectors of data. */
export const MAX_WRITES = 2 ** 20;

const DESCRIPTORS_PER_SECTOR = LOG_SECTOR_SIZE / DESCRIPTOR_SIZE;

/**
 * What the descriptors of log entries write, as columns of numbers: a log may hold a million of them, and as objects
 * they would take a hundred megabytes.
 */
export class WriteTable {
  /** Number of writes. */
  count = 0;
  /** File offset in bytes. */
  offset = new Float64Array(64);
  /** In bytes. */
  length = new Float64Array(64);
  /** Place of the descriptor in the ring, counted in descriptors. */
  descriptor = new Uint32Array(64);
  /** Log sector of the data, plus 1; 0 for a write of zeros. */
  data = new Uint32Array(64);

  /** Appends a write; `dataSector` is undefined for zeros. */
  add(offset: number, length: number, descriptor: number, dataSector: number | undefined): void {
    const i = this.count++;
    this.offset = withRoom(this.offset, this.count);
    this.length = withRoom(this.length, this.count);
    this.descriptor = withRoom(this.descriptor, this.count);
    this.data = withRoom(this.data, this.count);
    this.offset[i] = offset;
    this.length[i] = length;
    this.descriptor[i] = descriptor;
    this.data[i] = dataSector === undefined ? 0 : dataSector + 1;
  }
}

/** The valid entries of a log in the order of their sectors, as columns of numbers. They never overlap. */
export class EntryTable {
  /** Number of entries. */
  count = 0;
  /** Log sector at which the entry begins. */
  sector = new Uint32Array(16);
  /** In log sectors. */
  length = new Uint32Array(16);
  /** Log sector of the oldest entry that must be replayed, as the entry says. */
  tail = new Uint32Array(16);
  sequenceNumber = new BigUint64Array(16);
  /** In bytes. */
  flushedFileOffset = new Float64Array(16);
  /** In bytes. */
  lastFileOffset = new Float64Array(16);
  /** The first of the entry's writes; they end where those of the next entry begin. */
  firstWrite = new Uint32Array(16);
  readonly writes = new WriteTable();

  /** Appends an entry, whose writes have been appended from `firstWrite` on. */
  add(sector: number, entry: LogEntryHeader, firstWrite: number): void {
    const i = this.count++;
    this.sector = withRoom(this.sector, this.count);
    this.length = withRoom(this.length, this.count);
    this.tail = withRoom(this.tail, this.count);
    this.sequenceNumber = withRoom(this.sequenceNumber, this.count);
    this.flushedFileOffset = withRoom(this.flushedFileOffset, this.count);
    this.lastFileOffset = withRoom(this.lastFileOffset, this.count);
    this.firstWrite = withRoom(this.firstWrite, this.count);
    this.sector[i] = sector;
    this.length[i] = entry.sectors;
    this.tail[i] = entry.tail;
    this.sequenceNumber[i] = entry.sequenceNumber;
    this.flushedFileOffset[i] = entry.flushedFileOffset;
    this.lastFileOffset[i] = entry.lastFileOffset;
    this.firstWrite[i] = firstWrite;
  }

  /** The end of the writes of entry `i`. */
  endOfWrites(i: number): number {
    return i + 1 < this.count ? (this.firstWrite[i + 1] as number) : this.writes.count;
  }
}

type Column = Float64Array<ArrayBuffer> | Uint32Array<ArrayBuffer> | BigUint64Array<ArrayBuffer>;

/** The column, or one of twice the length with the same values if it has no room for `count`. */
function withRoom<T extends Column>(column: T, count: number): T {
  if (count <= column.length) return column;
  const larger = new (column.constructor as new (length: number) => T)(2 * column.length);
  larger.set(column as never);
  return larger;
}

/**
 * Reads a log once, from its first sector to its last, and returns its valid entries that carry a log GUID
 * ([MS-VHDX] 2.3.1), with all that they write. Undefined if they hold more than {@link MAX_WRITES}.
 */
export async function readEntries(crc: Crc, ring: LogRing, logGuid: string): Promise<EntryTable | undefined> {
  const table = new EntryTable();
  const { writes } = table;
  const isOwn = guidMatcher(logGuid);
  for (let sector = await ring.findEntry(0); sector !== undefined; ) {
    const firstWrite = writes.count;
    const entry = await readEntry(crc, ring, sector, isOwn, writes);
    if (writes.count > MAX_WRITES) return undefined;
    if (entry) table.add(sector, entry, firstWrite);
    else writes.count = firstWrite;
    sector = await ring.findEntry(sector + (entry?.sectors ?? 1));
  }
  return table;
}

/** Reads the entry at a sector, checks all of it and appends its writes; undefined if it is not valid. */
async function readEntry(
  crc: Crc,
  ring: LogRing,
  sector: number,
  isOwn: GuidMatcher,
  writes: WriteTable,
): Promise<LogEntryHeader | undefined> {
  const { bytes, view, at: start } = await ring.read(sector, 1);
  const entry = parseLogEntryHeader(view, start, ring.sectors, isOwn);
  if (!entry) return undefined;
  const firstWrite = writes.count;
  let checksum = structureChecksum(bytes.subarray(start, start + LOG_SECTOR_SIZE), crc);
  if (!addWrites(view, start, 0, ring, sector, entry, writes)) return undefined;
  for (let index = 1; index < entry.sectors; ) {
    const run = await ring.read(sector + index, entry.sectors - index);
    for (let i = 0; i < run.count; i++) {
      const at = run.at + i * LOG_SECTOR_SIZE;
      const valid =
        index + i < entry.descriptorSectors
          ? addWrites(run.view, at, index + i, ring, sector, entry, writes)
          : isDataSector(run.view, at, entry);
      if (!valid || writes.count > MAX_WRITES) return undefined;
    }
    checksum = crc(run.bytes.subarray(run.at, run.at + run.count * LOG_SECTOR_SIZE), checksum);
    index += run.count;
  }
  let dataSectors = 0;
  for (let i = firstWrite; i < writes.count; i++) {
    if (writes.data[i] === 0) continue;
    writes.data[i] = ((sector + entry.descriptorSectors + dataSectors) % ring.sectors) + 1;
    dataSectors += 1;
  }
  const exact = entry.sectors === entry.descriptorSectors + dataSectors;
  return exact && checksum === entry.checksum ? entry : undefined;
}

/** Appends what the descriptors in one log sector of an entry write; false if one of them is not valid. */
function addWrites(
  view: DataView,
  at: number,
  index: number,
  ring: LogRing,
  sector: number,
  entry: LogEntryHeader,
  writes: WriteTable,
): boolean {
  const descriptors = parseLogDescriptors(view, at, index, entry);
  const first = ((sector + index) % ring.sectors) * DESCRIPTORS_PER_SECTOR;
  for (const { kind, offset, length, slot } of descriptors ?? []) {
    writes.add(offset, length, first + slot, kind === 'data' ? 0 : undefined); // its data sector is known at the end
  }
  return descriptors !== undefined;
}

import type { ParsedTable, ReadBytes } from './partition.js';
import { mbrTypeName } from './partition-types.js';

const SECTOR = 512;
const TABLE_OFFSET = 446;
const EXTENDED = [0x05, 0x0f, 0x85];
/** Logical partitions that are followed; each is a link of a chain on the disk, which may be made to go in circles. */
const MAX_LOGICAL = 256;

interface Entry {
  readonly active: boolean;
  readonly type: number;
  /** In sectors, from the place that the table counts from. */
  readonly start: number;
  readonly sectors: number;
}

/** Reads the partition table of a master boot record, with its logical partitions. Undefined if there is none. */
export async function readMbr(read: ReadBytes, size: number, sectorSize: number): Promise<ParsedTable | undefined> {
  if (size < SECTOR) return undefined;
  const sector = await read(0, SECTOR);
  const entries = sector && parseEntries(sector);
  if (!entries) return undefined;
  const view = new DataView(sector.buffer, sector.byteOffset, sector.byteLength);
  const signature = view.getUint32(440, true);
  const partitions: ParsedTable['partitions'][number][] = [];
  const notes: string[] = [];
  for (const [index, entry] of entries.entries()) {
    if (entry.type === 0 || entry.sectors === 0) continue;
    partitions.push(describe(entry, index + 1, entry.start, sectorSize));
    if (!EXTENDED.includes(entry.type)) continue;
    const logical = await readLogical(read, size, sectorSize, entry.start, notes);
    partitions.push(...logical.map(({ entry: found, start }, i) => describe(found, 5 + i, start, sectorSize)));
  }
  const diskId = signature.toString(16).padStart(8, '0');
  return { scheme: 'MBR', sectorSize, partitions, notes, ...(signature !== 0 && { diskId }) };
}

/** The four entries; undefined if the sector cannot be a boot record. */
function parseEntries(sector: Uint8Array): Entry[] | undefined {
  if (sector[510] !== 0x55 || sector[511] !== 0xaa) return undefined;
  const view = new DataView(sector.buffer, sector.byteOffset, sector.byteLength);
  const entries: Entry[] = [];
  for (let at = TABLE_OFFSET; at < 510; at += 16) {
    const status = view.getUint8(at);
    // Boot code of a file system, not a table.
    if (status !== 0 && status !== 0x80) return undefined;
    entries.push({
      active: status === 0x80,
      type: view.getUint8(at + 4),
      start: view.getUint32(at + 8, true),
      sectors: view.getUint32(at + 12, true),
    });
  }
  return entries;
}

/** Follows the chain of extended boot records: each names one partition, counted from itself, and the next record. */
async function readLogical(read: ReadBytes, size: number, sectorSize: number, base: number, notes: string[]) {
  const found: { entry: Entry; start: number }[] = [];
  const seen = new Set<number>();
  let lba = base;
  while (found.length < MAX_LOGICAL) {
    const offset = lba * sectorSize;
    const sector = seen.has(lba) || offset + SECTOR > size ? undefined : await read(offset, SECTOR);
    const [entry, next] = (sector && parseEntries(sector)) ?? [];
    if (!entry) {
      notes.push('The chain of logical partitions is broken: this list may not be complete.');
      break;
    }
    seen.add(lba);
    if (entry.type !== 0 && entry.sectors !== 0) found.push({ entry, start: lba + entry.start });
    if (!next || next.type === 0 || next.sectors === 0) break;
    lba = base + next.start;
  }
  return found;
}

function describe(
  { type, active, sectors }: Entry,
  number: number,
  start: number,
  sectorSize: number,
): ParsedTable['partitions'][number] {
  return {
    number,
    offset: start * sectorSize,
    length: sectors * sectorSize,
    type: mbrTypeName(type) ?? 'unknown',
    typeId: type.toString(16).padStart(2, '0'),
    marks: active ? ['active'] : [],
  };
}

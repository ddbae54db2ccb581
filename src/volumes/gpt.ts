import type { ParsedTable, ReadBytes } from './partition.js';
import { gptTypeName } from './partition-types.js';

/** Entries of a table that are looked at; systems make 128. */
export const MAX_ENTRIES = 1024;
/** Fewest bytes that a header has (UEFI 2.10, 5.3.2). */
const HEADER_SIZE = 92;

interface Header {
  /** Where the other header is. */
  readonly alternateLba: number;
  readonly entriesLba: number;
  readonly entryCount: number;
  readonly entrySize: number;
  readonly entriesCrc: number;
  /** Undefined if it is the zero GUID, which means none. */
  readonly diskId: string | undefined;
  readonly sectorSize: number;
}

/**
 * Reads a GUID partition table (UEFI 2.10, 5.3) that counts in sectors of some size: the primary one, or the backup if
 * that is damaged. The backup is at the end of the disk, or, on a disk that was enlarged later, where a sound primary
 * header says. Undefined if there is neither.
 */
export async function readGpt(read: ReadBytes, size: number, sectorSize: number): Promise<ParsedTable | undefined> {
  const lastLba = Math.floor(size / sectorSize) - 1;
  if (lastLba < 2) return undefined;
  const primary = await readAt(read, size, sectorSize, 1);
  if (primary.table) return primary.table;
  for (const lba of new Set([lastLba, primary.alternateLba ?? lastLba])) {
    const { table } = lba > 1 && lba <= lastLba ? await readAt(read, size, sectorSize, lba) : {};
    if (!table) continue;
    const why = primary.damage ?? 'it is missing';
    const note = `The partition table at the start of the disk is damaged (${why}); its backup at the end is shown.`;
    return { ...table, notes: [note] };
  }
  // A signature alone is worth a note, although there is nothing to list.
  if (!primary.hasSignature) return undefined;
  const note = `The partition table is damaged (${primary.damage}), and so is its backup.`;
  return { scheme: 'GPT', sectorSize, partitions: [], notes: [note] };
}

/** What came of reading one of the two tables. */
interface Attempt {
  readonly table?: ParsedTable;
  /** Why there is no table. */
  readonly damage?: string;
  readonly hasSignature?: boolean;
  /** Where the other table is, if the header is sound and says so. */
  readonly alternateLba?: number;
}

async function readAt(read: ReadBytes, size: number, sectorSize: number, lba: number): Promise<Attempt> {
  const sector = await read(lba * sectorSize, sectorSize);
  if (!sector) return { damage: 'it cannot be read' };
  if (new TextDecoder('latin1').decode(sector.subarray(0, 8)) !== 'EFI PART') return {};
  const header = parseHeader(sector, sectorSize);
  if (typeof header === 'string') return { hasSignature: true, damage: header };
  const { alternateLba } = header;
  const length = Math.min(header.entryCount, MAX_ENTRIES) * header.entrySize;
  const offset = header.entriesLba * sectorSize;
  if (offset + length > size) return { hasSignature: true, damage: 'its entries are outside the disk', alternateLba };
  const entries = await read(offset, length);
  if (!entries) return { hasSignature: true, damage: 'its entries cannot be read', alternateLba };
  if (header.entryCount <= MAX_ENTRIES && crc32(entries) !== header.entriesCrc)
    return { hasSignature: true, damage: 'the checksum of its entries is wrong', alternateLba };
  return {
    table: {
      scheme: 'GPT',
      sectorSize,
      ...(header.diskId !== undefined && { diskId: header.diskId }),
      notes: [],
      partitions: parseEntries(entries, header),
    },
  };
}

function parseHeader(sector: Uint8Array, sectorSize: number): Header | string {
  const view = new DataView(sector.buffer, sector.byteOffset, sector.byteLength);
  const headerSize = view.getUint32(12, true);
  if (headerSize < HEADER_SIZE || headerSize > sectorSize) return 'its header has an invalid length';
  const summed = sector.slice(0, headerSize);
  summed.fill(0, 16, 20);
  if (crc32(summed) !== view.getUint32(16, true)) return 'the checksum of its header is wrong';
  const entrySize = view.getUint32(84, true);
  if (entrySize < 128 || entrySize > 4096) return 'its entries have an invalid length';
  return {
    alternateLba: Number(view.getBigUint64(32, true)),
    entriesLba: Number(view.getBigUint64(72, true)),
    entryCount: view.getUint32(80, true),
    entrySize,
    entriesCrc: view.getUint32(88, true),
    diskId: isZero(sector.subarray(56, 72)) ? undefined : guidAt(sector, 56),
    sectorSize,
  };
}

function parseEntries(bytes: Uint8Array, { entrySize, sectorSize }: Header): ParsedTable['partitions'] {
  const partitions: ParsedTable['partitions'][number][] = [];
  for (let at = 0; at + entrySize <= bytes.length; at += entrySize) {
    const entry = bytes.subarray(at, at + entrySize);
    if (isZero(entry.subarray(0, 16))) continue;
    const view = new DataView(entry.buffer, entry.byteOffset, entry.byteLength);
    const typeId = guidAt(entry, 0);
    const first = Number(view.getBigUint64(32, true));
    const last = Number(view.getBigUint64(40, true));
    const name = new TextDecoder('utf-16le').decode(entry.subarray(56, 128)).replace(/\0.*$/s, '');
    partitions.push({
      number: at / entrySize + 1,
      offset: first * sectorSize,
      length: Math.max(0, last - first + 1) * sectorSize,
      type: gptTypeName(typeId) ?? 'unknown',
      typeId,
      ...(name !== '' && { name }),
      marks: marksOf(view.getUint32(48, true), view.getUint32(52, true)),
    });
  }
  return partitions;
}

/** Attributes: bits 0 and 2 are UEFI's, bits 60, 62 and 63 Microsoft's. */
function marksOf(low: number, high: number): string[] {
  const marks: [boolean, string][] = [
    [(low & 1) !== 0, 'required'],
    [(low & 4) !== 0, 'legacy boot'],
    [(high & 0x1000_0000) !== 0, 'read-only'],
    [(high & 0x4000_0000) !== 0, 'hidden'],
    [(high & 0x8000_0000) !== 0, 'no drive letter'],
  ];
  return marks.filter(([set]) => set).map(([, mark]) => mark);
}

const isZero = (bytes: Uint8Array): boolean => bytes.every((byte) => byte === 0);

/** A GUID in the byte order of Microsoft and UEFI, as text. */
function guidAt(bytes: Uint8Array, offset: number): string {
  const order = [3, 2, 1, 0, -1, 5, 4, -1, 7, 6, -1, 8, 9, -1, 10, 11, 12, 13, 14, 15];
  return order.map((i) => (i < 0 ? '-' : (bytes[offset + i] ?? 0).toString(16).padStart(2, '0'))).join('');
}

// Reflected polynomial of the CRC-32 of Ethernet and zip (UEFI 2.10, 5.3.2). VHDX has another: CRC-32C.
const POLYNOMIAL = 0xedb88320;

const REMAINDERS = Uint32Array.from({ length: 256 }, (_, byte) => {
  let remainder = byte;
  for (let bit = 0; bit < 8; bit++) remainder = remainder & 1 ? (remainder >>> 1) ^ POLYNOMIAL : remainder >>> 1;
  return remainder;
});

/** The CRC-32 of bytes. */
export function crc32(bytes: Uint8Array): number {
  let remainder = 0xffffffff;
  for (const byte of bytes) remainder = (remainder >>> 8) ^ (REMAINDERS[(remainder ^ byte) & 0xff] ?? 0);
  return ~remainder >>> 0;
}

import { readU64, viewOf } from '../base/bytes.js';
import { KiB } from '../base/units.js';
import type { ReadBytes } from './partition.js';

/** Bytes of a directory in which its label is looked for: it is among the first entries. */
const DIRECTORY_BYTES = 16 * KiB;
const ENTRY = 32;

/**
 * The label of a volume that keeps it in a file or a directory: NTFS, exFAT, FAT. Undefined if it has none, or what
 * leads to it is damaged.
 *
 * @param start the first bytes of the volume
 * @param read reads from the start of the volume
 */
export async function labelElsewhere(
  name: string,
  start: Uint8Array,
  size: number,
  read: ReadBytes,
): Promise<string | undefined> {
  const find = { NTFS: ntfsLabel, exFAT: exFatLabel, FAT12: fatLabel, FAT16: fatLabel, FAT32: fatLabel }[name];
  const inside: ReadBytes = async (offset, length) =>
    offset + ENTRY <= size ? read(offset, Math.min(length, size - offset)) : undefined;
  try {
    return await find?.(viewOf(start), inside);
  } catch (error) {
    if (error instanceof RangeError) return undefined; // a field leads out of its structure
    throw error;
  }
}

const utf16 = (bytes: Uint8Array): string => new TextDecoder('utf-16le').decode(bytes);

const VOLUME_RECORD = 3; // $Volume
const VOLUME_NAME = 0x60;
const FILE = 0x454c4946; // "FILE"
const END = 0xffffffff;

async function ntfsLabel(boot: DataView, read: ReadBytes): Promise<string | undefined> {
  const sector = boot.getUint16(11, true);
  const clusterByte = boot.getUint8(13);
  const cluster = sector * (clusterByte > 128 ? 2 ** (256 - clusterByte) : clusterByte);
  const recordByte = boot.getInt8(0x40);
  const recordSize = recordByte < 0 ? 2 ** -recordByte : recordByte * cluster;
  if (recordSize < 512 || recordSize > 64 * KiB) return undefined;
  const record = await read(readU64(boot, 0x30) * cluster + VOLUME_RECORD * recordSize, recordSize);
  if (!record || viewOf(record).getUint32(0, true) !== FILE) return undefined;
  const view = viewOf(record);
  if (!undoFixups(view)) return undefined;
  for (let at = view.getUint16(20, true); view.getUint32(at, true) !== END; ) {
    const length = view.getUint32(at + 4, true);
    const isResident = view.getUint8(at + 8) === 0;
    if (view.getUint32(at, true) === VOLUME_NAME && isResident) {
      const value = at + view.getUint16(at + 20, true);
      return utf16(record.subarray(value, value + view.getUint32(at + 16, true))) || undefined;
    }
    if (length === 0) return undefined;
    at += length;
  }
  return undefined;
}

/** Puts back the last two bytes of each sector of a record, which show whether it was written whole; false if it was not. */
function undoFixups(record: DataView): boolean {
  const fixups = record.getUint16(4, true);
  const mark = record.getUint16(fixups, true);
  for (let i = 1; i < record.getUint16(6, true); i++) {
    const end = 512 * i - 2;
    if (record.getUint16(end, true) !== mark) return false;
    record.setUint16(end, record.getUint16(fixups + 2 * i, true), true);
  }
  return true;
}

async function exFatLabel(boot: DataView, read: ReadBytes): Promise<string | undefined> {
  const sector = 2 ** boot.getUint8(108);
  const cluster = sector * 2 ** boot.getUint8(109);
  const root = boot.getUint32(88, true) * sector + (boot.getUint32(96, true) - 2) * cluster;
  const entries = await read(root, Math.min(cluster, DIRECTORY_BYTES));
  for (let at = 0; entries && at + ENTRY <= entries.length && entries[at] !== 0; at += ENTRY) {
    if (entries[at] !== 0x83) continue;
    const length = Math.min(11, entries[at + 1] as number);
    return utf16(entries.subarray(at + 2, at + 2 + 2 * length)) || undefined;
  }
  return undefined;
}

const LABEL = 0x08;
const LONG_NAME = 0x0f;
const ERASED = 0xe5;

/** The one in the root directory, which counts: Windows leaves the boot sector as it is. */
async function fatLabel(boot: DataView, read: ReadBytes): Promise<string | undefined> {
  const sector = boot.getUint16(11, true);
  const fatSectors = boot.getUint16(22, true) || boot.getUint32(36, true);
  const behindFats = (boot.getUint16(14, true) + boot.getUint8(16) * fatSectors) * sector;
  // That of FAT32 is among the clusters, those before it lie before them.
  const isFat32 = boot.getUint16(22, true) === 0;
  const cluster = boot.getUint8(13) * sector;
  const root = isFat32 ? behindFats + (boot.getUint32(44, true) - 2) * cluster : behindFats;
  const entries = await read(root, isFat32 ? Math.min(cluster, DIRECTORY_BYTES) : DIRECTORY_BYTES);
  for (let at = 0; entries && at + ENTRY <= entries.length && entries[at] !== 0; at += ENTRY) {
    const attributes = (entries[at + 11] as number) & 0x3f;
    if (entries[at] === ERASED || (attributes & LONG_NAME) === LONG_NAME || (attributes & LABEL) === 0) continue;
    return new TextDecoder().decode(entries.subarray(at, at + 11)).trimEnd() || undefined;
  }
  return undefined;
}

import type { RandomAccessSource, ReadOptions } from '../io/random-access.js';
import { crc32, MAX_ENTRIES } from './gpt.js';

/** A disk, or another source of a disk's bytes. */
export type PartitionedDisk = RandomAccessSource & { readonly logicalSectorSize?: number };

/** A disk that can be written, such as one of `editVhdx`. */
export interface WritablePartitionedDisk extends PartitionedDisk {
  /** Writes all of `bytes` at an offset. */
  write(bytes: Uint8Array, offset: number): Promise<unknown>;
  /** Makes everything durable that was written before. */
  flush(): Promise<unknown>;
}

/** Where the backup of a GPT is, in sentences for people and words for programs. */
export interface GptBackup {
  /**
   * - `none`: the disk has no GPT at its start;
   * - `in-place`: the backup is at the end of the disk, where systems look for it;
   * - `misplaced`: it is not, or damaged, and `fixGpt` writes it there;
   * - `not-understood`: something about the partitions is unusual, so that nothing is changed.
   */
  readonly state: 'none' | 'in-place' | 'misplaced' | 'not-understood';
  /** What is unusual, if something is. */
  readonly reason?: string;
}

/** Options of `checkGptBackup`. */
export interface GptBackupOptions extends ReadOptions {
  /** The size that the disk will have, in bytes; the one that it has if it is not given. */
  readonly size?: number | undefined;
}

/**
 * Says whether the backup of a GPT (UEFI 2.10, 5.3) is at the end of the disk, where it is not any more after the disk got
 * another size.
 */
export async function checkGptBackup(disk: PartitionedDisk, options: GptBackupOptions = {}): Promise<GptBackup> {
  const found = await readTable(disk, options.size ?? disk.size, options);
  return 'state' in found ? found : { state: await stateOf(disk, found, options) };
}

/**
 * Puts the backup of a GPT to the end of the disk, makes all space up to there usable, and says so in the primary table
 * and in the protective MBR. Partitions stay as they are. Done only if everything about the table is understood: a sound
 * primary table in the sectors of the disk, an MBR that protects it and nothing else, and partitions that end before the
 * backup. Each step is durable before the next, so that one of the two tables is valid at every moment.
 *
 * @returns what was found; `misplaced` was put right
 */
export async function fixGpt(disk: WritablePartitionedDisk, options: ReadOptions = {}): Promise<GptBackup> {
  const found = await readTable(disk, disk.size, options);
  if ('state' in found) return found;
  const state = await stateOf(disk, found, options);
  if (state !== 'misplaced') return { state };
  const { sectorSize, lastLba, entries, primary, mbr } = found;
  await disk.write(entries, (lastLba - entries.length / sectorSize) * sectorSize);
  await disk.write(backupOf(found), lastLba * sectorSize);
  await disk.flush();
  await disk.write(primary, sectorSize);
  await disk.flush();
  await disk.write(mbr, 0);
  await disk.flush();
  return { state };
}

/** A table that is understood, as it is to be. */
interface KnownTable {
  readonly sectorSize: number;
  readonly lastLba: number;
  /** The entries, in whole sectors. */
  readonly entries: Uint8Array;
  /** The sector of the primary header, changed. */
  readonly primary: Uint8Array;
  /** The first sector, changed. */
  readonly mbr: Uint8Array;
}

const notUnderstood = (reason: string): GptBackup => ({ state: 'not-understood', reason });

/** Whether the disk has these sectors already. */
async function stateOf(disk: PartitionedDisk, table: KnownTable, options: GptBackupOptions) {
  const { sectorSize, lastLba, entries, primary } = table;
  const wanted = [
    [primary, 1],
    [backupOf(table), lastLba],
    [entries, lastLba - entries.length / sectorSize],
  ] as const;
  for (const [bytes, lba] of wanted) {
    if (lba * sectorSize + bytes.length > disk.size) return 'misplaced';
    const own = await read(disk, lba * sectorSize, bytes.length, options);
    if (own.some((byte, i) => byte !== bytes[i])) return 'misplaced';
  }
  return 'in-place';
}

async function readTable(
  disk: PartitionedDisk,
  size: number,
  options: GptBackupOptions,
): Promise<KnownTable | GptBackup> {
  const sectorSize = disk.logicalSectorSize ?? 512;
  if (disk.size < 3 * sectorSize) return { state: 'none' };
  const mbr = await read(disk, 0, sectorSize, options);
  const primary = await read(disk, sectorSize, sectorSize, options);
  if (new TextDecoder('latin1').decode(primary.subarray(0, 8)) !== 'EFI PART') return { state: 'none' };
  const view = new DataView(primary.buffer);
  const number = (at: number) => Number(view.getBigUint64(at, true));
  const headerSize = view.getUint32(12, true);
  if (view.getUint32(8, true) !== 0x10000 || headerSize !== 92) return notUnderstood('its header has another version');
  const summed = primary.slice(0, headerSize);
  summed.fill(0, 16, 20);
  if (crc32(summed) !== view.getUint32(16, true)) return notUnderstood('the checksum of its header is wrong');
  if (primary.subarray(headerSize).some((byte) => byte !== 0)) return notUnderstood('bytes follow its header');
  const [entryCount, entrySize] = [view.getUint32(80, true), view.getUint32(84, true)];
  if (entrySize !== 128 || entryCount === 0 || entryCount > MAX_ENTRIES) {
    return notUnderstood(`it has ${entryCount} entries of ${entrySize} bytes`);
  }
  const [firstUsable, entriesLba] = [number(40), number(72)];
  const entrySectors = Math.ceil((entryCount * entrySize) / sectorSize);
  if (number(24) !== 1 || entriesLba < 2 || entriesLba + entrySectors > firstUsable) {
    return notUnderstood('its parts are not where they are as a rule');
  }
  if ((entriesLba + entrySectors) * sectorSize > disk.size) return notUnderstood('its entries are outside the disk');
  const entries = await read(disk, entriesLba * sectorSize, entrySectors * sectorSize, options);
  if (crc32(entries.subarray(0, entryCount * entrySize)) !== view.getUint32(88, true)) {
    return notUnderstood('the checksum of its entries is wrong');
  }
  const protection = protectiveEntry(mbr);
  if (protection === undefined) return notUnderstood('the MBR before it does not only protect it');

  const lastLba = Math.floor(size / sectorSize) - 1;
  // A table that names the right place may leave more space free before it.
  const lastUsable = Math.min(lastLba - entrySectors - 1, number(32) === lastLba ? number(48) : lastLba);
  const misfit = whyPartitionsDoNotFit(entries.subarray(0, entryCount * entrySize), firstUsable, lastUsable);
  if (misfit !== undefined) return notUnderstood(misfit);
  view.setBigUint64(32, BigInt(lastLba), true);
  view.setBigUint64(48, BigInt(lastUsable), true);
  setChecksum(primary);
  // As Windows has it, the MBR may protect all that it can, whatever the size of the disk is.
  const sectors = new DataView(mbr.buffer);
  if (sectors.getUint32(protection + 12, true) !== 0xffffffff) {
    sectors.setUint32(protection + 12, Math.min(lastLba, 0xffffffff), true);
  }
  return { sectorSize, lastLba, entries, primary, mbr };
}

/** The header at the end of the disk: the primary one, with what is where exchanged. */
function backupOf({ primary, lastLba, entries, sectorSize }: KnownTable): Uint8Array {
  const backup = primary.slice();
  const view = new DataView(backup.buffer);
  view.setBigUint64(24, BigInt(lastLba), true);
  view.setBigUint64(32, 1n, true);
  view.setBigUint64(72, BigInt(lastLba - entries.length / sectorSize), true);
  setChecksum(backup);
  return backup;
}

function setChecksum(header: Uint8Array): void {
  const view = new DataView(header.buffer);
  view.setUint32(16, 0, true);
  view.setUint32(16, crc32(header.subarray(0, 92)), true);
}

/** Where the one entry of an MBR is that protects a GPT; undefined if there are others, or none. */
function protectiveEntry(mbr: Uint8Array): number | undefined {
  if (mbr[510] !== 0x55 || mbr[511] !== 0xaa) return undefined;
  const view = new DataView(mbr.buffer);
  const used = [446, 462, 478, 494].filter((at) => mbr.subarray(at, at + 16).some((byte) => byte !== 0));
  const [at] = used;
  if (at === undefined || used.length > 1) return undefined;
  return mbr[at + 4] === 0xee && view.getUint32(at + 8, true) === 1 ? at : undefined;
}

function whyPartitionsDoNotFit(entries: Uint8Array, firstUsable: number, lastUsable: number): string | undefined {
  const view = new DataView(entries.buffer, entries.byteOffset, entries.byteLength);
  const partitions: { readonly number: number; readonly first: number; readonly last: number }[] = [];
  for (let at = 0; at < entries.length; at += 128) {
    if (entries.subarray(at, at + 16).every((byte) => byte === 0)) continue;
    const [first, last] = [Number(view.getBigUint64(at + 32, true)), Number(view.getBigUint64(at + 40, true))];
    partitions.push({ number: at / 128 + 1, first, last });
  }
  partitions.sort((a, b) => a.first - b.first);
  let end = firstUsable;
  for (const { number, first, last } of partitions) {
    if (first < end || last < first) return `partition ${number} overlaps another one, or the table`;
    if (last > lastUsable) return `partition ${number} reaches past the place of the backup at the end of the disk`;
    end = last + 1;
  }
  return lastUsable < firstUsable ? 'the disk has no place for it' : undefined;
}

async function read(disk: PartitionedDisk, offset: number, length: number, { signal }: ReadOptions) {
  const bytes = new Uint8Array(length);
  await disk.readInto(bytes, offset, { signal });
  return bytes;
}

import type { RandomAccessSource, ReadOptions } from '../io/random-access.js';
import { readGpt } from './gpt.js';
import { identifyAt, readBytesOf } from './identify-volume.js';
import { readMbr } from './mbr.js';
import type { ParsedTable, Partition, PartitionTable, ReadBytes } from './partition.js';

/** Options of {@link readPartitionTable}. */
export interface PartitionTableOptions extends ReadOptions {
  /** Bytes of a sector: that of the disk, or 512, if it is not given. */
  readonly sectorSize?: number | undefined;
}

/**
 * Reads the partition table of a disk: its GPT (UEFI 2.10, 5.3), with the backup at the end of the disk if the first one
 * is damaged, else a file system that fills the whole disk, else its MBR. An MBR with partitions comes before a file
 * system whose first sector was overwritten by it.
 * A table that counts in sectors of another size, as after a copy from another disk, is read too; `notes` say so.
 *
 * @param disk an opened disk, or any other source of a disk's bytes, such as a raw image
 * @throws VhdxError if the input fails; a place that is damaged in the image counts as unreadable and does not reject
 */
export async function readPartitionTable(
  disk: RandomAccessSource & { readonly logicalSectorSize?: number },
  options: PartitionTableOptions = {},
): Promise<PartitionTable> {
  const { size } = disk;
  const { sectorSize = disk.logicalSectorSize ?? 512 } = options;
  const read = readBytesOf(disk, options);
  const other = sectorSize === 512 ? 4096 : 512;
  const gpt = (await readGpt(read, size, sectorSize)) ?? (await readGpt(read, size, other));
  const mbr = await readMbr(read, size, sectorSize);
  const listed = mbr?.partitions.filter(({ typeId }) => typeId !== PROTECTIVE) ?? [];
  const isProtected = mbr === undefined || listed.length < mbr.partitions.length || listed.length === 0;
  if (gpt && isProtected) return withFileSystems(read, size, sectorSize, gpt, hybridNotes(listed.length));
  const stale = gpt ? [STALE] : [];
  const isPartitioned = mbr?.partitions.some(({ offset, length }) => offset > 0 && offset + length <= size);
  const fileSystem = await identifyAt(read, 0, isPartitioned ? 512 : size);
  if (fileSystem) return { scheme: 'none', sectorSize, partitions: [], notes: [], fileSystem };
  if (mbr) return withFileSystems(read, size, sectorSize, mbr, stale);
  const isReadable = size < 512 || (await read(0, 512)) !== undefined;
  return { scheme: isReadable ? 'none' : 'unknown', sectorSize, partitions: [], notes: [] };
}

/** Type of the partition of an MBR that protects a GPT. */
const PROTECTIVE = 'ee';
const STALE =
  'There is a GPT too, which does not count: no partition of the MBR protects it, as on a disk that was partitioned anew.';

function hybridNotes(count: number): string[] {
  if (count === 0) return [];
  const what = count === 1 ? 'one partition' : `${count} partitions`;
  return [`The MBR is a hybrid one: it lists ${what} of its own, and Windows reads it instead of the GPT.`];
}

async function withFileSystems(
  read: ReadBytes,
  size: number,
  sectorSize: number,
  table: ParsedTable,
  more: readonly string[],
): Promise<PartitionTable> {
  const notes = [...table.notes, ...more];
  if (table.sectorSize !== sectorSize) {
    notes.push(
      `The table counts in sectors of ${table.sectorSize} bytes, and the disk has sectors of ${sectorSize}: it was copied from another disk, and systems will not find its partitions.`,
    );
  }
  const partitions: Partition[] = [];
  for (const partition of table.partitions) {
    const { number, offset, length } = partition;
    if (offset + length > size) notes.push(`Partition ${number} reaches past the end of the disk.`);
    const fileSystem = await identifyAt(read, offset, Math.min(length, size - offset));
    partitions.push({ ...partition, ...(fileSystem && { fileSystem }) });
  }
  notes.push(...overlaps(partitions));
  return { ...table, partitions, notes };
}

function overlaps(partitions: readonly Partition[]): string[] {
  // An extended partition of an MBR holds the logical ones.
  const sorted = partitions.filter(({ type }) => !type.startsWith('Extended')).sort((a, b) => a.offset - b.offset);
  return sorted.flatMap((next, i) => {
    const before = sorted[i - 1];
    const overlap = before !== undefined && before.offset + before.length > next.offset;
    return overlap ? [`Partitions ${before.number} and ${next.number} overlap.`] : [];
  });
}

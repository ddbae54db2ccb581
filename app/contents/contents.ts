import { type FileSystem, recogniseFileSystem } from './file-systems.js';
import { readGpt } from './gpt.js';
import { readMbr } from './mbr.js';
import type { Contents, Partition, Read, Table } from './table.js';

/** Bytes in which file systems have their signatures: the last is that of Btrfs, at 64 KiB and 64 bytes. */
const SIGNATURES = 68 * 1024;

/**
 * Finds out what lies on a disk: its GPT, else a file system that fills all of it, else its MBR. A file system that has
 * left the first sector to an MBR with partitions is what was there before them.
 * A table may count in sectors of another size than the disk's own, as after a copy from another disk: that is noted.
 */
export async function readContents(read: Read, size: number, sectorSize: number): Promise<Contents> {
  const other = sectorSize === 512 ? 4096 : 512;
  const gpt = (await readGpt(read, size, sectorSize)) ?? (await readGpt(read, size, other));
  if (gpt) return withFileSystems(read, size, sectorSize, gpt);
  const mbr = await readMbr(read, size, sectorSize);
  const isPartitioned = mbr?.partitions.some(({ offset, length }) => offset > 0 && offset + length <= size);
  const fileSystem = await fileSystemAt(read, 0, isPartitioned ? 512 : size);
  if (fileSystem) return { scheme: 'none', sectorSize, partitions: [], notes: [], fileSystem };
  if (mbr) return withFileSystems(read, size, sectorSize, mbr);
  const isReadable = size < 512 || (await read(0, 512)) !== undefined;
  return { scheme: isReadable ? 'none' : 'unknown', sectorSize, partitions: [], notes: [] };
}

async function withFileSystems(read: Read, size: number, sectorSize: number, table: Table): Promise<Contents> {
  const notes = [...table.notes];
  if (table.sectorSize !== sectorSize) {
    notes.push(
      `The table counts in sectors of ${table.sectorSize} bytes, and the disk has sectors of ${sectorSize}: it was copied from another disk, and systems will not find its partitions.`,
    );
  }
  const partitions: Partition[] = [];
  for (const partition of table.partitions) {
    const { number, offset, length } = partition;
    if (offset + length > size) notes.push(`Partition ${number} reaches past the end of the disk.`);
    const fileSystem = await fileSystemAt(read, offset, Math.min(length, size - offset));
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

/** Of a damaged place nothing is known; the map and the findings tell of it. */
async function fileSystemAt(read: Read, offset: number, length: number): Promise<FileSystem | undefined> {
  if (length < 512) return undefined;
  // Less of it may be whole.
  const start = (await read(offset, Math.min(length, SIGNATURES))) ?? (await read(offset, Math.min(length, 4096)));
  return start && recogniseFileSystem(start);
}

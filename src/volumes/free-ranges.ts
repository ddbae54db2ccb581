import { VhdxError } from '../errors.js';
import type { RandomAccessSource, ReadOptions } from '../io/random-access.js';
import { slice } from '../io/slice.js';
import type { VolumeRange } from './file-system.js';
import { canOpenVolume, openVolume } from './open-volume.js';
import { readPartitionTable } from './partition-table.js';

/**
 * The ranges of a disk that its file systems do not use, in ascending order: what `compactVhdx` takes as `free`. Of
 * partitions whose file system is not read here, and of what is between partitions, nothing counts as free.
 *
 * @param disk an opened disk, or any other source of a disk's bytes
 * @throws VhdxError `file-system-unsupported` if no file system on the disk is read here; `file-system-damaged` if what
 *   one says about its free space is in doubt, naming the partition; and those of the source
 */
export async function* freeRanges(
  disk: RandomAccessSource & { readonly logicalSectorSize?: number },
  options: ReadOptions = {},
): AsyncGenerator<VolumeRange> {
  let end = 0;
  for (const { name, offset, length } of await volumesOf(disk, options)) {
    if (offset < end || offset + length > disk.size) {
      throw new VhdxError('file-system-damaged', `${name}: overlaps another one, or reaches past the end of the disk`);
    }
    end = offset + length;
    try {
      const fs = await openVolume(slice(disk, offset, length), options);
      for await (const range of fs.free(options)) yield { ...range, offset: offset + range.offset };
    } catch (error) {
      throw error instanceof VhdxError && !error.isAboutFormat ? inVolume(error, name) : error;
    }
  }
}

function inVolume(cause: VhdxError, name: string): VhdxError {
  return new VhdxError(cause.code, `${name}: ${cause.reason}`, { cause });
}

/** What of a disk has a file system that is read here, in the order of the disk. */
async function volumesOf(disk: RandomAccessSource, options: ReadOptions) {
  const { partitions, fileSystem } = await readPartitionTable(disk, options);
  if (partitions.length === 0 && fileSystem && canOpenVolume(fileSystem)) {
    return [{ name: 'the file system', offset: 0, length: disk.size }];
  }
  const found = partitions.filter(({ fileSystem: inside }) => inside && canOpenVolume(inside));
  if (found.length > 0) {
    return found
      .map(({ number, offset, length }) => ({ name: `partition ${number}`, offset, length }))
      .sort((a, b) => a.offset - b.offset);
  }
  const message = 'no file system on the disk says here what it does not use; ext2, ext3 and ext4 do';
  throw new VhdxError('file-system-unsupported', message);
}

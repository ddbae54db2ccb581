import { KiB } from '../base/units.js';
import { VhdxError } from '../errors.js';
import type { RandomAccessSource, ReadOptions } from '../io/random-access.js';
import type { ReadBytes } from './partition.js';
import { IDENTITY_BYTES, recogniseVolume, type VolumeIdentity } from './volume-kinds.js';
import { labelElsewhere } from './volume-labels.js';

/**
 * Says what a volume is, by its signature, and its label, UUID and size as far as it has them: ext2/3/4, FAT, exFAT, NTFS,
 * ReFS, XFS, Btrfs, Linux swap, LVM, LUKS, BitLocker, ISO 9660, SquashFS, HFS+, APFS. At most three short reads.
 *
 * @param source a partition (`slice(disk, offset, length)`), or a disk without a partition table
 * @returns undefined if it is none that is known, or cannot be read at its start
 * @throws VhdxError if the input fails; a place that is damaged in the image counts as unreadable and does not reject
 */
export function identifyVolume(
  source: RandomAccessSource,
  options: ReadOptions = {},
): Promise<VolumeIdentity | undefined> {
  return identifyAt(readBytesOf(source, options), 0, source.size);
}

/** The same for a part of a disk. */
export async function identifyAt(
  readDisk: ReadBytes,
  start: number,
  length: number,
): Promise<VolumeIdentity | undefined> {
  if (length < 512) return undefined;
  const read: ReadBytes = (offset, bytes) => readDisk(start + offset, bytes);
  // The first 4 KiB may be sound even if the 68 KiB are not.
  const first = (await read(0, Math.min(length, IDENTITY_BYTES))) ?? (await read(0, Math.min(length, 4 * KiB)));
  const found = first && recogniseVolume(first);
  if (!first || !found) return undefined;
  const label = await labelElsewhere(found.name, first, length, read);
  return label === undefined ? found : { ...found, label };
}

/** Reads of a disk that leave out what is damaged in its image. */
export function readBytesOf(disk: RandomAccessSource, { signal }: ReadOptions): ReadBytes {
  return async (offset, length) => {
    const bytes = new Uint8Array(length);
    try {
      await disk.readInto(bytes, offset, { signal });
      return bytes;
    } catch (error) {
      if (error instanceof VhdxError && error.isAboutFormat) return undefined;
      throw error;
    }
  };
}

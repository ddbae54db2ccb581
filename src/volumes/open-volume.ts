import { VhdxError } from '../errors.js';
import type { RandomAccessSource, ReadOptions } from '../io/random-access.js';
import type { FileSystem } from './file-system.js';
import { identifyVolume } from './identify-volume.js';
import type { VolumeIdentity } from './volume-kinds.js';

/** What reads the file systems that are not read here. */
const OTHERS: Readonly<Record<string, string>> = {
  BitLocker: 'it is encrypted: dislocker or cryptsetup opens it with its key',
  'LUKS, encrypted': 'cryptsetup opens it with its key',
  'LVM volume': 'the volumes in it are found by LVM (vgchange) or libguestfs',
  'Linux swap': 'it has no files',
};

/** Whether {@link openVolume} reads file systems of a kind. */
export function canOpenVolume({ name }: VolumeIdentity): boolean {
  return /^ext[234]$/.test(name);
}

/**
 * Opens the file system of a volume: of a partition (`slice(disk, offset, length)`), or of a disk without a partition
 * table, as WSL makes them. Nothing is written; what the journal of a file system has that was not unmounted is replayed in
 * memory. Read so far: ext2, ext3 and ext4.
 *
 * @throws VhdxError `file-system-unsupported` if it is another one, or has a feature that is not read here;
 *   `file-system-damaged`; and those of the source
 */
export async function openVolume(source: RandomAccessSource, options: ReadOptions = {}): Promise<FileSystem> {
  const found = await identifyVolume(source, options);
  if (found && canOpenVolume(found)) {
    const { openExt } = await import('./ext/ext-file-system.js');
    return openExt(source, options);
  }
  if (!found) {
    await source.readInto(new Uint8Array(Math.min(512, source.size)), 0, options); // what is damaged there says so
    throw new VhdxError('file-system-unsupported', 'there is no file system that is known here');
  }
  const how = OTHERS[found.name] ?? '7-Zip, or mounting it, reads its files';
  throw new VhdxError('file-system-unsupported', `the file system is ${found.name}, which is not read here; ${how}`);
}

import { withChecksum } from './encode-structures.js';
import type { SparseFile } from './sparse-file.js';

/** A copy of a file with other bytes at a place. */
export function patch<File extends SparseFile>(
  file: File,
  offset: number,
  bytes: Uint8Array | readonly number[],
): File {
  const copy = file.clone() as File;
  copy.write(offset, Uint8Array.from(bytes));
  return copy;
}

/** Makes the checksum of a header copy right again, in place. */
export function fixHeaderChecksum<File extends SparseFile>(file: File, copy: 0 | 1): File {
  const offset = copy === 0 ? 0x10000 : 0x20000;
  file.write(offset, withChecksum(file.read(offset, 0x1000)));
  return file;
}

/** Makes the checksum of a region table copy right again, in place. */
export function fixRegionTableChecksum<File extends SparseFile>(file: File, copy: 0 | 1): File {
  const offset = copy === 0 ? 0x30000 : 0x40000;
  file.write(offset, withChecksum(file.read(offset, 0x10000)));
  return file;
}

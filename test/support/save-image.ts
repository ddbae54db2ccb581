import { open } from 'node:fs/promises';
import type { SparseFile } from './sparse-file.js';

/** Writes a file of memory to the disk, sparse where the file system can. */
export async function saveFile(file: SparseFile, path: string): Promise<void> {
  const handle = await open(path, 'w');
  try {
    await handle.truncate(file.size);
    for (const { offset, bytes } of file.pieces()) await handle.write(bytes, 0, bytes.length, offset);
  } finally {
    await handle.close();
  }
}

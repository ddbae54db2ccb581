import type { RandomAccessFile } from '../../../src/index.js';
import { memoryFile } from '../../../src/io/memory.js';
import { PageImage } from '../crash/page-image.js';
import { readState, type StateView } from '../crash/state-reader.js';
import type { SparseFile } from '../sparse-file.js';

/** A file in memory with what another one holds. */
export async function memoryCopy(image: SparseFile): Promise<RandomAccessFile> {
  const file = memoryFile();
  await file.truncate(image.size);
  for (const { offset, bytes } of image.pieces()) await file.write(bytes, offset);
  return file;
}

/** The files of a chain in memory, in the same order. */
export function memoryChain(files: readonly SparseFile[]): Promise<RandomAccessFile[]> {
  return Promise.all(files.map(memoryCopy));
}

/** All bytes of a file. */
export async function contentOf(file: RandomAccessFile): Promise<Uint8Array> {
  const bytes = new Uint8Array(file.size);
  await file.readInto(bytes, 0);
  return bytes;
}

/** What the strict reader makes of a chain, the base last. Throws for whatever the format forbids. */
export async function readChain(files: readonly RandomAccessFile[]): Promise<StateView> {
  let view: StateView | undefined;
  for (const file of [...files].reverse()) view = readState(PageImage.of(await contentOf(file)), view);
  if (!view) throw new Error('a chain has a member');
  return view;
}

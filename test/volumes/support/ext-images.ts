import { SparseFile } from '../../support/sparse-file.js';
import images from '../ext/ext-images.json' with { type: 'json' };

/** The name of a file system in the fixtures. */
export type ExtName = keyof typeof images;

/** All of them. */
export const extNames = Object.keys(images) as ExtName[];

/** A file system that mke2fs made; the file of fixtures says how. */
export function madeExt(name: ExtName): SparseFile {
  const { size, pieces } = images[name];
  const file = new SparseFile(size);
  for (const { offset, base64 } of pieces)
    file.write(
      offset,
      Uint8Array.from(atob(base64), (char) => char.charCodeAt(0)),
    );
  return file;
}

/** What its file `home/ada/notes.txt` holds. */
export const NOTES = 'Remember the milk.\n';
/** What its file `home/ada/long.txt` holds. */
export const LONG = Array.from({ length: 100 }, (_, i) => `line ${i} of a text that is longer than a block\n`).join('');

import type { ReadOptions } from '../io/random-access.js';

/**
 * Finds the children of an image: the other images (`*.vhdx`, `*.avhdx`) of its folder whose parent locator names its
 * DataWriteGuid. They do not fit any more once what it holds is changed. In Node, Bun and Deno; nothing is written.
 *
 * @param path of the image
 * @returns their absolute paths, sorted; images that cannot be read are left out
 * @throws VhdxError if the image itself cannot be read, or its folder cannot be listed
 */
export async function findChildren(path: string, options: ReadOptions = {}): Promise<string[]> {
  const { childrenIn } = await import('./children-in.js'); // pages have no folders
  return childrenIn(path, options);
}

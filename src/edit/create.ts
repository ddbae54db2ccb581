import type { CreateOptions } from './create/create-options.js';
import type { VhdxTarget } from './target.js';

/**
 * Creates an image: fixed, dynamic or differencing. It is durable when the promise settles, and no VHDX at all if the
 * work is interrupted before.
 *
 * @param target a path (Node, Bun, Deno), a file handle of a browser, or an empty `RandomAccessFile`, which stays open
 * @throws RangeError for a size or another option that the format does not allow; VhdxError `exists` if there is
 *   something already, `parent-damaged` and the like for a parent that no child can be made of, or the code of the
 *   file's failure
 */
export async function createVhdx(target: VhdxTarget, options: CreateOptions): Promise<void> {
  const { createImage } = await import('./create/create-image.js'); // pages that only read do not load it
  return createImage(target, options);
}

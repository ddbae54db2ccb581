import type { VhdxTarget } from './target.js';
import type { EditOptions } from './writable/edit-options.js';
import type { WritableVhdxDisk } from './writable/writable-disk.js';

/**
 * Opens an image to be written. Nothing is written by that, but for a dirty image, whose log is replayed in place; the
 * first change writes the headers.
 *
 * Refuses what reading only warns of, if it makes writing doubtful: blocks that share a place, for instance. The file
 * must not be written by another program at the same time.
 *
 * @param target a path (Node, Bun, Deno), a file of the origin private file system in a dedicated worker, or a
 *   `RandomAccessFile`. A picked file is refused: it is swapped in as a whole, and nothing could be made durable before
 * @throws VhdxError as `openVhdx` does, with the code of the rule that forbids writing, and `read-only` or `locked`
 */
export async function editVhdx(target: VhdxTarget, options: EditOptions = {}): Promise<WritableVhdxDisk> {
  const { editImage } = await import('./writable/edit-image.js'); // pages that only read do not load it
  return editImage(target, options);
}

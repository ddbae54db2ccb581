import type { SetOptions } from './set-options.js';
import type { VhdxTarget } from './target.js';

/**
 * Changes the identity of a disk or its physical sector size, in place and through the log. What the disk holds stays
 * the same; its DataWriteGuid does not, so that its children, which know another disk, do not fit any more. Parents are
 * not needed. The log of a dirty image is replayed in place first; nothing else is written if everything is so already.
 *
 * @param target a path (Node, Bun, Deno), a file handle of a browser, or a `RandomAccessFile`, which stays open; a picked
 *   file is swapped in as a whole
 * @throws RangeError for what is no GUID or no sector size; VhdxError with the code of the rule that forbids writing, or
 *   the code of the file's failure
 */
export async function setVhdx(target: VhdxTarget, options: SetOptions): Promise<void> {
  const { setImage } = await import('./set-image.js'); // pages that only read do not load it
  return setImage(target, options);
}

import type { VhdxInput } from '../io/open.js';
import type { RebaseOptions, RebaseReport } from './chain/rebase-options.js';
import type { VhdxTarget } from './target.js';

/**
 * Gives a differencing image another parent, in place, or makes it an image without one. What the disk reads as stays
 * the same: what the new parent does not hold, or holds differently, is copied into the image first. So the new parent
 * may be any image with sectors of the same size, and the image's own children still fit. With `unsafe` nothing is
 * copied, and the new parent must be known to hold the same.
 *
 * May be interrupted at any moment, by a power cut too: the image reads the same, with its present parent until the
 * end, and the rebase can be run again.
 *
 * @param child a path (Node, Bun, Deno), or a `RandomAccessFile`, which stays open
 * @param parent anything that `openVhdx` opens; undefined for an image that needs no parent any more
 * @throws VhdxError as `openVhdx` does if one of the chains is not whole; `parent-cycle` if the image is the new parent
 *   or one of its parents; `parent-mismatch` if `unsafe` is given and the parent is not known to be the same; `locked`;
 *   or the code of a file's failure
 */
export async function rebaseVhdx(
  child: VhdxTarget,
  parent: VhdxInput | undefined,
  options: RebaseOptions = {},
): Promise<RebaseReport> {
  const { rebaseImage } = await import('./chain/rebase-image.js'); // pages that only read do not load it
  return rebaseImage(child, parent, options);
}

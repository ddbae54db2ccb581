import type { MergeOptions, MergeReport } from './chain/merge-options.js';
import type { VhdxTarget } from './target.js';

/**
 * Merges a differencing image into its parent, or with `base` into a lower member of its chain together with all between
 * the two, in place. Afterwards the base holds the disk that the child was. The child and those between stay and read
 * the same; they are not needed any more, and what becomes of them is the caller's to decide.
 *
 * May be interrupted at any moment, by a power cut too: the child reads the same at every moment, and the merge can be
 * run again. Costs what the changes cost, whatever the size of the disk.
 *
 * @param child a path (Node, Bun, Deno), or a `RandomAccessFile`, which stays open; then its parents are handed over with
 *   the option `parent`, and the base must be one that can be written
 * @throws VhdxError `has-children` if other children would not fit any more, unless `force` is given; `locked` if a file
 *   is open for writing elsewhere; as `openVhdx` does if the chain is not whole; or the code of a file's failure
 */
export async function mergeVhdx(child: VhdxTarget, options: MergeOptions = {}): Promise<MergeReport> {
  const { mergeImage } = await import('./chain/merge-image.js'); // pages that only read do not load it
  return mergeImage(child, options);
}

import type { CompactOptions, CompactReport } from './compact/compact-report.js';
import type { VhdxTarget } from './target.js';

/**
 * Makes the file of a dynamic or differencing image as short as it can be, in place: blocks of zeros and blocks that were
 * trimmed give back their space, and blocks at the end of the file move into space that is free before them. What the disk
 * holds and its identity stay the same, so that children still fit, unless `free` names ranges whose content is dropped.
 *
 * May be interrupted at any moment: the image is sound, and as much shorter as the work had come. Needs no space on the
 * device. A hole that is smaller than a block may be left, if nothing fits into it.
 *
 * @throws VhdxError `unsupported-input` for a fixed image, whose blocks keep their space, and for a file that a browser
 *   swaps in as a whole; RangeError if ranges of `free` overlap or leave the disk; and as `editVhdx` does for an image
 *   that is too doubtful to be written
 */
export async function compactVhdx(target: VhdxTarget, options: CompactOptions = {}): Promise<CompactReport> {
  const { compactImage } = await import('./compact/compact-image.js'); // pages that only read do not load it
  return compactImage(target, options);
}

import type { ResizeOptions, ResizeReport } from './resize/resize-report.js';
import type { VhdxTarget } from './target.js';

/**
 * Changes the size of a disk in place. A disk that grows reads as zeros after its old end; a fixed one gets all of its
 * new blocks. May be interrupted at any moment: the disk has its old size or its new one, and may be resized again.
 *
 * Partitions are not touched: see `fixGpt` of `vhdx/volumes`. Children of the disk do not fit it any more.
 *
 * @param size a multiple of the logical sector size, up to 64 TiB
 * @throws RangeError for another size; VhdxError `needs-shrink` if the disk would get smaller and `shrink` is not set,
 *   `no-space`, and as `editVhdx` does for an image that is too doubtful to be written
 */
export async function resizeVhdx(target: VhdxTarget, size: number, options: ResizeOptions = {}): Promise<ResizeReport> {
  const { resizeImage } = await import('./resize/resize-image.js'); // pages that only read do not load it
  return resizeImage(target, size, options);
}

import type { VhdxInput } from '../io/open.js';
import type { ForwardInput, WriteVhdxOptions } from './create/write-options.js';
import type { VhdxTarget } from './target.js';

/**
 * Writes the content of a disk to a new VHDX: of a raw disk, a VHD, or a VHDX with its parents, sound, dirty or, with
 * `onDamage`, damaged; or of a stream, which is a raw disk. Only what is not zero is stored, and with `parent` only what
 * differs from that; holes that the source knows are not read. The source is not changed.
 *
 * Several reads and writes are in flight, in memory that does not depend on the size of the disk but for 8 bytes a
 * stored block. The image is durable when the promise settles, and no VHDX at all if the work is interrupted before.
 *
 * @param target a path (Node, Bun, Deno), or an empty `RandomAccessFile`, which stays open
 * @throws VhdxError as opening and reading the source do; `virtual-disk-size-alignment` for a size that is no whole number
 *   of sectors, without `pad`; `exists` if there is something already, or the target is what is read; RangeError for an
 *   option that the format does not allow
 */
export async function writeVhdx(
  source: VhdxInput | ForwardInput,
  target: VhdxTarget,
  options: WriteVhdxOptions = {},
): Promise<void> {
  const { writeImage } = await import('./create/write-image.js'); // pages that only read do not load it
  return writeImage(source, target, options);
}

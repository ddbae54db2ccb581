import type { VhdxDisk } from '../../disk/disk.js';
import { type Advice, VhdxError } from '../../errors.js';
import type { OpenDisk } from '../../vhd/disk-format.js';
import type { VhdxTarget } from '../target.js';
import { inheritedItems } from './child.js';
import type { NewImage } from './layout.js';
import { MAX_SIZE, planImage } from './plan-image.js';
import type { WriteVhdxOptions } from './write-options.js';

const PAD: Advice = { hint: 'pad', text: 'the option pad adds zeros up to the next sector' };

/** What the new image is to be: as the options say, and as the source is in what they do not say. */
export async function planCopy(
  { source, vhdx, vhd }: OpenDisk,
  target: VhdxTarget | undefined,
  options: WriteVhdxOptions,
  parent: VhdxDisk | undefined,
): Promise<NewImage> {
  const own = parent ? undefined : vhdx;
  const alike = parent ? undefined : (vhdx ?? vhd);
  const type = alike && alike.type !== 'differencing' ? alike.type : undefined;
  const logicalSectorSize = options.logicalSectorSize ?? sectorSize((parent ?? vhdx)?.logicalSectorSize) ?? 512;
  const image = await planImage(
    target,
    {
      ...options,
      onProgress: undefined,
      type: options.type ?? type,
      size: sizeInSectors(source.size, logicalSectorSize, options),
      blockSize: options.blockSize ?? vhdx?.blockSize,
      logicalSectorSize,
      physicalSectorSize: options.physicalSectorSize ?? sectorSize(own?.physicalSectorSize),
      id: options.id ?? alike?.id,
    },
    parent,
  );
  return own ? { ...image, items: await inheritedItems(own, options.signal) } : image;
}

const sectorSize = (size: number | undefined): 512 | 4096 | undefined =>
  size === 512 || size === 4096 ? size : undefined;

/** The size of a disk of so many bytes; refuses one that is no whole number of sectors, unless it may be padded. */
export function sizeInSectors(size: number, sectorSize: number, { pad }: WriteVhdxOptions): number {
  if (size === 0) throw new VhdxError('virtual-disk-size', 'the source is empty: a disk has at least one sector');
  if (size > MAX_SIZE) {
    throw new VhdxError('virtual-disk-size', `the source has ${size} bytes: a VHDX holds at most 64 TiB`);
  }
  if (size % sectorSize === 0) return size;
  if (pad) return Math.ceil(size / sectorSize) * sectorSize;
  const message = `the source has ${size} bytes, which is not a multiple of the logical sector size, ${sectorSize}`;
  throw new VhdxError('virtual-disk-size-alignment', message, { advice: [PAD] });
}

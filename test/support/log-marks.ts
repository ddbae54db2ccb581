import { type OpenOptions, openVhdx } from '../../src/index.js';
import { type BuiltImage, buildImage } from './build-image.js';
import type { DataDescriptor, LogSpec, ZeroDescriptor } from './build-log.js';
import { writeLog } from './build-log.js';
import { KiB } from './encode-primitives.js';
import { type ImageSpec, STATE } from './image-spec.js';

const SECTOR = 4 * KiB;

/**
 * An image whose first block is there and all zeros. A log that writes marks into it shows by them which of its
 * entries were applied, and in which order.
 */
export function markable(spec: ImageSpec = {}): BuiltImage {
  return buildImage({ blocks: { 0: { state: STATE.fullyPresent, data: 0 } }, ...spec });
}

/** Where in the file sector `place` of the first block lies, in sectors of 4 KiB. */
export function placeOf(image: BuiltImage, place: number): number {
  return image.layout.blockOffset(0) + place * SECTOR;
}

/** A descriptor that fills a sector of the first block with one byte. */
export function mark(image: BuiltImage, place: number, value: number): DataDescriptor {
  return { fileOffset: placeOf(image, place), bytes: new Uint8Array(SECTOR).fill(value) };
}

/** A descriptor that zeroes sectors of the first block. */
export function unmark(image: BuiltImage, place: number, sectors = 1): ZeroDescriptor {
  return { fileOffset: placeOf(image, place), zeroLength: sectors * SECTOR };
}

/** The image with a log of those entries. */
export function withLog(
  image: BuiltImage,
  entries: LogSpec['entries'],
  rest: Omit<LogSpec, 'entries'> = {},
): BuiltImage {
  const dirty = image.clone();
  writeLog(dirty, { ...rest, entries });
  return dirty;
}

/** The marks in the first sectors of the disk, 0 where there is none. Throws where a sector is not all of one byte. */
export async function marksOf(image: BuiltImage, count: number, options?: OpenOptions): Promise<number[]> {
  const disk = await openVhdx(image.source(), options);
  const bytes = await disk.read(0, count * SECTOR);
  await disk.close();
  return Array.from({ length: count }, (_, place) => {
    const sector = bytes.subarray(place * SECTOR, (place + 1) * SECTOR);
    const value = sector[0] as number;
    const other = sector.findIndex((byte) => byte !== value);
    if (other >= 0) throw new Error(`sector ${place} holds ${value} at its start and ${sector[other]} at ${other}`);
    return value;
  });
}

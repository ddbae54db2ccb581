import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { pattern } from '../support/block-content.js';
import { buildImage } from '../support/build-image.js';
import { dirtied, structureSectors } from '../support/dirty-images.js';
import { modelOf } from '../support/disk-model.js';
import { MiB } from '../support/encode-primitives.js';
import { STATE } from '../support/image-spec.js';
import { saveFile } from '../support/save-image.js';
import { madeExt } from '../volumes/support/ext-images.js';
import { blocksOf } from '../volumes/support/made-by-other-tools.js';

const SIZE = 64 * MiB;

const disk = buildImage({ virtualSize: SIZE, dataWriteGuid: '5f0f9d0e-2f3b-4c35-9a83-7d0c1b4e8a26' });
const base = buildImage({ virtualSize: SIZE });
const child = buildImage({
  type: 'differencing',
  virtualSize: SIZE,
  blocks: { 1: { state: STATE.fullyPresent, data: pattern(1) } },
});
const inner = disk.read(0, disk.size);
const outer = buildImage({
  virtualSize: disk.size,
  blocks: Object.fromEntries(
    Array.from({ length: disk.size / MiB }, (_, block) => [
      block,
      { state: STATE.fullyPresent, data: inner.subarray(block * MiB, (block + 1) * MiB) },
    ]),
  ),
});

/** A disk without partitions, which is an ext4 file system. */
const wsl = buildImage({
  virtualSize: SIZE,
  blockSize: MiB,
  dataWriteGuid: '2b1f8a34-9c5d-4a0e-8f67-1e2d3c4b5a69', // nobody's parent
  blocks: blocksOf(madeExt('ext4'), MiB),
});

/** The bytes of the virtual disk in `disk.vhdx`. */
export const diskBytes = modelOf(disk).expected(0, SIZE);

/** Puts the images that the samples in the papers speak of into a folder. */
export async function saveSampleImages(folder: string): Promise<void> {
  const images = {
    'disk.vhdx': disk,
    'ext4.vhdx': disk,
    'wsl.vhdx': wsl,
    'a.vhdx': disk,
    'base.vhdx': base,
    'child.avhdx': child,
    'dirty.vhdx': dirtied(disk, structureSectors(disk)),
    'damaged.vhdx': buildImage({ ...disk.spec, bat: { 2: BigInt(disk.size + 8 * MiB) | BigInt(STATE.fullyPresent) } }),
    'outer.vhdx': outer,
  };
  for (const [name, image] of Object.entries(images)) await saveFile(image, join(folder, name));
  for (const name of ['disk.raw', 'b.raw']) await writeFile(join(folder, name), diskBytes);
}

import { join } from 'node:path';
import { hasSector, pattern, sectorBits } from '../../support/block-content.js';
import { type BuiltImage, buildImage } from '../../support/build-image.js';
import { type DiskModel, modelOf } from '../../support/disk-model.js';
import { MiB } from '../../support/encode-primitives.js';
import { locatorEntries, STATE } from '../../support/image-spec.js';
import { saveFile } from '../../support/save-image.js';

/** A chain of three images on the disk, and what it must read as. */
export interface SmallChain {
  /** Paths of the images: the base, its child, and the child of that. */
  readonly base: string;
  readonly middle: string;
  readonly top: string;
  readonly images: readonly [top: BuiltImage, middle: BuiltImage, base: BuiltImage];
  readonly model: DiskModel;
}

/** What a sector of a disk is, in the words of the map. */
export type SectorKind = 'data' | 'parent' | 'zero' | 'unmapped';

const SECTORS = MiB / 512;
const guid = (n: number) => `9a8b7c6d-5e4f-4a3b-8c2d-00000000000${n}`;
const link = (n: number, name: string) => ({
  entries: locatorEntries({ linkage: guid(n), relativePath: `.\\${name}` }),
});

/** Builds a chain of three images of 8 MiB into a folder: whole, partial, zero and trimmed blocks in all of them. */
export async function smallChain(folder: string): Promise<SmallChain> {
  const full = (seed: number) => ({ state: STATE.fullyPresent, data: pattern(seed) });
  const partial = (seed: number, ...ranges: [number, number][]) => ({
    state: STATE.partiallyPresent,
    data: pattern(seed),
    bitmap: sectorBits(SECTORS, ...ranges),
  });
  const common = { virtualSize: 8 * MiB, blockSize: MiB };
  const base = buildImage({
    ...common,
    dataWriteGuid: guid(1),
    blocks: { 0: full(1), 1: full(2), 2: full(3), 4: { state: STATE.zero }, 6: full(4) },
  });
  const middle = buildImage({
    ...common,
    type: 'differencing',
    dataWriteGuid: guid(2),
    parentLocator: link(1, 'base.vhdx'),
    blocks: { 1: partial(5, [0, 700], [1500, 1600]), 3: full(6), 6: { state: STATE.unmapped } },
  });
  const top = buildImage({
    ...common,
    type: 'differencing',
    dataWriteGuid: guid(3),
    parentLocator: link(2, 'middle.avhdx'),
    blocks: { 1: partial(7, [512, 1024]), 2: { state: STATE.zero }, 5: full(8) },
  });
  const paths = {
    base: join(folder, 'base.vhdx'),
    middle: join(folder, 'middle.avhdx'),
    top: join(folder, 'top.avhdx'),
  };
  await saveFile(base, paths.base);
  await saveFile(middle, paths.middle);
  await saveFile(top, paths.top);
  return { ...paths, images: [top, middle, base], model: modelOf(top, modelOf(middle, modelOf(base))) };
}

/** What a sector of the top disk of a chain is, by the plain meaning of the specs that its images were built from. */
export function sectorKind(images: readonly BuiltImage[], sector: number): SectorKind {
  const block = Math.floor(sector / SECTORS);
  for (const [depth, { spec }] of images.entries()) {
    const { state, bitmap } = spec.blocks[block] ?? { state: spec.otherBlocks };
    const isOwn =
      state === STATE.fullyPresent ||
      (state === STATE.partiallyPresent && bitmap !== undefined && hasSector(bitmap, sector % SECTORS));
    if (isOwn) return depth === 0 ? 'data' : 'parent';
    if (state === STATE.zero) return 'zero';
    if (state !== STATE.notPresent && state !== STATE.partiallyPresent) return 'unmapped';
  }
  return 'unmapped';
}

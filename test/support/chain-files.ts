import { type BuiltImage, buildImage } from './build-image.js';
import { type DiskModel, modelOf } from './disk-model.js';
import { type ImageSpec, locatorEntries } from './image-spec.js';

/** The GUID of the member that has so many members below it, and what its file is called. */
export const guidAt = (depth: number): string =>
  `5f0e6c1a-77d2-4b38-9e41-${(depth + 1).toString(16).padStart(12, '0')}`;
export const nameAt = (depth: number): string => `${depth}.vhdx`;

/** A chain: its files from the disk itself down to the base, and what it reads as. */
export interface ChainFiles {
  readonly files: readonly [BuiltImage, ...BuiltImage[]];
  readonly model: DiskModel;
}

/**
 * Builds a chain from its specs, base first. Each member has GUIDs of its own, links to the one before it, and tells
 * of it as the file of that name beside it, unless its spec says otherwise.
 */
export function chainOf(base: ImageSpec, ...children: readonly ImageSpec[]): ChainFiles {
  const files: BuiltImage[] = [];
  let model: DiskModel | undefined;
  [base, ...children].forEach((spec, depth) => {
    const link = { linkage: guidAt(depth - 1), relativePath: `.\\${nameAt(depth - 1)}` };
    const image = buildImage({
      ...(depth > 0 && { type: 'differencing', parentLocator: { entries: locatorEntries(link) } }),
      dataWriteGuid: guidAt(depth),
      headers: { fileWriteGuid: guidAt(1000 + depth) },
      ...spec,
    });
    model = modelOf(image, model);
    files.unshift(image);
  });
  return { files: files as [BuiltImage, ...BuiltImage[]], model: model as DiskModel };
}

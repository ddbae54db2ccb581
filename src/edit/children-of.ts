import { builtinModule } from '../base/builtin-module.js';
import type { Core } from '../core/instance.js';
import { listImages } from '../disk/parents/candidates.js';
import { openPlace } from '../disk/parents/paths.js';
import { VhdxError } from '../errors.js';
import { givenGuid } from '../format/guid.js';
import { isComplete } from '../image/examination.js';
import { examine } from '../image/examine.js';
import type { ReadOptions } from '../io/random-access.js';
import { readFailed } from '../io/system-error.js';

/** An image whose parent is another one. */
export interface ChildImage {
  /** Absolute path. */
  readonly path: string;
  /** DataWriteGuid of its current header, lower case, no braces. */
  readonly dataWriteGuid: string;
}

/**
 * The children of an image among the images of its folder: those whose parent locator names its DataWriteGuid. Children
 * in other folders are not found, nor images that cannot be read.
 *
 * @param path absolute path of the image
 * @param dataWriteGuid of its current header; the zero GUID identifies nothing, so it has no children
 * @throws VhdxError `read-failed` if the folder cannot be listed: nobody knows then whether there are children
 */
export async function childrenOf(
  core: Core,
  path: string,
  dataWriteGuid: string,
  options: ReadOptions = {},
): Promise<ChildImage[]> {
  const paths = builtinModule('path');
  if (!paths || !givenGuid(dataWriteGuid)) return [];
  const children: ChildImage[] = [];
  const folder = paths.dirname(path);
  const { images } = await listImages(folder).catch((cause: unknown) => {
    throw notListed(folder, cause);
  });
  for (const image of images) {
    if (image === path) continue;
    const child = await linkOf(core, image, options);
    if (child?.linkages.includes(dataWriteGuid)) children.push({ path: image, dataWriteGuid: child.dataWriteGuid });
  }
  return children;
}

/** A folder that cannot be listed may hold children all the same. */
function notListed(folder: string, cause: unknown): VhdxError {
  const message = `the folder cannot be listed (${readFailed(folder, cause).reason}), so its children are not known`;
  return new VhdxError('read-failed', message, { file: folder, cause });
}

/** What an image says about its parent; undefined if it has none, or cannot be read. */
async function linkOf(
  core: Core,
  path: string,
  options: ReadOptions,
): Promise<{ readonly dataWriteGuid: string; readonly linkages: readonly string[] } | undefined> {
  options.signal?.throwIfAborted();
  try {
    const source = await openPlace(path, undefined);
    try {
      const examination = await examine(core, source, 'memory', options);
      const { parentLocator } = examination.metadata ?? {};
      if (!isComplete(examination) || !parentLocator) return undefined;
      return { dataWriteGuid: examination.header.dataWriteGuid, linkages: parentLocator.linkages };
    } finally {
      await source.close?.();
    }
  } catch (error) {
    options.signal?.throwIfAborted();
    if (error instanceof VhdxError) return undefined; // another file of the folder, which may be in use
    throw error;
  }
}

import { builtinModule } from '../base/builtin-module.js';
import { loadCore } from '../core/load.js';
import { openSource } from '../io/open.js';
import type { ReadOptions } from '../io/random-access.js';

/**
 * Finds the children of an image: the other images (`*.vhdx`, `*.avhdx`) of its folder whose parent locator names its
 * DataWriteGuid. They do not fit any more once what it holds is changed. In Node, Bun and Deno; nothing is written.
 *
 * @param path of the image
 * @returns their absolute paths, sorted; images that cannot be read are left out
 * @throws VhdxError if the image itself cannot be read
 */
export async function findChildren(path: string, options: ReadOptions = {}): Promise<string[]> {
  const [core, { identify }, { childrenOf }] = await Promise.all([
    loadCore(),
    import('../disk/parent-candidates.js'), // pages have no folders
    import('../disk/children.js'),
  ]);
  const { source, dataWriteGuid } = await identify(core, await openSource(path, options), options);
  await source.close?.();
  const absolute = builtinModule('path')?.resolve(path);
  if (dataWriteGuid === undefined || absolute === undefined) return [];
  return (await childrenOf(core, absolute, dataWriteGuid, options)).map((child) => child.path);
}

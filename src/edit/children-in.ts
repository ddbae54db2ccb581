import { builtinModule } from '../base/builtin-module.js';
import { loadCore } from '../core/load.js';
import { identify } from '../image/identify.js';
import { openSource } from '../io/open.js';
import type { ReadOptions } from '../io/random-access.js';
import { childrenOf } from './children-of.js';

/** What `findChildren` does. */
export async function childrenIn(path: string, options: ReadOptions): Promise<string[]> {
  const core = await loadCore();
  const { source, dataWriteGuid } = await identify(core, await openSource(path, options), options);
  await source.close?.();
  const absolute = builtinModule('path')?.resolve(path);
  if (dataWriteGuid === undefined || absolute === undefined) return [];
  return (await childrenOf(core, absolute, dataWriteGuid, options)).map((child) => child.path);
}

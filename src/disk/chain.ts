import type { Core } from '../core/instance.js';
import type { RandomAccessSource } from '../io/random-access.js';
import type { ChangeBudget } from '../log/plan.js';
import { type ChainMember, examineMember, type WalkOptions, wantsParent } from './chain-member.js';

/**
 * Examines an image and the chain below it, from the top down, as far as it leads. A fault of the format never
 * rejects: it is in the members. The caller closes their sources.
 */
export async function walkChain(core: Core, source: RandomAccessSource, options: WalkOptions): Promise<ChainMember[]> {
  const changeBudget: ChangeBudget = {};
  try {
    const top = await examineMember(core, source, 0, { ...options, changeBudget });
    if (!wantsParent(top, options)) return [top];
    const { walkBelow } = await import('./chain-below.js'); // few images have a parent
    return await walkBelow(core, top, { ...options, changeBudget });
  } catch (error) {
    await source.close?.();
    throw error;
  }
}

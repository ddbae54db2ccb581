import { openSource, type VhdxInput } from '../io/open.js';
import type { RandomAccessSource } from '../io/random-access.js';
import type { OpenOptions } from './open-options.js';

/** Makes a source of an input; of an untrusted one, a source whose errors give away nothing of this machine. */
export async function openInput(input: VhdxInput, options: OpenOptions): Promise<RandomAccessSource> {
  if (!options.untrusted) return openSource(input, options);
  const { openDiscreetly } = await import('../io/discreet.js'); // servers ask for that
  return openDiscreetly(() => openSource(input, options), options);
}

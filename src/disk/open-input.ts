import { openSource, type VhdxInput } from '../io/open.js';
import type { RandomAccessSource } from '../io/random-access.js';
import type { OpenOptions } from './open-options.js';

/** Makes a source of an input; of an untrusted one, a source whose errors give away nothing of this machine. */
export async function openInput(input: VhdxInput, options: OpenOptions): Promise<RandomAccessSource> {
  if (!options.untrusted) return openSource(input, options);
  const { openDiscreetly } = await import('../io/discreet.js'); // servers ask for that
  return openDiscreetly(() => openSource(input, options), options);
}

/** The options for the parents of an input: a server of another origin gets none of its headers that may hold a secret. */
export async function forParents<Options extends OpenOptions>(input: VhdxInput, options: Options): Promise<Options> {
  const { http } = options;
  if (http?.headers === undefined) return options;
  const { withOriginOf } = await import('../io/named-input.js'); // few images are remote, and fewer have a secret
  return { ...options, http: withOriginOf(input, http) };
}

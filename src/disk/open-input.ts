import { VhdxError } from '../errors.js';
import { openSource, type VhdxInput } from '../io/open.js';
import type { RandomAccessSource, ReadOptions } from '../io/random-access.js';
import type { OpenOptions } from './open-options.js';

/** Makes a source of an input; of an untrusted one, a source whose errors give away nothing of this machine. */
export async function openInput(input: VhdxInput, options: OpenOptions): Promise<RandomAccessSource> {
  if (!options.untrusted) return openSource(input, options);
  try {
    return new DiscreetSource(await openSource(input, options));
  } catch (error) {
    throw discreet(error, undefined);
  }
}

/** A source whose errors name the file by its name alone, without its path or the address of its server. */
class DiscreetSource implements RandomAccessSource {
  readonly size: number;
  readonly name?: string;
  readonly path?: string;
  readonly #source: RandomAccessSource;

  constructor(source: RandomAccessSource) {
    this.#source = source;
    this.size = source.size;
    if (source.name !== undefined) this.name = source.name;
    if (source.path !== undefined) this.path = source.path;
  }

  async readInto(target: Uint8Array, offset: number, options?: ReadOptions): Promise<void> {
    try {
      await this.#source.readInto(target, offset, options);
    } catch (error) {
      throw discreet(error, this.name);
    }
  }

  async close(): Promise<void> {
    await this.#source.close?.();
  }
}

function discreet(error: unknown, name: string | undefined): unknown {
  return error instanceof VhdxError ? error.asFile(name) : error;
}

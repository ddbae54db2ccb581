import { VhdxError } from '../errors.js';
import type { RandomAccessSource, ReadOptions } from './random-access.js';
import type { ArrivingSource } from './sequential-reads.js';

/** Opens a source in some way; if the image is untrusted, its errors give away nothing of this machine. */
export async function openDiscreetly(
  open: () => Promise<RandomAccessSource>,
  options: { readonly untrusted?: boolean | undefined },
): Promise<RandomAccessSource> {
  if (!options.untrusted) return open();
  try {
    return new DiscreetSource(await open());
  } catch (error) {
    throw discreet(error, undefined);
  }
}

/** A source whose errors name the file by its name alone, without its path or the address of its server. */
class DiscreetSource implements ArrivingSource {
  readonly size: number;
  readonly name?: string;
  readonly path?: string;
  /** Present if the source has it. */
  readonly arriving?: NonNullable<ArrivingSource['arriving']>;
  /** Present if the source has it. */
  readonly readIntoSync?: NonNullable<RandomAccessSource['readIntoSync']>;
  readonly #source: ArrivingSource;

  constructor(source: ArrivingSource) {
    this.#source = source;
    this.size = source.size;
    if (source.name !== undefined) this.name = source.name;
    if (source.path !== undefined) this.path = source.path;
    if (source.arriving !== undefined) this.arriving = (...range) => this.#arriving(...range);
    if (source.readIntoSync !== undefined)
      this.readIntoSync = (target, offset) => {
        try {
          source.readIntoSync?.(target, offset);
        } catch (error) {
          throw discreet(error, this.name);
        }
      };
  }

  async readInto(target: Uint8Array, offset: number, options?: ReadOptions): Promise<void> {
    try {
      await this.#source.readInto(target, offset, options);
    } catch (error) {
      throw discreet(error, this.name);
    }
  }

  async *#arriving(offset: number, length: number, signal: AbortSignal | undefined): AsyncGenerator<Uint8Array, void> {
    try {
      yield* this.#source.arriving?.(offset, length, signal) ?? [];
    } catch (error) {
      throw discreet(error, this.name);
    }
  }

  async close(): Promise<void> {
    await this.#source.close?.();
  }
}

/** An error about a file of an untrusted image, without the file's path; `name` is what it is called instead. */
export function discreet(error: unknown, name: string | undefined): unknown {
  if (!(error instanceof VhdxError)) return error;
  return new VhdxError(error.code, error.reason, { ...error, file: name, path: undefined, cause: error });
}

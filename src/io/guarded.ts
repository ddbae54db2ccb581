import { checkRead } from '../base/byte-range.js';
import { VhdxError } from '../errors.js';
import type { RandomAccessSource, ReadOptions } from './random-access.js';

/**
 * A source that somebody else wrote, held to its word: its size is a whole number and stays what it was, it is never
 * asked for bytes that it does not have, what it throws becomes a rejection, and a read that was given up rejects.
 * Errors of its own come back as they are. Closing leaves the source open: it belongs to whoever made it.
 */
class GuardedSource implements RandomAccessSource {
  readonly size: number;
  readonly name?: string;
  readonly #source: RandomAccessSource;
  #closed = false;

  constructor(source: RandomAccessSource) {
    const { size, name } = source;
    if (!Number.isSafeInteger(size) || size < 0) {
      throw new VhdxError(
        'unsupported-input',
        `the source says that it has ${String(size)} bytes, which is not a size`,
      );
    }
    this.#source = source;
    this.size = size;
    if (typeof name === 'string') this.name = name;
  }

  async readInto(target: Uint8Array, offset: number, options?: ReadOptions): Promise<void> {
    options?.signal?.throwIfAborted();
    if (this.#closed) throw new VhdxError('closed', 'the source was closed');
    checkRead(this.size, target, offset);
    if (this.#source.size !== this.size) {
      const now = String(this.#source.size);
      throw new VhdxError('source-changed', `the source had ${this.size} bytes when it was opened and has ${now} now`);
    }
    // Not given up before the source has answered: until then it may write into the target.
    await this.#source.readInto(target, offset, options);
    options?.signal?.throwIfAborted();
  }

  async close(): Promise<void> {
    this.#closed = true;
  }
}

/**
 * Wraps a source that was handed over, so that its mistakes are caught where they happen.
 *
 * @throws VhdxError `unsupported-input` when its size is not a whole number of bytes
 */
export function guardedSource(source: RandomAccessSource): RandomAccessSource {
  return new GuardedSource(source);
}

import { checkRange, checkRead } from '../base/byte-range.js';
import { VhdxError } from '../errors.js';
import type { RandomAccessSource, ReadOptions } from './random-access.js';
import type { ArrivingSource } from './sequential-reads.js';

/**
 * A source of the caller's, checked at every read: its size is a whole number and stays what it was, it is never asked
 * for bytes that it does not have, what it throws becomes a rejection, and an aborted read rejects. Its own errors come
 * back as they are. Closing leaves the source open: it belongs to the caller.
 */
class GuardedSource implements RandomAccessSource {
  readonly size: number;
  readonly name?: string;
  readonly path?: string;
  readonly readsInFlight: number | undefined;
  /** That of the source, if it has one. */
  readonly extents?: NonNullable<RandomAccessSource['extents']>;
  /** That of the source, if it has one: only sources of this library do. */
  readonly arriving?: NonNullable<ArrivingSource['arriving']>;
  /** That of the source, if it has one. */
  readonly readIntoSync?: NonNullable<RandomAccessSource['readIntoSync']>;
  readonly #source: RandomAccessSource;
  #closed = false;

  constructor(source: RandomAccessSource) {
    const { size, name, path } = source;
    if (!Number.isSafeInteger(size) || size < 0) {
      throw new VhdxError(
        'unsupported-input',
        `the source says that it has ${String(size)} bytes, which is not a size`,
      );
    }
    this.#source = source;
    this.size = size;
    this.readsInFlight = source.readsInFlight;
    if (typeof name === 'string') this.name = name;
    if (typeof path === 'string') this.path = path;
    if (typeof source.extents === 'function') this.extents = source.extents.bind(source);
    const { arriving }: ArrivingSource = source;
    if (typeof arriving === 'function')
      this.arriving = (...range) => this.#arriving(arriving.apply(source, range), range);
    if (typeof source.readIntoSync === 'function')
      this.readIntoSync = (target, offset) => {
        this.#check(target, offset);
        source.readIntoSync?.(target, offset);
      };
  }

  async readInto(target: Uint8Array, offset: number, options?: ReadOptions): Promise<void> {
    options?.signal?.throwIfAborted();
    this.#check(target, offset);
    // An abort waits until the source has settled: until then it may write into the target.
    await this.#source.readInto(target, offset, options);
    options?.signal?.throwIfAborted();
  }

  async *#arriving(
    chunks: AsyncGenerator<Uint8Array, void>,
    [offset, length]: readonly [offset: number, length: number, signal: AbortSignal | undefined],
  ): AsyncGenerator<Uint8Array, void> {
    this.#checkState();
    checkRange(this.size, offset, length);
    for await (const chunk of chunks) {
      yield chunk;
      this.#checkState();
    }
  }

  #check(target: Uint8Array, offset: number): void {
    this.#checkState();
    checkRead(this.size, target, offset);
  }

  #checkState(): void {
    if (this.#closed) throw new VhdxError('closed', 'the source was closed');
    if (this.#source.size === this.size) return;
    const now = String(this.#source.size);
    throw new VhdxError('source-changed', `the source had ${this.size} bytes when it was opened and has ${now} now`);
  }

  async close(): Promise<void> {
    this.#closed = true;
  }
}

/**
 * Wraps a source that was handed over, so that its mistakes are found at once.
 *
 * @throws VhdxError `unsupported-input` when its size is not a whole number of bytes
 */
export function guardedSource(source: RandomAccessSource): RandomAccessSource {
  return new GuardedSource(source);
}

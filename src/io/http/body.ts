import { untilAborted } from '../../base/abort.js';
import { VhdxError } from '../../errors.js';
import { TransientError } from './retry.js';
import { StallWatch } from './stall.js';

const NOTHING = new Uint8Array(0);

/**
 * The body of one answer, taken piece by piece: what it brings beyond a piece waits for the next.
 * It must bring exactly the bytes that the answer's head announced.
 */
export class HttpBody {
  /** Where in the file the next byte lies. */
  position: number;
  /** Where in the file the body ends. */
  readonly end: number;
  readonly #reader: ReadableStreamDefaultReader<Uint8Array>;
  readonly #abort: AbortController;
  readonly #timeout: number;
  readonly #where: string;
  /** What came with the last chunk and was not wanted yet. */
  #rest: Uint8Array = NOTHING;

  /**
   * @param stream the bytes from `start` to `end` of the file
   * @param abort breaks the connection off
   * @param timeout longest time without a byte, in milliseconds
   * @param where what to call the file in messages
   */
  constructor(
    stream: ReadableStream<Uint8Array>,
    start: number,
    end: number,
    abort: AbortController,
    timeout: number,
    where: string,
  ) {
    this.#reader = stream.getReader();
    this.position = start;
    this.end = end;
    this.#abort = abort;
    this.#timeout = timeout;
    this.#where = where;
  }

  /**
   * Fills all of `target`, which must not reach beyond the end of the body, from the current position on.
   * Nothing is written any more once the promise has settled, and when it rejects the body is of no use any more;
   * `position` tells how far it came.
   *
   * @throws TransientError when the connection breaks, ends early or stalls; the signal's reason
   */
  async fill(target: Uint8Array, signal: AbortSignal | undefined): Promise<void> {
    signal?.throwIfAborted();
    const stop = new AbortController();
    const onAbort = () => stop.abort(signal?.reason);
    signal?.addEventListener('abort', onAbort, { once: true });
    const watch = new StallWatch(this.#timeout, () => stop.abort(stalled(this.#where, this.#timeout, this.position)));
    try {
      // Not waiting for the stream to notice: some never do.
      await untilAborted(this.#pump(target, stop.signal, watch), stop.signal);
    } catch (error) {
      stop.abort(error);
      this.cancel();
      throw error;
    } finally {
      watch.stop();
      signal?.removeEventListener('abort', onAbort);
    }
  }

  async #pump(target: Uint8Array, stop: AbortSignal, watch: StallWatch): Promise<void> {
    let done = this.#take(target, this.#rest);
    // At the end of the body its stream must say so too: more bytes than announced are other bytes.
    while (done < target.byteLength || this.position === this.end) {
      const chunk = await this.#next();
      if (stop.aborted) return; // the target is not ours any more
      watch.progress();
      if (chunk === undefined) {
        if (this.position < this.end) throw this.#tooShort();
        return;
      }
      if (chunk.byteLength > this.end - this.position) throw this.#tooLong();
      done += this.#take(target.subarray(done), chunk);
    }
  }

  /** Copies what fits, and keeps the rest of the chunk for later. */
  #take(target: Uint8Array, chunk: Uint8Array): number {
    const length = Math.min(chunk.byteLength, target.byteLength);
    target.set(length === chunk.byteLength ? chunk : chunk.subarray(0, length));
    // Not a view of nothing, which would keep the chunk in memory.
    this.#rest = length < chunk.byteLength ? chunk.subarray(length) : NOTHING;
    this.position += length;
    return length;
  }

  async #next(): Promise<Uint8Array | undefined> {
    try {
      const { done, value } = await this.#reader.read();
      return done ? undefined : value;
    } catch (cause) {
      throw this.#broken(cause);
    }
  }

  /** Breaks the connection off. */
  cancel(): void {
    this.#abort.abort();
    this.#rest = NOTHING;
    this.#reader.cancel().catch(() => {});
  }

  #tooLong(): VhdxError {
    return new VhdxError('read-failed', 'the server sent more bytes than it announced', {
      file: this.#where,
      offset: this.position,
    });
  }

  #tooShort(): TransientError {
    const missing = this.end - this.position;
    return new TransientError(
      new VhdxError('short-read', `the server sent ${missing} bytes less than it announced`, {
        file: this.#where,
        offset: this.position,
      }),
    );
  }

  #broken(cause: unknown): TransientError {
    return new TransientError(
      new VhdxError('read-failed', 'the connection broke', { file: this.#where, offset: this.position, cause }),
    );
  }
}

/** The server says nothing any more. */
export function stalled(where: string, timeout: number, offset: number): TransientError {
  const message = `the server has not sent anything for ${Math.round(timeout / 100) / 10} seconds`;
  return new TransientError(new VhdxError('read-failed', message, { file: where, offset }));
}

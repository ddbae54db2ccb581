import { linkedController, untilAborted } from '../../base/abort.js';
import { MiB } from '../../base/units.js';
import { VhdxError } from '../../errors.js';
import { type Patience, ProgressWatch, TransientError } from './retry.js';

const NOTHING = new Uint8Array(0);

/**
 * The body of one answer, taken piece by piece: what it brings past the end of a piece waits for the next.
 * It must bring exactly the bytes that the head of the answer announced.
 */
export class HttpBody {
  /** Offset of the next byte in the file. */
  position: number;
  /** Offset of the first byte after it in the file. */
  readonly end: number;
  readonly #reader: ReadableStreamDefaultReader<Uint8Array>;
  readonly #abort: AbortController;
  readonly #patience: Patience;
  readonly #file: string;
  /** What came with the last chunk and was not wanted yet. */
  #rest: Uint8Array = NOTHING;

  /**
   * @param stream the bytes from `start` to `end` of the file
   * @param abort closes the connection
   * @param patience how slow it may be
   * @param file what to call the file in messages
   */
  constructor(
    stream: ReadableStream<Uint8Array>,
    start: number,
    end: number,
    abort: AbortController,
    patience: Patience,
    file: string,
  ) {
    this.#reader = stream.getReader();
    this.position = start;
    this.end = end;
    this.#abort = abort;
    this.#patience = patience;
    this.#file = file;
  }

  /**
   * Fills all of `target`, which must not reach past the end of the body, from the current position on. Nothing is
   * written any more once the promise has settled. When it rejects the body cannot be used any more; `position` is how
   * far it came.
   *
   * @throws TransientError when the connection breaks, ends early or stalls; the signal's reason
   */
  async fill(target: Uint8Array, signal: AbortSignal | undefined): Promise<void> {
    signal?.throwIfAborted();
    const { controller: stop, unlink } = linkedController(signal);
    const watch = new ProgressWatch(this.#patience, (what) => stop.abort(tooSlow(this.#file, what, this.position)));
    try {
      // Not waiting for the stream to notice: some never do.
      await untilAborted(this.#pump(target, stop.signal, watch), stop.signal);
    } catch (error) {
      stop.abort(error);
      this.cancel();
      throw error;
    } finally {
      watch.stop();
      unlink();
    }
  }

  /**
   * The bytes from the current position to the end, as they come, in chunks that belong to the caller. What the caller
   * does with one costs the server no patience. A body that is left before its end is cancelled.
   *
   * @throws as {@link fill}
   */
  async *chunks(signal: AbortSignal | undefined): AsyncGenerator<Uint8Array, void> {
    const { controller: stop, unlink } = linkedController(signal);
    const watch = new ProgressWatch(this.#patience, (what) => stop.abort(tooSlow(this.#file, what, this.position)));
    let chunk: Uint8Array | undefined = this.#rest;
    this.#rest = NOTHING;
    try {
      for (;;) {
        if (chunk.byteLength > this.end - this.position) throw this.#tooLong();
        for (let at = 0; at < chunk.byteLength; at += MiB) {
          const part: Uint8Array = chunk.byteLength > MiB ? chunk.slice(at, at + MiB) : chunk;
          this.position += part.byteLength;
          watch.pause();
          yield part;
          watch.resume();
        }
        chunk = await untilAborted(this.#next(), stop.signal);
        if (chunk === undefined) break;
        watch.progress(chunk.byteLength);
      }
      if (this.position < this.end) throw this.#tooShort();
    } finally {
      if (chunk !== undefined || this.position < this.end) this.cancel();
      watch.stop();
      unlink();
    }
  }

  async #pump(target: Uint8Array, stop: AbortSignal, watch: ProgressWatch): Promise<void> {
    let done = this.#take(target, this.#rest);
    // At the end of the body its stream must say so too: more bytes than announced are other bytes.
    while (done < target.byteLength || this.position === this.end) {
      const chunk = await this.#next();
      if (stop.aborted) return; // the target is not ours any more
      watch.progress(chunk?.byteLength ?? 0);
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

  /** Closes the connection. */
  cancel(): void {
    this.#abort.abort();
    this.#rest = NOTHING;
    this.#reader.cancel().catch(() => {});
  }

  #tooLong(): VhdxError {
    return new VhdxError('read-failed', 'the server sent more bytes than it announced', {
      file: this.#file,
      offset: this.position,
    });
  }

  #tooShort(): TransientError {
    const missing = this.end - this.position;
    return new TransientError(
      new VhdxError('short-read', `the server sent ${missing} bytes less than it announced`, {
        file: this.#file,
        offset: this.position,
      }),
    );
  }

  #broken(cause: unknown): TransientError {
    return new TransientError(
      new VhdxError('read-failed', 'the connection broke', { file: this.#file, offset: this.position, cause }),
    );
  }
}

/** The error for a server that is too slow; `what` completes the sentence. */
export function tooSlow(file: string, what: string, offset: number): TransientError {
  return new TransientError(new VhdxError('read-failed', `the server ${what}`, { file, offset }));
}

/** How long a body waits for a read that goes on, in milliseconds. */
const PATIENCE = 5_000;

/** How many bodies wait at a time: each holds a connection, and browsers have six for a server. */
const MOST_IDLE = 2;

interface Continuation {
  readonly body: Promise<HttpBody | undefined>;
  taken: boolean;
  timer?: ReturnType<typeof setTimeout>;
}

/**
 * Bodies that go on at the offset where a read ended. The next read of a sequence takes over the body of the one before,
 * even while that is still running, so that the whole sequence comes through one connection without a pause.
 */
export class HttpContinuations {
  readonly #waiting = new Map<number, Continuation>();
  /** The bodies that no read has taken yet, the oldest first, by position. */
  readonly #idle = new Map<number, HttpBody>();
  #closed = false;

  /**
   * Announces that a body will be at a position when the running read is done.
   *
   * @returns to be called then, with the body, or with nothing if there is none to go on with
   */
  announce(position: number): (body: HttpBody | undefined) => void {
    if (this.#waiting.has(position)) return (body) => body?.cancel();
    let resolve: (body: HttpBody | undefined) => void = () => {};
    const continuation: Continuation = {
      body: new Promise((settle) => {
        resolve = settle;
      }),
      taken: false,
    };
    this.#waiting.set(position, continuation);
    return (body) => {
      resolve(body);
      if (continuation.taken) return;
      if (body === undefined || this.#closed) {
        this.#waiting.delete(position);
        body?.cancel();
        return;
      }
      this.#idle.set(position, body);
      continuation.timer = setTimeout(() => this.#drop(position), PATIENCE);
      const [oldest] = this.#idle.keys();
      if (this.#idle.size > MOST_IDLE && oldest !== undefined) this.#drop(oldest);
    };
  }

  /** The body that is, or will soon be, at a position; the caller owns it then. */
  async take(position: number, signal: AbortSignal | undefined): Promise<HttpBody | undefined> {
    const continuation = this.#waiting.get(position);
    if (continuation === undefined) return undefined;
    continuation.taken = true;
    clearTimeout(continuation.timer);
    this.#waiting.delete(position);
    this.#idle.delete(position);
    try {
      return await untilAborted(continuation.body, signal);
    } catch (reason) {
      void continuation.body.then((body) => body?.cancel());
      throw reason;
    }
  }

  /** Cancels all that waits. */
  close(): void {
    this.#closed = true;
    for (const position of [...this.#idle.keys()]) this.#drop(position);
  }

  #drop(position: number): void {
    clearTimeout(this.#waiting.get(position)?.timer);
    this.#waiting.delete(position);
    this.#idle.get(position)?.cancel();
    this.#idle.delete(position);
  }
}

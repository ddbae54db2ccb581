import { untilAborted } from '../../base/abort.js';
import type { HttpBody } from './body.js';

/** How long a body waits for somebody to read on, in milliseconds. */
const PATIENCE = 5_000;

/** How many bodies wait at a time: each holds a connection, and browsers have six for a server. */
const MOST_IDLE = 2;

interface Continuation {
  readonly body: Promise<HttpBody | undefined>;
  taken: boolean;
  timer?: ReturnType<typeof setTimeout>;
}

/**
 * Bodies that go on where a read ended. Whoever reads in sequence takes over the body of the read before, even while
 * that one is still running, so that the whole sequence comes through one connection without a pause.
 */
export class HttpContinuations {
  readonly #waiting = new Map<number, Continuation>();
  /** The bodies that nobody has taken yet, the oldest first, by position. */
  readonly #idle = new Map<number, HttpBody>();
  #closed = false;

  /**
   * Says that a body will be at a position when the running read is through.
   *
   * @returns what to call then, with the body, or with nothing if there is none to read on
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

  /** The body that is, or will soon be, at a position; whoever takes it owns it. */
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
      continuation.body.then((body) => body?.cancel()).catch(() => {});
      throw reason;
    }
  }

  /** Breaks off all that waits. */
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

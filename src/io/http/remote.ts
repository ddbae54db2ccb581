import { untilAborted } from '../../base/abort.js';
import { VhdxError } from '../../errors.js';
import { checkAnswer, checkIdentity, describeUrl, type Identity } from './answer.js';
import { HttpBody, stalled } from './body.js';
import { TransientError } from './retry.js';
import { StallWatch } from './stall.js';

/** How to ask a server. */
export interface RequestOptions {
  /** Headers sent with every request. */
  readonly headers?: HeadersInit | undefined;
  /** Whether cookies and the like are sent, as in `fetch`. */
  readonly credentials?: RequestCredentials | undefined;
  /** Used instead of the global `fetch`. */
  readonly fetch?: typeof fetch | undefined;
  /** Longest time that a server may say nothing, in milliseconds. */
  readonly timeout: number;
}

/** A file on a server: asks for parts of it, and makes sure that all of them are of the same file. */
export class HttpRemote {
  /** What to call the file in messages. */
  readonly where: string;
  readonly #url: string;
  readonly #headers: Headers;
  readonly #options: RequestOptions;
  readonly #crossOrigin: boolean;
  /** What the first answer said of the file. */
  #identity: Identity | undefined;

  constructor(url: URL, options: RequestOptions) {
    this.where = describeUrl(url);
    this.#options = options;
    this.#headers = new Headers(options.headers);
    // Browsers see to that themselves, and do not let it be set; elsewhere a server could compress the part.
    this.#headers.set('accept-encoding', 'identity');
    // A URL with a user name is not something that fetch takes.
    if (url.username !== '' && !this.#headers.has('authorization')) {
      const login = `${decodeURIComponent(url.username)}:${decodeURIComponent(url.password)}`;
      const bytes = new TextEncoder().encode(login);
      this.#headers.set('authorization', `Basic ${btoa(String.fromCharCode(...bytes))}`);
    }
    const plain = new URL(url);
    plain.username = '';
    plain.password = '';
    plain.hash = '';
    // Always this address, also where it leads to another one: those are often good for a few minutes only, and
    // headers that were meant for this server are none of the other one's business.
    this.#url = plain.href;
    const here: Partial<Location> | undefined = globalThis.location;
    this.#crossOrigin = here?.origin !== undefined && here.origin !== url.origin;
  }

  /** Length of the file in bytes; known as soon as a request has succeeded. */
  get size(): number {
    return this.#identity?.size ?? Number.NaN;
  }

  /**
   * Asks once for the bytes from `from` to `to`. The server may send less, but not nothing.
   * The signal governs the request only until the answer begins; then the body is the caller's to read or to cancel.
   *
   * No condition goes with the request (If-Range, If-Match): in a page it would need the server's consent, and what an
   * answer says of its file is checked anyway.
   *
   * @throws TransientError when it makes sense to try again; VhdxError; the signal's reason
   */
  async request(from: number, to: number, signal: AbortSignal | undefined): Promise<HttpBody> {
    signal?.throwIfAborted();
    const abort = new AbortController();
    const onAbort = () => abort.abort(signal?.reason);
    signal?.addEventListener('abort', onAbort, { once: true });
    const { timeout } = this.#options;
    const watch = new StallWatch(timeout, () => abort.abort(stalled(this.where, timeout, from)));
    try {
      const response = await this.#fetch(from, to, abort.signal);
      try {
        return this.#accept(response, from, to, abort);
      } catch (error) {
        response.body?.cancel().catch(() => {});
        throw error;
      }
    } finally {
      watch.stop();
      signal?.removeEventListener('abort', onAbort);
    }
  }

  async #fetch(from: number, to: number, signal: AbortSignal): Promise<Response> {
    const headers = new Headers(this.#headers);
    headers.set('range', `bytes=${from}-${to - 1}`);
    const init: RequestInit = {
      headers,
      signal,
      // The cache of a browser lets parallel requests for parts of one file wait for each other.
      cache: 'no-store',
    };
    if (this.#options.credentials !== undefined) init.credentials = this.#options.credentials;
    const ask = this.#options.fetch ?? globalThis.fetch;
    const answer = ask(this.#url, init);
    try {
      return await untilAborted(answer, signal);
    } catch (cause) {
      if (!signal.aborted) throw this.#unreachable(cause, from);
      // A fetch that does not know signals may answer yet.
      answer.then((late) => late.body?.cancel()).catch(() => {});
      throw signal.reason;
    }
  }

  #accept(response: Response, from: number, to: number, abort: AbortController): HttpBody {
    const part = checkAnswer(response, from, to, this.where, this.#crossOrigin);
    if (this.#identity === undefined) {
      this.#identity = { size: part.size, etag: part.etag, lastModified: part.lastModified };
    } else {
      checkIdentity(this.#identity, part, this.where);
    }
    if (response.body === null) throw new VhdxError('read-failed', 'the answer has no body', { file: this.where });
    return new HttpBody(response.body, part.start, part.end, abort, this.#options.timeout, this.where);
  }

  #unreachable(cause: unknown, offset: number): VhdxError | TransientError {
    // Node tells the reason in the cause, Bun and Deno in the error itself; browsers tell nobody.
    const inner = cause instanceof Error ? cause.cause : undefined;
    const errors = [inner, cause].filter((error) => error instanceof Error);
    if (errors.some(({ message }) => /redirect/i.test(message))) {
      return new VhdxError('read-failed', 'the address redirects without end', {
        file: this.where,
        offset,
        cause,
      });
    }
    const code = errors.flatMap((error) => ('code' in error ? [` (${String(error.code)})`] : []))[0] ?? '';
    const what = this.#crossOrigin
      ? 'the server could not be reached, or does not let pages from elsewhere read the file (CORS)'
      : `the server could not be reached${code}`;
    return new TransientError(new VhdxError('read-failed', what, { file: this.where, offset, cause }));
  }
}

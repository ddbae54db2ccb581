import { linkedController, untilAborted } from '../../base/abort.js';
import { describeUrl } from '../../base/url.js';
import { VhdxError } from '../../errors.js';
import { type AllowRedirect, checkAnswer, checkIdentity, type Identity, isRedirect, nextAddress } from './answer.js';
import { HttpBody, tooSlow } from './body.js';
import type { RequestCookies, RequestHeaders } from './request-options.js';
import { type Patience, ProgressWatch, TransientError } from './retry.js';

/** How to ask a server. */
export interface RequestOptions extends Patience {
  /** Headers sent with every request. */
  readonly headers?: RequestHeaders | undefined;
  /** Origin that they were given for: another one gets only those that hold no secret. That of the file if it is not given. */
  readonly headersOrigin?: string | undefined;
  /** Whether cookies and the like are sent, as in `fetch`. */
  readonly credentials?: RequestCookies | undefined;
  /** Used instead of the global `fetch`. */
  readonly fetch?: typeof fetch | undefined;
  /** Which redirects are followed. */
  readonly allowRedirect?: AllowRedirect | undefined;
}

/** How many redirects are followed for one request, as in `fetch`. */
const MOST_REDIRECTS = 20;

/** A file on a server: asks for parts of it, and makes sure that all of them are of the same file. */
export class HttpRemote {
  /** What to call the file in messages. */
  readonly file: string;
  readonly #url: URL;
  readonly #headers: Headers;
  readonly #options: RequestOptions;
  readonly #crossOrigin: boolean;
  /** Whether this runtime hides from its programs where a redirect leads, as browsers do. */
  #hidesRedirects = false;
  /** What the first answer said of the file. */
  #identity: Identity | undefined;

  /** @throws VhdxError `unsupported-input` when the user name or the password in the URL cannot be decoded */
  constructor(url: URL, options: RequestOptions) {
    this.file = describeUrl(url);
    this.#options = options;
    const { headersOrigin = url.origin } = options;
    const headers = new Headers(options.headers as HeadersInit);
    this.#headers = url.origin === headersOrigin ? headers : withoutPrivateHeaders(headers);
    // Browsers see to that themselves, and do not let it be set; elsewhere a server could compress the part.
    this.#headers.set('accept-encoding', 'identity');
    // A URL with a user name is not something that fetch takes.
    if (url.username !== '' && !this.#headers.has('authorization')) {
      this.#headers.set('authorization', basicAuthentication(url, this.file));
    }
    this.#url = new URL(url);
    this.#url.username = '';
    this.#url.password = '';
    this.#url.hash = '';
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
    const { controller: abort, unlink } = linkedController(signal);
    const watch = new ProgressWatch({ timeout: this.#options.timeout, minimumSpeed: 0 }, (what) =>
      abort.abort(tooSlow(this.file, what, from)),
    );
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
      unlink();
    }
  }

  /**
   * Asks, and follows redirects. Always begins with the file's own address: those that it redirects to are often good
   * for a few minutes only.
   */
  async #fetch(from: number, to: number, signal: AbortSignal): Promise<Response> {
    let address = this.#url;
    let headers = new Headers(this.#headers);
    headers.set('range', `bytes=${from}-${to - 1}`);
    for (let redirects = 0; ; redirects++) {
      const response = await this.#ask(address, headers, from, signal);
      if (response.type === 'opaqueredirect' && !this.#hidesRedirects) {
        // The browser follows by itself, or not at all.
        this.#hidesRedirects = true;
      } else if (isRedirect(response)) {
        response.body?.cancel().catch(() => {});
        if (redirects === MOST_REDIRECTS) {
          throw new VhdxError('read-failed', 'the address redirects without end', { file: this.file, offset: from });
        }
        const next = nextAddress(response, address, this.#options.allowRedirect, this.file);
        if (next.origin !== address.origin) headers = withoutPrivateHeaders(headers);
        address = next;
      } else {
        return response;
      }
    }
  }

  async #ask(address: URL, headers: Headers, from: number, signal: AbortSignal): Promise<Response> {
    const init: RequestInit = {
      headers,
      signal,
      redirect: this.#hidesRedirects ? this.#hiddenRedirects() : 'manual',
      // The cache of a browser lets parallel requests for parts of one file wait for each other.
      cache: 'no-store',
    };
    if (this.#options.credentials !== undefined) init.credentials = this.#options.credentials;
    const ask = this.#options.fetch ?? globalThis.fetch;
    const answer = ask(address.href, init);
    try {
      return await untilAborted(answer, signal);
    } catch (cause) {
      if (!signal.aborted) throw this.#unreachable(cause, from);
      // A fetch that does not know signals may answer yet.
      answer.then((late) => late.body?.cancel()).catch(() => {});
      throw signal.reason;
    }
  }

  /** What a browser does with redirects, of which it sends the headers along to wherever they lead. */
  #hiddenRedirects(): RequestRedirect {
    const { allowRedirect = true } = this.#options;
    const what =
      allowRedirect !== true
        ? 'a page cannot see where to, so only allowRedirect: true permits that'
        : hasPrivateHeaders(this.#headers)
          ? 'the browser would send the headers of this request there; give the final address'
          : undefined;
    if (what === undefined) return 'follow';
    throw new VhdxError('read-failed', `the server redirects to another address, and ${what}`, { file: this.file });
  }

  #accept(response: Response, from: number, to: number, abort: AbortController): HttpBody {
    const part = checkAnswer(response, from, to, this.file, this.#crossOrigin);
    if (this.#identity === undefined) {
      this.#identity = { size: part.size, etag: part.etag, lastModified: part.lastModified };
    } else {
      checkIdentity(this.#identity, part, this.file);
    }
    if (response.body === null) throw new VhdxError('read-failed', 'the answer has no body', { file: this.file });
    return new HttpBody(response.body, part.start, part.end, abort, this.#options, this.file);
  }

  #unreachable(cause: unknown, offset: number): VhdxError | TransientError {
    // Node has the reason in the cause, Bun and Deno in the error itself; browsers keep it from programs, also when they
    // have followed redirects without end.
    const inner = cause instanceof Error ? cause.cause : undefined;
    const errors = [inner, cause].filter((error) => error instanceof Error);
    const code = errors.flatMap((error) => ('code' in error ? [` (${String(error.code)})`] : []))[0] ?? '';
    const what = this.#crossOrigin
      ? 'the server could not be reached, or does not let pages from elsewhere read the file (CORS)'
      : `the server could not be reached${code}`;
    return new TransientError(new VhdxError('read-failed', what, { file: this.file, offset, cause }));
  }
}

/** The user name and password of a URL as RFC 7617 sends them. */
function basicAuthentication({ username, password }: URL, file: string): string {
  try {
    const login = new TextEncoder().encode(`${decodeURIComponent(username)}:${decodeURIComponent(password)}`);
    return `Basic ${btoa(String.fromCharCode(...login))}`;
  } catch (cause) {
    throw malformedLogin(file, cause);
  }
}

/** Without the text, which is a secret; the cause does not have it either. */
function malformedLogin(file: string, cause: unknown): VhdxError {
  const message = 'the user name or the password in the URL has a "%" that does not begin an encoded UTF-8 character';
  return new VhdxError('unsupported-input', message, { file, cause });
}

/** Headers that hold no secret. Only these go along to another origin. */
const HARMLESS = new Set(['accept', 'accept-encoding', 'accept-language', 'cache-control', 'range', 'user-agent']);

/** Headers that browsers themselves leave out when a redirect leads to another origin (Fetch, 4.4). */
const LEFT_OUT_BY_BROWSERS = new Set(['authorization']);

/** The headers that may go to another origin. */
function withoutPrivateHeaders(headers: Headers): Headers {
  return new Headers([...headers].filter(([name]) => HARMLESS.has(name)));
}

/** Whether a browser would send a header to another origin that may hold a secret. */
function hasPrivateHeaders(headers: Headers): boolean {
  return [...headers.keys()].some((name) => !HARMLESS.has(name) && !LEFT_OUT_BY_BROWSERS.has(name));
}

import { checkRead } from '../../base/byte-range.js';
import { KiB, MiB } from '../../base/units.js';
import { VhdxError } from '../../errors.js';
import { CachedSource } from '../cached.js';
import type { RandomAccessSource, ReadOptions } from '../random-access.js';
import type { HintedReadOptions, HintedSource } from '../sequential-reads.js';
import type { AllowRedirect } from './answer.js';
import { type HttpBody, HttpContinuations } from './body.js';
import { HttpRemote, type RequestOptions } from './remote.js';
import type { RequestCookies, RequestHeaders } from './request-options.js';
import { persist, type RetryPolicy } from './retry.js';

/** What the first request brings: the header section as far as it is in use, 320 KiB, and a little of what follows. */
const OPENING = 512 * KiB;

/** Most that is asked for past the end of a read in sequence, in bytes. */
const FARTHEST = 64 * MiB;

/** A server may send less than it is asked for. One that sends less than this at a time, in bytes, ... */
const LEAST_PART = 64 * KiB;
/** ... may do so this many times in a read, retries among them. */
const SMALL_PARTS = 16;

/** How many requests a read may take. */
const mostRequestsFor = (length: number): number => SMALL_PARTS + Math.ceil(length / LEAST_PART);

/** How to talk to the server of a remote image. */
export interface HttpOptions {
  /**
   * Headers sent with every request, such as `Authorization`. If the image is remote, a parent on another origin gets only
   * those that hold no secret: open that one with `openSource` and headers of its own.
   */
  readonly headers?: RequestHeaders | undefined;
  /** @internal */
  readonly headersOrigin?: string | undefined;
  /** Whether cookies and the like are sent, as in `fetch`; by default to the page's own server only. */
  readonly credentials?: RequestCookies | undefined;
  /** Used instead of the global `fetch`. */
  readonly fetch?: typeof fetch | undefined;
  /** How often a request that failed for a moment is made again: 3 times by default. */
  readonly retries?: number | undefined;
  /** Pause before the first repetition, in milliseconds, 250 by default; it doubles each time, up to half a minute. */
  readonly retryDelay?: number | undefined;
  /** Longest time that the server may send nothing, in milliseconds: 30 000 by default. */
  readonly timeout?: number | undefined;
  /** Fewest bytes per second that an answer must bring, over each `timeout`: 4,096 by default. */
  readonly minimumSpeed?: number | undefined;
  /**
   * Whether redirects are followed: `true`, `false`, or a function that gets the address that one leads to and the one
   * that it comes from. By default they are, but not from a public address to a private one. Headers that may hold a
   * secret never go to another origin.
   *
   * Pages cannot see where a redirect leads: there `true` and the default let the browser follow it, unless a header
   * other than `Authorization`, which browsers leave out themselves, would go along; a function refuses it.
   *
   * A program that opens addresses which others give it sets this to `false`, or to a function that looks the host up.
   */
  readonly allowRedirect?: AllowRedirect | undefined;
  /** Most memory that the cache takes, in bytes: 8 MiB by default. */
  readonly cacheSize?: number | undefined;
}

/** A source over a file on a server, without a cache. A read whose connection breaks goes on where it was. */
class HttpSource implements HintedSource {
  readonly size: number;
  readonly name: string;
  readonly #remote: HttpRemote;
  readonly #policy: RetryPolicy;
  readonly #continuations = new HttpContinuations();
  #closed = false;

  constructor(remote: HttpRemote, name: string, policy: RetryPolicy, first: HttpBody) {
    this.#remote = remote;
    this.#policy = policy;
    this.size = remote.size;
    this.name = name;
    // An empty file has no bytes; the body is the text of an error page.
    if (this.size > 0) this.#continuations.announce(0)(first);
    else first.cancel();
  }

  async readInto(target: Uint8Array, offset: number, options?: HintedReadOptions): Promise<void> {
    const signal = options?.signal;
    signal?.throwIfAborted();
    if (this.#closed) throw this.#closedError();
    const length = checkRead(this.size, target, offset);
    if (length === 0) return;

    const end = offset + length;
    const goal = Math.min(this.size, end + Math.min(options?.ahead ?? 0, FARTHEST));
    const handOver = goal > end ? this.#continuations.announce(end) : undefined;
    let body: HttpBody | undefined;
    let done = 0;
    let requests = 0;
    const mostRequests = mostRequestsFor(length);
    const readOn = async (): Promise<void> => {
      while (done < length) {
        if (body === undefined && requests++ === mostRequests) throw this.#tooManyRequests(mostRequests, offset, done);
        body ??= await this.#remote.request(offset + done, goal, signal);
        const current = body;
        body = undefined; // of no use if this fails
        try {
          const part = Math.min(length - done, current.end - current.position);
          await current.fill(target.subarray(done, done + part), signal);
        } finally {
          done = current.position - offset;
        }
        if (current.position < current.end) body = current;
      }
    };
    try {
      body = await this.#continuations.take(offset, signal);
      await persist(readOn, this.#policy, signal);
    } catch (error) {
      handOver?.(undefined);
      throw error;
    }
    if (handOver === undefined) body?.cancel();
    else handOver(body);
  }

  async *arriving(offset: number, length: number, signal: AbortSignal | undefined): AsyncGenerator<Uint8Array, void> {
    const end = offset + length;
    const mostRequests = mostRequestsFor(length);
    let at = offset;
    let requests = 0;
    let chunks: AsyncGenerator<Uint8Array, void> | undefined;
    // Failures count until so much has come as a read would want.
    let [attempts, failures, failedAt] = [0, 0, offset];
    const next = async (): Promise<Uint8Array> => {
      attempts++;
      for (;;) {
        if (this.#closed) throw this.#closedError();
        if (chunks === undefined && requests++ === mostRequests)
          throw this.#tooManyRequests(mostRequests, offset, at - offset);
        chunks ??= (await this.#remote.request(at, end, signal)).chunks(signal);
        const current = chunks;
        chunks = undefined; // of no use if this fails, or has ended
        const { done, value } = await current.next();
        if (done) continue;
        chunks = current;
        return value;
      }
    };
    try {
      while (at < end) {
        attempts = 0;
        const chunk = await persist(next, { ...this.#policy, retries: this.#policy.retries - failures }, signal);
        failures += attempts - 1;
        if (attempts > 1) failedAt = at;
        at += chunk.byteLength;
        if (at - failedAt >= MiB) failures = 0;
        yield chunk;
      }
      // More than was announced would be other bytes; a connection that breaks now has brought all.
      const toEnd = async (): Promise<void> => {
        const last = chunks;
        chunks = undefined;
        await last?.next();
      };
      await persist(toEnd, this.#policy, signal);
    } finally {
      await chunks?.return();
    }
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#continuations.close();
  }

  #closedError(): VhdxError {
    return new VhdxError('closed', `${this.name} was closed`);
  }

  #tooManyRequests(count: number, offset: number, done: number): VhdxError {
    const message = `the server sent only ${done} bytes in answer to ${count} requests: too little at a time`;
    return new VhdxError('read-failed', message, { file: this.#remote.file, offset: offset + done });
  }
}

/**
 * Opens a file on a server that supports range requests. One request brings the length of the file and its first half
 * MiB; after that each read asks for what the cache does not have. Every answer must be of the same file by its
 * length, ETag and Last-Modified.
 *
 * @param url an http or https URL; a user name and a password in it are sent as basic authentication
 * @throws VhdxError `read-failed` with a sentence that says what the server did, `short-read`, `source-changed` when
 *   the file is not the one that was opened; RangeError for an option that is no such number; the signal's reason
 */
export async function httpSource(
  url: string | URL,
  options: HttpOptions & ReadOptions = {},
): Promise<RandomAccessSource> {
  const address = new URL(url);
  const {
    signal,
    cacheSize = 8 * MiB,
    retries = 3,
    retryDelay = 250,
    timeout = 30_000,
    minimumSpeed = 4 * KiB,
  } = options;
  checkNumbers({ cacheSize, retries, retryDelay, timeout, minimumSpeed });
  const request: RequestOptions = { ...options, timeout, minimumSpeed };
  const policy = { retries, retryDelay };
  const remote = new HttpRemote(address, request);
  const first = await persist(() => remote.request(0, OPENING, signal), policy, signal);
  const source = new HttpSource(remote, nameOf(address), policy, first);
  const cached = new CachedSource(source, { cacheSize, loads: 6, direct: 256 * KiB, readAhead: 2 * MiB });
  try {
    const opening = new Uint8Array(Math.min(source.size, OPENING));
    await source.readInto(opening, 0, { signal });
    cached.put(0, opening);
  } catch (error) {
    await cached.close();
    throw error;
  }
  return cached;
}

function checkNumbers(options: Readonly<Record<string, number>>): void {
  for (const [name, value] of Object.entries(options)) {
    if (typeof value !== 'number' || !(value >= 0))
      throw new RangeError(`http.${name} is ${String(value)}, not 0 or more`);
  }
}

/** The last part of the path, as people would name the file. */
function nameOf(url: URL): string {
  const last = url.pathname.split('/').pop() ?? '';
  try {
    return decodeURIComponent(last) || url.host;
  } catch {
    return last;
  }
}

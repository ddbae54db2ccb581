import { sourceBytes } from './scripted-source.js';

const CHUNK = 16 * 1024;

/** One request that reached the server. */
export interface FakeRequest {
  readonly from: number;
  /** First byte not asked for. */
  readonly to: number;
  readonly url: string;
  readonly init: RequestInit;
  readonly headers: Headers;
}

/** How the server answers one request, where that is not as it should be. */
export interface Answer {
  /** Answers in place of the server. */
  readonly instead?: (request: FakeRequest) => Promise<Response> | Response;
  readonly status?: number;
  /** Headers that replace the right ones; null leaves one out. */
  readonly headers?: Readonly<Record<string, string | null>>;
  /** Sends less than was asked for, and says so, as servers with a limit do. */
  readonly limit?: number;
  /** What happens after some bytes of the body. */
  readonly after?: { readonly bytes: number; readonly event: 'end' | 'break' | 'stall' };
  /** Bytes sent beyond what was announced. */
  readonly excess?: number;
  /** Pause before each 16 KiB, in milliseconds. */
  readonly pause?: number;
}

/** A server that is only a `fetch`, so that every engine can talk to it; it does as the spec says, and counts. */
export class FakeServer {
  readonly requests: FakeRequest[] = [];
  /** Answers to the next requests, the first of them first; then all is well. */
  readonly plan: Answer[] = [];
  size: number;
  etag: string | null = '"one"';
  lastModified: string | null = null;
  /** Bytes that readers have taken. */
  served = 0;
  /** Bodies that are neither complete nor broken off. */
  open = 0;

  constructor(size: number) {
    this.size = size;
  }

  readonly fetch = async (input: string | URL | Request, init: RequestInit = {}): Promise<Response> => {
    const headers = new Headers(init.headers);
    const [, first = 'NaN', last = 'NaN'] = /^bytes=(\d+)-(\d+)$/.exec(headers.get('range') ?? '') ?? [];
    const request = { from: Number(first), to: Number(last) + 1, url: String(input), init, headers };
    this.requests.push(request);
    const answer = this.plan.shift() ?? {};
    if (answer.instead !== undefined) return answer.instead(request);
    return this.#answer(request, answer, init.signal ?? undefined);
  };

  /** What was asked for, as offset and length. */
  get ranges(): (readonly [offset: number, length: number])[] {
    return this.requests.map(({ from, to }) => [from, to - from]);
  }

  #answer({ from, to }: FakeRequest, answer: Answer, signal: AbortSignal | undefined): Response {
    const end = Math.min(to, this.size, from + (answer.limit ?? Infinity));
    const headers = new Headers({
      'content-range': `bytes ${from}-${end - 1}/${this.size}`,
      'content-type': 'application/octet-stream',
    });
    if (this.etag !== null) headers.set('etag', this.etag);
    if (this.lastModified !== null) headers.set('last-modified', this.lastModified);
    for (const [name, value] of Object.entries(answer.headers ?? {})) {
      if (value === null) headers.delete(name);
      else headers.set(name, value);
    }
    if (headers.has('location')) return new Response(null, { status: answer.status ?? 302, headers });
    return new Response(this.#body(from, end, answer, signal), { status: answer.status ?? 206, headers });
  }

  #body(from: number, end: number, answer: Answer, signal: AbortSignal | undefined): ReadableStream {
    const { after, excess = 0, pause } = answer;
    let position = from;
    const stop = Math.min(end + excess, from + (after?.bytes ?? Infinity));
    this.open++;
    let isOpen = true;
    const over = () => {
      if (isOpen) this.open--;
      isOpen = false;
    };
    return new ReadableStream<Uint8Array>(
      {
        start: (controller) => {
          signal?.addEventListener(
            'abort',
            () => {
              if (isOpen) controller.error(signal.reason);
              over();
            },
            { once: true },
          );
        },
        pull: async (controller) => {
          if (pause !== undefined) await new Promise((resolve) => setTimeout(resolve, pause));
          const length = Math.min(CHUNK, stop - position);
          if (!isOpen) return;
          if (length > 0) {
            controller.enqueue(sourceBytes(position, length));
            position += length;
            this.served += length;
          } else if (after?.event === 'stall') {
            await new Promise(() => {});
          } else {
            over();
            if (after?.event === 'break') controller.error(new TypeError('terminated'));
            else controller.close();
          }
        },
        cancel: over,
      },
      { highWaterMark: 0 },
    );
  }
}

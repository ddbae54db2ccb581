import { describe, expect, onTestFinished, test, vi } from 'vitest';
import { HttpBody } from '../../src/io/http/body.js';
import { type HttpOptions, httpSource } from '../../src/io/http/source.js';
import { openSource } from '../../src/io/open.js';
import type { RandomAccessSource } from '../../src/io/random-access.js';
import { type Answer, FakeServer } from '../support/fake-server.js';
import { hasSettled, rejection, sourceBytes, turn, wrongAt } from '../support/scripted-source.js';

const KiB = 1024;
const MiB = 1024 * KiB;
const TiB = MiB * MiB;
const OPENING = 512 * KiB;
const URL_ = 'https://images.example/folder/disk%20one.vhdx';

/** Opens what a server has, with pauses that no spec has to wait for. Each spec closes what it opens. */
function opened(server: FakeServer, options: HttpOptions = {}, url = URL_): Promise<RandomAccessSource> {
  // Whatever a spec does: when its source is closed, or did not open, no body may be left open.
  onTestFinished(() => expect(server.open).toBe(0));
  return httpSource(url, { fetch: server.fetch as typeof fetch, retryDelay: 1, timeout: 5_000, ...options });
}

async function read(
  source: RandomAccessSource,
  offset: number,
  length: number,
  signal?: AbortSignal,
): Promise<Uint8Array> {
  const target = new Uint8Array(length);
  await source.readInto(target, offset, { signal });
  return target;
}

describe('opening', () => {
  test('takes one request, which brings the size and the first half MiB', async () => {
    const server = new FakeServer(64 * TiB);
    const source = await opened(server);
    expect(source).toMatchObject({ size: 64 * TiB, name: 'disk one.vhdx' });
    expect(wrongAt(await read(source, 0, 320 * KiB), 0)).toBe(-1);
    expect(wrongAt(await read(source, OPENING - 10, 10), OPENING - 10)).toBe(-1);
    expect(server.ranges).toEqual([[0, OPENING]]);
    await source.close?.();
  });

  test.each([1, 1000, OPENING - 1, OPENING, OPENING + 1])('a file of %d bytes', async (size) => {
    const source = await opened(new FakeServer(size));
    expect(source.size).toBe(size);
    expect(wrongAt(await read(source, 0, size), 0)).toBe(-1);
    expect(await rejection(read(source, size, 1))).toBeInstanceOf(RangeError);
    await source.close?.();
  });

  test('an empty file', async () => {
    const server = new FakeServer(0);
    server.plan.push({ status: 416, headers: { 'content-range': 'bytes */0' } });
    const source = await opened(server);
    expect(source.size).toBe(0);
    await source.close?.();
  });

  test('needs few requests for what a reader reads of a huge image', async () => {
    const server = new FakeServer(64 * TiB);
    const source = await opened(server);
    await read(source, 0, 64 * KiB);
    for (const offset of [64, 128, 192, 256]) await read(source, offset * KiB, 64 * KiB);
    await read(source, 2 * MiB, 128 * KiB); // metadata
    await read(source, 1 * MiB, 1 * MiB); // log
    await read(source, 3 * MiB + 256 * MiB, 64 * KiB); // a page of the BAT
    expect(server.requests.length).toBeLessThanOrEqual(5);
    await source.close?.();
  });

  test('takes an http(s) string or URL', async () => {
    for (const input of [URL_, URL_.replace('https', 'HTTPS'), new URL(URL_)]) {
      const server = new FakeServer(1000);
      const source = await openSource(input, { http: { fetch: server.fetch as typeof fetch } });
      expect(source.size).toBe(1000);
      expect(server.requests[0]?.url).toBe(URL_);
      await source.close?.();
    }
  });

  test('stops when it is aborted, also where fetch knows no signals', async () => {
    const server = new FakeServer(MiB);
    server.plan.push({ instead: () => new Promise(() => {}) });
    const controller = new AbortController();
    const http = { fetch: server.fetch as typeof fetch };
    const opening = rejection(openSource(URL_, { http, signal: controller.signal }));
    await expect.poll(() => server.requests.length).toBe(1);
    const reason = new Error('enough');
    controller.abort(reason);
    expect(await opening).toBe(reason);
  });
});

describe('what a request says', () => {
  test('headers and credentials as told, no cache of the browser, nothing compressed', async () => {
    const server = new FakeServer(MiB);
    const source = await opened(server, { headers: { Authorization: 'Bearer 1' }, credentials: 'include' });
    await read(source, 800 * KiB, 10);
    expect(server.requests.length).toBe(2);
    for (const { headers, init } of server.requests) {
      expect(headers.get('authorization')).toBe('Bearer 1');
      expect(headers.get('accept-encoding')).toBe('identity');
      expect(init.credentials).toBe('include');
      expect(init.cache).toBe('no-store');
    }
    await source.close?.();
  });

  test('a user name in the URL becomes basic authentication, and no secret gets into a message', async () => {
    const server = new FakeServer(MiB);
    server.plan.push({ status: 403 });
    const error = await rejection(opened(server, {}, 'https://us%C3%A9r:pass@images.example/x.vhdx?token=secret#part'));
    expect(server.requests[0]?.url).toBe('https://images.example/x.vhdx?token=secret');
    // RFC 7617, 2: user-id ":" password in UTF-8, then base64
    expect(server.requests[0]?.headers.get('authorization')).toBe('Basic dXPDqXI6cGFzcw==');
    expect(error).toMatchObject({
      message: 'https://images.example/x.vhdx: the server does not permit access (HTTP status 403)',
    });
  });
});

describe('a URL that is malformed', () => {
  test.each([
    'https://user:secret@images.example:99999/x.vhdx',
    'https://user:secret@[bad/x.vhdx',
    'http://images.example:port/x?token=secret',
    'https://us%zz:secret@images.example/x.vhdx',
    'https://user:secret%E0%A4%A@images.example/x.vhdx',
    'https://user:secret%FF@images.example/x.vhdx',
  ])('%s is an error that repeats no secret', async (text) => {
    const server = new FakeServer(MiB);
    const error = await rejection(openSource(text, { http: { fetch: server.fetch as typeof fetch } }));
    expect(error).toMatchObject({ name: 'VhdxError', code: 'unsupported-input' });
    const { message, stack, cause } = error as Error;
    expect(message + stack + String(cause) + JSON.stringify({ ...(cause as object) })).not.toContain('secret');
    expect(server.requests.length).toBe(0);
  });
});

describe('a redirect', () => {
  const redirect = (location: string, status = 302): Answer => ({ status, headers: { location } });
  const SECRETS = {
    Authorization: 'Bearer 1',
    Cookie: 'session=1',
    'X-Api-Key': 'k',
    'X-Amz-Security-Token': 't',
    'Proxy-Authorization': 'p',
  };
  const HARMLESS = { Accept: '*/*', 'Accept-Language': 'en', 'User-Agent': 'reader' };

  test.each([301, 302, 303, 307, 308])('of status %d is followed, each time anew', async (status) => {
    const server = new FakeServer(MiB);
    server.plan.push(redirect('https://mirror.example/a?signature=1', status));
    const source = await opened(server);
    server.plan.push(redirect('https://mirror.example/b', status));
    expect(wrongAt(await read(source, 800 * KiB, 10), 800 * KiB)).toBe(-1);
    expect(server.requests.map(({ url }) => url)).toEqual([
      URL_,
      'https://mirror.example/a?signature=1',
      URL_,
      'https://mirror.example/b',
    ]);
    await source.close?.();
  });

  test('to another origin takes no header along that may hold a secret, and none comes back later', async () => {
    const server = new FakeServer(MiB);
    server.plan.push(redirect('https://mirror.example/a'), redirect(URL_));
    const source = await opened(server, { headers: { ...SECRETS, ...HARMLESS } });
    const names = server.requests.map(({ headers }) => [...headers.keys()].sort());
    const harmless = ['accept', 'accept-encoding', 'accept-language', 'range', 'user-agent'];
    expect(names[0]).toEqual(expect.arrayContaining([...harmless, 'authorization', 'x-api-key']));
    expect(names.slice(1)).toEqual([harmless, harmless]);
    await source.close?.();
  });

  test('within an origin keeps all headers, and a relative one is understood', async () => {
    const server = new FakeServer(MiB);
    server.plan.push(redirect('../other%20folder/x'));
    const source = await opened(server, { headers: { 'X-Api-Key': 'k' } });
    expect(server.requests[1]?.url).toBe('https://images.example/other%20folder/x');
    expect(server.requests[1]?.headers.get('x-api-key')).toBe('k');
    await source.close?.();
  });

  test.each(['http://images.example/x', 'https://images.example:444/x', 'https://images.example.evil.example/x'])(
    'to %s is one to another origin',
    async (location) => {
      const server = new FakeServer(MiB);
      server.plan.push(redirect(location));
      const source = await opened(server, { headers: { 'X-Api-Key': 'k' } });
      expect(server.requests[1]?.headers.has('x-api-key')).toBe(false);
      await source.close?.();
    },
  );

  test('sends no user name that its address has', async () => {
    const server = new FakeServer(MiB);
    server.plan.push(redirect('https://user:password@mirror.example/a#part'));
    const source = await opened(server);
    expect(server.requests[1]?.url).toBe('https://mirror.example/a');
    expect(server.requests[1]?.headers.has('authorization')).toBe(false);
    await source.close?.();
  });

  // RFC 1918, 6598, 3927, 4193, 4291, 6761
  test.each([
    'http://127.0.0.1/',
    'http://2130706433/',
    'http://0x7f.1/',
    'http://localhost:8080/',
    'http://LOCALHOST./',
    'http://10.1.2.3/',
    'http://100.64.0.1/',
    'http://169.254.169.254/latest/meta-data',
    'http://172.16.0.1/',
    'http://172.31.255.255/',
    'http://192.168.0.1/',
    'http://0.0.0.0/',
    'http://[::1]/',
    'http://[::]/',
    'http://[fe80::1]/',
    'http://[fd00::1]/',
    'http://[::ffff:127.0.0.1]/',
    'http://[::10.0.0.1]/',
    'http://[64:ff9b::192.168.1.1]/',
    'http://metadata.google.internal/',
    'http://printer.local/',
    'http://redis:6379/',
    'http://router.lan/',
    'http://nas.home.arpa/',
    'http://192.0.0.8/',
    'http://198.19.0.1/',
    'http://239.255.255.250/',
    'http://255.255.255.255/',
    'http://[fec0::1]/',
    'http://[ff02::1]/',
  ])('from the Internet to %s is not followed, unless that is allowed', async (location) => {
    const server = new FakeServer(MiB);
    server.plan.push(redirect(location));
    const shown = new URL(location);
    expect(await rejection(opened(server))).toMatchObject({
      code: 'read-failed',
      message: `https://images.example/folder/disk%20one.vhdx: the server redirects to ${shown.origin}${shown.pathname}, a private address; allowRedirect can permit that`,
    });
    expect(server.requests.length).toBe(1);
    server.plan.push(redirect(location));
    const source = await opened(server, { allowRedirect: () => true });
    await source.close?.();
  });

  test.each([
    'http://172.32.0.1/',
    'http://100.128.0.1/',
    'http://11.0.0.1/',
    'https://internal.example/',
    'https://lan.example/',
    'http://192.0.2.1/',
    'http://198.51.100.1/',
    'http://[2001:db8::1]/',
  ])('to %s is followed', async (location) => {
    const server = new FakeServer(MiB);
    server.plan.push(redirect(location));
    const source = await opened(server);
    expect(server.requests[1]?.url).toBe(location);
    await source.close?.();
  });

  test('within a private network is followed', async () => {
    const server = new FakeServer(MiB);
    server.plan.push(redirect('http://10.0.0.2/x'));
    const source = await opened(server, {}, 'http://192.168.1.1/disk.vhdx');
    await source.close?.();
  });

  test.each(['file:///etc/passwd', 'data:text/plain,x', 'ftp://mirror.example/x', 'http://', 'http://[', 'blob:x'])(
    'to %s is an error',
    async (location) => {
      const server = new FakeServer(MiB);
      server.plan.push(redirect(location));
      expect(await rejection(opened(server, { allowRedirect: () => true }))).toMatchObject({
        code: 'read-failed',
        message: expect.stringMatching(/: the server redirects to something that is no http or https URL$/),
      });
    },
  );

  test('is asked about, with both addresses, and may be forbidden', async () => {
    const server = new FakeServer(MiB);
    server.plan.push(redirect('/b'), redirect('https://mirror.example/c?token=secret'));
    const asked: string[][] = [];
    const error = await rejection(
      opened(server, {
        allowRedirect: (to, from) => {
          asked.push([to.href, from.href]);
          return to.host === 'images.example';
        },
      }),
    );
    expect(asked).toEqual([
      ['https://images.example/b', URL_],
      ['https://mirror.example/c?token=secret', 'https://images.example/b'],
    ]);
    expect(error).toMatchObject({
      code: 'read-failed',
      message:
        'https://images.example/folder/disk%20one.vhdx: the server redirects to https://mirror.example/c, which allowRedirect forbids',
    });
    server.plan.push(redirect('/b'));
    expect(await rejection(opened(server, { allowRedirect: false }))).toMatchObject({ code: 'read-failed' });
    expect(server.requests.length).toBe(3);
  });

  test('without end is followed twenty times, as fetch does', async () => {
    const server = new FakeServer(MiB);
    server.plan.push(...Array.from({ length: 30 }, () => redirect('/again')));
    expect(await rejection(opened(server))).toMatchObject({
      message: 'https://images.example/folder/disk%20one.vhdx: the address redirects without end',
    });
    expect(server.requests.length).toBe(21);
  });

  describe('that the runtime hides, as browsers do', () => {
    /** What a browser gives its pages for a redirect with `redirect: 'manual'` (Fetch, 4.4). */
    const hidden: Answer = {
      instead: ({ init }) => {
        expect(init.redirect).toBe('manual');
        return Object.defineProperty(Response.error(), 'type', { value: 'opaqueredirect' });
      },
    };

    test('is left to the browser, from then on at once', async () => {
      const server = new FakeServer(MiB);
      server.plan.push(hidden);
      const source = await opened(server, { headers: { Authorization: 'Bearer 1', Accept: '*/*' } });
      await read(source, 800 * KiB, 10);
      expect(server.requests.map(({ init }) => init.redirect)).toEqual(['manual', 'follow', 'follow']);
      await source.close?.();
    });

    test.each([
      [
        { headers: { 'X-Api-Key': 'k' } },
        'the browser would send the headers of this request there; give the final address',
      ],
      [{ allowRedirect: () => true }, 'a page cannot see where to, so only allowRedirect: true permits that'],
      [{ allowRedirect: false }, 'a page cannot see where to, so only allowRedirect: true permits that'],
    ])('is an error with %o', async (options, what) => {
      const server = new FakeServer(MiB);
      server.plan.push(hidden);
      expect(await rejection(opened(server, options))).toMatchObject({
        code: 'read-failed',
        message: `https://images.example/folder/disk%20one.vhdx: the server redirects to another address, and ${what}`,
      });
      expect(server.requests.length).toBe(1);
    });
  });
});

describe('reading in sequence', () => {
  test.each([16 * KiB, 64 * KiB, 1 * MiB, 3 * MiB + 5])(
    '%d bytes at a time takes a few long requests',
    async (step) => {
      const size = 24 * MiB;
      const server = new FakeServer(size);
      const source = await opened(server);
      for (let offset = 0; offset < size; offset += step) {
        const length = Math.min(step, size - offset);
        expect(wrongAt(await read(source, offset, length), offset)).toBe(-1);
      }
      expect(server.requests.length).toBeLessThanOrEqual(12);
      expect(server.served).toBeLessThan(1.1 * size);
      await source.close?.();
    },
  );

  test('several reads at a time go through one connection', async () => {
    const size = 24 * MiB;
    const server = new FakeServer(size);
    const source = await opened(server);
    let next = 0;
    const worker = async (): Promise<void> => {
      while (next < size) {
        const offset = next;
        next += MiB;
        expect(wrongAt(await read(source, offset, MiB), offset)).toBe(-1);
      }
    };
    await Promise.all([worker(), worker(), worker(), worker()]);
    expect(server.requests.length).toBeLessThanOrEqual(12);
    expect(server.served).toBeLessThan(1.1 * size);
    await source.close?.();
  });

  test('a read in the midst that is aborted costs the others nothing but a request', async () => {
    const server = new FakeServer(64 * MiB);
    const source = await opened(server);
    for (let offset = 0; offset < 8 * MiB; offset += MiB) await read(source, offset, MiB);
    const before = server.requests.length;
    const controller = new AbortController();
    const targets = [8, 9, 10].map(() => new Uint8Array(MiB));
    const reads = targets.map((target, index) =>
      source.readInto(target, (8 + index) * MiB, index === 1 ? { signal: controller.signal } : {}),
    );
    controller.abort('enough');
    expect(await Promise.allSettled(reads)).toMatchObject([
      { status: 'fulfilled' },
      { status: 'rejected', reason: 'enough' },
      { status: 'fulfilled' },
    ]);
    expect(wrongAt(targets[0] as Uint8Array, 8 * MiB)).toBe(-1);
    expect(wrongAt(targets[2] as Uint8Array, 10 * MiB)).toBe(-1);
    expect(server.requests.length).toBeLessThanOrEqual(before + 2);
    await source.close?.();
    expect(server.open).toBe(0);
  });

  test('at many places keeps no more than two connections waiting, and none for more than five seconds', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    onTestFinished(() => void vi.useRealTimers());
    const server = new FakeServer(64 * MiB);
    const source = await opened(server);
    for (const place of [0, 16, 32, 48]) {
      for (let step = 0; step < 3; step++) await read(source, (place + step) * MiB, MiB);
    }
    expect(server.open).toBe(2);
    vi.advanceTimersByTime(4_900);
    expect(server.open).toBe(2);
    vi.advanceTimersByTime(200);
    expect(server.open).toBe(0);
    expect(wrongAt(await read(source, 52 * MiB, MiB), 52 * MiB)).toBe(-1);
    await source.close?.();
  });

  test('closing breaks off what is open', async () => {
    const server = new FakeServer(64 * MiB);
    const source = await opened(server);
    for (let offset = 0; offset < 8 * MiB; offset += MiB) await read(source, offset, MiB);
    expect(server.open).toBe(1);
    await source.close?.();
    expect(server.open).toBe(0);
    expect(server.served).toBeLessThan(9 * MiB);
    expect(await rejection(read(source, 0, 1))).toMatchObject({ code: 'closed' });
  });
});

describe('giving up', () => {
  test.each([10, 2 * MiB])('a read of %d bytes rejects with the reason and leaves the target alone', async (length) => {
    const server = new FakeServer(64 * MiB);
    const source = await opened(server);
    server.plan.push({ after: { bytes: 8 * KiB, event: 'stall' } });
    const controller = new AbortController();
    const target = new Uint8Array(length);
    const reading = source.readInto(target, 20 * MiB, { signal: controller.signal });
    expect(await hasSettled(reading)).toBe(false);
    const reason = new Error('enough');
    controller.abort(reason);
    expect(await rejection(reading)).toBe(reason);
    target.fill(0xee);
    await turn();
    expect(target.every((byte) => byte === 0xee)).toBe(true);
    await source.close?.();
  });

  test('works with a stream that takes no notice', async () => {
    let deliver: (result: ReadableStreamReadResult<Uint8Array>) => void = () => {};
    const reader = {
      read: () =>
        new Promise((resolve) => {
          deliver = resolve;
        }),
      cancel: async () => {},
    };
    const stream = { getReader: () => reader } as unknown as ReadableStream<Uint8Array>;
    const body = new HttpBody(stream, 0, 10, new AbortController(), { timeout: 5_000, minimumSpeed: 0 }, 'it');
    const controller = new AbortController();
    const target = new Uint8Array(10);
    const filling = rejection(body.fill(target, controller.signal));
    controller.abort('enough');
    expect(await filling).toBe('enough');
    deliver({ done: false, value: sourceBytes(0, 10) });
    await turn();
    expect(target).toEqual(new Uint8Array(10));
  });

  test('works in the pause before a repetition', async () => {
    const server = new FakeServer(64 * MiB);
    const source = await opened(server, { retryDelay: 60_000 });
    server.plan.push({ status: 503 });
    const controller = new AbortController();
    const reading = rejection(read(source, 20 * MiB, 10, controller.signal));
    await turn();
    controller.abort('enough');
    expect(await reading).toBe('enough');
    await source.close?.();
  });
});

describe('trouble that passes', () => {
  const passing: [string, Answer[]][] = [
    ['HTTP status 500 twice', [{ status: 500 }, { status: 500 }]],
    ['HTTP status 408, 429 and 503', [{ status: 408 }, { status: 429 }, { status: 503 }]],
    ['no connection', [{ instead: () => Promise.reject(new TypeError('fetch failed')) }]],
    ['a connection that breaks', [{ after: { bytes: 20 * KiB, event: 'break' } }]],
    ['a connection that breaks again and again', [1, 2, 3].map(() => ({ after: { bytes: 10_000, event: 'break' } }))],
    ['a body that ends early', [{ after: { bytes: 20 * KiB, event: 'end' } }]],
    ['a stalled body', [{ after: { bytes: 20 * KiB, event: 'stall' } }]],
    ['a stalled request', [{ instead: () => new Promise(() => {}) }]],
    ['a limit of the server, which is no trouble', Array.from({ length: 20 }, () => ({ limit: 5000 }))],
  ];

  test.each(passing)('in a read: %s', async (_name, plan) => {
    const server = new FakeServer(8 * MiB);
    const source = await opened(server, { timeout: 250 });
    for (const [offset, length] of [
      [2 * MiB + 5, 1000],
      [4 * MiB + 5, MiB],
    ] as const) {
      server.plan.push(...plan);
      expect(wrongAt(await read(source, offset, length), offset)).toBe(-1);
      server.plan.length = 0;
    }
    await source.close?.();
  });

  test.each(passing)('in opening: %s', async (_name, plan) => {
    const server = new FakeServer(8 * MiB);
    server.plan.push(...plan);
    const source = await opened(server, { timeout: 250 });
    expect(wrongAt(await read(source, 0, OPENING), 0)).toBe(-1);
    await source.close?.();
  });

  test('goes on where it broke off instead of beginning anew', async () => {
    const server = new FakeServer(8 * MiB);
    const source = await opened(server);
    server.plan.push({ after: { bytes: 40 * KiB, event: 'break' } });
    await read(source, 4 * MiB, MiB);
    expect(server.ranges.slice(1)).toEqual([
      [4 * MiB, MiB],
      [4 * MiB + 40 * KiB, MiB - 40 * KiB],
    ]);
    await source.close?.();
  });

  test.each([
    [0, [20, 40, 80]],
    [1, [40, 80, 160]],
  ])('pauses that double, and differ by chance: %d', async (chance, pauses) => {
    vi.spyOn(Math, 'random').mockReturnValue(chance);
    const timers = vi.spyOn(globalThis, 'setTimeout');
    onTestFinished(() => void vi.restoreAllMocks());
    const server = new FakeServer(MiB);
    server.plan.push({ status: 500 }, { status: 500 }, { status: 500 });
    const source = await opened(server, { retryDelay: 40, timeout: 1_234_567 });
    expect(timers.mock.calls.map(([, delay]) => delay).filter((delay) => (delay ?? 0) < 1_000)).toEqual(pauses);
    await source.close?.();
  });

  test('a server that is slow, but never silent for long', async () => {
    const server = new FakeServer(MiB);
    const source = await opened(server, { timeout: 400 });
    server.plan.push({ pause: 100 });
    const begun = performance.now();
    expect(wrongAt(await read(source, 800 * KiB, 128 * KiB), 800 * KiB)).toBe(-1);
    expect(performance.now() - begun).toBeGreaterThan(400);
    expect(server.requests.length).toBe(2);
    await source.close?.();
  });

  test('a server that sends too little, but never stops, is abandoned and asked again', async () => {
    const server = new FakeServer(MiB);
    const source = await opened(server, { timeout: 200, minimumSpeed: 256 * KiB });
    server.plan.push({ pause: 100 }); // 16 KiB each, so 160 KiB in a second
    expect(wrongAt(await read(source, 800 * KiB, 128 * KiB), 800 * KiB)).toBe(-1);
    expect(server.requests.length).toBe(3);
    server.plan.push(...Array.from({ length: 4 }, () => ({ pause: 100 })));
    expect(await rejection(read(source, 600 * KiB, 200 * KiB))).toMatchObject({
      code: 'read-failed',
      message: expect.stringMatching(/: the server sent only \d+ bytes in 0.2 seconds$/),
    });
    await source.close?.();
  });

  test.each([
    ['seconds', () => '1'],
    ['a date', () => new Date(Date.now() + 2000).toUTCString()],
  ])('waits as long as Retry-After wants, in %s', async (_name, value) => {
    const server = new FakeServer(MiB);
    server.plan.push({ status: 429, headers: { 'retry-after': value() } });
    const begun = performance.now();
    await opened(server);
    expect(performance.now() - begun).toBeGreaterThanOrEqual(950);
  });

  test('the cache keeps no failure', async () => {
    const server = new FakeServer(8 * MiB);
    const source = await opened(server, { retries: 0 });
    server.plan.push({ status: 500 });
    expect(await rejection(read(source, 4 * MiB, 10))).toMatchObject({ code: 'read-failed' });
    expect(wrongAt(await read(source, 4 * MiB, 10), 4 * MiB)).toBe(-1);
    await source.close?.();
  });
});

describe('trouble that does not pass', () => {
  const where = 'https://images.example/folder/disk%20one.vhdx';
  const times = (count: number, answer: Answer): Answer[] => Array.from({ length: count }, () => answer);
  const cases: [string, Answer, number, string, string | RegExp][] = [
    ['404', { status: 404 }, 1, 'read-failed', 'there is no such file on the server (HTTP status 404)'],
    ['403', { status: 403 }, 1, 'read-failed', 'the server does not permit access (HTTP status 403)'],
    ['401', { status: 401 }, 1, 'read-failed', 'the server requires authentication (HTTP status 401)'],
    ['418', { status: 418 }, 1, 'read-failed', 'the server refuses (HTTP status 418)'],
    ['500 for good', { status: 500 }, 4, 'read-failed', 'the server failed (HTTP status 500)'],
    [
      'a web page',
      { status: 200, headers: { 'content-type': 'text/html; charset=utf-8' } },
      1,
      'read-failed',
      'the server sends a web page, not a disk image; is this the address of the file itself?',
    ],
    [
      'no ranges',
      { status: 200 },
      1,
      'read-failed',
      'the server sends whole files only (it knows no range requests); download the file and open it from there',
    ],
    ['no Content-Range', { headers: { 'content-range': null } }, 1, 'read-failed', /Content-Range/],
    [
      'no size',
      { headers: { 'content-range': 'bytes 0-524287/*' } },
      1,
      'read-failed',
      'the server does not say how long the file is (Content-Range: bytes 0-524287/*)',
    ],
    [
      'another part',
      { headers: { 'content-range': 'bytes 5-524287/8388608' } },
      1,
      'read-failed',
      /sends another part/,
    ],
    [
      'a longer part',
      { headers: { 'content-range': 'bytes 0-600000/8388608' } },
      1,
      'read-failed',
      /sends another part/,
    ],
    ['a part outside', { headers: { 'content-range': 'bytes 0-524287/500' } }, 1, 'read-failed', /sends another part/],
    ['nonsense', { headers: { 'content-range': 'items 0-5/6' } }, 1, 'read-failed', /sends another part/],
    [
      'a compressed part',
      { headers: { 'content-encoding': 'gzip' } },
      1,
      'read-failed',
      'the server compresses what it sends (Content-Encoding: gzip), so offsets mean nothing',
    ],
    [
      'another Content-Length',
      { headers: { 'content-length': '5' } },
      1,
      'read-failed',
      'the server announces 5 bytes for a part of 524288 bytes',
    ],
    ['a longer body', { excess: 1 }, 1, 'read-failed', 'the server sent more bytes than it announced'],
    [
      'a shorter body',
      { after: { bytes: 100, event: 'end' } },
      4,
      'short-read',
      'the server sent 523888 bytes less than it announced',
    ],
    ['a body that breaks', { after: { bytes: 100, event: 'break' } }, 4, 'read-failed', 'the connection broke'],
    [
      'a stalled body',
      { after: { bytes: 100, event: 'stall' } },
      4,
      'read-failed',
      'the server has not sent anything for 0.1 seconds',
    ],
    [
      'a stalled request',
      { instead: () => new Promise(() => {}) },
      4,
      'read-failed',
      'the server has not sent anything for 0.1 seconds',
    ],
    [
      'no connection',
      { instead: () => Promise.reject(new TypeError('fetch failed')) },
      4,
      'read-failed',
      /the server could not be reached/,
    ],
  ];

  test.each(cases)('in opening: %s', async (_name, answer, requests, code, message) => {
    const server = new FakeServer(8 * MiB);
    server.plan.push(...times(10, answer));
    const error = await rejection(opened(server, { timeout: 100 }));
    expect(error).toMatchObject({ name: 'VhdxError', code });
    if (typeof message === 'string') expect((error as Error).message).toBe(`${where}: ${message}`);
    else expect((error as Error).message).toMatch(message);
    expect(server.requests.length).toBe(requests);
  });

  test.each([10, MiB])('a server that sends a byte for each request, in a read of %d bytes', async (length) => {
    const server = new FakeServer(8 * MiB);
    const source = await opened(server);
    server.plan.push(...times(1000, { limit: 1 }));
    const error = await rejection(read(source, 4 * MiB, length));
    const requests = server.requests.length - 1;
    // 16, and one for each 64 KiB that is read
    expect(requests).toBe(16 + Math.ceil(length / (64 * KiB)));
    expect(error).toMatchObject({
      code: 'read-failed',
      message: `${where}: the server sent only ${requests} bytes in answer to ${requests} requests: too little at a time`,
      offset: 4 * MiB + requests,
    });
    server.plan.length = 0;
    await source.close?.();
  });

  test('options that are no numbers of their kind are RangeErrors, before anything is asked', async () => {
    const server = new FakeServer(8 * MiB);
    for (const name of ['retries', 'retryDelay', 'timeout', 'cacheSize', 'minimumSpeed'] as const) {
      for (const value of [-1, Number.NaN, '5' as unknown as number, null as unknown as number]) {
        expect(await rejection(opened(server, { [name]: value }))).toBeInstanceOf(RangeError);
      }
    }
    expect(server.requests.length).toBe(0);
  });

  test('as often as it was told to try, and no more', async () => {
    const server = new FakeServer(8 * MiB);
    server.plan.push(...times(10, { status: 502 }));
    await rejection(opened(server, { retries: 1 }));
    expect(server.requests.length).toBe(2);
  });
});

describe('a file that changes on the server', () => {
  const changes: [string, (server: FakeServer) => void, string][] = [
    [
      'length',
      (server) => {
        server.size += 1;
      },
      'its length was 8388608 and is 8388609 now',
    ],
    [
      'ETag',
      (server) => {
        server.etag = '"two"';
      },
      'its ETag was "one" and is "two" now',
    ],
    [
      'ETag that is gone',
      (server) => {
        server.etag = null;
      },
      'its ETag was "one" and is absent now',
    ],
  ];

  test.each(changes)(
    'by its %s is an error of its own, and what came before stays what it was',
    async (_name, change, what) => {
      const server = new FakeServer(8 * MiB);
      const source = await opened(server);
      await read(source, 2 * MiB, 10);
      change(server);
      for (const length of [10, MiB]) {
        expect(await rejection(read(source, 4 * MiB, length))).toMatchObject({
          code: 'source-changed',
          message: `${URL_}: the file on the server was changed while in use (${what}); open it again`,
        });
      }
      expect(wrongAt(await read(source, 2 * MiB, 10), 2 * MiB)).toBe(-1);
      await source.close?.();
    },
  );

  test('between an attempt and its repetition is noticed', async () => {
    const server = new FakeServer(8 * MiB);
    const source = await opened(server);
    server.plan.push({ after: { bytes: 100, event: 'break' } }, { headers: { etag: '"two"' } });
    expect(await rejection(read(source, 4 * MiB, MiB))).toMatchObject({ code: 'source-changed' });
    await source.close?.();
  });

  test.each([412, 416])('so that it answers %d', async (status) => {
    const server = new FakeServer(8 * MiB);
    const source = await opened(server);
    server.plan.push({ status });
    expect(await rejection(read(source, 4 * MiB, 10))).toMatchObject({ code: 'source-changed' });
    await source.close?.();
  });

  const MONDAY = 'Mon, 06 Jan 2025 10:00:00 GMT';
  const TUESDAY = 'Tue, 07 Jan 2025 10:00:00 GMT';
  const versions: [string, string | null, string | null, string | null, string | null, boolean][] = [
    ['a date without a tag', null, MONDAY, null, TUESDAY, true],
    ['the same date without a tag', null, MONDAY, null, MONDAY, false],
    ['neither tag nor date', null, null, null, null, false],
    ['a strong tag that stays, whatever the date', '"a"', MONDAY, '"a"', TUESDAY, false],
    ['a weak tag that stays, with another date', 'W/"a"', MONDAY, 'W/"a"', TUESDAY, true],
    ['a tag that a proxy weakens, with the same date', '"a"', MONDAY, 'W/"a"', MONDAY, false],
    ['a tag that a proxy weakens, with another date', '"a"', MONDAY, 'W/"a"', TUESDAY, true],
    ['another weak tag', 'W/"a"', MONDAY, 'W/"b"', MONDAY, true],
  ];

  test.each(versions)('is told by %s', async (_name, etag, lastModified, etagNow, lastModifiedNow, changed) => {
    const server = new FakeServer(8 * MiB);
    Object.assign(server, { etag, lastModified });
    const source = await opened(server);
    Object.assign(server, { etag: etagNow, lastModified: lastModifiedNow });
    const reading = read(source, 4 * MiB, 10);
    if (changed) expect(await rejection(reading)).toMatchObject({ code: 'source-changed' });
    else expect(await reading).toEqual(sourceBytes(4 * MiB, 10));
    await source.close?.();
  });
});

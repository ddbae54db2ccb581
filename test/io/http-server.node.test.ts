import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { gzipSync } from 'node:zlib';
import { describe, expect, test } from 'vitest';
import { type HttpOptions, httpSource } from '../../src/io/http/source.js';
import type { RandomAccessSource } from '../../src/io/random-access.js';
import { type RangeRequest, rangeServer, serveRange } from '../support/range-server.js';
import { rejection, sourceBytes, turn, wrongAt } from '../support/scripted-source.js';

const KiB = 1024;
const MiB = 1024 * KiB;
const TiB = MiB * MiB;
const SIZE = 48 * MiB;
const QUICK: HttpOptions = { retryDelay: 1, timeout: 300 };
/** For servers at which nothing should be tried twice, however busy the machine is. */
const PATIENT: HttpOptions = { retryDelay: 1 };

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

describe('a good server', () => {
  test('is asked once to open a file of 64 TiB, and once for each far place', async () => {
    const server = await rangeServer((request) => serveRange(request, 64 * TiB));
    const source = await httpSource(server.url, PATIENT);
    expect(source).toMatchObject({ size: 64 * TiB, name: 'disk.vhdx' });
    expect(wrongAt(await read(source, 0, 320 * KiB), 0)).toBe(-1);
    for (const offset of [2 * MiB, 3 * TiB + 5, 64 * TiB - 4096]) {
      expect(wrongAt(await read(source, offset, 4096), offset)).toBe(-1);
    }
    expect(server.requests.length).toBe(4);
    await source.close?.();
  });

  test.each([64 * KiB, MiB, 5 * MiB])(
    'a sequence of reads of %d bytes takes few requests and connections',
    async (step) => {
      const server = await rangeServer((request) => serveRange(request, SIZE));
      const source = await httpSource(server.url, PATIENT);
      for (let offset = 0; offset < 24 * MiB; offset += step) {
        const length = Math.min(step, 24 * MiB - offset);
        expect(wrongAt(await read(source, offset, length), offset)).toBe(-1);
      }
      expect(server.requests.length).toBeLessThanOrEqual(12);
      expect(server.connections).toBeLessThanOrEqual(4);
      await source.close?.();
    },
  );

  test('gets many reads here and there at a time', async () => {
    const server = await rangeServer((request) => serveRange(request, SIZE));
    const source = await httpSource(server.url, PATIENT);
    const offsets = Array.from({ length: 60 }, (_, index) => ((index * 37) % 60) * 0.75 * MiB + 1000);
    const results = await Promise.all(offsets.map((offset) => read(source, offset, 4096)));
    expect(results.map((bytes, index) => wrongAt(bytes, offsets[index] ?? -1))).toEqual(offsets.map(() => -1));
    await source.close?.();
  });

  test('may lead to another server, which does not learn what was meant for the first', async () => {
    const other = await rangeServer((request) => serveRange(request, SIZE));
    const server = await rangeServer(({ response }) => {
      response.writeHead(302, { location: other.url }).end();
    });
    const source = await httpSource(server.url, { ...PATIENT, headers: { authorization: 'Bearer secret' } });
    expect(wrongAt(await read(source, 9 * MiB, 10), 9 * MiB)).toBe(-1);
    expect(server.requests.map(({ headers }) => headers.authorization)).toEqual(['Bearer secret', 'Bearer secret']);
    expect(other.requests.map(({ headers }) => headers.authorization)).toEqual([undefined, undefined]);
    await source.close?.();
  });

  test('gets no warning of a leak in its readers when one signal governs many reads', async () => {
    const warnings: string[] = [];
    const onWarning = ({ name }: Error) => void warnings.push(name);
    process.on('warning', onWarning);
    const server = await rangeServer((request) => serveRange(request, SIZE));
    const { signal } = new AbortController();
    const source = await httpSource(server.url, { signal });
    await Promise.all(
      Array.from({ length: 40 }, (_, index) => read(source, index * MiB, index % 2 === 0 ? 4096 : MiB, signal)),
    );
    await source.close?.();
    await turn();
    process.off('warning', onWarning);
    expect(warnings).toEqual([]);
  });

  test('is told when a reader gives up, or closes in the midst of a sequence', async () => {
    const server = await rangeServer((request) => (request.from === 40 * MiB ? undefined : serveRange(request, SIZE)));
    const source = await httpSource(server.url, PATIENT);
    for (let offset = 0; offset < 4 * MiB; offset += MiB) await read(source, offset, MiB);
    const controller = new AbortController();
    const reading = rejection(read(source, 40 * MiB, 10, controller.signal));
    await turn();
    controller.abort('enough');
    expect(await reading).toBe('enough');
    await source.close?.();
    await expect.poll(() => server.unfinished).toBe(0);
  });
});

describe('a bad server', () => {
  const body = Buffer.from(sourceBytes(0, 512 * KiB));
  const part = ({ from, to }: RangeRequest): string => `bytes ${from}-${to - 1}/${SIZE}`;
  const cases: [string, (request: RangeRequest) => void | Promise<void>, string, string | RegExp][] = [
    [
      '404',
      ({ response }) => void response.writeHead(404).end('gone'),
      'read-failed',
      'there is no such file on the server (HTTP status 404)',
    ],
    [
      '403',
      ({ response }) => void response.writeHead(403).end('no'),
      'read-failed',
      'the server does not permit access (HTTP status 403)',
    ],
    [
      'a web page',
      ({ response }) => void response.writeHead(200, { 'content-type': 'text/html' }).end('<!doctype html><p>Sign in'),
      'read-failed',
      'the server sends a web page, not a disk image; is this the address of the file itself?',
    ],
    [
      'no ranges',
      ({ response }) => void response.writeHead(200, { 'content-length': body.length }).end(body),
      'read-failed',
      'the server sends whole files only (it knows no range requests); download the file and open it from there',
    ],
    [
      'a redirect to itself',
      ({ response }) => void response.writeHead(302, { location: '/disk.vhdx' }).end(),
      'read-failed',
      'the address redirects without end',
    ],
    [
      'a body that ends before its Content-Length',
      (request) => {
        request.response.writeHead(206, {
          'content-range': part(request),
          'content-length': request.to - request.from,
        });
        request.response.write(body.subarray(0, 100_000), () => request.response.destroy());
      },
      'read-failed',
      'the connection broke',
    ],
    [
      'a body without Content-Length that is too short',
      (request) => void request.response.writeHead(206, { 'content-range': part(request) }).end(body.subarray(0, 1000)),
      'short-read',
      // The second of two attempts brought 1000 bytes of what the first had left over.
      'the server sent 522288 bytes less than it announced',
    ],
    [
      'a body without Content-Length that is too long',
      (request) =>
        void request.response.writeHead(206, { 'content-range': part(request) }).end(Buffer.concat([body, body])),
      'read-failed',
      'the server sent more bytes than it announced',
    ],
    [
      'no Content-Range',
      ({ response }) => void response.writeHead(206, { 'content-length': body.length }).end(body),
      'read-failed',
      'the server does not say which part of the file it sends (Content-Range is missing)',
    ],
    [
      'another part than was asked for',
      ({ response }) => void response.writeHead(206, { 'content-range': `bytes 10-524297/${SIZE}` }).end(body),
      'read-failed',
      `the server sends another part than bytes 0-524287 (Content-Range: bytes 10-524297/${SIZE})`,
    ],
    [
      'a compressed part',
      (request) =>
        void request.response
          .writeHead(206, { 'content-range': part(request), 'content-encoding': 'gzip' })
          .end(gzipSync(body)),
      'read-failed',
      'the server compresses what it sends (Content-Encoding: gzip), so offsets mean nothing',
    ],
    ['silence instead of an answer', () => {}, 'read-failed', 'the server has not sent anything for 0.3 seconds'],
    [
      'silence in the midst of the body',
      (request) => {
        request.response
          .writeHead(206, { 'content-range': part(request), 'content-length': request.to - request.from })
          .write(body.subarray(0, 1000));
      },
      'read-failed',
      'the server has not sent anything for 0.3 seconds',
    ],
    [
      'a failure that stays',
      ({ response }) => void response.writeHead(500).end(),
      'read-failed',
      'the server failed (HTTP status 500)',
    ],
    [
      'a broken connection',
      ({ response }) => void response.destroy(),
      'read-failed',
      /the server could not be reached( \(\w+\))?$/,
    ],
  ];

  test.each(cases)('that answers with %s', async (_name, answer, code, message) => {
    const server = await rangeServer(answer);
    const error = await rejection(httpSource(server.url, { ...QUICK, retries: 1 }));
    expect(error).toMatchObject({ name: 'VhdxError', code });
    const [address, sentence] = (error as Error).message.split(/(?<=\.vhdx): /);
    expect(address).toBe(server.url);
    expect(sentence).toEqual(typeof message === 'string' ? message : expect.stringMatching(message));
  });

  test('that is not there any more', async () => {
    const gone = createServer().listen(0, '127.0.0.1');
    await once(gone, 'listening');
    const url = `http://127.0.0.1:${(gone.address() as AddressInfo).port}/disk.vhdx`;
    await new Promise((resolve) => gone.close(resolve));
    expect(await rejection(httpSource(url, { ...QUICK, retries: 1 }))).toMatchObject({
      code: 'read-failed',
      // Engines call it by names of their own.
      message: expect.stringMatching(/:\d+\/disk\.vhdx: the server could not be reached( \(\w+\))?$/),
    });
  });

  test('that fails twice, then asks for patience, then works', async () => {
    const server = await rangeServer((request) => {
      if (request.index < 2) request.response.writeHead(500).end();
      else if (request.index === 2) request.response.writeHead(429, { 'retry-after': '1' }).end();
      else return serveRange(request, SIZE);
      return undefined;
    });
    const begun = performance.now();
    const source = await httpSource(server.url, QUICK);
    expect(performance.now() - begun).toBeGreaterThanOrEqual(950);
    expect(server.requests.length).toBe(4);
    await source.close?.();
  });

  test('whose connections break again and again', async () => {
    const server = await rangeServer(async (request) => {
      if (request.index % 2 === 1) {
        // A little comes through.
        request.response.writeHead(206, {
          'content-range': `bytes ${request.from}-${Math.min(request.to, SIZE) - 1}/${SIZE}`,
          etag: '"one"',
        });
        request.response.write(sourceBytes(request.from, 50_000), () => request.response.destroy());
        return;
      }
      await serveRange(request, SIZE);
    });
    const source = await httpSource(server.url, QUICK);
    for (let offset = 20 * MiB; offset < 30 * MiB; offset += MiB) {
      expect(wrongAt(await read(source, offset, MiB), offset)).toBe(-1);
    }
    await source.close?.();
  });

  test('where another file takes the place of this one half way', async () => {
    let etag = '"one"';
    const server = await rangeServer((request) => serveRange(request, SIZE, { etag }));
    const source = await httpSource(server.url, QUICK);
    await read(source, 5 * MiB, 10);
    etag = '"two"';
    expect(await rejection(read(source, 20 * MiB, 10))).toMatchObject({
      code: 'source-changed',
      message: `${server.url}: the file on the server was changed while in use (its ETag was "one" and is "two" now); open it again`,
    });
    await source.close?.();
  });
});

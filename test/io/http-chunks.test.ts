// Bytes of a server in chunks, as they arrive: what a stream and a checksum take.
import { describe, expect, onTestFinished, test } from 'vitest';
import { type HttpOptions, httpSource } from '../../src/io/http/source.js';
import type { ArrivingSource } from '../../src/io/sequential-reads.js';
import { type Answer, FakeServer } from '../support/fake-server.js';
import { rejection, wrongAt } from '../support/scripted-source.js';

const KiB = 1024;
const MiB = 1024 * KiB;
const OPENING = 512 * KiB;
const SIZE = 40 * MiB;

/** Opens what a server has, with pauses that no spec has to wait for, and forgets what opening asked for. */
async function opened(server: FakeServer, options: HttpOptions = {}): Promise<ArrivingSource> {
  onTestFinished(() => expect(server.open).toBe(0));
  const source: ArrivingSource = await httpSource('https://images.example/disk', {
    fetch: server.fetch as typeof fetch,
    retryDelay: 1,
    timeout: 5_000,
    ...options,
  });
  onTestFinished(async () => source.close?.());
  server.requests.length = 0;
  return source;
}

/** Takes all chunks, and wants them to be the right ones. Returns how many bytes they have. */
async function takeAll(
  source: ArrivingSource,
  offset: number,
  length: number,
  { signal, each }: { signal?: AbortSignal; each?: (taken: number) => unknown } = {},
): Promise<number> {
  let at = offset;
  for await (const chunk of source.arriving?.(offset, length, signal) ?? []) {
    expect(chunk.length).toBeGreaterThan(0);
    expect(chunk.length).toBeLessThanOrEqual(MiB);
    expect(wrongAt(chunk, at)).toBe(-1);
    at += chunk.length;
    await each?.(at - offset);
  }
  return at - offset;
}

describe('chunks of a file on a server', () => {
  test.each([
    [0, SIZE],
    [1, 1],
    [MiB + 5, 3 * MiB + 7],
    [SIZE - 10, 10],
    [OPENING, 16 * KiB],
  ])('from %d on, %d bytes, come with one request', async (offset, length) => {
    const server = new FakeServer(SIZE);
    const source = await opened(server);
    expect(await takeAll(source, offset, length)).toBe(length);
    expect(server.ranges).toEqual([[offset, length]]);
  });

  test('have no more than 1 MiB each, whatever the server sends', async () => {
    const server = new FakeServer(SIZE);
    const source = await opened(server);
    server.plan.push({
      instead: ({ from, to }) =>
        new Response(new Uint8Array(to - from).fill(7), {
          status: 206,
          headers: { 'content-range': `bytes ${from}-${to - 1}/${SIZE}`, etag: '"one"' },
        }),
    });
    const lengths = [];
    for await (const chunk of source.arriving?.(0, 5 * MiB + 1, undefined) ?? []) lengths.push(chunk.length);
    expect(Math.max(...lengths)).toBeLessThanOrEqual(MiB);
    expect(lengths.reduce((sum, length) => sum + length, 0)).toBe(5 * MiB + 1);
  });

  test.each<readonly [string, Answer]>([
    ['breaks', { after: { bytes: 100 * KiB, event: 'break' } }],
    ['ends early', { after: { bytes: 100 * KiB, event: 'end' } }],
    ['sends less than was asked for', { limit: 100 * KiB }],
  ])('go on where they were when the connection %s', async (_what, answer) => {
    const server = new FakeServer(SIZE);
    const source = await opened(server);
    server.plan.push(answer, answer);
    expect(await takeAll(source, MiB, MiB)).toBe(MiB);
    expect(server.ranges).toEqual([
      [MiB, MiB],
      [MiB + 100 * KiB, MiB - 100 * KiB],
      [MiB + 200 * KiB, MiB - 200 * KiB],
    ]);
  });

  test('are all there although the connection breaks after the last', async () => {
    const server = new FakeServer(SIZE);
    const source = await opened(server);
    server.plan.push({ after: { bytes: 64 * KiB, event: 'break' } });
    expect(await takeAll(source, 0, 64 * KiB)).toBe(64 * KiB);
    expect(server.ranges).toEqual([[0, 64 * KiB]]);
  });

  test('go on when the server has fallen silent', async () => {
    const server = new FakeServer(SIZE);
    const source = await opened(server, { timeout: 500 });
    server.plan.push({ after: { bytes: 32 * KiB, event: 'stall' } });
    expect(await takeAll(source, 0, MiB)).toBe(MiB);
    expect(server.ranges).toEqual([
      [0, MiB],
      [32 * KiB, MiB - 32 * KiB],
    ]);
  });

  test('wait for a reader that is slow, and do not blame the server', async () => {
    const server = new FakeServer(SIZE);
    const source = await opened(server, { timeout: 500, minimumSpeed: 1e5 });
    const each = async (taken: number) => {
      if (taken % (512 * KiB) === 0) await new Promise((resolve) => setTimeout(resolve, 700));
    };
    expect(await takeAll(source, 0, MiB, { each })).toBe(MiB);
    expect(server.ranges).toEqual([[0, MiB]]);
  });

  test('of a server that sends too little are an error', async () => {
    const server = new FakeServer(SIZE);
    const source = await opened(server, { timeout: 60, minimumSpeed: 1e9, retries: 2 });
    server.plan.push({ pause: 20 }, { pause: 20 }, { pause: 20 }, { pause: 20 }, { pause: 20 });
    expect(await rejection(takeAll(source, 0, 8 * MiB))).toMatchObject({
      code: 'read-failed',
      message: expect.stringContaining('sent only'),
    });
  });

  test('more than announced are an error', async () => {
    const server = new FakeServer(SIZE);
    const source = await opened(server);
    server.plan.push({ excess: 5 });
    expect(await rejection(takeAll(source, 0, 64 * KiB))).toMatchObject({
      code: 'read-failed',
      message: expect.stringContaining('more bytes than it announced'),
    });
  });

  test('that never come are an error after as many requests as it was told', async () => {
    const server = new FakeServer(SIZE);
    const source = await opened(server, { retries: 2 });
    const nothing: Answer = { after: { bytes: 0, event: 'break' } };
    server.plan.push(nothing, nothing, nothing, nothing);
    expect(await rejection(takeAll(source, 0, MiB))).toMatchObject({ code: 'read-failed' });
    expect(server.requests).toHaveLength(3);
  });

  test('that come in parts too small are an error', async () => {
    const server = new FakeServer(SIZE);
    const source = await opened(server);
    for (let i = 0; i < 100; i++) server.plan.push({ limit: 10 });
    expect(await rejection(takeAll(source, 0, MiB))).toMatchObject({ message: expect.stringContaining('too little') });
  });

  test('of a file that has changed are an error', async () => {
    const server = new FakeServer(SIZE);
    const source = await opened(server);
    server.plan.push({ after: { bytes: 100 * KiB, event: 'break' } });
    const each = () => {
      server.etag = '"two"';
    };
    expect(await rejection(takeAll(source, 0, MiB, { each }))).toMatchObject({ code: 'source-changed' });
  });

  test.each(['arriving', 'stalled'] as const)('end when they are aborted while %s', async (state) => {
    const server = new FakeServer(SIZE);
    const source = await opened(server);
    if (state === 'stalled') server.plan.push({ after: { bytes: 64 * KiB, event: 'stall' } });
    const controller = new AbortController();
    const abort = () => controller.abort(new Error('enough'));
    if (state === 'stalled') setTimeout(abort, 50);
    const each = state === 'arriving' ? abort : () => undefined;
    expect(await rejection(takeAll(source, 0, SIZE, { signal: controller.signal, each }))).toMatchObject({
      message: 'enough',
    });
    expect(server.requests).toHaveLength(1);
  });

  test('that are left are asked for no more', async () => {
    const server = new FakeServer(SIZE);
    const source = await opened(server);
    for await (const chunk of source.arriving?.(0, SIZE, undefined) ?? []) {
      expect(chunk.length).toBeGreaterThan(0);
      break;
    }
    expect(server.open).toBe(0);
    expect(server.served).toBeLessThan(2 * MiB);
  });

  test('of a source that was closed are an error', async () => {
    const server = new FakeServer(SIZE);
    const source = await opened(server);
    await source.close?.();
    expect(await rejection(takeAll(source, 0, MiB))).toMatchObject({ code: 'closed' });
  });
});

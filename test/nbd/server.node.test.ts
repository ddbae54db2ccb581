// What a client of the protocol gets, right or wrong, from a client of this project's specs.
import { once } from 'node:events';
import { readdir, truncate, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { describe, expect, onTestFinished, test } from 'vitest';
import {
  createVhdx,
  editVhdx,
  memoryFile,
  openVhdx,
  type RandomAccessSource,
  type WritableVhdxDisk,
} from '../../src/index.js';
import { type NbdExport, type NbdServerOptions, serveNbd } from '../../src/nbd/index.js';
import { pattern } from '../support/block-content.js';
import { buildImage } from '../support/build-image.js';
import { modelOf } from '../support/disk-model.js';
import { MiB } from '../support/encode-primitives.js';
import { contextData, infoData, NbdClient, optionBytes, requestBytes } from '../support/nbd-client.js';
import { expectSameBytes } from '../support/same-bytes.js';
import { saveFile } from '../support/save-image.js';
import { sourceBytes } from '../support/scripted-source.js';
import { tempDir } from '../support/tools.js';

const [READ, WRITE, DISCONNECT, FLUSH, TRIM, CACHE, WRITE_ZEROES, BLOCK_STATUS] = [0, 1, 2, 3, 4, 5, 6, 7];
const [FUA, NO_HOLE, DF, REQ_ONE, FAST_ZERO] = [1, 2, 4, 8, 16];
const [EPERM, EIO, EINVAL, ENOSPC, EOVERFLOW, ENOTSUP] = [1, 5, 22, 28, 75, 95];
const [EXPORT_NAME, ABORT, LIST, STARTTLS, INFO, GO, STRUCTURED, LIST_META, SET_META] = [1, 2, 3, 5, 6, 7, 8, 9, 10];
const [ACK, SERVER, INFORMATION, META] = [1, 2, 3, 4];
const [UNSUPPORTED, INVALID, UNKNOWN, TOO_BIG] = [0x80000001, 0x80000003, 0x80000006, 0x80000009];

/** Serves disks on a free port, and collects what the server says of its connections. */
async function serve(disks: RandomAccessSource | readonly NbdExport[], options: NbdServerOptions = {}) {
  const problems: string[] = [];
  const server = await serveNbd(disks, { port: 0, onProblem: (problem) => problems.push(problem), ...options });
  onTestFinished(() => server.close());
  return { server, problems, connect: (flags?: number) => NbdClient.connect({ port: server.port as number }, flags) };
}

/** A dynamic disk of 16 MiB in memory that is written, with data in its second MiB and zeros everywhere else. */
async function writableDisk(): Promise<WritableVhdxDisk> {
  const file = memoryFile();
  await createVhdx(file, { size: 16 * MiB, blockSize: MiB });
  const disk = await editVhdx(file);
  onTestFinished(() => disk.close());
  await disk.write(sourceBytes(0, MiB), MiB);
  return disk;
}

const types = (replies: readonly { type: number }[]) => replies.map(({ type }) => type);

describe('the negotiation', () => {
  test('lists exports, describes them, and agrees on one', async () => {
    const disk = await writableDisk();
    const exports = [
      { name: 'first', disk, description: 'the first one' },
      { name: 'zwei/ü', disk, readOnly: true },
    ];
    const { connect } = await serve(exports);
    const client = await connect();
    const list = await client.option(LIST);
    expect(types(list)).toEqual([SERVER, SERVER, ACK]);
    expect(list[0]?.data.toString()).toBe('\0\0\0\u0005firstthe first one');
    expect(list[1]?.data.subarray(4).toString()).toBe('zwei/ü');

    const info = await client.option(INFO, infoData('', 1, 2));
    expect(types(info)).toEqual([INFORMATION, INFORMATION, INFORMATION, INFORMATION, ACK]);
    const [size, name, description, blocks] = info.map(({ data }) => data);
    expect([size?.readUInt16BE(0), size?.readBigUInt64BE(2)]).toEqual([0, BigInt(16 * MiB)]);
    // HAS_FLAGS, FLUSH, FUA, TRIM, WRITE_ZEROES, MULTI_CONN, CACHE, FAST_ZERO, and not READ_ONLY; DF goes with structured replies
    expect(size?.readUInt16BE(10)).toBe(0b1101_0110_1101);
    expect(name?.subarray(2).toString()).toBe('first');
    expect(description?.subarray(2).toString()).toBe('the first one');
    expect([2, 6, 10].map((at) => blocks?.readUInt32BE(at))).toEqual([1, 4096, 32 * MiB]);

    expect(types(await client.option(STRUCTURED))).toEqual([ACK]);
    const [second] = await client.option(GO, infoData('zwei/ü'));
    expect(second?.data.readUInt16BE(10)).toBe(0b0101_1000_0011); // HAS_FLAGS, READ_ONLY, DF, MULTI_CONN, CACHE
    expect(await client.ask(WRITE, { length: 1 }, Buffer.alloc(1))).toMatchObject({ error: EPERM });
  });

  test('knows the oldest way to choose an export', async () => {
    const { connect, problems } = await serve(await writableDisk());
    for (const [flags, length] of [
      [1, 134],
      [3, 10],
    ] as const) {
      const client = await connect(flags);
      client.send(optionBytes(EXPORT_NAME));
      const answer = await client.take(length);
      expect(answer.readBigUInt64BE(0)).toBe(BigInt(16 * MiB));
      expectSameBytes((await client.ask(READ, { offset: MiB, length: 512 })).data, sourceBytes(0, 512));
    }
    const client = await connect();
    client.send(optionBytes(EXPORT_NAME, Buffer.from('nothing')));
    expect(await client.ended()).toHaveLength(0);
    expect(problems).toEqual([expect.stringContaining('no export is called "nothing"')]);
  });

  test('answers what it does not know or cannot do, and goes on', async () => {
    const { connect } = await serve(await writableDisk());
    const client = await connect();
    expect(types(await client.option(4711))).toEqual([UNSUPPORTED]);
    expect(types(await client.option(11))).toEqual([UNSUPPORTED]); // extended headers
    expect(types(await client.option(STARTTLS))).toEqual([UNSUPPORTED]);
    expect(types(await client.option(GO, infoData('nothing')))).toEqual([UNKNOWN]);
    expect(types(await client.option(GO, infoData('').subarray(0, 5)))).toEqual([INVALID]);
    expect(types(await client.option(INFO, Buffer.concat([infoData(''), Buffer.alloc(1)])))).toEqual([INVALID]);
    expect(types(await client.option(LIST, Buffer.alloc(1)))).toEqual([INVALID]);
    expect(types(await client.option(STRUCTURED, Buffer.alloc(1)))).toEqual([INVALID]);
    expect(types(await client.option(SET_META, contextData('', 'base:allocation')))).toEqual([INVALID]); // not structured
    expect(types(await client.option(LIST, Buffer.alloc(100_000)))).toEqual([TOO_BIG]);
    const countless = contextData('', 'base:');
    countless.writeUInt32BE(0xffff_ffff, 4);
    expect(types(await client.option(LIST_META, countless))).toEqual([INVALID]);
    expect(types(await client.option(LIST_META, contextData('', 'base:')))).toEqual([META, ACK]);
    expect(types(await client.option(LIST_META, contextData('')))).toEqual([META, ACK]);
    expect(types(await client.option(LIST_META, contextData('', 'qemu:')))).toEqual([ACK]);
    expect(types(await client.option(ABORT))).toEqual([ACK]);
    expect(await client.ended()).toHaveLength(0);
  });

  test('of contexts is for the export that is chosen, and the last choice counts', async () => {
    const disk = await writableDisk();
    const { connect } = await serve([
      { name: 'a', disk },
      { name: 'b', disk },
    ]);
    for (const [choices, error] of [
      [['a'], 0],
      [['b'], EINVAL],
      [['b', 'a'], 0],
      [['a', 'b'], EINVAL],
    ] as const) {
      const client = await connect();
      await client.option(STRUCTURED);
      for (const choice of choices) await client.option(SET_META, contextData(choice, 'base:allocation', 'qemu:dirty'));
      await client.option(GO, infoData('a'));
      expect(await client.ask(BLOCK_STATUS, { length: MiB })).toMatchObject({ error });
    }
  });

  test('that is none ends that connection, and says why', async () => {
    const { connect, problems, server } = await serve(await writableDisk());
    const healthy = await connect();
    await healthy.go();
    const flags = await connect(0xff);
    expect(await flags.ended()).toHaveLength(0);
    const noOption = await connect();
    noOption.send(Buffer.from('GET / HTTP/1.1\r\nhost: nbd\r\n\r\n'));
    expect(await noOption.ended()).toHaveLength(0);
    const noRequest = await connect();
    await noRequest.go();
    noRequest.send(Buffer.alloc(28, 0x41));
    expect(await noRequest.ended()).toHaveLength(0);
    const half = await connect();
    half.socket.end(optionBytes(LIST).subarray(0, 10));
    await half.ended();
    expect(problems.map((problem) => problem.replace(/^127\.0\.0\.1:\d+: /, ''))).toEqual([
      'client flags that are not known',
      'no option where one has to be',
      'no request where one has to be',
    ]);
    expect(await healthy.ask(READ, { length: 4 })).toMatchObject({ error: 0 });
    expect(server.connections).toBe(1);
  });
});

describe('reading', () => {
  test('gives the bytes, in simple replies and in chunks that leave holes out', async () => {
    const disk = await writableDisk();
    const { connect } = await serve(disk);
    const simple = await connect();
    await simple.go();
    expectSameBytes(
      (await simple.ask(READ, { offset: MiB - 5, length: 100_000 })).data,
      await disk.read(MiB - 5, 100_000),
    );
    expect(await simple.ask(BLOCK_STATUS, { length: MiB })).toMatchObject({ error: EINVAL });

    const client = await connect();
    await client.go('', { structured: true });
    const { chunks, error } = await client.ask(READ, { offset: 0, length: 4 * MiB, cookie: 77n });
    expect({ error, types: types(chunks) }).toEqual({ error: 0, types: [2, 1, 2] });
    const whole = Buffer.alloc(4 * MiB, 0xee);
    for (const { type, payload } of chunks) {
      const at = Number(payload.readBigUInt64BE(0));
      if (type === 1) payload.copy(whole, at, 8);
      else whole.fill(0, at, at + payload.readUInt32BE(8));
    }
    expectSameBytes(whole, await disk.read(0, 4 * MiB));
    const unfragmented = await client.ask(READ, { flags: DF, offset: 0, length: 4 * MiB });
    expect(types(unfragmented.chunks)).toEqual([1]);
    expectSameBytes(unfragmented.data.subarray(8), whole);
    expect(types((await client.ask(READ, { length: 0 })).chunks)).toEqual([0]);
  });

  test('says where data is, from the BAT', async () => {
    const disk = await writableDisk();
    await disk.zero(4 * MiB, MiB);
    const { connect } = await serve(disk);
    const client = await connect();
    await client.go('', { structured: true });
    const status = async (fields: Parameters<typeof requestBytes>[1]) => {
      const { data, chunks } = await client.ask(BLOCK_STATUS, fields);
      expect([types(chunks), data.readUInt32BE(0)]).toEqual([[5], 1]);
      return Array.from({ length: (data.length - 4) / 8 }, (_, i) => [
        data.readUInt32BE(4 + 8 * i),
        data.readUInt32BE(8 + 8 * i),
      ]);
    };
    expect(await status({ length: 16 * MiB })).toEqual([
      [MiB, 3],
      [MiB, 0],
      [14 * MiB, 3],
    ]);
    expect(await status({ offset: MiB + 7, length: 8 * MiB, flags: REQ_ONE })).toEqual([[MiB - 7, 0]]);
    expect(await client.ask(BLOCK_STATUS, { length: 0 })).toMatchObject({ error: EINVAL });
    expect(await client.ask(CACHE, { length: 16 * MiB })).toMatchObject({ error: 0 });
  });

  test('of a damaged block is EIO with its place and its rule, and of all others as ever', async () => {
    const blocks = { 0: { state: 6, data: pattern(0) }, 1: { state: 4 }, 2: { state: 6, data: pattern(2) } };
    const disk = await openVhdx(buildImage({ virtualSize: 4 * MiB, blockSize: MiB, blocks }).source());
    const { connect } = await serve(disk);
    const client = await connect();
    await client.go('', { structured: true });
    const bad = await client.ask(READ, { offset: MiB - 512, length: 1024 });
    expect(bad.error).toBe(EIO);
    const { payload, type } = bad.chunks.at(-1) ?? { payload: Buffer.alloc(0), type: 0 };
    expect(type).toBe(32770);
    expect(payload.subarray(6, -8).toString()).toContain('BAT entry 1: payload block 1 has a reserved state');
    expect(Number(payload.readBigUInt64BE(payload.length - 8))).toBe(MiB - 512);
    // Of a longer read, what is before the damaged block is there, and the error says where that begins.
    const long = await client.ask(READ, { offset: 0, length: 3 * MiB });
    expect(types(long.chunks)).toEqual([1, 32770]);
    expectSameBytes(long.chunks[0]?.payload.subarray(8) ?? Buffer.alloc(0), await disk.read(0, MiB));
    expect(Number(long.chunks[1]?.payload.readBigUInt64BE(long.chunks[1].payload.length - 8))).toBe(MiB);
    const good = await client.ask(READ, { offset: 2 * MiB, length: 1000 });
    expectSameBytes(good.data.subarray(8), await disk.read(2 * MiB, 1000));
    const simple = await connect();
    await simple.go();
    expect(await simple.ask(READ, { offset: MiB, length: 1 })).toMatchObject({ error: EIO });
    expectSameBytes((await simple.ask(READ, { length: 512 })).data, await disk.read(0, 512));
  });

  test.each([
    ['a read past the end', READ, { offset: 16 * MiB - 1, length: 2 }, EINVAL],
    ['a read far past the end', READ, { offset: 2 ** 62, length: 1 }, EINVAL],
    ['a read that is too long', READ, { length: 32 * MiB + 1, offset: 0 }, EINVAL],
    ['a write past the end', WRITE, { offset: 16 * MiB - 1, length: 2 }, ENOSPC],
    ['a write that is too long', WRITE, { length: 32 * MiB + 1 }, EOVERFLOW],
    ['zeros past the end', WRITE_ZEROES, { offset: 16 * MiB, length: 1 }, EINVAL],
    ['a flush of a range that is none', FLUSH, { offset: 17 * MiB }, EINVAL],
    ['an unknown command', 4711, {}, EINVAL],
    ['an unknown flag', READ, { flags: 0x8000, length: 1 }, EINVAL],
  ] as const)('and everything else refuses %s, and goes on', async (_, type, fields, error) => {
    const { connect } = await serve(await writableDisk());
    const client = await connect();
    await client.go();
    const payload = type === WRITE ? Buffer.alloc((fields as { length: number }).length) : undefined;
    expect(await client.ask(type, { cookie: 5n, ...fields }, payload)).toMatchObject({ error, cookie: 5n });
    expect(await client.ask(READ, { cookie: 6n, length: 8 })).toMatchObject({ error: 0, cookie: 6n });
  });
});

describe('writing', () => {
  test('is there at once, for every client, and durable after a flush', async () => {
    const file = memoryFile();
    await createVhdx(file, { size: 16 * MiB, blockSize: MiB });
    const disk = await editVhdx(file);
    const { connect, server } = await serve(disk);
    const [a, b] = [await connect(), await connect()];
    await a.go();
    await b.go('', { structured: true });
    expect(await a.ask(WRITE, { offset: 5 * MiB - 100, length: 1000 }, sourceBytes(0, 1000))).toMatchObject({
      error: 0,
    });
    const { data } = await b.ask(READ, { offset: 5 * MiB - 100, length: 1000 });
    expectSameBytes(data.subarray(8), sourceBytes(0, 1000));
    expect(await b.ask(FLUSH, {})).toMatchObject({ error: 0 });
    expect(await b.ask(WRITE, { flags: FUA, offset: 0, length: 3 }, sourceBytes(9, 3))).toMatchObject({ error: 0 });
    // A copy of the file as it is now is what a power cut leaves: the log makes it right.
    const cut = await openVhdx(await bytesOf(file));
    expectSameBytes(await cut.read(0, 3), sourceBytes(9, 3));
    expectSameBytes(await cut.read(5 * MiB - 100, 1000), sourceBytes(0, 1000));
    await server.close();
    await disk.close();
    const closed = await openVhdx(await bytesOf(file), { strict: true });
    expectSameBytes(await closed.read(5 * MiB - 100, 1000), sourceBytes(0, 1000));
  });

  test('zeros, with and without space, and trims', async () => {
    const disk = await writableDisk();
    const { connect } = await serve(disk);
    const client = await connect();
    await client.go();
    const kinds = async () => {
      const all: string[] = [];
      for await (const { kind, length } of disk.extents()) all.push(`${length / MiB} ${kind}`);
      return all;
    };
    expect(await client.ask(WRITE_ZEROES, { flags: NO_HOLE, offset: 3 * MiB, length: MiB })).toMatchObject({
      error: 0,
    });
    expect(await kinds()).toEqual(['1 zero', '1 data', '1 zero', '1 data', '12 zero']);
    expect(await client.ask(WRITE_ZEROES, { flags: FAST_ZERO, offset: 3 * MiB, length: MiB })).toMatchObject({
      error: 0,
    });
    expect(await client.ask(WRITE_ZEROES, { flags: FAST_ZERO, offset: 5, length: MiB })).toMatchObject({
      error: ENOTSUP,
    });
    const both = { flags: FAST_ZERO | NO_HOLE, offset: MiB, length: MiB };
    expect(await client.ask(WRITE_ZEROES, both)).toMatchObject({ error: ENOTSUP });
    expect(await client.ask(WRITE_ZEROES, { offset: MiB, length: 512, flags: FUA })).toMatchObject({ error: 0 });
    expectSameBytes(await disk.read(MiB, 1024), Buffer.concat([Buffer.alloc(512), sourceBytes(512, 512)]));
    expect(await client.ask(TRIM, { offset: MiB, length: MiB })).toMatchObject({ error: 0 });
    expectSameBytes(await disk.read(0, 4 * MiB), Buffer.alloc(4 * MiB));
    expect((await kinds()).filter((kind) => kind.includes('data'))).toEqual([]);
  });

  test('of a client that goes away in the middle changes nothing of that request', async () => {
    const disk = await writableDisk();
    const before = await disk.read(0, 16 * MiB);
    const { connect } = await serve(disk);
    const client = await connect();
    await client.go();
    client.send(requestBytes(WRITE, { offset: 0, length: 4 * MiB }), Buffer.alloc(3 * MiB, 0xff));
    await setTimeout(50);
    client.socket.resetAndDestroy();
    const other = await connect();
    await other.go();
    expect(await other.ask(FLUSH, {})).toMatchObject({ error: 0 });
    expectSameBytes(await disk.read(0, 16 * MiB), before);
  });

  test('of a disk whose writes fail is an error of that request', async () => {
    const { VhdxError } = await import('../../src/index.js');
    const disk = await writableDisk();
    const failing = {
      size: disk.size,
      readInto: () => Promise.reject(new Error('/a/secret/path')),
      write: () => Promise.reject(new VhdxError('no-space', 'the device is full')),
      zero: () => Promise.reject(new VhdxError('session-failed', 'nothing is written any more')),
      trim: () => Promise.resolve(),
      flush: () => Promise.reject(new VhdxError('session-failed', 'nothing is written any more')),
    };
    const { connect } = await serve(failing);
    const client = await connect();
    await client.go('', { structured: true });
    expect(await client.ask(WRITE, { length: 1 }, Buffer.alloc(1))).toMatchObject({ error: ENOSPC });
    expect(await client.ask(WRITE_ZEROES, { length: 1 })).toMatchObject({ error: EIO });
    expect(await client.ask(FLUSH, {})).toMatchObject({ error: EIO });
    expect(await client.ask(TRIM, { length: 1, flags: FUA })).toMatchObject({ error: EIO });
    const read = await client.ask(READ, { length: 1 });
    expect(read.error).toBe(EIO);
    expect(read.data.toString()).not.toContain('secret');
  });
});

describe('the server', () => {
  /** A disk that counts its reads, and answers them when it is told to. */
  function heldDisk(size: number) {
    const waiting: (() => void)[] = [];
    const counts = { begun: 0 };
    const disk: RandomAccessSource = {
      size,
      readInto: async (target) => {
        counts.begun++;
        target.fill(1);
        await new Promise<void>((resolve) => waiting.push(resolve));
      },
    };
    const release = () => {
      for (const go of waiting.splice(0)) go();
    };
    return { disk, counts, release };
  }

  test('works on no more requests and bytes of a client than it may, and another client does not wait for it', async () => {
    const { disk, counts, release } = heldDisk(64 * MiB);
    const { connect } = await serve([
      { name: 'held', disk },
      { name: 'other', disk: await writableDisk() },
    ]);
    const many = await connect();
    await many.go('held');
    for (let i = 0; i < 200; i++) many.request(READ, { cookie: BigInt(i), length: 512 });
    const large = await connect();
    await large.go('held');
    for (let i = 0; i < 200; i++) large.request(READ, { cookie: BigInt(i), length: 8 * MiB });
    const other = await connect();
    await other.go('other');
    for (let i = 0; i < 20; i++)
      expect(await other.ask(READ, { offset: MiB, length: 512 })).toMatchObject({ error: 0 });
    await setTimeout(100);
    expect(counts.begun).toBe(64 + 1);
    large.socket.destroy();
    const releasing = setInterval(release, 1);
    const cookies = new Set<bigint>();
    for (let i = 0; i < 200; i++) cookies.add((await many.reply(512)).cookie);
    clearInterval(releasing);
    expect(cookies.size).toBe(200);
  });

  test('keeps little for a client that does not take its replies', async () => {
    let read = 0;
    const readInto = async (target: Uint8Array) => {
      read += target.length;
    };
    const source: RandomAccessSource = { size: 4096 * MiB, readInto };
    const { connect } = await serve(source);
    const client = await connect();
    await client.go();
    client.socket.pause();
    for (let i = 0; i < 400; i++) client.request(READ, { offset: i * MiB, length: MiB });
    await setTimeout(300);
    const kept = read;
    expect(kept).toBeLessThan(32 * MiB); // 4 MiB of its own, and what the system's buffers hold
    client.socket.resume();
    for (let i = 0; i < 400; i++) await client.reply(MiB);
    expect(read).toBe(400 * MiB);
  });

  test('finishes what was begun when it is closed, and takes nothing more', async () => {
    const { disk, counts, release } = heldDisk(MiB);
    const { connect, server } = await serve(disk);
    const { port } = server;
    const client = await connect();
    await client.go();
    client.request(READ, { cookie: 42n, length: 512 });
    const idle = await connect();
    while (counts.begun === 0) await setTimeout(5);
    const closing = server.close();
    expect(server.close()).toBe(closing);
    expect(await idle.ended()).toHaveLength(0);
    release();
    expect(await client.reply(512)).toMatchObject({ cookie: 42n, error: 0 });
    await client.ended();
    await closing;
    expect(server.connections).toBe(0);
    await expect(NbdClient.connect({ port: port as number })).rejects.toMatchObject({ code: 'ECONNREFUSED' });
  });

  test('ends a client that says goodbye when its requests are answered', async () => {
    const { disk, counts, release } = heldDisk(MiB);
    const { connect, problems } = await serve(disk);
    const client = await connect();
    await client.go();
    client.request(READ, { cookie: 1n, length: 512 });
    client.request(DISCONNECT, {});
    while (counts.begun === 0) await setTimeout(5);
    release();
    expect(await client.reply(512)).toMatchObject({ error: 0 });
    await client.ended();
    expect(problems).toEqual([]);
  });

  test('has a Unix socket, in the place of one that is dead, and not of anything else', async () => {
    const folder = await tempDir();
    const path = join(folder, 'nbd.sock');
    const dead = createServer().listen(path);
    await once(dead, 'listening');
    const { server } = await serve(await writableDisk(), { socket: join(folder, 'other.sock') });
    expect(server.uri()).toBe(`nbd+unix:///?socket=${encodeURIComponent(join(folder, 'other.sock'))}`);
    expect(server.port).toBeUndefined();
    const client = await NbdClient.connect({ path: join(folder, 'other.sock') });
    await client.go();
    await expect(serve(await writableDisk(), { socket: path })).rejects.toMatchObject({ code: 'EADDRINUSE' });
    await server.close();
    expect(await readdir(folder)).toEqual(['nbd.sock']);
    await writeFile(join(folder, 'file'), 'not a socket');
    await expect(serve(await writableDisk(), { socket: join(folder, 'file') })).rejects.toMatchObject({
      code: 'EADDRINUSE',
    });
    dead.close();
  });

  test('refuses a port in use, exports of one name, none, and odd options', async () => {
    const disk = await writableDisk();
    const { server } = await serve(disk);
    expect(server.uri()).toBe(`nbd://127.0.0.1:${server.port}/`);
    await expect(serve(disk, { port: server.port })).rejects.toMatchObject({ code: 'EADDRINUSE' });
    const twice = [
      { name: 'a', disk },
      { name: 'a', disk },
    ];
    await expect(serve(twice)).rejects.toThrow(new RangeError('two exports have the same name'));
    await expect(serve([])).rejects.toThrow(new RangeError('there is no disk to serve'));
    for (const maxConnections of [0, 1.5, Number.NaN])
      await expect(serve(disk, { maxConnections })).rejects.toThrow(RangeError);
    await expect(serve(disk, { port: 70_000 })).rejects.toThrow(RangeError);
  });

  test('goes on when the file of a disk is cut under it: what is gone is EIO, what is there is read', async () => {
    const path = join(await tempDir(), 'disk.vhdx');
    const image = buildImage({
      virtualSize: 64 * MiB,
      blocks: { 0: { state: 6, data: pattern(0) }, 20: { state: 6, data: pattern(1) } },
    });
    await saveFile(image, path);
    const disk = await openVhdx(path);
    onTestFinished(() => disk.close());
    const { connect } = await serve(disk);
    const client = await connect();
    await client.go();
    const at = 20 * (image.spec.blockSize ?? MiB);
    expect(await client.ask(READ, { offset: at, length: 4096 })).toMatchObject({ error: 0 });
    await truncate(path, image.size - MiB);
    expect(await client.ask(READ, { offset: at, length: MiB })).toMatchObject({ error: EIO });
    expectSameBytes((await client.ask(READ, { length: 4096 })).data, modelOf(image).expected(0, 4096));
  });

  test('takes no more clients than it may', async () => {
    const { connect } = await serve(await writableDisk(), { maxConnections: 2 });
    const [a] = [await connect(), await connect()];
    await expect(connect()).rejects.toThrow();
    a?.socket.destroy();
    await a?.ended();
    await setTimeout(50);
    await (await connect()).go();
  });
});

/** What a file in memory holds. */
async function bytesOf(file: RandomAccessSource): Promise<Uint8Array> {
  const bytes = new Uint8Array(file.size);
  await file.readInto(bytes, 0);
  return bytes;
}

import { describe, expect, test } from 'vitest';
import { checkVhdx, openVhdx } from '../../src/index.js';
import { arrivingChain, expectArriving } from '../support/arriving-chain.js';
import { contentBytes, pattern } from '../support/block-content.js';
import { buildImage } from '../support/build-image.js';
import { chainOf } from '../support/chain-files.js';
import { dirtied, structureSectors } from '../support/dirty-images.js';
import { STATE } from '../support/image-spec.js';
import { rangeServer, serveRange } from '../support/range-server.js';
import { rejection } from '../support/scripted-source.js';

const MiB = 1024 * 1024;
const TiB = MiB * MiB;

describe('an image on a server', () => {
  test('of 64 TiB opens with at most 6 requests, and reads anywhere', async () => {
    const far = 64 * MiB - 5;
    const image = buildImage({
      virtualSize: 64 * TiB,
      blockSize: MiB,
      blocks: { [far]: { state: STATE.fullyPresent, data: pattern(3) } },
    });
    const server = await rangeServer((request) => serveRange(request, image));
    const disk = await openVhdx(server.url);
    expect(disk.size).toBe(64 * TiB);
    expect(server.requests.length).toBeLessThanOrEqual(6);
    expect(await disk.read(far * MiB + 512, 4096)).toEqual(contentBytes(pattern(3), 512, 4096));
    expect(await disk.read(0, 4096)).toEqual(new Uint8Array(4096));
    expect(server.requests.length).toBeLessThanOrEqual(9);
    await disk.close();
  });

  test('that was not closed cleanly opens with at most 6 requests', async () => {
    const clean = buildImage({ virtualSize: 64 * TiB, blockSize: MiB, blocks: {} });
    const dirty = dirtied(clean, structureSectors(clean).slice(0, 4));
    const server = await rangeServer((request) => serveRange(request, dirty));
    const disk = await openVhdx(server.url);
    expect(disk.findings).toContainEqual(expect.objectContaining({ code: 'log-replayed' }));
    expect(server.requests.length).toBeLessThanOrEqual(6);
    await disk.close();
  });

  test('is streamed through few requests', async () => {
    const blocks = Object.fromEntries(
      Array.from({ length: 32 }, (_, block) => [block, { state: STATE.fullyPresent, data: pattern(block) }]),
    );
    const image = buildImage({ virtualSize: 64 * MiB, blockSize: 2 * MiB, blocks });
    const server = await rangeServer((request) => serveRange(request, image));
    const disk = await openVhdx(server.url);
    const whole = new Uint8Array(64 * MiB);
    let offset = 0;
    for await (const chunk of disk.stream()) {
      whole.set(chunk, offset);
      offset += chunk.length;
    }
    expect(offset).toBe(64 * MiB);
    for (let block = 0; block < 32; block++) {
      const part = whole.subarray(block * 2 * MiB, (block + 1) * 2 * MiB);
      expect(Buffer.compare(part, contentBytes(pattern(block), 0, 2 * MiB))).toBe(0);
    }
    expect(server.requests.length).toBeLessThanOrEqual(20);
    await disk.close();
  });

  test('is streamed and summed as its bytes arrive, with all that lies between them, and its parent too', async () => {
    const { files, expected } = arrivingChain();
    const servers = await Promise.all(files.map((image) => rangeServer((request) => serveRange(request, image))));
    const [url, parent] = servers.map((server) => server.url) as [string, string];
    const disk = await openVhdx(url, { parent });
    expect(await expectArriving(disk, expected)).toBeLessThanOrEqual(MiB);
    const reader = disk.stream().getReader();
    await reader.read();
    await reader.cancel();
    for (const server of servers) await expect.poll(() => server.unfinished).toBe(0);
    await disk.close();
  });

  test('that a parent cannot deliver is told with the parent’s name', async () => {
    const blocks = { 0: { state: STATE.fullyPresent, data: pattern(1) } };
    const spec = { virtualSize: 8 * MiB, blockSize: 8 * MiB };
    const [child, base] = chainOf({ ...spec, blocks }, { ...spec, blocks: {} }).files;
    let isGone = false;
    const server = await rangeServer((request) => serveRange(request, child));
    const other = await rangeServer((request) => {
      if (isGone) request.response.writeHead(404).end();
      else return serveRange(request, base as typeof child);
    });
    const disk = await openVhdx(server.url, { parent: other.url });
    isGone = true;
    const reads = [disk.checksum(), new Response(disk.stream()).arrayBuffer()];
    for (const error of await Promise.all(reads.map(rejection))) {
      expect(error).toMatchObject({ code: 'read-failed', depth: 1, message: expect.stringContaining(other.url) });
    }
    await disk.close();
  });

  test('that changes while it is open is never read as a mixture', async () => {
    const image = buildImage({ virtualSize: 64 * MiB });
    let etag = '"one"';
    const server = await rangeServer((request) => serveRange(request, image, { etag }));
    const disk = await openVhdx(server.url);
    etag = '"two"';
    expect(await rejection(disk.checksum())).toMatchObject({ code: 'source-changed' });
    await disk.close();
  });

  test('can be checked', async () => {
    const image = buildImage({ virtualSize: 64 * MiB });
    const server = await rangeServer((request) => serveRange(request, image));
    expect(await checkVhdx(server.url)).toMatchObject({ status: 'sound' });
    await expect.poll(() => server.unfinished).toBe(0);
  });

  test('that is not there is one clear error', async () => {
    const server = await rangeServer(({ response }) => {
      response.writeHead(404).end();
    });
    expect(await rejection(openVhdx(server.url))).toMatchObject({
      code: 'read-failed',
      message: `${server.url}: there is no such file on the server (HTTP status 404)`,
    });
  });
});

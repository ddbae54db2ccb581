// vhdx serve: what it prints, how it ends, and what it says of calls that are wrong.
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { createVhdx, openVhdx } from '../../src/index.js';
import { pattern } from '../support/block-content.js';
import { buildImage } from '../support/build-image.js';
import { ending, expectFailure, saved, startVhdx, vhdx } from '../support/command.js';
import { modelOf } from '../support/disk-model.js';
import { MiB } from '../support/encode-primitives.js';
import { NbdClient } from '../support/nbd-client.js';
import { expectOutput } from '../support/output-schema.js';
import { expectSameBytes } from '../support/same-bytes.js';
import { sourceBytes } from '../support/scripted-source.js';
import { tempDir } from '../support/tools.js';

const [READ, WRITE, FLUSH] = [0, 1, 3];

/** Starts the command and waits until it says where the disks are. */
async function serving(
  ...args: string[]
): Promise<{ child: ChildProcess; said: string; ended: ReturnType<typeof ending> }> {
  const child = startVhdx('serve', ...args);
  const ended = ending(child);
  const [chunk] = await once(child.stdout as NodeJS.ReadableStream, 'data');
  return { child, said: String(chunk), ended };
}

/** Tells a process to end; not by child.kill, behind which Deno does not tell the exit code. */
const tell = (child: ChildProcess, signal: NodeJS.Signals) => process.kill(child.pid as number, signal);

describe('vhdx serve', () => {
  test('serves several disks by their names, raw ones too, until it is told to end', async () => {
    const folder = await tempDir();
    const image = buildImage({ virtualSize: 8 * MiB, blocks: { 1: { state: 6, data: pattern(1) } } });
    const disk = await saved(image, join(folder, 'disk.vhdx'));
    const raw = join(folder, 'raw.img');
    await writeFile(raw, sourceBytes(0, MiB));
    const { child, said, ended } = await serving('--port', '0', '-f', 'raw', raw, '--output', 'json');
    expectOutput('serving', said);
    const [first] = JSON.parse(said).exports;
    expect(first).toMatchObject({ name: 'raw.img', filename: raw, 'virtual-size': MiB, writable: false });
    const client = await NbdClient.connect({ port: Number(new URL(first.uri).port) });
    await client.go('raw.img');
    expectSameBytes((await client.ask(READ, { offset: 5, length: 1000 })).data, sourceBytes(5, 1000));
    tell(child, 'SIGTERM');
    expect(await ended).toEqual({ status: 0, stderr: '' });
    await client.ended();

    const socket = join(folder, 'nbd.sock');
    const other = await saved(image, join(folder, 'other disk.vhdx'));
    const second = await serving('--socket', socket, disk, other);
    const place = `socket=${encodeURIComponent(socket)}`;
    expect(second.said).toBe(`nbd+unix:///?${place}  ${disk}\nnbd+unix:///other%20disk.vhdx?${place}  ${other}\n`);
    for (const name of ['', 'disk.vhdx', 'other disk.vhdx']) {
      const reader = await NbdClient.connect({ path: socket });
      await reader.go(name);
      const { data } = await reader.ask(READ, { offset: MiB, length: 4096 });
      expectSameBytes(data, modelOf(image).expected(MiB, 4096));
      expect(await reader.ask(WRITE, { length: 1 }, Buffer.alloc(1))).toMatchObject({ error: 1 });
    }
    tell(second.child, 'SIGINT');
    expect(await second.ended).toEqual({ status: 0, stderr: '' });
  });

  test.each(['SIGINT', 'SIGTERM', 'SIGHUP'] as const)(
    'leaves a disk clean at %s that clients write to',
    async (signal) => {
      const folder = await tempDir();
      const path = join(folder, 'disk.vhdx');
      await createVhdx(path, { size: 64 * MiB, blockSize: MiB });
      const { child, said, ended } = await serving('--port', '0', '--writable', path);
      expect(said).toMatch(/^nbd:\/\/127\.0\.0\.1:\d+\/ {2}.*, writable\n$/);
      const client = await NbdClient.connect({ port: Number(/:(\d+)\//.exec(said)?.[1]) });
      await client.go();
      for (let i = 0; i < 20; i++) await client.ask(WRITE, { offset: i * 3 * MiB, length: 5000 }, sourceBytes(i, 5000));
      expect(await client.ask(FLUSH, {})).toMatchObject({ error: 0 });
      expectFailure(await vhdx('serve', '--port', '0', '--writable', path), 1, 'disk.vhdx');
      // What is being worked on when the signal comes is finished.
      client.request(WRITE, { offset: 61 * MiB, length: 3 * MiB }, sourceBytes(1, 3 * MiB));
      await client.reply();
      tell(child, signal);
      expect(await ended).toEqual({ status: 0, stderr: '' });
      const disk = await openVhdx(path, { strict: true, replay: 'refuse' });
      expectSameBytes(await disk.read(57 * MiB, 5000), sourceBytes(19, 5000));
      expectSameBytes(await disk.read(61 * MiB, 3 * MiB), sourceBytes(1, 3 * MiB));
      await disk.close();
    },
  );

  test('says in one line what cannot be served, and where it cannot listen', async () => {
    const folder = await tempDir();
    const disk = await saved(buildImage(), join(folder, 'disk.vhdx'));
    const busy = createServer().listen(0, '127.0.0.1');
    onTestFinished(() => void busy.close());
    await once(busy, 'listening');
    const { port } = busy.address() as { port: number };
    const at = (...args: string[]) => vhdx('serve', ...args);
    expectFailure(await at('--port', `${port}`, disk), 1, `127.0.0.1, port ${port}: another program listens there`);
    expectFailure(await at('--socket', disk, disk), 1, `${disk}: another program listens there, or it is no socket`);
    expectFailure(await at('--socket', join(folder, 'no/folder'), disk), 1, 'no such file or directory');
    expectFailure(await at('--socket', 'a', '--port', '0', disk), 1, '--socket goes with neither --port nor --listen');
    expectFailure(await at('--listen', 'localhost', disk), 1, '--listen takes an IP address');
    expectFailure(await at('--port', '70000', disk), 1, 'from 0 to 65535');
    expectFailure(await at('--tls-cert', disk, disk), 1, '--tls-cert and --tls-key go together');
    expectFailure(
      await at('--tls-cert', disk, '--tls-key', disk, disk),
      1,
      'the certificate or its key cannot be used',
    );
    expectFailure(await at('--tls-ca', disk, disk), 1, '--tls-ca needs --tls-cert');
    expectFailure(await at(disk, disk), 1, 'two images have this name');
    expectFailure(await at('--writable', '-f', 'raw', disk), 1, '--writable is for VHDX');
    expectFailure(await at(join(folder, 'nothing.vhdx')), 1, 'no such file');
    await writeFile(join(folder, 'text'), 'not an image');
    expectFailure(await at(join(folder, 'text')), 1, 'text');
  });

  test('says what it means to listen on another address', async () => {
    const folder = await tempDir();
    const disk = await saved(buildImage(), join(folder, 'disk.vhdx'));
    const { child, said, ended } = await serving('--listen', '0.0.0.0', '--port', '0', disk);
    expect(said).toContain('nbd://0.0.0.0:');
    tell(child, 'SIGTERM');
    expect(await ended).toEqual({
      status: 0,
      stderr:
        'vhdx: warning: listens on 0.0.0.0: everybody who reaches it can read the disks, and everybody on the way sees it\n',
    });
  });
});

// The NBD service with the clients that people have: libnbd's, QEMU's and nbdkit's.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, open, readFile, rmdir, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { describe, expect, onTestFinished, vi } from 'vitest';
import { createVhdx, editVhdx, openVhdx, type RandomAccessSource, type VhdxDisk } from '../../src/index.js';
import { type NbdServer, type NbdServerOptions, serveNbd } from '../../src/nbd/index.js';
import { contentBytes, pattern } from '../support/block-content.js';
import { buildImage } from '../support/build-image.js';
import { ending, startVhdx } from '../support/command.js';
import { dirtied, structureSectors } from '../support/dirty-images.js';
import { MiB } from '../support/encode-primitives.js';
import { NbdClient } from '../support/nbd-client.js';
import { sourceBytes } from '../support/scripted-source.js';
import { needs, type Program, type RunResult, tempDir, tool } from '../support/tools.js';

const [nbdinfo, nbdcopy, nbdfuse] = [tool('nbdinfo'), tool('nbdcopy'), tool('nbdfuse')];
const [qemuImg, qemuIo, nbdkit] = [tool('qemu-img'), tool('qemu-io'), tool('nbdkit')];
const [mkfs, debugfs, e2fsck] = [tool('mkfs.ext4'), tool('debugfs'), tool('e2fsck')];
const [fusermount, openssl] = [tool('fusermount3'), tool('openssl')];
const fuse = { missing: await whyNoMount(), requiredInCI: false };

/** Why nothing can be mounted by FUSE on this machine; undefined if it can, or its programs are missing, which is said elsewhere. */
async function whyNoMount(): Promise<string | undefined> {
  if (!existsSync('/dev/fuse')) return '/dev/fuse is not there';
  if ([nbdfuse, nbdkit, fusermount].some(({ missing }) => missing !== undefined)) return undefined;
  const mount = await mkdtemp(join(tmpdir(), 'vhdx-mount-'));
  const child = spawn(nbdfuse.path, [mount, '--command', nbdkit.path, '-s', 'memory', '1M'], { stdio: 'ignore' });
  const gone = once(child, 'exit').then(() => true);
  let isGone = false;
  while (!isGone && !existsSync(join(mount, 'nbd'))) isGone = await Promise.race([gone, setTimeout(20, false)]);
  if (!isGone) await fusermount.run(['-u', mount]);
  await gone;
  await rmdir(mount);
  return isGone ? 'FUSE may not mount here' : undefined;
}

/** Runs a program that has to succeed. */
async function done(program: Program, ...args: string[]): Promise<RunResult> {
  const result = await program.run(args);
  expect(`${result.status} ${result.stderr}`).toMatch(/^0 /);
  return result;
}

/** Serves a disk on a Unix socket in a folder of its own, for the running spec. */
async function serve(
  disk: RandomAccessSource,
  options: NbdServerOptions = {},
): Promise<{ server: NbdServer; uri: string }> {
  const server = await serveNbd(disk, { socket: join(await tempDir(), 'nbd.sock'), ...options });
  onTestFinished(() => server.close());
  return { server, uri: server.uri() };
}

/** A disk of 64 MiB that is written: data in places that are no block's, and a block that was zeroed. */
async function writtenDisk() {
  const path = join(await tempDir(), 'disk.vhdx');
  await createVhdx(path, { size: 64 * MiB, blockSize: MiB });
  const disk = await editVhdx(path);
  onTestFinished(() => disk.close());
  await disk.write(sourceBytes(0, 3 * MiB + 500), 5 * MiB + 512);
  await disk.write(sourceBytes(7, 100), 64 * MiB - 100);
  await disk.zero(6 * MiB, MiB);
  return { disk, path };
}

/** The disk as a raw file, by our own reader. */
async function rawOf(disk: VhdxDisk, path: string): Promise<string> {
  await writeFile(path, await disk.read(0, disk.size));
  return path;
}

describe('clients that read', () => {
  needs(nbdinfo, qemuImg).test('see where data is: nbdinfo and the map of qemu-img', async () => {
    const { disk } = await writtenDisk();
    const { uri } = await serve(disk);
    const info = JSON.parse((await done(nbdinfo, '--json', uri)).stdout);
    expect(info).toMatchObject({ protocol: 'newstyle-fixed', structured: true });
    expect(info.exports[0]).toMatchObject({ 'export-size': 64 * MiB, is_read_only: false, can_multi_conn: true });
    const map: { offset: number; length: number; type: number }[] = JSON.parse(
      (await done(nbdinfo, '--json', '--map', uri)).stdout,
    );
    const places = [
      [5 * MiB, MiB],
      [7 * MiB, 2 * MiB],
      [63 * MiB, MiB],
    ];
    expect(map.filter(({ type }) => type === 0).map(({ offset, length }) => [offset, length])).toEqual(places);
    const qemu: { data: boolean; start: number; length: number }[] = JSON.parse(
      (await done(qemuImg, 'map', '--output', 'json', uri)).stdout,
    );
    expect(qemu.filter(({ data }) => data).map(({ start, length }) => [start, length])).toEqual(places);
  });

  needs(nbdcopy, qemuImg, nbdkit).test('copy the same bytes: nbdcopy, qemu-img, nbdkit with its filters', async () => {
    const { disk } = await writtenDisk();
    const { uri, server } = await serve(disk);
    const folder = await tempDir();
    const raw = await rawOf(disk, join(folder, 'raw'));
    await done(nbdcopy, uri, join(folder, 'copied'));
    expect((await readFile(join(folder, 'copied'))).equals(await readFile(raw))).toBe(true);
    await done(qemuImg, 'convert', '-O', 'qcow2', uri, join(folder, 'converted.qcow2'));
    await done(qemuImg, 'compare', '-F', 'raw', join(folder, 'converted.qcow2'), raw);
    await done(qemuImg, 'compare', '-f', 'raw', '-F', 'raw', uri, raw);
    expect(JSON.parse((await done(qemuImg, 'info', '--output', 'json', uri)).stdout)).toMatchObject({
      'virtual-size': 64 * MiB,
    });
    const args = ['-U', '-', '--filter=offset', '--filter=cow', 'nbd', `uri=${uri}`, 'offset=5M', 'range=8M'];
    const piped = join(folder, 'piped');
    await done(nbdkit, ...args, '--run', `nbdcopy "$uri" ${piped}`);
    const part = Buffer.alloc(8 * MiB);
    await disk.readInto(part, 5 * MiB);
    expect((await readFile(piped)).equals(part)).toBe(true);
    expect(server.connections).toBe(0);
  });

  needs(nbdcopy, qemuIo).test('get the log of a dirty image, and EIO for what is damaged alone', async () => {
    const image = buildImage({ virtualSize: 8 * MiB, blocks: { 1: { state: 6, data: pattern(1) } } });
    const dirty = await openVhdx(dirtied(image, structureSectors(image)).source());
    const folder = await tempDir();
    await done(nbdcopy, (await serve(dirty)).uri, join(folder, 'dirty'));
    expect((await readFile(join(folder, 'dirty'))).equals(Buffer.from(await dirty.read(0, 8 * MiB)))).toBe(true);

    const blocks = { 0: { state: 6, data: pattern(0) }, 1: { state: 4 } };
    const damaged = await openVhdx(buildImage({ virtualSize: 4 * MiB, blockSize: MiB, blocks }).source());
    const { uri } = await serve(damaged);
    const { stdout, stderr } = await qemuIo.run([
      '-r',
      '-f',
      'raw',
      '-c',
      'read 0 1M',
      '-c',
      'read 1M 512',
      '-c',
      'read -P 0 2M 1M',
      uri,
    ]);
    expect(stdout).toContain('read 1048576/1048576 bytes at offset 0');
    expect(stdout + stderr).toContain('read failed: Input/output error');
    expect(stdout).toContain('read 1048576/1048576 bytes at offset 2097152');
    expect(stdout).not.toContain('Pattern verification failed');
  });
});

describe('clients that write', () => {
  needs(qemuIo, qemuImg, nbdcopy).test(
    'write, zero, discard and flush, two at a time, and the image is clean and right',
    async () => {
      const { disk, path } = await writtenDisk();
      const { uri, server } = await serve(disk);
      const script = (...commands: string[]) =>
        done(qemuIo, '-f', 'raw', ...commands.flatMap((line) => ['-c', line]), uri);
      const [a, b] = await Promise.all([
        script(
          'write -P 1 0 1M',
          'flush',
          'aio_write -P 2 20M 3M',
          'aio_flush',
          'write -z 21M 64k',
          'read -P 0 21M 64k',
        ),
        script(
          'write -P 3 30M 100k',
          'discard 5M 4M',
          'write -f -P 4 40M 512',
          'write -z -u 41M 2M',
          'read -P 4 40M 512',
        ),
      ]);
      expect(a.stdout + b.stdout).not.toMatch(/fail/i);
      await server.close();
      const folder = await tempDir();
      const raw = await rawOf(disk, join(folder, 'raw'));
      await disk.close();
      const bytes = await readFile(raw);
      expect([bytes[0], bytes[20 * MiB], bytes[21 * MiB], bytes[22 * MiB], bytes[30 * MiB], bytes[40 * MiB]]).toEqual([
        1, 2, 0, 2, 3, 4,
      ]);
      await done(qemuImg, 'check', path);
      await done(qemuImg, 'compare', '-F', 'raw', path, raw);
      await (await openVhdx(path, { strict: true })).close();
    },
  );

  needs(nbdcopy, qemuImg).test('fill a disk with nbdcopy, which stores no zeros', async () => {
    const path = join(await tempDir(), 'disk.vhdx');
    await createVhdx(path, { size: 256 * MiB, blockSize: MiB });
    const raw = join(await tempDir(), 'raw');
    const file = await open(raw, 'w');
    await file.truncate(256 * MiB);
    await file.write(contentBytes(pattern(3), 0, 5 * MiB), 0, 5 * MiB, 100 * MiB);
    await file.close();
    const disk = await editVhdx(path);
    const { server, uri } = await serve(disk);
    await done(nbdcopy, '--flush', raw, uri);
    await server.close();
    await disk.close();
    await done(qemuImg, 'compare', '-F', 'raw', path, raw);
    expect((await stat(path)).size).toBeLessThan(16 * MiB);
  });

  needs(qemuIo, qemuImg).test('that are killed in the middle leave others served, and the image is right', async () => {
    const { disk, path } = await writtenDisk();
    const { server, uri } = await serve(disk);
    const lines = Array.from({ length: 200 }, (_, i) => [
      '-c',
      `write -P ${(i % 250) + 1} ${(i * 300) % 60_000}k 2M`,
    ]).flat();
    const child = spawn(qemuIo.path, ['-f', 'raw', ...lines, uri], { stdio: 'ignore' });
    while ((await disk.read(0, 1))[0] === 0) await setTimeout(5); // until the first of them is there
    const gone = once(child, 'exit');
    child.kill('SIGKILL');
    expect((await gone)[1]).toBe('SIGKILL');
    await done(qemuIo, '-f', 'raw', '-c', 'write -P 9 63M 4k', '-c', 'flush', uri);
    await server.close();
    await disk.close();
    await done(qemuImg, 'check', path);
    const after = await openVhdx(path, { strict: true });
    expect([...(await after.read(63 * MiB, 4))]).toEqual([9, 9, 9, 9]);
    await after.close();
  });

  needs(nbdfuse, fusermount, fuse, mkfs, debugfs, e2fsck, qemuImg).test(
    'make a file system on a mount and copy files into it, and e2fsck finds nothing',
    async () => {
      const folder = await tempDir();
      const [path, mount, tree] = ['disk.vhdx', 'mount', 'tree'].map((name) => join(folder, name)) as [
        string,
        string,
        string,
      ];
      await Promise.all([mount, tree].map((name) => mkdir(name)));
      const photo = contentBytes(pattern(5), 0, 3_000_001);
      await writeFile(join(tree, 'photo.raw'), photo);
      await createVhdx(path, { size: 128 * MiB, blockSize: MiB });
      // The command itself, which leaves the image clean when it is told to end.
      const child = startVhdx('serve', '--writable', '--socket', join(folder, 'nbd.sock'), path);
      const ended = ending(child);
      await once(child.stdout as NodeJS.ReadableStream, 'data');
      const mounted = spawn(nbdfuse.path, [mount, '--unix', join(folder, 'nbd.sock')], { stdio: 'ignore' });
      onTestFinished(() => void fusermount.run(['-u', mount]));
      const device = join(mount, 'nbd');
      while (!existsSync(device)) await setTimeout(20);
      await done(mkfs, '-q', '-d', tree, device);
      await done(debugfs, '-w', '-R', `write ${join(tree, 'photo.raw')} second.raw`, device);
      await done(debugfs, '-w', '-R', 'rm photo.raw', device);
      expect((await done(e2fsck, '-fn', device)).stdout).toContain('Pass 5');
      const unmounted = once(mounted, 'exit');
      await done(fusermount, '-u', mount);
      await unmounted;
      child.kill('SIGINT');
      expect(await ended).toEqual({ status: 0, stderr: '' });
      await done(qemuImg, 'check', path);
      const raw = join(folder, 'raw');
      await done(qemuImg, 'convert', '-O', 'raw', path, raw);
      await done(e2fsck, '-fn', raw);
      await done(debugfs, '-R', `dump second.raw ${join(folder, 'dumped')}`, raw);
      expect((await readFile(join(folder, 'dumped'))).equals(Buffer.from(photo))).toBe(true);
    },
  );
});

describe('TLS', () => {
  /** Certificates as libnbd wants them in a folder: of an authority, a server and a client; `other` is another authority's. */
  async function certificates(): Promise<{ folder: string; other: string; pem: (name: string) => Promise<Buffer> }> {
    const folder = await tempDir();
    const make = async (place: string) => {
      await mkdir(place, { recursive: true });
      const at = (name: string) => join(place, name);
      const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
      await done(
        openssl,
        'req',
        '-x509',
        ...key,
        '-subj',
        '/CN=authority',
        '-keyout',
        at('ca-key.pem'),
        '-out',
        at('ca-cert.pem'),
      );
      for (const name of ['server', 'client']) {
        await done(openssl, 'req', ...key, '-subj', `/CN=${name}`, '-keyout', at(`${name}-key.pem`), '-out', at('csr'));
        await writeFile(at('names'), 'subjectAltName=DNS:localhost,IP:127.0.0.1');
        const by = ['-CA', at('ca-cert.pem'), '-CAkey', at('ca-key.pem'), '-extfile', at('names')];
        await done(openssl, 'x509', '-req', '-in', at('csr'), ...by, '-out', at(`${name}-cert.pem`));
      }
    };
    const other = join(folder, 'other');
    await make(folder);
    await make(other);
    return { folder, other, pem: (name) => readFile(join(folder, `${name}.pem`)) };
  }

  needs(nbdinfo, nbdcopy, openssl).test(
    'is asked of every client, with a certificate if an authority is given',
    async () => {
      const { folder, other, pem } = await certificates();
      const { disk } = await writtenDisk();
      const [cert, key, ca] = await Promise.all(['server-cert', 'server-key', 'ca-cert'].map(pem));
      const problems: string[] = [];
      const options = { port: 0, onProblem: (problem: string) => problems.push(problem) };
      const tls = { cert: cert as Buffer, key: key as Buffer };
      const open_ = await serveNbd(disk, { ...options, tls });
      onTestFinished(() => open_.close());
      expect(open_.uri()).toBe(`nbds://127.0.0.1:${open_.port}/`);
      const uri = (server: NbdServer, place: string) => `nbds://localhost:${server.port}/?tls-certificates=${place}`;
      const info = JSON.parse((await done(nbdinfo, '--json', uri(open_, folder))).stdout);
      expect(info).toMatchObject({ TLS: true });
      const copied = join(await tempDir(), 'copied');
      await done(nbdcopy, uri(open_, folder), copied);
      expect((await readFile(copied)).equals(Buffer.from(await disk.read(0, disk.size)))).toBe(true);
      expect((await nbdinfo.run([`nbd://localhost:${open_.port}`])).status).not.toBe(0);

      const closed = await serveNbd(disk, { ...options, tls: { ...tls, ca: ca as Buffer } });
      onTestFinished(() => closed.close());
      await done(nbdinfo, uri(closed, folder));
      // This client knows the server's authority, but its own certificate is another one's.
      await writeFile(join(other, 'ca-cert.pem'), ca as Buffer);
      expect((await nbdinfo.run([uri(closed, other)])).status).not.toBe(0);
      await vi.waitFor(() => expect(problems.at(-1)).toMatch(/no certificate of the authority/));
      await vi.waitFor(() => expect(closed.connections).toBe(0));

      // A client that says that it wants TLS, and then nothing, keeps no server from being closed.
      const silent = await NbdClient.connect({ port: closed.port as number });
      expect(await silent.option(8)).toMatchObject([{ type: 0x8000_0005 }]); // TLS is required
      expect(await silent.option(5)).toMatchObject([{ type: 1 }]);
      await closed.close();
      await silent.ended();
    },
  );
});

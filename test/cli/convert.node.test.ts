import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { chmod, chown, link, readdir, readFile, stat, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { describe, expect, test } from 'vitest';
import { pattern } from '../support/block-content.js';
import { buildImage } from '../support/build-image.js';
import { expectFailure, saved, startVhdx, vhdx } from '../support/command.js';
import { modelOf } from '../support/disk-model.js';
import { KiB, MiB, TiB } from '../support/encode-primitives.js';
import { BASE_DATA_WRITE_GUID, locatorEntries } from '../support/image-spec.js';
import { serveUntil } from '../support/slow-server.js';
import { needs, sample, tempDir, tool } from '../support/tools.js';

const qemuImg = tool('qemu-img');
const qemuIo = tool('qemu-io');
// A device of Linux that never has room.
const missing = existsSync('/dev/full') ? undefined : '/dev/full is not there';
const fullDevice = { missing, requiredInCI: false };
const windowsImage = sample('iotest-dynamic-1G.vhdx', { requiredInCI: false });
const dirtyImage = sample('iotest-dirtylog-10G-4M.vhdx', { requiredInCI: false });

/** A plain good image, and its bytes by the model. */
const plain = buildImage({
  virtualSize: 6 * MiB + 512,
  blocks: { 1: { state: 6, data: pattern(1) }, 5: { state: 6, data: pattern(5) } },
});
const plainBytes = modelOf(plain).expected(0, 6 * MiB + 512);

function expectSameBytes(actual: Uint8Array, expected: Uint8Array): void {
  expect(actual.length).toBe(expected.length);
  expect(Buffer.compare(actual, expected)).toBe(0);
}

describe('vhdx convert', () => {
  needs(qemuImg, qemuIo).test('gives the bytes that qemu-img gives, as a file and through a pipe', async () => {
    const folder = await tempDir();
    const kinds = ['subformat=fixed', 'block_size=1M', 'block_size=2M,block_state_zero=off', 'block_size=64M'];
    for (const options of kinds) {
      const path = join(folder, `${options}.vhdx`);
      expect(await qemuImg.run(['create', '-f', 'vhdx', '-o', options, path, '67M'])).toMatchObject({ status: 0 });
      const writes = [
        '-c',
        'write -P 1 0 64k',
        '-c',
        'write -P 2 1023k 5k',
        '-c',
        'write -P 3 63M 3M',
        '-c',
        'write -z 64M 512k',
      ];
      expect(await qemuIo.run(['-f', 'vhdx', ...writes, path])).toMatchObject({ status: 0 });
      expect(await qemuImg.run(['convert', '-f', 'vhdx', '-O', 'raw', path, `${path}.raw`])).toMatchObject({
        status: 0,
      });
      const expected = await readFile(`${path}.raw`);
      expect(await vhdx('convert', '-O', 'raw', path, `${path}.img`)).toMatchObject({
        status: 0,
        stdout: '',
        stderr: '',
      });
      expectSameBytes(await readFile(`${path}.img`), expected);
      const piped = await vhdx('convert', path, '-');
      expect(piped).toMatchObject({ status: 0, stderr: '' });
      expectSameBytes(piped.bytes, expected);
    }
  });

  test('writes a sparse file, under its own name only when it is whole', async () => {
    const folder = await tempDir();
    const path = await saved(buildImage({ virtualSize: 1024 * MiB }), join(folder, 'disk.vhdx'));
    const out = join(folder, 'disk.img');
    expect(await vhdx('convert', path, out)).toMatchObject({ status: 0, stderr: '' });
    const { size, blocks } = await stat(out);
    expect(size).toBe(1024 * MiB);
    expect(blocks * 512).toBeLessThan(3 * MiB);
    expect((await readdir(folder)).sort()).toEqual(['disk.img', 'disk.vhdx']);
  });

  test('replaces what is there, with its permissions and through a link', async () => {
    const folder = await tempDir();
    const path = await saved(plain, join(folder, 'disk.vhdx'));
    const out = join(folder, 'secret.img');
    await writeFile(out, 'old');
    await chmod(out, 0o600);
    await symlink(out, join(folder, 'link.img'));
    expect(await vhdx('convert', path, join(folder, 'link.img'))).toMatchObject({ status: 0, stderr: '' });
    expectSameBytes(await readFile(out), plainBytes);
    expect((await stat(out)).mode & 0o777).toBe(0o600);
    expect((await readdir(folder)).sort()).toEqual(['disk.vhdx', 'link.img', 'secret.img']);
  });

  test('keeps the mode of what it replaces, whatever the umask is, and its owner if it may', async () => {
    const folder = await tempDir();
    const path = await saved(plain, join(folder, 'disk.vhdx'));
    const out = join(folder, 'disk.img');
    await writeFile(out, 'old');
    const isRoot = process.getuid?.() === 0;
    if (isRoot) await chown(out, 12345, 54321);
    await chmod(out, 0o4666); // after that, because it takes bits away
    expect(await vhdx('convert', path, out)).toMatchObject({ status: 0, stderr: '' });
    const { mode, uid, gid } = await stat(out);
    expect(mode & 0o7777).toBe(0o4666);
    if (isRoot) expect({ uid, gid }).toEqual({ uid: 12345, gid: 54321 });
  });

  test('chooses the format by the ending of the name, and says so', async () => {
    const folder = await tempDir();
    const path = await saved(plain, join(folder, 'disk.vhdx'));
    const out = join(folder, 'disk.VHD');
    const { status, stderr } = await vhdx('convert', path, out);
    expect({ status, stderr }).toEqual({
      status: 0,
      stderr: `vhdx: ${out}: writing a fixed VHD, as the ending says; -O raw writes raw\n`,
    });
    const bytes = await readFile(out);
    expect(bytes.subarray(-512, -504).toString()).toBe('conectix');
    expect(await vhdx('convert', '-q', path, out)).toMatchObject({ status: 0, stderr: '' });
    expect(await vhdx('convert', '-O', 'vpc', path, `${out}2`)).toMatchObject({ status: 0, stderr: '' });
    expectSameBytes(await readFile(`${out}2`), bytes);
    expect(await vhdx('convert', '-O', 'raw', path, out)).toMatchObject({ status: 0, stderr: '' });
    expectSameBytes(await readFile(out), plainBytes);
    for (const ending of ['qcow2', 'vmdk', 'VHDS', 'avhd', 'vdi', 'gz']) {
      const other = join(folder, `disk.${ending}.${ending}`);
      expectFailure(await vhdx('convert', path, other), 1, `vhdx: ${other}: .${ending} is the ending of a format that`);
    }
    expect((await readdir(folder)).sort()).toEqual(['disk.VHD', 'disk.VHD2', 'disk.vhdx']);
  });

  test('refuses a VHD of more than 2,040 GiB and leaves what was there', async () => {
    const folder = await tempDir();
    const path = await saved(buildImage({ virtualSize: 3 * TiB, blocks: {} }), join(folder, 'disk.vhdx'));
    const out = join(folder, 'disk.img');
    await writeFile(out, 'old');
    expectFailure(await vhdx('convert', '-O', 'vpc', path, out), 1, `vhdx: ${path}: `, 'at most 2040 GiB');
    expect(await readFile(out, 'utf8')).toBe('old');
    expect((await readdir(folder)).sort()).toEqual(['disk.img', 'disk.vhdx']);
  });

  test('takes the words of qemu-img', async () => {
    const folder = await tempDir();
    const path = await saved(plain, join(folder, 'disk.vhdx'));
    const out = join(folder, 'disk.img');
    const words = ['-f', 'vhdx', '-O', 'raw', '-q', '-U'];
    expect(await vhdx('convert', ...words, path, out)).toMatchObject({ status: 0, stdout: '', stderr: '' });
    expectSameBytes(await readFile(out), plainBytes);
  });

  test('shows progress in a pipe if -p asks for it', async () => {
    const blocks = Object.fromEntries(Array.from({ length: 32 }, (_, i) => [i, { state: 6, data: pattern(i) }]));
    const image = buildImage({ virtualSize: 32 * MiB, blocks });
    const url = await serveUntil(image, image.layout.blockOffset(20));
    const child = startVhdx('convert', '-p', url, join(await tempDir(), 'disk.img'));
    const [shown] = await once(child.stderr as Readable, 'data');
    expect(String(shown)).toMatch(/convert \[=+-+\] \d+%( [\d.]+ \w+\/s, \w+ left)?/);
  });

  test('does not write over the image or a parent of it, under whatever name', async () => {
    const folder = await tempDir();
    const base = await saved(buildImage(), join(folder, 'base.vhdx'));
    const entries = locatorEntries({ linkage: BASE_DATA_WRITE_GUID, relativePath: '.\\base.vhdx' });
    const image = buildImage({ type: 'differencing', blocks: {}, parentLocator: { entries } });
    const child = await saved(image, join(folder, 'child.avhdx'));
    const before = await readFile(base);
    await link(base, join(folder, 'other-name.img'));
    await symlink(child, join(folder, 'link.img'));
    for (const out of [child, base, join(folder, 'other-name.img'), join(folder, 'link.img')]) {
      expectFailure(await vhdx('convert', '-O', 'raw', child, out), 1, `vhdx: ${out}: is the image that is being read`);
    }
    expectSameBytes(await readFile(base), before);
  });

  test('refuses to begin where it cannot write', async () => {
    const folder = await tempDir();
    const path = await saved(plain, join(folder, 'disk.vhdx'));
    expectFailure(await vhdx('convert', path, folder), 1, `vhdx: ${folder}: is a folder`);
    const nowhere = join(folder, 'no/out.img');
    expectFailure(await vhdx('convert', path, nowhere), 1, `vhdx: ${nowhere}: the folder does not exist`);
  });

  test('fails on damage and leaves nothing behind, or salvages what there is and lists what is lost', async () => {
    const folder = await tempDir();
    const blocks = {
      0: { state: 6, data: pattern(0) },
      1: { state: 4 },
      2: { state: 6, data: pattern(2) },
      3: { state: 4 },
    };
    const path = await saved(buildImage({ virtualSize: 4 * MiB, blocks }), join(folder, 'damaged.vhdx'));
    const out = join(folder, 'out.img');
    expectFailure(await vhdx('convert', path, out), 1, `vhdx: ${path}: BAT entry 1: `);
    expect(await readdir(folder)).toEqual(['damaged.vhdx']);

    const { status, stderr } = await vhdx('convert', '--salvage', path, out);
    expect(status).toBe(2);
    expect(stderr.split('\n')).toEqual([
      `vhdx: ${path}: lost 0x100000 to 0x200000 (1048576 bytes): bat-reserved-state`,
      `vhdx: ${path}: lost 0x300000 to 0x400000 (1048576 bytes): bat-reserved-state`,
      `vhdx: ${path}: 2 MiB could not be read and became zeros`,
      '',
    ]);
    const sound = modelOf(buildImage({ virtualSize: 4 * MiB, blocks: { 0: blocks[0], 2: blocks[2] } }));
    expectSameBytes(await readFile(out), sound.expected(0, 4 * MiB));
    const piped = await vhdx('convert', '--salvage', path, '-');
    expect(piped.status).toBe(2);
    expectSameBytes(piped.bytes, sound.expected(0, 4 * MiB));
  });

  test('salvages a child whose parent is lost', async () => {
    const folder = await tempDir();
    const image = buildImage({
      type: 'differencing',
      virtualSize: 2 * MiB,
      blocks: { 1: { state: 6, data: pattern(1) } },
    });
    const path = await saved(image, join(folder, 'child.avhdx'));
    const { status, stderr, bytes } = await vhdx('convert', '--no-parent', '--salvage', path, '-');
    expect(status).toBe(2);
    expect(stderr).toContain('lost 0x0 to 0x100000 (1048576 bytes): parent-missing');
    expectSameBytes(bytes.subarray(MiB), modelOf(image).expected(MiB, MiB));
  });

  needs(fullDevice).test('says so where a device is full, and writes to one that takes everything', async () => {
    const path = await saved(plain, join(await tempDir(), 'disk.vhdx'));
    expectFailure(await vhdx('convert', path, '/dev/full'), 1, 'vhdx: /dev/full: no space left');
    expect(await vhdx('convert', path, '/dev/null')).toMatchObject({ status: 0, stderr: '' });
  });

  needs(qemuImg).test('writes a VHD that qemu-img reads, the same as a file and through a pipe', async () => {
    const folder = await tempDir();
    const path = await saved(plain, join(folder, 'disk.vhdx'));
    const out = join(folder, 'disk.vhd');
    expect(await vhdx('convert', '-O', 'vhd', path, out)).toMatchObject({ status: 0, stderr: '' });
    const info = JSON.parse((await qemuImg.run(['info', '--output', 'json', '-f', 'vpc', out])).stdout);
    expect(info).toMatchObject({ format: 'vpc', 'virtual-size': 7 * MiB });
    expect(await qemuImg.run(['convert', '-f', 'vpc', '-O', 'raw', out, `${out}.raw`])).toMatchObject({ status: 0 });
    const padded = new Uint8Array(7 * MiB);
    padded.set(plainBytes);
    expectSameBytes(await readFile(`${out}.raw`), padded);
    expectSameBytes((await vhdx('convert', '-O', 'vhd', path, '-')).bytes, await readFile(out));
  });

  needs(windowsImage, qemuImg).test('reads the image that Windows made as qemu-img does', async () => {
    const path = await windowsImage.unpacked();
    const folder = await tempDir();
    const out = join(folder, 'out.img');
    expect(await vhdx('convert', path, out)).toMatchObject({ status: 0, stderr: '' });
    expect(await qemuImg.run(['compare', '-f', 'vhdx', '-F', 'raw', path, out])).toMatchObject({ status: 0 });
  });

  needs(dirtyImage, qemuImg).test(
    'reads the image that QEMU left dirty as qemu-img does after its repair',
    async () => {
      const path = await dirtyImage.unpacked();
      const folder = await tempDir();
      const [out, repaired] = [join(folder, 'out.img'), join(folder, 'repaired.vhdx')];
      await writeFile(repaired, await readFile(path));
      await qemuImg.run(['check', '-f', 'vhdx', '-r', 'all', repaired]);
      const start = ['bs=1M', 'count=64', `if=${repaired}`, `of=${out}`];
      expect(await qemuImg.run(['dd', '-f', 'vhdx', '-O', 'raw', ...start])).toMatchObject({ status: 0 });
      const ours = await vhdx('read', '--length', '64M', path);
      expectSameBytes(ours.bytes, await readFile(out));
      const { bytes } = await vhdx('read', '--offset', '17M', '--length', '64k', path);
      expectSameBytes(bytes, new Uint8Array(64 * KiB).fill(0xa5));
    },
  );
});

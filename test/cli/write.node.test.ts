import { spawn } from 'node:child_process';
import { readdir, readFile, stat, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { createVhdx, openVhdx } from '../../src/index.js';
import { lockFile } from '../../src/io/lock.js';
import { buildImage } from '../support/build-image.js';
import { commandLine, ending, expectFailure, saved, startVhdx, vhdx, vhdxWith } from '../support/command.js';
import { dirtied, structureSectors } from '../support/dirty-images.js';
import { MiB } from '../support/encode-primitives.js';
import { convertWithQemu, qemuImg } from '../support/other-readers.js';
import { lay, base as parentImage } from '../support/parent-folders.js';
import { expectSameBytes } from '../support/same-bytes.js';
import { sourceBytes } from '../support/scripted-source.js';
import { needs, run, tempDir } from '../support/tools.js';

const ID = '12345678-1234-4234-8234-123456789abc';
const plain = buildImage();
const SUCCESS = { status: 0, stdout: '', stderr: '' };

async function newDisk(size = 16 * MiB, name = 'disk.vhdx'): Promise<string> {
  const path = join(await tempDir(), name);
  await createVhdx(path, { size });
  return path;
}

/** Reads a closed image, which is clean and sound. */
async function contentOf(path: string, offset: number, length: number): Promise<Uint8Array> {
  const disk = await openVhdx(path, { replay: 'refuse', strict: true });
  try {
    return await disk.read(offset, length);
  } finally {
    await disk.close();
  }
}

/** Runs a command line of `vhdx` with standard input from a file, as a shell does. */
const redirected = (input: string, ...args: readonly string[]) =>
  run('sh', ['-c', 'input=$1; shift; exec "$@" < "$input"', 'sh', input, ...commandLine(...args)]);

describe('vhdx write', () => {
  needs(qemuImg).test('writes standard input to the disk, which is sound and read by others', async () => {
    const path = await newDisk();
    const bytes = sourceBytes(0, 5 * MiB + 123);
    expect(await vhdxWith({ input: bytes }, 'write', '--offset', '1000001', path)).toMatchObject(SUCCESS);
    expectSameBytes(await contentOf(path, 1_000_001, bytes.length), bytes);
    expect(await readdir(join(path, '..'))).toEqual(['disk.vhdx']);
    expect(await qemuImg.run(['check', '-f', 'vhdx', path])).toMatchObject({ status: 0, stderr: '' });
    const expected = new Uint8Array(16 * MiB);
    expected.set(bytes, 1_000_001);
    expectSameBytes(await readFile(await convertWithQemu(path)), expected);
  });

  test('changes nothing if a file reaches past the end of the disk; what is left of it counts', async () => {
    const path = await newDisk();
    const before = await readFile(path);
    const input = join(path, '..', 'input.bin');
    await writeFile(input, sourceBytes(0, 2 * MiB));
    const failed = await redirected(input, 'write', '--offset', '15M', path);
    expectFailure(
      failed,
      1,
      `vhdx: ${path}: 2097152 bytes at 15728640 reach past the end of the disk, which has 16777216`,
    );
    expect(Buffer.compare(await readFile(path), before)).toBe(0);
    expectFailure(await redirected(input, 'write', '--offset', '17M', path), 1, 'past the end of the disk');
    expect(Buffer.compare(await readFile(path), before)).toBe(0);
    expect(await redirected(input, 'write', '--offset', '14M', path)).toMatchObject(SUCCESS);
    expectSameBytes(await contentOf(path, 14 * MiB, 2 * MiB), sourceBytes(0, 2 * MiB));

    // The shell's own programs have read from the file before.
    const script = 'input=$1; shift; { dd of=/dev/null bs=1048576 count=1 status=none; "$@"; } < "$input"';
    const rest = await run('sh', ['-c', script, 'sh', input, ...commandLine('write', '--offset', '15M', path)]);
    if (process.platform === 'linux') {
      expect(rest).toMatchObject(SUCCESS);
      expectSameBytes(await contentOf(path, 15 * MiB, MiB), sourceBytes(MiB, MiB));
    }
  });

  test('says how much was written of a pipe that is too long, and closes clean', async () => {
    const path = await newDisk();
    const input = sourceBytes(0, 5 * MiB);
    const failed = await vhdxWith({ input }, 'write', '--offset', '13M', path);
    expectFailure(
      failed,
      1,
      `vhdx: ${path}: standard input goes on past the end of the disk: ${3 * MiB} bytes were written`,
    );
    expectSameBytes(await contentOf(path, 13 * MiB, 3 * MiB), input.subarray(0, 3 * MiB));
    const exact = await vhdxWith({ input: input.subarray(0, 2 * MiB) }, 'write', '--offset', '14M', path);
    expect(exact).toMatchObject(SUCCESS);
  });

  test('writes nothing if there is nothing, and needs an offset', async () => {
    const path = await newDisk();
    const before = await readFile(path);
    expect(await vhdx('write', '--offset', '16M', path)).toMatchObject(SUCCESS);
    expectFailure(await vhdx('write', path), 1, "required option '--offset <size>' not specified");
    expectFailure(await vhdx('write', '--offset', '-1', path), 1, 'not a size');
    expect(Buffer.compare(await readFile(path), before)).toBe(0);
  });

  test.each([
    ['SIGINT', 130],
    ['SIGTERM', 143],
  ] as const)('ends with a commit and a clean file at %s', async (signal, code) => {
    const path = await newDisk(256 * MiB);
    const child = startVhdx('write', '--offset', '0', path);
    const ended = ending(child);
    const bytes = sourceBytes(0, 24 * MiB);
    child.stdin?.write(bytes);
    // The pipe stays open, so the command cannot be over before it is interrupted.
    while ((await stat(path)).blocks * 512 < 24 * MiB) await setTimeout(20);
    process.kill(child.pid as number, signal);
    expect(await ended).toEqual({ status: code, stderr: '' });
    expectSameBytes(await contentOf(path, 0, 16 * MiB), bytes.subarray(0, 16 * MiB));
    expect(await readdir(join(path, '..'))).toEqual(['disk.vhdx']);
  });

  test('of a full device says so, and what was written before is there', async () => {
    const path = await newDisk(64 * MiB);
    const script = 'ulimit -f "$1"; trap "" XFSZ; shift; exec "$@"'; // in blocks of 512 bytes
    const line = commandLine('write', '--offset', '0', path);
    const failed = await run('sh', ['-c', script, 'sh', String((14 * MiB) / 512), ...line], {
      input: sourceBytes(0, 20 * MiB),
    });
    expectFailure(failed, 1, `vhdx: ${path}: `);
    const disk = await openVhdx(path, { strict: true });
    expectSameBytes(await disk.read(0, 4 * MiB), sourceBytes(0, 4 * MiB));
    await disk.close();
  });
});

describe('vhdx zero and trim', () => {
  test('change a range, and give back the space of whole blocks', async () => {
    const path = await newDisk();
    const bytes = sourceBytes(0, 16 * MiB);
    expect(await vhdxWith({ input: bytes }, 'write', '--offset', '0', path)).toMatchObject(SUCCESS);
    const { size } = await stat(path);
    expect(await vhdx('zero', '--offset', '3M', '--length', '13M', path)).toMatchObject(SUCCESS);
    bytes.fill(0, 3 * MiB);
    expectSameBytes(await contentOf(path, 0, 16 * MiB), bytes);
    expect((await stat(path)).size).toBe(size - 12 * MiB);
    expect(await vhdx('trim', '--offset', '1', '--length', '4M', path)).toMatchObject(SUCCESS);
    bytes.fill(0, 2 * MiB, 4 * MiB);
    expectSameBytes(await contentOf(path, 0, 16 * MiB), bytes);
    const all = await vhdx('trim', '--offset', '0', '--length', '16M', path);
    expect(all).toMatchObject(SUCCESS);
    expect((await stat(path)).size).toBe(4 * MiB);
  });

  test.each(['zero', 'trim'])('%s changes nothing if the range leaves the disk, and needs it', async (command) => {
    const path = await newDisk();
    await vhdxWith({ input: sourceBytes(0, MiB) }, 'write', '--offset', '15M', path);
    const before = await readFile(path);
    const failed = await vhdx(command, '--offset', '14M', '--length', '2097153', path);
    expectFailure(failed, 1, `vhdx: ${path}: 2097153 bytes at 14680064 reach past the end of the disk`);
    expectFailure(await vhdx(command, '--offset', '0', path), 1, "required option '--length <size>' not specified");
    expectFailure(await vhdx(command, '--length', '1M', path), 1, "required option '--offset <size>' not specified");
    expect(Buffer.compare(await readFile(path), before)).toBe(0);
  });
});

describe('vhdx set', () => {
  test.each<[string, readonly string[]]>([
    ['with =', [`--new-id=${ID}`]],
    ['after it', ['--new-id', ID]],
  ])('gives the disk an identity: the GUID %s', async (_, args) => {
    const path = await newDisk();
    expect(await vhdx('set', ...args, '--physical-sector-size', '512', path)).toMatchObject(SUCCESS);
    const disk = await openVhdx(path, { strict: true, replay: 'refuse' });
    expect(disk).toMatchObject({ id: ID, physicalSectorSize: 512 });
    await disk.close();
    expect(await qemuImg.run(['check', '-f', 'vhdx', path])).toMatchObject({ status: 0 });
  });

  test('makes a GUID up if none is given, wherever the option is', async () => {
    const path = await newDisk();
    const ids = new Set<unknown>();
    for (const args of [
      ['--new-id', path],
      [path, '--new-id'],
      ['--new-id', '--physical-sector-size=4096', path],
    ]) {
      expect(await vhdx('set', ...args)).toMatchObject(SUCCESS);
      const disk = await openVhdx(path);
      ids.add(disk.id);
      await disk.close();
    }
    expect(ids.size).toBe(3);
  });

  test('refuses what cannot be set, and changes nothing', async () => {
    const path = await newDisk();
    const before = await readFile(path);
    expectFailure(await vhdx('set', path), 1, 'nothing to set');
    expectFailure(await vhdx('set', '--new-id'), 1, 'the image is missing');
    expectFailure(await vhdx('set', '--new-id=x', path), 1, 'newId is no GUID: x');
    expectFailure(await vhdx('set', '--physical-sector-size', '1024', path), 1, '1024, not 512 or 4096');
    expect(Buffer.compare(await readFile(path), before)).toBe(0);
  });
});

/** Command lines that change an image. */
const CHANGES: readonly (readonly string[])[] = [
  ['write', '--offset', '0'],
  ['zero', '--offset', '0', '--length', '1M'],
  ['trim', '--offset', '0', '--length', '2M'],
  ['set', '--new-id'],
];

describe.each(CHANGES)('vhdx %s', (...line) => {
  const change = (path: string, ...more: string[]) => vhdxWith({ input: 'bytes' }, ...line, ...more, path);

  test('names the children of the image in one warning, and goes on', async () => {
    const path = await newDisk(16 * MiB, 'base.vhdx');
    const folder = join(path, '..');
    for (const name of ['a.avhdx', 'b.vhdx']) await createVhdx(join(folder, name), { parent: path });
    await createVhdx(join(folder, 'grandchild.avhdx'), { parent: join(folder, 'a.avhdx') });
    await saved(plain, join(folder, 'stranger.vhdx'));
    await writeFile(join(folder, 'text.vhdx'), 'no image');
    const { status, stdout, stderr } = await change(path);
    expect({ status, stdout }).toEqual({ status: 0, stdout: '' });
    expect(stderr).toBe(
      `vhdx: ${path}: warning: is the parent of a.avhdx, b.vhdx: a parent that was changed does not fit its children any more\n`,
    );
  });

  test('replays a dirty image in place first', async () => {
    const path = await saved(dirtied(plain, structureSectors(plain)), join(await tempDir(), 'disk.vhdx'));
    expect(await change(path)).toMatchObject(SUCCESS);
    await contentOf(path, 0, 1);
  });

  test('refuses in one line what cannot be written, and changes nothing', async () => {
    const folder = await tempDir();
    const damaged = plain.clone();
    damaged.write(damaged.layout.batEntryOffset(0), damaged.read(damaged.layout.batEntryOffset(2), 8));
    const path = await saved(damaged, join(folder, 'damaged.vhdx'));
    const cut = await saved(plain, join(folder, 'cut.vhdx'));
    await truncate(cut, 2 * MiB);
    const text = join(folder, 'text');
    await writeFile(text, 'no image');
    for (const [file, ...parts] of [
      [path, 'shares its place'],
      [cut, 'the file at 0x200000'],
      [text, 'does not begin'],
      [join(folder, 'nowhere.vhdx'), 'no such file'],
      [folder, 'is a folder'],
      ['http://localhost:1/disk.vhdx', 'is no path of a file'],
    ] as const) {
      const before = await readFile(file).catch(() => Buffer.from(''));
      expectFailure(await change(file), 1, `vhdx: ${file}: `, ...parts);
      expect(Buffer.compare(await readFile(file).catch(() => Buffer.from('')), before), file).toBe(0);
    }
    expect((await readdir(folder)).sort()).toEqual(['cut.vhdx', 'damaged.vhdx', 'text']);
  });

  test('refuses an image that another process writes, or another machine, and names the lock', async () => {
    const path = await newDisk();
    const lock = await lockFile(path);
    expectFailure(await change(path), 1, `vhdx: ${path}: is being written by process ${process.pid} on `);
    await lock.release();
    const owner = JSON.parse(await lockText(path));
    await writeFile(`${path}.lock`, JSON.stringify({ ...owner, host: 'elsewhere', machine: 'another' }));
    const refused = await change(path);
    expectFailure(refused, 1, 'process', 'on elsewhere since', `if it is not, remove ${path}.lock`);
  });

  test('goes on where no lock can be made, and says so', async () => {
    const path = await newDisk(16 * MiB, `${'x'.repeat(247)}.vhdx`); // no room for ".lock" in a name
    const { status, stderr } = await change(path);
    expect(status).toBe(0);
    expect(stderr).toMatch(/^vhdx: [^\n]+: warning: [^\n]+\.lock could not be made \(ENAMETOOLONG\)[^\n]+\n$/);
  });
});

/** What a lock of this process says. */
async function lockText(path: string): Promise<string> {
  const lock = await lockFile(path);
  const text = await readFile(`${path}.lock`, 'utf8');
  await lock.release();
  return text;
}

describe('a child', () => {
  test('is written together with its parent, which is found by the usual options and stays as it is', async () => {
    const { root, child } = await lay({ relativePath: '..\\parents\\base.vhdx' }, { 'parents/base.vhdx': parentImage });
    const parent = join(root, 'parents/base.vhdx');
    const before = await readFile(parent);
    expectFailure(await vhdxWith({ input: 'abc' }, 'write', '--offset', '1', child), 1, '--parent', '--follow-parents');
    for (const options of [['--parent', parent], ['--parent', join(root, 'parents')], ['--follow-parents']]) {
      const input = `abc${options.length}`;
      expect(await vhdxWith({ input }, 'write', '--offset', '1', ...options, child)).toMatchObject(SUCCESS);
      const disk = await openVhdx(child, { parent, strict: true });
      expect(new TextDecoder().decode(await disk.read(1, 4))).toBe(input);
      await disk.close();
    }
    expect(Buffer.compare(await readFile(parent), before)).toBe(0);
    // Its identity needs no parent.
    expect(await vhdx('set', '--new-id', child)).toMatchObject(SUCCESS);
  });
});

test('a writer that was killed leaves a lock that is taken over, and a disk that holds what it had committed', async () => {
  const path = await newDisk(64 * MiB);
  const child = spawn(commandLine()[0], commandLine('write', '--offset', '0', path).slice(1));
  child.stdin.on('error', () => {});
  child.stdin.write(sourceBytes(0, 24 * MiB));
  while ((await stat(path)).blocks * 512 < 24 * MiB) await setTimeout(20);
  const closed = new Promise((resolve) => child.once('close', resolve));
  child.kill('SIGKILL');
  await closed;
  expect(await readdir(join(path, '..'))).toEqual(['disk.vhdx', 'disk.vhdx.lock']);
  expect(await vhdxWith({ input: 'after' }, 'write', '--offset', '0', path)).toMatchObject(SUCCESS);
  expect(new TextDecoder().decode(await contentOf(path, 0, 5))).toBe('after');
  expect(await readdir(join(path, '..'))).toEqual(['disk.vhdx']);
});

test('commands that read say that another process writes the file, and go on', async () => {
  const path = await newDisk();
  const lock = await lockFile(path);
  for (const line of [
    ['read', '--length', '1', path],
    ['convert', '-O', 'raw', path, join(path, '..', 'disk.img')],
    ['checksum', path],
  ]) {
    const { status, stderr } = await vhdx(...line);
    expect({ line, status }).toEqual({ line, status: 0 });
    expect(stderr).toMatch(/^vhdx: [^\n]+: warning: file: is being written by process \d+ on [^\n]+\n$/);
  }
  const checked = await vhdx('check', path);
  expect(checked).toMatchObject({ status: 0, stderr: '', stdout: expect.stringContaining('file-being-written') });
  await lock.release();
});

test('of two processes that write at the same time one is refused', async () => {
  const path = await newDisk();
  const folder = join(path, '..');
  const first = startVhdx('write', '--offset', '0', path);
  const ended = ending(first);
  while (!(await readdir(folder)).includes('disk.vhdx.lock')) await setTimeout(20);
  expectFailure(await vhdx('zero', '--offset', '0', '--length', '1M', path), 1, `process ${first.pid} on `);
  first.stdin?.end('first');
  expect(await ended).toEqual({ status: 0, stderr: '' });
  expect(new TextDecoder().decode(await contentOf(path, 0, 5))).toBe('first');
});

import fs from 'node:fs';
import { chmod, mkdir, readFile, stat, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test, vi } from 'vitest';
import { openFile } from '../../src/io/open.js';
import type { RandomAccessFile } from '../../src/io/random-access.js';
import { type Done, fileOfSourceBytes, replaceCall } from '../support/fs-calls.js';
import { expectSameBytes } from '../support/same-bytes.js';
import { hasSettled, rejection, sourceBytes, wrongAt } from '../support/scripted-source.js';
import { run, tempDir } from '../support/tools.js';

const MiB = 1024 * 1024;

async function writable(path?: string): Promise<RandomAccessFile> {
  const file = await openFile(path ?? (await fileOfSourceBytes()), { write: true });
  onTestFinished(() => file.close?.());
  return file;
}

const read = async (file: RandomAccessFile, offset: number, length: number): Promise<Uint8Array> => {
  const bytes = new Uint8Array(length);
  await file.readInto(bytes, offset);
  return bytes;
};

/** Makes a function of `fs` whose callback comes last fail with a code of the system. */
function failing(name: 'write' | 'fdatasync' | 'ftruncate' | 'fsync', code: string): void {
  vi.spyOn(fs, name).mockImplementation(((...parameters: unknown[]) => {
    const done = parameters.at(-1) as Done;
    setTimeout(() => done(Object.assign(new Error(`${code}: ${name}`), { code }), 0), 0);
  }) as never);
  onTestFinished(() => void vi.restoreAllMocks());
}

describe('a file opened without write', () => {
  test('is a source with a path', async () => {
    const path = await fileOfSourceBytes();
    const file = await openFile(path);
    expect(file).toMatchObject({ size: MiB, path, name: 'disk.vhdx' });
    expect(wrongAt(await read(file, 5, 100), 5)).toBe(-1);
    await file.close?.();
  });

  test('refuses every change', async () => {
    const path = await fileOfSourceBytes();
    const file = await openFile(path);
    for (const change of [() => file.write(new Uint8Array(1), 0), () => file.truncate(0), () => file.flush()]) {
      expect(await rejection(change())).toMatchObject({
        code: 'read-only',
        message: `${path}: was opened for reading only`,
      });
    }
    await file.close?.();
    expect((await stat(path)).size).toBe(MiB);
  });
});

describe('creating', () => {
  test('makes an empty file that can be written, with the usual permissions', async () => {
    const path = join(await tempDir(), 'new.vhdx');
    const file = await openFile(path, { create: true });
    expect(file.size).toBe(0);
    await file.write(sourceBytes(0, 1000), 0);
    await file.flush();
    await file.close?.();
    expect(wrongAt(await readFile(path), 0)).toBe(-1);
    expect((await stat(path)).mode & 0o777).toBe(0o666 & ~process.umask());
  });

  test('syncs the folder, so that a power cut does not take the name', async () => {
    const folder = await tempDir();
    const fsync = vi.spyOn(fs, 'fsync');
    const open = vi.spyOn(fs, 'open');
    onTestFinished(() => void vi.restoreAllMocks());
    await (await openFile(join(folder, 'new'), { create: true })).close?.();
    expect(open.mock.calls.map(([path]) => path)).toEqual([join(folder, 'new'), folder]);
    expect(fsync).toHaveBeenCalledTimes(1);
  });

  test('goes without where the system does not sync folders, and leaves nothing when syncing fails', async () => {
    const folder = await tempDir();
    failing('fsync', 'EINVAL');
    await (await openFile(join(folder, 'a'), { create: true })).close?.();
    vi.restoreAllMocks();
    failing('fsync', 'EIO');
    expect(await rejection(openFile(join(folder, 'b'), { create: true }))).toMatchObject({ code: 'write-failed' });
    expect(fs.readdirSync(folder)).toEqual(['a']);
  });

  test('never takes the place of anything', async () => {
    const path = await fileOfSourceBytes();
    const folder = join(path, '..');
    await symlink('nowhere', join(folder, 'dangling'));
    await mkdir(join(folder, 'folder'));
    for (const name of ['disk.vhdx', 'dangling', 'folder']) {
      expect(await rejection(openFile(join(folder, name), { create: true, write: true }))).toMatchObject({
        code: 'exists',
        message: `${join(folder, name)}: exists already`,
      });
    }
    expect((await stat(path)).size).toBe(MiB);
    expect(fs.readdirSync(folder).sort()).toEqual(['dangling', 'disk.vhdx', 'folder']);
  });

  test('says that the folder does not exist', async () => {
    const path = join(await tempDir(), 'no', 'new.vhdx');
    expect(await rejection(openFile(path, { create: true }))).toMatchObject({
      code: 'write-failed',
      message: `${path}: the folder does not exist`,
      cause: { code: 'ENOENT' },
    });
  });
});

describe('opening for writing', () => {
  test('says what is wrong with a path', async () => {
    const folder = await tempDir();
    expect((await run('mkfifo', [join(folder, 'pipe')])).status).toBe(0);
    expect(await rejection(openFile(join(folder, 'missing'), { write: true }))).toMatchObject({ code: 'read-failed' });
    expect(await rejection(openFile(folder, { write: true }))).toMatchObject({ code: 'read-failed' });
    expect(await rejection(openFile(join(folder, 'pipe'), { write: true }))).toMatchObject({ code: 'read-failed' });
  });

  test.each(['EBUSY', 'ETXTBSY'])('a file that the system keeps for another program (%s) is locked', async (system) => {
    const path = await fileOfSourceBytes();
    vi.spyOn(fs, 'open').mockImplementation(((...parameters: unknown[]) => {
      (parameters.at(-1) as (error: Error) => void)(Object.assign(new Error(system), { code: system }));
    }) as never);
    onTestFinished(() => void vi.restoreAllMocks());
    expect(await rejection(openFile(path, { write: true }))).toMatchObject({
      code: 'locked',
      message: expect.stringContaining(`${path}: in use by another program`),
    });
  });

  test('a file without permission to write is read-only', async () => {
    const path = await fileOfSourceBytes();
    await chmod(path, 0o444);
    await chmod(join(path, '..'), 0o755);
    const isRoot = process.geteuid?.() === 0;
    if (isRoot) process.seteuid?.(65_534);
    try {
      expect(await rejection(openFile(path, { write: true }))).toMatchObject({
        code: 'read-only',
        message: `${path}: permission denied`,
      });
    } finally {
      if (isRoot) process.seteuid?.(0);
    }
  });
});

describe('writing', () => {
  test('changes bytes in place, and nothing else', async () => {
    const path = await fileOfSourceBytes();
    const file = await writable(path);
    await file.write(new Uint8Array(10).fill(1), 1000);
    expect(await read(file, 1000, 10)).toEqual(new Uint8Array(10).fill(1));
    expect(file.size).toBe(MiB);
    await file.flush();
    const bytes = await readFile(path);
    bytes.set(sourceBytes(1000, 10), 1000);
    expect(wrongAt(bytes, 0)).toBe(-1);
  });

  test('past the end the file grows, with zeros in the gap', async () => {
    const file = await writable();
    await file.write(sourceBytes(2 * MiB, 100), 2 * MiB);
    expect(file.size).toBe(2 * MiB + 100);
    expect(await read(file, 2 * MiB - 50, 50)).toEqual(new Uint8Array(50));
    expect(wrongAt(await read(file, 2 * MiB, 100), 2 * MiB)).toBe(-1);
  });

  test('many at a time, with reads between them', async () => {
    const file = await writable();
    await file.truncate(0);
    const blocks = Array.from({ length: 256 }, (_, index) => (index * 149) % 256);
    await Promise.all(blocks.map((block) => file.write(sourceBytes(block * 4096, 4096), block * 4096)));
    const half = await Promise.all([
      ...blocks.map((block) => read(file, block * 4096, 4096).then((bytes) => wrongAt(bytes, block * 4096))),
      ...blocks.map((block) => file.write(sourceBytes(block * 4096, 4096), block * 4096).then(() => -1)),
    ]);
    expect(new Set(half)).toEqual(new Set([-1]));
    expect(file.size).toBe(MiB);
  });

  test('while the file is lengthened and cut: nothing is lost, and the size is what the file has', async () => {
    const path = await fileOfSourceBytes(0);
    const file = await writable(path);
    const piece = (i: number) => new Uint8Array(100_000).fill(i + 1);
    const calls: Promise<void>[] = [];
    for (let i = 0; i < 60; i++) {
      // Lengthened in time, too late, and not at all.
      if (i % 10 === 0) calls.push(file.truncate((i + 10) * 100_000 - (i % 20 === 0 ? 0 : 350_000)));
      calls.push(file.write(piece(i), i * 100_000));
    }
    calls.push(file.write(piece(99), 7_000_000), file.truncate(6_050_000));
    await Promise.all(calls);
    expect(file.size).toBe(6_050_000);
    expect((await stat(path)).size).toBe(6_050_000);
    for (let i = 0; i < 60; i++) expectSameBytes(await read(file, i * 100_000, 100_000), piece(i));
    expectSameBytes(await read(file, 6_000_000, 50_000), new Uint8Array(50_000));
  });

  test('from WebAssembly memory', async () => {
    const file = await writable();
    const memory = new WebAssembly.Memory({ initial: 1 });
    new Uint8Array(memory.buffer).fill(7);
    await file.write(new Uint8Array(memory.buffer, 100, 1000), 50);
    expect(await read(file, 50, 1000)).toEqual(new Uint8Array(1000).fill(7));
  });

  test('goes on where the system took less than it was given', async () => {
    const file = await writable();
    await file.truncate(0);
    replaceCall('write', (real, length, done) => real(Math.min(length, 1000), done));
    await file.write(sourceBytes(77, 4500), 77);
    expect(wrongAt(await read(file, 77, 4500), 77)).toBe(-1);
  });

  test('a system that takes nothing is an error, not an endless loop', async () => {
    const file = await writable();
    replaceCall('write', (_real, _length, done) => setTimeout(() => done(null, 0), 0));
    expect(await rejection(file.write(new Uint8Array(10), 5))).toMatchObject({ code: 'write-failed', offset: 5 });
  });

  test.each([
    ['ENOSPC', 'no-space', 'no space left on the device'],
    ['EDQUOT', 'no-space', 'the disk quota is used up'],
    ['EFBIG', 'no-space', 'the file system does not allow a file of this size'],
    ['EIO', 'write-failed', 'the device failed (input/output error)'],
  ])('%s is %s, with its place', async (system, code, reason) => {
    const path = await fileOfSourceBytes();
    const file = await writable(path);
    failing('write', system);
    expect(await rejection(file.write(new Uint8Array(10), 512))).toMatchObject({
      code,
      message: `${path}: ${reason}`,
      offset: 512,
      cause: { code: system },
    });
  });

  test('size is what the file has, also after a write of which only a part succeeded', async () => {
    const path = await fileOfSourceBytes();
    const file = await writable(path);
    let writes = 0;
    replaceCall('write', (real, length, done) => {
      if (writes++ === 0) real(Math.min(length, 1000), done);
      else setTimeout(() => done(Object.assign(new Error('ENOSPC'), { code: 'ENOSPC' }), 0), 0);
    });
    expect(await rejection(file.write(new Uint8Array(5000), MiB))).toMatchObject({
      code: 'no-space',
      offset: MiB + 1000,
    });
    expect(file.size).toBe(MiB + 1000);
    expect((await stat(path)).size).toBe(MiB + 1000);
  });

  test('a device that is full', async () => {
    const file = await openFile('/dev/full', { write: true }).catch((error: unknown) => error);
    // A character device has no bytes at offsets.
    expect(file).toMatchObject({ code: 'read-failed' });
  });

  test('what is no Uint8Array is a TypeError, what is no offset a RangeError', async () => {
    const file = await writable();
    for (const bytes of [new Uint16Array(4), new DataView(new ArrayBuffer(4)), new ArrayBuffer(4), [1], 'x', null]) {
      expect(await rejection(file.write(bytes as unknown as Uint8Array, 0))).toBeInstanceOf(TypeError);
      expect(await rejection(file.readInto(bytes as unknown as Uint8Array, 0))).toBeInstanceOf(TypeError);
    }
    for (const offset of [-1, 0.5, Number.NaN, 2 ** 53, '0' as unknown as number]) {
      expect(await rejection(file.write(new Uint8Array(4), offset))).toBeInstanceOf(RangeError);
      expect(await rejection(file.truncate(offset))).toBeInstanceOf(RangeError);
    }
    expect(file.size).toBe(MiB);
  });
});

describe('truncating', () => {
  test('cuts off and grows with zeros', async () => {
    const path = await fileOfSourceBytes();
    const file = await writable(path);
    await file.truncate(1000);
    await file.truncate(3000);
    expect(file.size).toBe(3000);
    expect(wrongAt(await read(file, 0, 1000), 0)).toBe(-1);
    expect(await read(file, 1000, 2000)).toEqual(new Uint8Array(2000));
    expect(await rejection(file.readInto(new Uint8Array(1), 3000))).toBeInstanceOf(RangeError);
  });

  test('is ordered with the writes before and after it', async () => {
    const path = await fileOfSourceBytes();
    const file = await writable(path);
    const held: (() => void)[] = [];
    replaceCall('write', (real, length, done) => held.push(() => real(length, done)));
    const before = file.write(new Uint8Array(100), 2 * MiB);
    const truncating = file.truncate(10);
    const after = file.write(new Uint8Array(5), 20);
    expect(await hasSettled(truncating)).toBe(false);
    expect(held).toHaveLength(1);
    held[0]?.();
    await before;
    await truncating;
    expect(await hasSettled(after)).toBe(false);
    held[1]?.();
    await after;
    expect(file.size).toBe(25);
    expect((await stat(path)).size).toBe(25);
  });
});

describe('flushing', () => {
  test('waits for the writes that were begun, then for the device', async () => {
    const file = await writable();
    const held: (() => void)[] = [];
    replaceCall('write', (real, length, done) => held.push(() => real(length, done)));
    const sync = vi.spyOn(fs, 'fdatasync');
    const writing = file.write(new Uint8Array(10), 0);
    const flushing = file.flush();
    expect(await hasSettled(flushing)).toBe(false);
    expect(sync).not.toHaveBeenCalled();
    held[0]?.();
    await Promise.all([writing, flushing]);
    expect(sync).toHaveBeenCalledTimes(1);
  });

  test('after a failure no flush succeeds any more', async () => {
    const file = await writable();
    failing('fdatasync', 'EIO');
    const error = await rejection(file.flush());
    expect(error).toMatchObject({ code: 'write-failed' });
    vi.restoreAllMocks();
    expect(await rejection(file.flush())).toBe(error);
  });
});

describe('closing', () => {
  test('waits for the running writes, and refuses what follows', async () => {
    const file = await openFile(await fileOfSourceBytes(), { write: true });
    const held: (() => void)[] = [];
    replaceCall('write', (real, length, done) => held.push(() => real(length, done)));
    const close = vi.spyOn(fs, 'close');
    const writing = file.write(new Uint8Array(10), 0);
    const closing = file.close?.() ?? Promise.reject();
    const late = [file.write(new Uint8Array(1), 0), file.truncate(0), file.flush()];
    for (const error of await Promise.all(late.map(rejection))) {
      expect(error).toMatchObject({ code: 'closed' });
    }
    expect(await hasSettled(closing)).toBe(false);
    expect(close).not.toHaveBeenCalled();
    held[0]?.();
    await writing;
    await closing;
    expect(close).toHaveBeenCalledTimes(1);
    await file.close?.();
    expect(close).toHaveBeenCalledTimes(1);
  });
});

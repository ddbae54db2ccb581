import fs from 'node:fs';
import { chmod, mkdir, open, symlink, truncate, writeFile } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { pathToFileURL } from 'node:url';
import { describe, expect, onTestFinished, test, vi } from 'vitest';
import { fileSource } from '../../src/io/file.js';
import { openSource } from '../../src/io/open.js';
import { fileOfSourceBytes, replaceCall } from '../support/fs-calls.js';
import { hasSettled, rejection, sourceBytes, wrongAt } from '../support/scripted-source.js';
import { run, tempDir } from '../support/tools.js';

const MiB = 1024 * 1024;
const GiB = 1024 * MiB;

interface HeldRead {
  readonly length: number;
  /** Lets the read happen. */
  go(): void;
}

/** Holds every read back until the spec lets it go. */
function holdReads(): HeldRead[] {
  const held: HeldRead[] = [];
  replaceCall('read', (real, length, done) => held.push({ length, go: () => real(length, done) }));
  return held;
}

describe('opening', () => {
  test('tells size, name and absolute path', async () => {
    const path = await fileOfSourceBytes();
    const source = await fileSource(relative(process.cwd(), path));
    expect(source).toMatchObject({ size: MiB, name: 'disk.vhdx', path });
    await source.close?.();
  });

  test('takes paths, file: URLs and their strings', async () => {
    const path = await fileOfSourceBytes();
    const url = pathToFileURL(path);
    for (const input of [path, url, url.href]) {
      const source = await openSource(input);
      const target = new Uint8Array(1000);
      await source.readInto(target, 5000);
      expect(wrongAt(target, 5000)).toBe(-1);
      await source.close?.();
    }
  });

  test('an empty file has no bytes', async () => {
    const path = join(await tempDir(), 'empty');
    await writeFile(path, '');
    const source = await fileSource(path);
    expect(source.size).toBe(0);
    await source.readInto(new Uint8Array(0), 0);
    await source.close?.();
  });

  test('says what is wrong with a path', async () => {
    const folder = await tempDir();
    await mkdir(join(folder, 'folder'));
    await writeFile(join(folder, 'file'), 'x');
    await symlink('circle', join(folder, 'circle'));
    const cases = {
      missing: 'no such file',
      folder: 'is a folder, not a file',
      'file/below': 'no such file: a part of the path is not a folder',
      circle: 'symbolic links that go round in a circle',
      [`${'long'.repeat(100)}`]: 'the name is too long',
    };
    for (const [name, reason] of Object.entries(cases)) {
      const path = join(folder, name);
      expect(await rejection(fileSource(path))).toMatchObject({ code: 'read-failed', message: `${path}: ${reason}` });
    }
    expect(await rejection(fileSource(join(folder, 'missing')))).toMatchObject({ cause: { code: 'ENOENT' } });
  });

  test('says that permission is denied', async () => {
    const path = await fileOfSourceBytes();
    await chmod(path, 0);
    await chmod(join(path, '..'), 0o755);
    const isRoot = process.geteuid?.() === 0;
    if (isRoot) process.seteuid?.(65_534);
    try {
      expect(await rejection(fileSource(path))).toMatchObject({
        code: 'read-failed',
        message: `${path}: permission denied`,
      });
    } finally {
      if (isRoot) process.seteuid?.(0);
    }
  });

  test('does not wait at a pipe', async () => {
    const path = join(await tempDir(), 'pipe');
    expect((await run('mkfifo', [path])).status).toBe(0);
    expect(await rejection(fileSource(path))).toMatchObject({
      code: 'read-failed',
      message: `${path}: is not a file but a pipe, a socket or a terminal`,
    });
  });

  test('finds out the size of a device that does not tell it', async () => {
    // No spec may rely on a block device, so a file says that it is one, as long as fstat tells no size.
    const path = await fileOfSourceBytes(3 * MiB + 512);
    const handle = await open(path);
    const fstat = fs.fstat as (...parameters: unknown[]) => void;
    vi.spyOn(fs, 'fstat').mockImplementation(((fd: number, done: (error: Error | null, stats: fs.Stats) => void) => {
      fstat(fd, (error: Error | null, stats: fs.Stats) => {
        stats.size = 0;
        stats.isFile = () => false;
        stats.isBlockDevice = () => true;
        done(error, stats);
      });
    }) as unknown as typeof fs.fstat);
    onTestFinished(() => void vi.restoreAllMocks());
    const source = await fileSource(handle);
    expect(source.size).toBe(3 * MiB + 512);
    await handle.close();
  });
});

describe('reading', () => {
  test.each([
    [0, 1],
    [4095, 4098],
    [MiB - 1, 1],
    [1, MiB - 1],
  ])('at %d, %d bytes', async (offset, length) => {
    const source = await fileSource(await fileOfSourceBytes());
    const target = new Uint8Array(length);
    await source.readInto(target, offset);
    expect(wrongAt(target, offset)).toBe(-1);
    await source.close?.();
  });

  test('many at a time, into WebAssembly memory', async () => {
    const source = await fileSource(await fileOfSourceBytes());
    const memory = new WebAssembly.Memory({ initial: 16 });
    await Promise.all(
      Array.from({ length: 256 }, (_, index) =>
        source.readInto(new Uint8Array(memory.buffer, (255 - index) * 4096, 4096), index * 4096),
      ),
    );
    for (let index = 0; index < 256; index++) {
      expect(wrongAt(new Uint8Array(memory.buffer, (255 - index) * 4096, 4096), index * 4096)).toBe(-1);
    }
    await source.close?.();
  });

  test('behind 4 GiB', async () => {
    const path = join(await tempDir(), 'sparse');
    const handle = await open(path, 'w');
    await handle.write(sourceBytes(0, 1000), 0, 1000, 5 * GiB);
    await handle.close();
    const source = await fileSource(path);
    expect(source.size).toBe(5 * GiB + 1000);
    const target = new Uint8Array(1000);
    await source.readInto(target, 5 * GiB);
    expect(wrongAt(target, 0)).toBe(-1);
    await source.close?.();
  });

  test('outside is a RangeError', async () => {
    const source = await fileSource(await fileOfSourceBytes());
    for (const [offset, length] of [
      [MiB, 1],
      [MiB - 1, 2],
      [-1, 1],
      [0.5, 1],
      [Number.NaN, 1],
    ] as const) {
      expect(await rejection(source.readInto(new Uint8Array(length), offset))).toBeInstanceOf(RangeError);
    }
    await source.close?.();
  });

  test('goes on where the system delivered less than it was asked for', async () => {
    const source = await fileSource(await fileOfSourceBytes());
    replaceCall('read', (real, length, done) => real(Math.min(length, 1000), done));
    const target = new Uint8Array(4500);
    await source.readInto(target, 77);
    expect(wrongAt(target, 77)).toBe(-1);
    await source.close?.();
  });

  test('asks the system for no more than 16 MiB at a time, so that an abort does not wait for long', async () => {
    const path = join(await tempDir(), 'sparse');
    await writeFile(path, '');
    await truncate(path, 3 * GiB);
    const source = await fileSource(path);
    const lengths: number[] = [];
    const controller = new AbortController();
    let abortAt = 0;
    replaceCall('read', (_real, length, done) => {
      lengths.push(length);
      if (abortAt === lengths.length) controller.abort('enough');
      setTimeout(() => done(null, length), 0);
    });
    await source.readInto(new Uint8Array(40 * MiB), 2.5 * GiB);
    expect(lengths.splice(0)).toEqual([16 * MiB, 16 * MiB, 8 * MiB]);
    abortAt = 3;
    const reading = source.readInto(new Uint8Array(100 * MiB), 0, { signal: controller.signal });
    expect(await rejection(reading)).toBe('enough');
    expect(lengths).toEqual([16 * MiB, 16 * MiB, 16 * MiB]);
    await source.close?.();
  });

  test('says that the file was cut off while it was open', async () => {
    const path = await fileOfSourceBytes();
    const source = await fileSource(path);
    await truncate(path, 5000);
    const error = await rejection(source.readInto(new Uint8Array(4096), 4096));
    expect(error).toMatchObject({ code: 'short-read', offset: 5000 });
    expect(String(error)).toContain(`${path}: ends at byte 5000 and had ${MiB} bytes when it was opened`);
    await source.readInto(new Uint8Array(904), 4096);
    await source.close?.();
  });

  test('hands an error of the system on, with its place', async () => {
    const path = await fileOfSourceBytes();
    const source = await fileSource(path);
    replaceCall('read', (_real, _length, done) => {
      setTimeout(() => done(Object.assign(new Error('EIO: i/o error, read'), { code: 'EIO' }), 0), 0);
    });
    expect(await rejection(source.readInto(new Uint8Array(10), 512))).toMatchObject({
      code: 'read-failed',
      message: `${path}: the device failed (input/output error)`,
      offset: 512,
      cause: { code: 'EIO' },
    });
    await source.close?.();
  });
});

describe('giving up and closing', () => {
  test('a read that is aborted rejects with the reason, but not before the system has let go of the target', async () => {
    const source = await fileSource(await fileOfSourceBytes());
    const held = holdReads();
    const controller = new AbortController();
    const reading = rejection(source.readInto(new Uint8Array(10), 0, { signal: controller.signal }));
    const reason = new Error('enough');
    controller.abort(reason);
    expect(await hasSettled(reading)).toBe(false);
    held[0]?.go();
    expect(await reading).toBe(reason);
    expect(held.length).toBe(1);
    expect(await rejection(source.readInto(new Uint8Array(10), 0, { signal: controller.signal }))).toBe(reason);
    expect(held.length).toBe(1);
    await source.close?.();
  });

  test('a read that is aborted asks for no more pieces', async () => {
    const source = await fileSource(await fileOfSourceBytes());
    const controller = new AbortController();
    let reads = 0;
    replaceCall('read', (real, length, done) => {
      reads++;
      if (reads === 2) controller.abort('enough');
      real(Math.min(length, 100), done);
    });
    expect(await rejection(source.readInto(new Uint8Array(1000), 0, { signal: controller.signal }))).toBe('enough');
    expect(reads).toBe(2);
    await source.close?.();
  });

  test('closing waits for the running reads, which succeed, and refuses those that follow', async () => {
    const source = await fileSource(await fileOfSourceBytes());
    const held = holdReads();
    const close = vi.spyOn(fs, 'close');
    const target = new Uint8Array(1000);
    const reading = source.readInto(target, 0);
    const closing = source.close?.() ?? Promise.reject();
    expect(source.close?.()).toBe(closing);
    expect(await rejection(source.readInto(new Uint8Array(1), 0))).toMatchObject({ code: 'closed' });
    expect(await hasSettled(closing)).toBe(false);
    expect(close).not.toHaveBeenCalled();
    held[0]?.go();
    await reading;
    expect(wrongAt(target, 0)).toBe(-1);
    await closing;
    expect(close).toHaveBeenCalledTimes(1);
  });

  test('opening again and again leaves no descriptor behind', async () => {
    const path = await fileOfSourceBytes();
    const folder = await tempDir();
    const count = () => fs.readdirSync('/proc/self/fd').length;
    await fileSource(path).then((source) => source.close?.());
    const before = count();
    for (let index = 0; index < 20; index++) {
      await fileSource(path).then((source) => source.close?.());
      await rejection(fileSource(folder));
    }
    expect(count() - before).toBeLessThan(20); // Deno may have opened one or two of its own meanwhile
  });
});

describe('a file handle that was handed over', () => {
  test('is read, and stays open', async () => {
    const handle = await open(await fileOfSourceBytes());
    onTestFinished(() => handle.close());
    const source = await openSource(handle);
    const target = new Uint8Array(5000);
    await source.readInto(target, 100);
    expect(source.size).toBe(MiB);
    expect(wrongAt(target, 100)).toBe(-1);
    await source.close?.();
    expect(await rejection(source.readInto(target, 0))).toMatchObject({ code: 'closed' });
    expect((await handle.stat()).size).toBe(MiB);
  });

  test('that its owner closes, even during a read, never gives the bytes of another file', async () => {
    const handle = await open(await fileOfSourceBytes());
    const source = await openSource(handle);
    const held = holdReads();
    const reading = rejection(source.readInto(new Uint8Array(10), 0));
    await handle.close();
    const other = await open(await fileOfSourceBytes()); // gets the same descriptor
    onTestFinished(() => other.close());
    held[0]?.go();
    expect(await reading).toMatchObject({ code: 'closed' });
    expect(await rejection(source.readInto(new Uint8Array(10), 0))).toMatchObject({ code: 'closed' });
    expect(held.length).toBe(1);
  });
});

test('a SharedArrayBuffer is read like any other', async () => {
  const shared = new SharedArrayBuffer(1000);
  new Uint8Array(shared).set(sourceBytes(0, 1000));
  const target = new Uint8Array(1000);
  await (await openSource(shared)).readInto(target, 0);
  expect(wrongAt(target, 0)).toBe(-1);
});

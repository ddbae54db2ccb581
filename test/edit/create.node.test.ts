import { mkdir, readFile, stat, symlink, writeFile } from 'node:fs/promises';
import { join, posix, win32 } from 'node:path';
import { describe, expect, test } from 'vitest';
import { locatorPaths } from '../../src/edit/create/child.js';
import { type CreateOptions, createVhdx, openFile, openVhdx } from '../../src/index.js';
import { lockFile } from '../../src/io/lock.js';
import { buildImage } from '../support/build-image.js';
import { GiB, MiB, TiB } from '../support/encode-primitives.js';
import {
  convertWithQemu,
  pyvhdi,
  qemuImg,
  qemuIo,
  readWith7Zip,
  readWithLibvhdi,
  sevenZip,
} from '../support/other-readers.js';
import { expectSameBytes } from '../support/same-bytes.js';
import { saveFile } from '../support/save-image.js';
import { SLOW } from '../support/time-limits.js';
import { needs, tempDir } from '../support/tools.js';

async function createdIn(folder: string, name: string, options: CreateOptions): Promise<string> {
  const path = join(folder, name);
  await createVhdx(path, options);
  return path;
}

const KINDS: readonly [string, CreateOptions][] = [
  ['dynamic', { size: 10 * MiB }],
  ['fixed', { size: 10 * MiB, type: 'fixed' }],
  ['of blocks of 1 MiB', { size: 10 * MiB + 512, blockSize: MiB }],
  ['of blocks of 256 MiB, over two chunks', { size: 5 * GiB, blockSize: 256 * MiB }],
  ['with a BAT of 2 MiB and a long log', { size: 128 * GiB, blockSize: MiB, logSize: 2 * MiB }],
  ['fixed, over two chunks', { size: 5 * GiB, blockSize: 256 * MiB, type: 'fixed' }],
];

describe('a new image in the hands of others', () => {
  needs(qemuImg, qemuIo).test('is sound to qemu-img, has its size, and can be written by it', async () => {
    const folder = await tempDir();
    for (const [name, options] of KINDS) {
      const path = await createdIn(folder, `${name}.vhdx`, options);
      expect(await qemuImg.run(['check', '-f', 'vhdx', path]), name).toMatchObject({ status: 0, stderr: '' });
      const { stdout } = await qemuImg.run(['info', '-f', 'vhdx', '--output=json', path]);
      expect(JSON.parse(stdout), name).toMatchObject({
        'virtual-size': options.size,
        'cluster-size': options.blockSize ?? 2 * MiB,
      });
      const at = (options.size as number) - 3 * MiB;
      const written = await qemuIo.run(['-f', 'vhdx', '-c', `write -P 0x5a ${at} 2M`, path]);
      expect(written.stdout, name).toContain('wrote 2097152/2097152');
      const disk = await openVhdx(path, { strict: true });
      expect(new Set(await disk.read(at, 2 * MiB))).toEqual(new Set([0x5a]));
      expect(new Set(await disk.read(at + 2 * MiB, MiB))).toEqual(new Set([0]));
      await disk.close();
    }
  });

  needs(qemuImg).test('converts to zeros with qemu-img', async () => {
    const folder = await tempDir();
    for (const [name, options] of KINDS.slice(0, 3)) {
      const raw = await convertWithQemu(await createdIn(folder, `${name}.vhdx`, options));
      const bytes = await readFile(raw);
      expect(bytes.length).toBe(options.size);
      expect(bytes.every((byte) => byte === 0)).toBe(true);
    }
  });

  needs(sevenZip, pyvhdi).test('reads as zeros in 7-Zip and libvhdi, with sectors of 4096 bytes too', async () => {
    const folder = await tempDir();
    for (const type of ['dynamic', 'fixed'] as const) {
      for (const logicalSectorSize of [512, 4096] as const) {
        const options = { size: 6 * MiB, type, logicalSectorSize };
        const path = await createdIn(folder, `${type} ${logicalSectorSize}.vhdx`, options);
        for (const bytes of [await readWith7Zip(path), await readWithLibvhdi([path])]) {
          expect(bytes.length).toBe(6 * MiB);
          expect(bytes.every((byte) => byte === 0)).toBe(true);
        }
      }
    }
  });

  // libvhdi cannot judge this: for a child whose chunk has no bitmap block yet it takes the start of the file for one.
  needs(sevenZip).test('of a parent shows the parent’s bytes in 7-Zip', async () => {
    const folder = await tempDir();
    const parent = join(folder, 'base.vhdx');
    await saveFile(buildImage({ virtualSize: 6 * MiB }), parent);
    const child = await createdIn(folder, 'child.avhdx', { parent, blockSize: MiB });
    expectSameBytes(await readWith7Zip(child), await readWith7Zip(parent));
  });
});

describe('a new child in a file', () => {
  test('finds its parent by the path that was stored, in its own folder and elsewhere', async () => {
    const folder = await tempDir();
    await mkdir(join(folder, 'disks'));
    await mkdir(join(folder, 'checkpoints/today'), { recursive: true });
    const parent = join(folder, 'disks/base.vhdx');
    await saveFile(buildImage({ virtualSize: 6 * MiB }), parent);
    for (const [name, way] of [
      ['disks/child.avhdx', '.\\base.vhdx'],
      ['checkpoints/today/child.avhdx', '..\\..\\disks\\base.vhdx'],
      ['child.avhdx', '.\\disks\\base.vhdx'],
    ] as const) {
      const child = await createdIn(folder, name, { parent });
      const disk = await openVhdx(child, { strict: true, followParents: 'anywhere' });
      expect(disk.info.parentLocator?.['relative_path']).toBe(way);
      expect(disk.parent?.path).toBe(parent);
      await disk.close();
    }
  });

  test('does not change its parent, which may be dirty', async () => {
    const folder = await tempDir();
    const parent = join(folder, 'base.vhdx');
    const { dirtied, structureSectors } = await import('../support/dirty-images.js');
    const clean = buildImage({ virtualSize: 6 * MiB });
    await saveFile(dirtied(clean, structureSectors(clean)), parent);
    const before = await readFile(parent);
    const child = await createdIn(folder, 'child.avhdx', { parent });
    expect(Buffer.compare(await readFile(parent), before)).toBe(0);
    const [disk, below] = [await openVhdx(child), await openVhdx(parent)];
    expect(await disk.checksum()).toBe(await below.checksum());
    await disk.close();
    await below.close();
  });

  test('is never written over its parent or a grandparent, by any of their names', async () => {
    const folder = await tempDir();
    const base = join(folder, 'base.vhdx');
    await saveFile(buildImage({ virtualSize: 6 * MiB }), base);
    const child = await createdIn(folder, 'child.avhdx', { parent: base });
    await symlink(base, join(folder, 'link.vhdx'));
    const before = await readFile(base);
    for (const name of ['base.vhdx', 'link.vhdx', 'child.avhdx']) {
      const creating = createVhdx(join(folder, name), { parent: child, overwrite: true });
      await expect(creating).rejects.toMatchObject({ code: 'parent-cycle' });
    }
    const file = await openFile(base, { write: true });
    await expect(createVhdx(file, { parent: child, overwrite: true })).rejects.toMatchObject({ code: 'parent-cycle' });
    await file.close?.();
    expect(Buffer.compare(await readFile(base), before)).toBe(0);
  });

  test('stores paths as Windows has them', () => {
    const child = 'C:\\vm\\child.avhdx';
    expect(locatorPaths(child, 'C:\\vm\\parent.vhdx', win32)).toEqual({
      relative_path: '.\\parent.vhdx',
      absolute_win32_path: '\\\\?\\C:\\vm\\parent.vhdx',
    });
    expect(locatorPaths(child, 'D:\\parent.vhdx', win32)).toEqual({
      absolute_win32_path: '\\\\?\\D:\\parent.vhdx',
    });
    expect(locatorPaths(child, '\\\\server\\share\\parent.vhdx', win32)).toEqual({
      absolute_win32_path: '\\\\?\\UNC\\server\\share\\parent.vhdx',
    });
    expect(locatorPaths('/vm/a/child.avhdx', '/vm/b/parent.vhdx', posix)).toEqual({
      relative_path: '..\\b\\parent.vhdx',
    });
    expect(() => locatorPaths('/vm/child.avhdx', '/vm/b\\parent.vhdx', posix)).toThrow(/backslash/);
  });
});

describe('a file', () => {
  test('that exists is refused and stays as it was, and is replaced if it may be', async () => {
    const path = join(await tempDir(), 'disk.vhdx');
    await writeFile(path, 'something else');
    await expect(createVhdx(path, { size: MiB })).rejects.toMatchObject({ code: 'exists' });
    await expect(createVhdx(path, { size: 0, overwrite: true })).rejects.toThrow(RangeError);
    expect(await readFile(path, 'utf8')).toBe('something else');
    await createVhdx(path, { size: MiB, overwrite: true });
    expect((await stat(path)).size).toBe(4 * MiB);
    await createVhdx(join(path, '../other.vhdx'), { size: MiB, overwrite: true });
  });

  test('that another writer has locked is not replaced', async () => {
    const path = join(await tempDir(), 'disk.vhdx');
    await writeFile(path, 'something else');
    const lock = await lockFile(path);
    await expect(createVhdx(path, { size: MiB, overwrite: true })).rejects.toMatchObject({ code: 'locked' });
    expect(await readFile(path, 'utf8')).toBe('something else');
    await lock.release();
    await createVhdx(path, { size: MiB, overwrite: true });
    await createVhdx(path, { size: MiB, overwrite: true }); // the lock of the first is gone
  });

  test('in a folder that does not exist, or that is a folder, is refused', async () => {
    const folder = await tempDir();
    await expect(createVhdx(join(folder, 'a/disk.vhdx'), { size: MiB })).rejects.toThrow(/the folder does not exist/);
    await expect(createVhdx(folder, { size: MiB, overwrite: true })).rejects.toThrow(/is a folder/);
  });

  test('of a creation that is aborted is not there', async () => {
    const path = join(await tempDir(), 'disk.vhdx');
    const controller = new AbortController();
    const onProgress = () => controller.abort(new Error('enough'));
    const creating = createVhdx(path, { size: TiB, blockSize: MiB, onProgress, signal: controller.signal });
    await expect(creating).rejects.toThrow('enough');
    await expect(stat(path)).rejects.toThrow(/ENOENT/);
  });

  test('of a fixed image is as long as its disk, and takes no room for it', async () => {
    const path = await createdIn(await tempDir(), 'disk.vhdx', { size: 10 * GiB, type: 'fixed' });
    const { size, blocks } = await stat(path);
    expect(size).toBe(4 * MiB + 10 * GiB);
    expect(blocks * 512).toBeLessThan(8 * MiB);
  });
});

describe('a disk of 64 TiB in blocks of 1 MiB', () => {
  test('is created in at most 64 MiB of memory', SLOW.largest, async () => {
    const path = join(await tempDir(), 'disk.vhdx');
    const before = process.memoryUsage().rss;
    let most = 0;
    const onProgress = () => {
      most = Math.max(most, process.memoryUsage().rss - before);
    };
    await createVhdx(path, { size: 64 * TiB, blockSize: MiB, onProgress });
    expect(most).toBeLessThan(64 * MiB);
    const disk = await openVhdx(path);
    expect((await disk.check()).status).toBe('sound');
    await disk.close();
    expect((await stat(path)).size).toBe(516 * MiB);
  });
});

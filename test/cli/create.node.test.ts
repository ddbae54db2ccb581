import { existsSync } from 'node:fs';
import { readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { openVhdx } from '../../src/index.js';
import { buildImage } from '../support/build-image.js';
import { expectFailure, saved, vhdx } from '../support/command.js';
import { MiB } from '../support/encode-primitives.js';
import { needs, tempDir, tool } from '../support/tools.js';

const qemuImg = tool('qemu-img');

describe('vhdx create', () => {
  needs(qemuImg).test('makes what was asked for, sound to qemu-img', async () => {
    const path = join(await tempDir(), 'disk.vhdx');
    const options = 'subformat=fixed,block_size=4M,log_size=2M,physical_sector_size=512';
    const made = await vhdx('create', '-f', 'vhdx', '-o', options, path, '9M');
    expect(made).toMatchObject({ status: 0, stderr: '' });
    expect(made.stdout).toContain('fixed, 9 MiB (9437184 bytes)');
    expect(await qemuImg.run(['check', '-f', 'vhdx', path])).toMatchObject({ status: 0 });
    const disk = await openVhdx(path, { strict: true });
    expect(disk).toMatchObject({ type: 'fixed', size: 9 * MiB, blockSize: 4 * MiB, physicalSectorSize: 512 });
    expect(disk.info.log.length).toBe(2 * MiB);
    await disk.close();
  });

  test('makes a child with the size of its parent, which is found again', async () => {
    const folder = await tempDir();
    const [base, child] = [join(folder, 'base.vhdx'), join(folder, 'child.avhdx')];
    expect(await vhdx('create', '-q', base, '6M')).toMatchObject({ status: 0, stdout: '', stderr: '' });
    expect(await vhdx('create', '-b', base, '-F', 'vhdx', child)).toMatchObject({ status: 0, stderr: '' });
    const disk = await openVhdx(child, { strict: true });
    expect([disk.type, disk.size, disk.parent?.path]).toEqual(['differencing', 6 * MiB, base]);
    await disk.close();
  });

  test('names the parent if that is what is wrong, and no option that it does not have', async () => {
    const folder = await tempDir();
    const [orphan, text, child] = [join(folder, 'orphan.avhdx'), join(folder, 'text'), join(folder, 'child.avhdx')];
    await saved(buildImage({ type: 'differencing', parentLocator: { entries: [] } }), orphan);
    await writeFile(text, 'not an image');
    const refused = await vhdx('create', '-b', orphan, child);
    expectFailure(refused, 1, `vhdx: ${orphan}: Parent Locator: there is no readable parent_linkage`);
    expect(refused.stderr).not.toContain('--ignore-parent-mismatch');
    expectFailure(await vhdx('create', '-b', text, child), 1, `vhdx: ${text}: file identifier: not a VHDX file`);
    expectFailure(
      await vhdx('create', '-b', join(folder, 'no'), child),
      1,
      `vhdx: ${join(folder, 'no')}: no such file`,
    );
    expect(existsSync(child)).toBe(false);
  });

  test('keeps a file that exists, unless --force replaces it', async () => {
    const path = join(await tempDir(), 'disk.vhdx');
    await writeFile(path, 'mine');
    expectFailure(await vhdx('create', path, '1M'), 1, 'exists');
    expect(await readFile(path, 'utf8')).toBe('mine');
    expect(await vhdx('create', '--force', path, '1M')).toMatchObject({ status: 0 });
    expect((await stat(path)).size).toBe(4 * MiB);
  });

  test.each([
    [['disk.vhdx'], 'size is missing'],
    [['disk.vhdx', '0'], 'size is 0'],
    [['-o', 'block_size=3M', 'disk.vhdx', '1M'], 'not a power of two'],
    [['-o', 'preallocation=full', 'disk.vhdx', '1M'], 'preallocation is not supported'],
    [['-o', 'shape=round', 'disk.vhdx', '1M'], 'shape is no option'],
    [['-o', 'subformat=fixed', '-b', 'base.vhdx', 'disk.vhdx'], 'exclude each other'],
    [['-b', '/no/such/base.vhdx', 'disk.vhdx'], 'no such file'],
  ])('refuses %j', async (words, complaint) => {
    expectFailure(await vhdx('create', ...words), 1, complaint);
  });
});

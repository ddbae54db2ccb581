import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { openDisk, openVhdx, type VhdDisk, writeVhdx } from '../../src/index.js';
import { contentBytes, pattern } from '../support/block-content.js';
import { buildVhd, VHD_CHILD_ID, VHD_ID } from '../support/build-vhd.js';
import { expectFailure, vhdx } from '../support/command.js';
import { MiB } from '../support/encode-primitives.js';
import { pyvhdi, qemuImg, qemuIo, readWithLibvhdi, sevenZip } from '../support/other-readers.js';
import { expectSameBytes } from '../support/same-bytes.js';
import { needs, tempDir } from '../support/tools.js';

const data = (seed: number) => contentBytes(pattern(seed), 0, 2 * MiB);

async function contentOf(path: string): Promise<Uint8Array> {
  const { source, close } = await openDisk(path);
  const bytes = new Uint8Array(source.size);
  await source.readInto(bytes, 0);
  await close();
  return bytes;
}

// libvhdi takes the size at creation for the size of the disk.
const SIZE = { size: 6 * MiB, originalSize: 6 * MiB };

const chain = {
  base: buildVhd({ ...SIZE, blocks: { 0: { data: data(0) }, 1: { data: data(1) } } }),
  child: (locators: readonly (readonly [string, string])[], name = 'base.vhd', end = 100) =>
    buildVhd({
      type: 4,
      ...SIZE,
      uniqueId: VHD_CHILD_ID,
      parentId: VHD_ID,
      parentName: name,
      locators,
      blocks: { 1: { data: data(9), sectors: (sector) => sector >= 8 && sector < end }, 2: { data: data(2) } },
    }),
};

describe('the VHDs of qemu-img', () => {
  needs(qemuImg, qemuIo).test('are read as qemu-img reads them, of every kind', async () => {
    const folder = await tempDir();
    for (const list of ['subformat=fixed', 'subformat=dynamic', 'subformat=dynamic,force_size=on', 'force_size=off']) {
      const path = join(folder, `${list}.vhd`);
      expect(await qemuImg.run(['create', '-f', 'vpc', '-o', list, path, '37M'])).toMatchObject({ status: 0 });
      const writes = ['-c', 'write -P 7 0 64k', '-c', 'write -P 8 5000k 3000k', '-c', 'write -P 9 36M 512k'];
      expect(await qemuIo.run(['-f', 'vpc', ...writes, path])).toMatchObject({ status: 0 });
      expect(await qemuImg.run(['convert', '-f', 'vpc', '-O', 'raw', path, `${path}.raw`])).toMatchObject({
        status: 0,
      });
      const raw = await readFile(`${path}.raw`);
      const own = await contentOf(path);
      // Without force_size qemu-img rounds up to whole cylinders, and says so in both sizes.
      expectSameBytes(own, raw);
      const out = join(folder, `${list}.vhdx`);
      expect(await vhdx('convert', '-O', 'vhdx', path, out)).toMatchObject({ status: 0, stderr: '' });
      expect(await qemuImg.run(['check', '-f', 'vhdx', out])).toMatchObject({ status: 0, stderr: '' });
      expect(await qemuImg.run(['compare', '-f', 'vhdx', '-F', 'raw', out, `${path}.raw`])).toMatchObject({
        status: 0,
      });
      expect((await openVhdx(out)).type).toBe(list === 'subformat=fixed' ? 'fixed' : 'dynamic');
      expect(await vhdx('compare', path, out)).toMatchObject({ status: 0 });
      expect(await vhdx('check', path)).toMatchObject({ status: 0 });
    }
  });
});

describe('a VHD made by hand', () => {
  needs(sevenZip, pyvhdi).test('is read by 7-Zip and libvhdi alike', async () => {
    const folder = await tempDir();
    const path = join(folder, 'base.vhd');
    await writeFile(path, chain.base);
    const own = await contentOf(path);
    expectSameBytes(own.subarray(2 * MiB, 4 * MiB), data(1));
    const { status, bytes } = await sevenZip.run(['e', '-so', '-tvhd', path]);
    expect(status).toBe(0);
    expectSameBytes(bytes, own);
    expectSameBytes(await readWithLibvhdi([path]), own);
    const child = join(folder, 'child.vhd');
    await writeFile(child, chain.child([['W2ru', '.\\base.vhd']]));
    const whole = await sevenZip.run(['e', '-so', '-tvhd', child]);
    expect(whole.status).toBe(0);
    expectSameBytes(whole.bytes, await contentOf(child));
    // libvhdi is wrong about bytes of a bitmap that have ones and zeros.
    await writeFile(child, chain.child([['W2ru', '.\\base.vhd']], 'base.vhd', 104));
    expectSameBytes(await readWithLibvhdi([child, path]), await contentOf(child));
  });
});

describe('the parent of a VHD in a file', () => {
  test.each<[string, readonly (readonly [string, string])[], string]>([
    ['its relative path', [['W2ru', '.\\base.vhd']], 'base.vhd'],
    ['its relative path in a folder', [['W2ru', 'disks\\base.vhd']], 'disks/base.vhd'],
    ['an old relative path', [['Wi2r', '.\\base.vhd']], 'base.vhd'],
    ['the name at the end of its absolute path', [['W2ku', 'C:\\vm\\base.vhd']], 'base.vhd'],
    ['its name', [], 'base.vhd'],
    ['its unique id', [['W2ru', '.\\gone.vhd']], 'renamed.avhd'],
  ])('is found by %s', async (_, locators, name) => {
    const folder = await tempDir();
    await mkdir(join(folder, 'disks'));
    await writeFile(join(folder, name), chain.base);
    const path = join(folder, 'child.avhd');
    await writeFile(path, chain.child(locators));
    const { vhd, close } = await openDisk(path);
    const disk = vhd as VhdDisk;
    expect(disk.parent?.path).toBe(join(folder, name));
    expect(disk.findings.map(({ code }) => code)).toEqual(name === 'renamed.avhd' ? ['parent-guessed'] : []);
    const expected = new Uint8Array(2 * MiB);
    expected.set(data(1));
    expected.set(data(9).subarray(8 * 512, 100 * 512), 8 * 512);
    expectSameBytes(await disk.read(2 * MiB, 2 * MiB), expected);
    await close();
  });

  test('is not opened outside the folder of the child, unless that is allowed', async () => {
    const folder = await tempDir();
    await mkdir(join(folder, 'children'));
    await writeFile(join(folder, 'base.vhd'), chain.base);
    const path = join(folder, 'children/child.vhd');
    await writeFile(path, chain.child([['W2ru', '..\\base.vhd']]));
    const refused = { code: 'parent-missing', hints: ['parent', 'follow-parents'] };
    await expect(openDisk(path)).rejects.toMatchObject(refused);
    await expect(openDisk(path, { untrusted: true })).rejects.toMatchObject({
      code: 'parent-missing',
      path: undefined,
    });
    const disk = await openDisk(path, { followParents: 'anywhere' });
    expect(disk.vhd?.parent?.path).toBe(join(folder, 'base.vhd'));
    await disk.close();
    const inFolder = await openDisk(path, { parent: folder });
    expect(inFolder.vhd?.parent?.path).toBe(join(folder, 'base.vhd'));
    await inFolder.close();
    expectFailure(await vhdx('convert', '-O', 'vhdx', path, join(folder, 'out.vhdx')), 1, '--follow-parents');
    const followed = ['convert', '--follow-parents', '-O', 'vhdx', path, join(folder, 'out.vhdx')];
    expect(await vhdx(...followed)).toMatchObject({ status: 0, stderr: '' });
    await expect(writeVhdx(path, join(folder, 'base.vhd'), { overwrite: true })).rejects.toMatchObject({
      code: 'parent-missing',
    });
    const sourceOptions = { followParents: 'anywhere' } as const;
    const over = writeVhdx(path, join(folder, 'base.vhd'), { overwrite: true, sourceOptions });
    await expect(over).rejects.toMatchObject({ code: 'exists' });
  });
});

describe('the command', () => {
  test('shows, sums, checks and compares VHDs', async () => {
    const folder = await tempDir();
    const [base, child] = [join(folder, 'base.vhd'), join(folder, 'child.avhd')];
    await writeFile(base, chain.base);
    await writeFile(child, chain.child([['W2ru', '.\\base.vhd']]));
    const { stdout } = await vhdx('info', child);
    expect(stdout).toMatch(/format: +VHD, differencing/);
    expect(stdout).toMatch(/parent: +.*base\.vhd \(01020304-/);
    const json = JSON.parse((await vhdx('info', '--output', 'json', base)).stdout);
    expect(json).toMatchObject({ format: 'vpc', 'virtual-size': 6 * MiB });
    expect(await vhdx('check', child)).toMatchObject({ status: 0 });
    const raw = join(folder, 'disk.img');
    expect(await vhdx('convert', child, raw)).toMatchObject({ status: 0, stderr: '' });
    expectSameBytes(await readFile(raw), await contentOf(child));
    expect(await vhdx('compare', '-F', 'raw', child, raw)).toMatchObject({ status: 0 });
    const [ours, theirs] = [await vhdx('checksum', child), await vhdx('checksum', '-f', 'raw', raw)];
    expect(ours.stdout.slice(0, 8)).toBe(theirs.stdout.slice(0, 8));
    const damaged = chain.base.slice();
    damaged[600] = 9;
    await writeFile(base, damaged);
    expectFailure(await vhdx('convert', base, raw), 1, 'dynamic disk header: its signature or its checksum');
  });
});

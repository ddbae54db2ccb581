// Rules 107 and 107b: where parents are looked for, and where they are not.
import { mkdir, rename, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { openVhdx } from '../../src/index.js';
import { pattern } from '../support/block-content.js';
import type { BuiltImage } from '../support/build-image.js';
import { chainOf, guidAt } from '../support/chain-files.js';
import { dirtied, structureSectors } from '../support/dirty-images.js';
import { expectContent } from '../support/expect-opening.js';
import { locatorEntries, STATE } from '../support/image-spec.js';
import { base, childWith, expectFound, lay, other, refusal } from '../support/parent-folders.js';
import { saveFile } from '../support/save-image.js';
import { tempDir } from '../support/tools.js';

const present = (seed: number) => ({ state: STATE.fullyPresent, data: pattern(seed) });

describe('paths that are followed', () => {
  for (const [title, paths, place] of [
    ['relative_path, as Windows writes it', { relativePath: '.\\base.vhdx' }, 'vm/base.vhdx'],
    ['relative_path without a dot', { relativePath: 'base.vhdx' }, 'vm/base.vhdx'],
    ['relative_path into a folder below', { relativePath: '.\\old\\2024\\base.vhdx' }, 'vm/old/2024/base.vhdx'],
    ['relative_path with slashes', { relativePath: './old/base.vhdx' }, 'vm/old/base.vhdx'],
    ['relative_path that goes out and comes back', { relativePath: '..\\vm\\base.vhdx' }, 'vm/base.vhdx'],
    ['volume_path, where it is relative', { volumePath: 'old\\base.vhdx' }, 'vm/old/base.vhdx'],
    ['absolute_win32_path, where it is relative', { absolutePath: 'old\\base.vhdx' }, 'vm/old/base.vhdx'],
    ['a checkpoint, .avhdx, as the parent', { relativePath: '.\\base_0815.avhdx' }, 'vm/base_0815.avhdx'],
    ['a name that is not ASCII', { relativePath: '.\\Größe 鍵.vhdx' }, 'vm/Größe 鍵.vhdx'],
  ] as const) {
    test(`rule 107: ${title}`, async () => {
      const { root, child } = await lay(paths, { [place]: base });
      expect(await expectFound(child, join(root, place))).toEqual([]);
    });
  }

  test('rule 107: an absolute path of this system, where it lies in the folder', async () => {
    const { root, child } = await lay({}, { 'vm/base.vhdx': base });
    await saveFile(childWith({ absolutePath: join(root, 'vm/base.vhdx') }), child);
    expect(await expectFound(child, join(root, 'vm/base.vhdx'))).toEqual([]);
  });

  test('rule 107: relative_path comes before volume_path, and that before absolute_win32_path', async () => {
    const paths = { relativePath: 'r.vhdx', volumePath: 'v.vhdx', absolutePath: 'a.vhdx' };
    const all = { 'vm/r.vhdx': base, 'vm/v.vhdx': base, 'vm/a.vhdx': base };
    const { root, child } = await lay(paths, all);
    for (const name of ['r', 'v', 'a']) {
      await expectFound(child, join(root, `vm/${name}.vhdx`));
      await rename(join(root, `vm/${name}.vhdx`), join(root, `${name}.gone`));
    }
    expect((await refusal(child)).code).toBe('parent-missing');
  });

  test('rule 107: a file that is not the parent is passed over for one that is', async () => {
    const { root, child } = await lay(
      { relativePath: 'r.vhdx', volumePath: 'v.vhdx' },
      { 'vm/r.vhdx': other, 'vm/v.vhdx': base },
    );
    await expectFound(child, join(root, 'vm/v.vhdx'));
  });

  test('rule 107: keys are compared as they are written', async () => {
    const { child } = await lay({}, { 'vm/old/base.vhdx': base });
    const entries = [...locatorEntries({ linkage: guidAt(0) }), { key: 'RELATIVE_PATH', value: 'old\\base.vhdx' }];
    await saveFile(childWith({}, { parentLocator: { entries } }), child);
    expect((await refusal(child)).code).toBe('parent-missing');
  });

  test('rule 109: a parent that is found and dirty is replayed', async () => {
    const { root, child } = await lay(
      { relativePath: 'base.vhdx' },
      { 'vm/base.vhdx': dirtied(base, structureSectors(base)) },
    );
    await expectFound(child, join(root, 'vm/base.vhdx'));
  });

  test('a chain of three, each in a folder of its own below the one before it', async () => {
    const { files, model: whole } = chainOf(
      { blocks: { 0: present(1) } },
      {
        blocks: { 1: present(2) },
        parentLocator: { entries: locatorEntries({ linkage: guidAt(0), relativePath: '.\\b\\0.vhdx' }) },
      },
      {
        blocks: { 2: present(3) },
        parentLocator: { entries: locatorEntries({ linkage: guidAt(1), relativePath: '.\\a\\1.vhdx' }) },
      },
    );
    const root = await tempDir();
    await mkdir(join(root, 'a/b'), { recursive: true });
    for (const [i, name] of ['2.vhdx', 'a/1.vhdx', 'a/b/0.vhdx'].entries())
      await saveFile(files[i] as BuiltImage, join(root, name));
    const disk = await openVhdx(join(root, '2.vhdx'));
    await expectContent(disk, whole);
    await disk.close();
    const fromParent = await openVhdx(join(root, '2.vhdx'), { parent: join(root, 'a/1.vhdx') });
    expect(fromParent.parent?.parent?.path).toBe(join(root, 'a/b/0.vhdx'));
    await fromParent.close();
  });
});

describe('paths that are not followed', () => {
  for (const [title, paths, place, wanted] of [
    ['a folder beside it', { relativePath: '..\\images\\base.vhdx' }, 'images/base.vhdx', '..\\images\\base.vhdx'],
    ['the folder above it', { relativePath: '..\\base.vhdx' }, 'base.vhdx', '..\\base.vhdx'],
    ['a folder whose name begins alike', { relativePath: '..\\vm2\\base.vhdx' }, 'vm2/base.vhdx', '..\\vm2\\base.vhdx'],
    ['a folder above, by way of one below', { relativePath: 'old\\..\\..\\base.vhdx' }, 'base.vhdx', 'base.vhdx'],
  ] as const) {
    test(`rule 107b: ${title} is left alone, and the error names file and option`, async () => {
      const { root, child } = await lay(paths, { [place]: base });
      const error = await refusal(child);
      expect(error.code).toBe('parent-missing');
      for (const part of [wanted, join(root, place), "followParents: 'anywhere'", 'option parent', guidAt(0)]) {
        expect(error.message).toContain(part);
      }
      expect(await expectFound(child, join(root, place), { followParents: 'anywhere' })).toEqual([]);
      expect(await expectFound(child, join(root, place), { parent: join(root, place) })).toEqual([]);
    });
  }

  test('rule 107b: whether there is anything outside is not even looked at', async () => {
    const { root, child } = await lay({ relativePath: '..\\images\\base.vhdx' }, {});
    const error = await refusal(child);
    expect(error.message).toContain(`${join(root, 'images/base.vhdx')} is outside the child's folder`);
    expect(error.message).not.toContain('images/base.vhdx: no such file');
  });

  test('rule 107b: so is an absolute path of this system', async () => {
    const { root, child } = await lay({}, { 'elsewhere/base.vhdx': base });
    const place = join(root, 'elsewhere/base.vhdx');
    for (const paths of [{ relativePath: place }, { volumePath: place }, { absolutePath: place }]) {
      await saveFile(childWith(paths), child);
      const error = await refusal(child);
      expect(error.code).toBe('parent-missing');
      expect(error.message).toContain(place);
      await expectFound(child, place, { followParents: 'anywhere' });
    }
  });

  test('rule 107b: so is a link in the folder that leads out of it', async () => {
    const { root, child } = await lay(
      { relativePath: 'link.vhdx', volumePath: 'folder\\base.vhdx' },
      { 'elsewhere/base.vhdx': base },
    );
    await symlink(join(root, 'elsewhere/base.vhdx'), join(root, 'vm/link.vhdx'));
    await symlink(join(root, 'elsewhere'), join(root, 'vm/folder'));
    const error = await refusal(child);
    expect(error.code).toBe('parent-missing');
    for (const part of ['link.vhdx', 'folder\\base.vhdx', 'outside', "followParents: 'anywhere'"])
      expect(error.message).toContain(part);
    await expectFound(child, join(root, 'vm/link.vhdx'), { followParents: 'anywhere' });
  });

  test('a link in the folder that stays in it is followed, and so is one to the folder', async () => {
    const { root, child } = await lay({ relativePath: 'link.vhdx' }, { 'vm/old/base.vhdx': base });
    await symlink('old/base.vhdx', join(root, 'vm/link.vhdx'));
    await expectFound(child, join(root, 'vm/link.vhdx'));
    await symlink(join(root, 'vm'), join(root, 'machine'));
    await expectFound(join(root, 'machine/child.avhdx'), join(root, 'machine/link.vhdx'));
  });

  for (const path of [
    '\\\\server\\share\\base.vhdx',
    '//server/share/base.vhdx',
    '\\/server\\share\\base.vhdx',
    '\\\\?\\UNC\\server\\share\\base.vhdx',
  ]) {
    test(`rule 107b: a network path, ${path}, is never opened here`, async () => {
      for (const paths of [{ relativePath: path }, { volumePath: path }, { absolutePath: path }]) {
        // What a careless join of the folder and the path would open.
        const careless = { 'vm/server/share/base.vhdx': base, 'vm/?/UNC/server/share/base.vhdx': base };
        const { child } = await lay(paths, careless);
        for (const options of [{}, { followParents: 'anywhere' }] as const) {
          const error = await refusal(child, options);
          expect(error.code).toBe('parent-missing');
          expect(error.message).toContain('network or device path');
        }
      }
    });
  }

  for (const path of [
    'C:\\VMs\\gone.vhdx',
    'c:/VMs/gone.vhdx',
    '\\\\?\\Volume{26a21bda-a627-11d7-9931-806e6f6e6963}\\VMs\\gone.vhdx',
    '\\\\?\\C:\\VMs\\gone.vhdx',
    '\\\\.\\C:\\VMs\\gone.vhdx',
  ]) {
    test(`rule 107: ${path} is understood, and there is no such place here`, async () => {
      const { child } = await lay({ absolutePath: path }, { 'vm/C:/VMs/gone.vhdx': base, 'vm/base.vhdx': other });
      const error = await refusal(child, { followParents: 'anywhere' });
      expect(error.code).toBe('parent-missing');
      expect(error.message).toContain(`absolute_win32_path ${path}: no such place on this system`);
    });
  }

  test('a path that is no path at all is an error like any other', async () => {
    for (const relativePath of ['a\0b', '.', '..', '\\', '/', '', ' ', 'x'.repeat(5000), 'child.avhdx\\x']) {
      const paths = relativePath === '' ? {} : { relativePath };
      const { child } = await lay(paths, {});
      expect((await refusal(child)).code).toBe('parent-missing');
      expect((await refusal(child, { followParents: 'anywhere' })).code).toBe('parent-missing');
    }
  });
});

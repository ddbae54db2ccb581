// Parents that are found by their name alone, and what is made of the files that are found.
import { symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { checkVhdx, openVhdx } from '../../src/index.js';
import { buildImage } from '../support/build-image.js';
import { guidAt } from '../support/chain-files.js';
import { base, childWith, expectFound, lay, other, refusal } from '../support/parent-folders.js';
import { saveFile } from '../support/save-image.js';

describe('the guess', () => {
  for (const path of [
    'C:\\VMs\\base.vhdx',
    '\\\\server\\share\\base.vhdx',
    '\\\\?\\Volume{26a21bda}\\base.vhdx',
    '..\\..\\old\\base.vhdx',
    '/srv/images/base.vhdx',
    '.\\gone\\base.vhdx',
  ]) {
    test(`a file of the name in ${path}, in the child's folder, is taken if it fits, and that is told`, async () => {
      const { root, child } = await lay({ absolutePath: path }, { 'vm/base.vhdx': base });
      const place = join(root, 'vm/base.vhdx');
      expect(await expectFound(child, place)).toEqual(['parent-guessed']);
      const { findings, status } = await checkVhdx(child);
      expect(status).toBe('sound');
      expect(findings).toMatchObject([
        { code: 'parent-guessed', severity: 'info', message: expect.stringContaining(place) },
      ]);
      await saveFile(other, place);
      expect((await refusal(child)).code).toBe('parent-mismatch');
    });
  }

  test('a path that is right comes before the guess', async () => {
    const { root, child } = await lay(
      { absolutePath: 'C:\\VMs\\old.vhdx', relativePath: 'base.vhdx' },
      { 'vm/base.vhdx': base, 'vm/old.vhdx': base },
    );
    expect(await expectFound(child, join(root, 'vm/base.vhdx'))).toEqual([]);
  });
});

describe('what is found there', () => {
  test('rule 106: a mismatch names the files, and what each has', async () => {
    const { root, child } = await lay(
      { relativePath: 'base.vhdx', volumePath: 'v.vhdx' },
      { 'vm/base.vhdx': other, 'vm/v.vhdx': other },
    );
    const error = await refusal(child);
    expect(error.code).toBe('parent-mismatch');
    for (const part of [guidAt(0), guidAt(99), 'base.vhdx', 'v.vhdx', 'ignoreParentMismatch'])
      expect(error.message).toContain(part);
    const disk = await openVhdx(child, { ignoreParentMismatch: true });
    expect(disk.parent?.path).toBe(join(root, 'vm/base.vhdx'));
    await disk.close();
  });

  test('rule 111: an image whose path leads to itself is refused', async () => {
    const own = { dataWriteGuid: guidAt(0), headers: { fileWriteGuid: guidAt(0) } };
    const { root, child } = await lay({}, {});
    await saveFile(childWith({ relativePath: '.\\child.avhdx' }, own), child);
    expect((await refusal(child)).code).toBe('parent-cycle');
    await symlink('child.avhdx', join(root, 'vm/link.vhdx'));
    await saveFile(childWith({ relativePath: 'link.vhdx' }, own), child);
    expect((await refusal(child)).code).toBe('parent-cycle');
    // Without GUIDs that tell, it is the path that does.
    const nobody = { headers: { fileWriteGuid: '00000000-0000-0000-0000-000000000000' }, dataWriteGuid: guidAt(0) };
    await saveFile(childWith({ relativePath: '.\\child.avhdx' }, nobody), child);
    expect((await refusal(child)).code).toBe('parent-cycle');
  });

  test('rule 112: a file of another format is told as what it is', async () => {
    const { child } = await lay(
      { relativePath: 'base.vhdx' },
      { 'vm/base.vhdx': buildImage({ fileSignature: 'conectix' }) },
    );
    const error = await refusal(child);
    expect(error.code).toBe('parent-damaged');
    expect(error.cause).toMatchObject({ code: 'file-signature' });
    expect(error.message).toContain('base.vhdx');
  });
});

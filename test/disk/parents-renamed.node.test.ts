// Parents that were moved or renamed, and what one option parent does for a whole chain. The DataWriteGuid decides.
import { mkdir, readdir, rename, rm, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { checkVhdx, openVhdx } from '../../src/index.js';
import { pattern } from '../support/block-content.js';
import { type BuiltImage, buildImage } from '../support/build-image.js';
import { chainOf, guidAt } from '../support/chain-files.js';
import { expectContent } from '../support/expect-opening.js';
import { STATE } from '../support/image-spec.js';
import { base, expectFound, lay, other, refusal } from '../support/parent-folders.js';
import { saveFile } from '../support/save-image.js';
import { tempDir } from '../support/tools.js';

const present = (seed: number) => ({ state: STATE.fullyPresent, data: pattern(seed) });

describe('a renamed parent beside its child', () => {
  test('is found by its DataWriteGuid, among others, and named in a finding', async () => {
    const { root, child } = await lay(
      { relativePath: '.\\base.vhdx' },
      { 'vm/a-copy.vhdx': other, 'vm/Windows 11 (old).VHDX': base, 'vm/z.avhdx': other },
    );
    const place = join(root, 'vm/Windows 11 (old).VHDX');
    expect(await expectFound(child, place)).toEqual(['parent-guessed']);
    const { status, findings } = await checkVhdx(child);
    expect(status).toBe('sound');
    expect(findings).toMatchObject([{ code: 'parent-guessed', message: expect.stringContaining(place) }]);
  });

  test('is found where a file of its old name is another one', async () => {
    const { root, child } = await lay(
      { relativePath: '.\\base.vhdx' },
      { 'vm/base.vhdx': other, 'vm/renamed.vhdx': base },
    );
    expect(await expectFound(child, join(root, 'vm/renamed.vhdx'))).toEqual(['parent-guessed']);
  });

  test('is found in the folder below that the image names', async () => {
    const { root, child } = await lay({ relativePath: '.\\old\\base.vhdx' }, { 'vm/old/renamed.vhdx': base });
    await expectFound(child, join(root, 'vm/old/renamed.vhdx'));
  });

  test('is not looked for in folders outside', async () => {
    const { root, child } = await lay({ relativePath: '..\\images\\base.vhdx' }, { 'images/renamed.vhdx': base });
    expect((await refusal(child)).code).toBe('parent-missing');
    await expectFound(child, join(root, 'images/renamed.vhdx'), { followParents: 'anywhere' });
  });

  test('is not taken for its name: files with other endings are left alone', async () => {
    const { child } = await lay({ relativePath: '.\\base.vhdx' }, { 'vm/base.vhdx.bak': base, 'vm/base.img': base });
    expect((await refusal(child)).code).toBe('parent-missing');
  });
});

describe('habits of other systems', () => {
  for (const [title, path, name] of [
    ['case', '.\\Disks\\BASE.VHDX', 'disks/base.vhdx'],
    ['an ending in capitals', '.\\base.vhdx', 'Base.VHDX'],
    ['a decomposed name, as macOS writes it', '.\\Größe.vhdx', 'Größe.vhdx'.normalize('NFD')],
    ['a composed name', `.\\${'Größe'.normalize('NFD')}.vhdx`, 'größe.vhdx'.normalize('NFC')],
    ['case of a letter that is not ASCII', '.\\ÄÖ\\base.vhdx', 'äö/base.vhdx'],
  ] as const) {
    test(`${title} is no obstacle`, async () => {
      const { root, child } = await lay({ relativePath: path }, { [`vm/${name}`]: base });
      expect(await expectFound(child, join(root, 'vm', name))).toEqual(['parent-guessed']);
    });
  }

  test('the GUID decides between names that differ in case only', async () => {
    const { root, child } = await lay(
      { relativePath: '.\\d\\base.vhdx' },
      { 'vm/d/BASE.vhdx': other, 'vm/d/Base.vhdx': base, 'vm/d/bASE.vhdx': other },
    );
    // A file system that does not tell them apart has one of them.
    if ((await readdir(join(root, 'vm/d'))).length === 3) await expectFound(child, join(root, 'vm/d/Base.vhdx'));
  });

  test('a path that exists as it is written comes first', async () => {
    const { root, child } = await lay({ relativePath: '.\\d\\base.vhdx' }, { 'vm/d/base.vhdx': base });
    expect(await expectFound(child, join(root, 'vm/d/base.vhdx'))).toEqual([]);
  });
});

describe('one option parent for a whole chain', () => {
  const { files, model } = chainOf(
    { blocks: { 0: present(1) } },
    { blocks: { 1: present(2) } },
    { blocks: { 2: present(3) } },
  );
  const [top, middle, bottom] = files as unknown as [BuiltImage, BuiltImage, BuiltImage];

  /** The top in a folder of its own, and the others in others. */
  async function scattered(): Promise<{ root: string; child: string; places: [string, string] }> {
    const root = await tempDir();
    for (const folder of ['top', 'one', 'two']) await mkdir(join(root, folder));
    const child = join(root, 'top/2.vhdx');
    const places: [string, string] = [join(root, 'one/x.avhdx'), join(root, 'two/y.vhdx')];
    await saveFile(top, child);
    await saveFile(middle, places[0]);
    await saveFile(bottom, places[1]);
    await saveFile(buildImage({ dataWriteGuid: guidAt(99) }), join(root, 'two/z.vhdx'));
    return { root, child, places };
  }

  test('a file is taken where it fits, and the paths in the images lead to the others', async () => {
    const { root, child, places } = await scattered();
    await rename(places[0], join(root, 'top/1.vhdx'));
    const disk = await openVhdx(child, { parent: places[1] });
    await expectContent(disk, model);
    expect([disk.parent?.path, disk.parent?.parent?.path]).toEqual([join(root, 'top/1.vhdx'), places[1]]);
    await disk.close();
  });

  test('several files and folders are one set of candidates', async () => {
    const { root, child, places } = await scattered();
    for (const parent of [
      places,
      [places[1], join(root, 'one')],
      [join(root, 'two'), join(root, 'one')],
      [join(root, 'top'), places[0], join(root, 'two')],
    ]) {
      const disk = await openVhdx(child, { parent });
      await expectContent(disk, model);
      expect(disk.findings).toEqual([]);
      await disk.close();
    }
  });

  test('a folder serves all members', async () => {
    const { root, child, places } = await scattered();
    await rename(places[0], join(root, 'two/x.avhdx'));
    const disk = await openVhdx(child, { parent: join(root, 'two') });
    await expectContent(disk, model);
    await disk.close();
    expect((await checkVhdx(child, { parent: join(root, 'two') })).status).toBe('sound');
  });

  test('where a member between is missing, the override is not advised for the file that fits below it', async () => {
    const { child, places } = await scattered();
    const error = await refusal(child, { parent: places[1] });
    expect(error).toMatchObject({ code: 'parent-missing', hints: ['parent'], depth: 0 });
    expect(error.message).toContain(`${places[1]} has DataWriteGuid ${guidAt(0)}`);
    expect(error.message).not.toContain('ignoreParentMismatch');
  });

  test('a member whose parent is missing is the one that the error names', async () => {
    const { child, places } = await scattered();
    const error = await refusal(child, { parent: places[0] });
    expect(error).toMatchObject({ code: 'parent-missing', depth: 1, file: 'x.avhdx', path: places[0] });
    expect(error.message).toMatch(/^x\.avhdx: Parent Locator: /);
  });

  test('an image of the folder that cannot be read is passed over, a file that was named is not', async () => {
    const { root, child, places } = await scattered();
    await mkdir(join(root, 'two/0.vhdx'));
    const disk = await openVhdx(child, { parent: [places[0], join(root, 'two')] });
    await disk.close();
    expect((await refusal(child, { parent: join(root, 'gone.vhdx') })).code).toBe('read-failed');
    await rename(places[1], join(root, 'elsewhere.vhdx'));
    const error = await refusal(child, { parent: [places[0], join(root, 'two')] });
    expect(error.attempts).toContainEqual(`${join(root, 'two/0.vhdx')}: is a folder, not a file`);
  });

  test('a link in a folder that was handed over does not lead out of it, unless that is allowed', async () => {
    const { root, child, places } = await scattered();
    const [folder, link] = [join(root, 'handed'), join(root, 'handed/link.vhdx')];
    await mkdir(folder);
    await symlink(places[1], link);
    const parent = [places[0], folder];
    const error = await refusal(child, { parent });
    expect(error).toMatchObject({ code: 'parent-missing', hints: ['parent', 'follow-parents'] });
    expect(error.attempts).toContainEqual(`${link}: ${link} is outside the child's folder`);
    const disk = await openVhdx(child, { parent, followParents: 'anywhere' });
    await expectContent(disk, model);
    await disk.close();
    await rm(link);
    await rename(places[1], join(folder, 'real.vhdx'));
    await symlink('real.vhdx', join(folder, 'a.vhdx'));
    await (await openVhdx(child, { parent })).close();
  });
});

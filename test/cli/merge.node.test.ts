import { readFile, rename, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { describe, expect, test } from 'vitest';
import { editVhdx, openVhdx } from '../../src/index.js';
import { expectFailure, vhdx } from '../support/command.js';
import { expectReads, saveChain, saveSibling } from '../support/edit/saved-chain.js';
import { convertWithQemu, expectSameAsRaw, qemuImg, readWith7Zip, sevenZip } from '../support/other-readers.js';
import { expectSameBytes } from '../support/same-bytes.js';
import { needs, tempDir } from '../support/tools.js';

const schema = JSON.parse(await readFile(new URL('../../src/cli/output-schema.json', import.meta.url), 'utf8'));
const ajv = new Ajv2020({ allErrors: true, strict: true, allowUnionTypes: true });
const isOne = (name: string) => ajv.compile({ $ref: `#/$defs/${name}`, $defs: schema.$defs });

const contents = (...paths: readonly string[]) => Promise.all(paths.map((path) => readFile(path)));

async function expectUnchanged(paths: readonly string[], before: readonly Buffer[]): Promise<void> {
  for (const [i, after] of (await contents(...paths)).entries()) expectSameBytes(after, before[i] as Buffer, paths[i]);
}

describe('vhdx merge', () => {
  needs(qemuImg, sevenZip).test(
    'into the base of a chain gives an image that other programs read the same',
    async () => {
      const chain = await saveChain(await tempDir());
      const { base, child, model } = chain;
      const { status, stdout, stderr } = await vhdx('merge', '-b', base, child);
      expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
      expect(stdout).toBe(
        `${base}: holds everything of ${child}: 7 MiB (7340032 bytes) copied, 1 MiB (1048576 bytes) zeroed\n`,
      );
      await expectReads(base, model);
      await expectReads(child, model);
      expect(await qemuImg.run(['check', '-f', 'vhdx', base])).toMatchObject({ status: 0 });
      const disk = await openVhdx(base, { strict: true });
      await expectSameAsRaw(disk, await convertWithQemu(base));
      expectSameBytes(await readWith7Zip(base), model.expected(0, model.size));
      await disk.close();
      expect(await vhdx('compare', base, child)).toMatchObject({ status: 0 });
    },
  );

  test('goes into the direct parent, and says what must be rebased before the child is deleted', async () => {
    const folder = await tempDir();
    const { base, middle, child, model } = await saveChain(folder);
    const before = await contents(child);
    const { status, stdout, stderr } = await vhdx('merge', middle);
    expect(status).toBe(0);
    expect(stdout).toContain(`${base}: holds everything of ${middle}`);
    expect(stderr).toBe(`vhdx: ${child}: is a child of ${middle}: before that is deleted, rebase it onto ${base}\n`);
    await expectUnchanged([child], before);
    expect(await vhdx('rebase', '-b', base, child)).toMatchObject({ status: 0, stderr: '' });
    await rename(middle, join(folder, 'gone'));
    await expectReads(child, model);
  });

  test('says as JSON what it would do and what it did, and writes nothing in a dry run', async () => {
    const { base, middle, child } = await saveChain(await tempDir());
    const paths = [base, middle, child];
    const before = await contents(...paths);
    const planned = await vhdx('merge', '--dry-run', '--output', 'json', child);
    expect(planned).toMatchObject({ status: 0, stderr: '' });
    await expectUnchanged(paths, before);
    const done = await vhdx('merge', '--output', 'json', child);
    for (const { stdout } of [planned, done]) {
      const isMerge = isOne('merge');
      isMerge(JSON.parse(stdout));
      expect(isMerge.errors ?? []).toEqual([]);
    }
    expect(JSON.parse(done.stdout)).toEqual({ ...JSON.parse(planned.stdout), 'dry-run': false });
    expect(JSON.parse(done.stdout)).toMatchObject({ base: middle, merged: [child], broken: [], orphans: [] });
  });

  test('refuses to break other children unless it is forced', async () => {
    const folder = await tempDir();
    const { base, middle, child, model } = await saveChain(folder);
    const sibling = await saveSibling(folder);
    const paths = [base, middle, child, sibling];
    const before = await contents(...paths);
    expectFailure(await vhdx('merge', '-b', base, child), 1, `vhdx: ${base}: `, sibling, '--force');
    await expectUnchanged(paths, before);
    // Nothing changes for it if what is between gets everything.
    expect(await vhdx('merge', child)).toMatchObject({ status: 0, stderr: '' });
    expect(await vhdx('check', '-q', sibling)).toMatchObject({ status: 0 });
    const forced = await vhdx('merge', '--force', '--output', 'json', '-b', base, child);
    expect(JSON.parse(forced.stdout)).toMatchObject({ broken: [sibling] });
    await expectReads(base, model);
    expectFailure(await vhdx('read', '--length', '1', sibling), 1, 'the parent must have DataWriteGuid');
  });

  test('into a new file touches nothing else, and replaces nothing', async () => {
    const folder = await tempDir();
    const { base, middle, child, model } = await saveChain(folder);
    const paths = [base, middle, child, await saveSibling(folder)];
    const before = await contents(...paths);
    const into = join(folder, 'whole.vhdx');
    const done = await vhdx('merge', '--output', 'json', '--into', into, child);
    expect(done).toMatchObject({ status: 0, stderr: '' });
    expect(JSON.parse(done.stdout)).toMatchObject({ base: into, merged: [child, middle, base] });
    await expectUnchanged(paths, before);
    await expectReads(into, model);
    expect(JSON.parse((await vhdx('info', '--output', 'json', into)).stdout)).not.toHaveProperty('backing-filename');
    const whole = await contents(into);
    expectFailure(await vhdx('merge', '--force', '--into', into, child), 1, into, 'exist');
    await expectUnchanged([into], whole);
    expectFailure(await vhdx('merge', '-b', base, '--into', into, child), 1, 'exclude each other');
  });

  test('waits for nobody: a base or a child that is open for writing is refused', async () => {
    const { base, middle, child } = await saveChain(await tempDir());
    const paths = [base, middle, child];
    const before = await contents(...paths);
    for (const [open, args] of [
      [base, ['-b', base, child]],
      [middle, ['-b', base, child]],
      [child, [child]],
    ] as const) {
      const writer = await editVhdx(open);
      expectFailure(await vhdx('merge', ...args), 1, `vhdx: ${open}: `, 'by process');
      await writer.close();
      await expectUnchanged(paths, before);
    }
  });

  test('refuses in one line what cannot be merged', async () => {
    const folder = await tempDir();
    const { base, middle, child } = await saveChain(folder);
    expectFailure(await vhdx('merge', base), 1, `vhdx: ${base}: `, 'has no parent');
    expectFailure(await vhdx('merge', '-b', child, child), 1, `vhdx: ${child}: `, 'its own parent');
    expectFailure(await vhdx('merge', '-b', child, middle), 1, `vhdx: ${child}: `, 'none of the parents');
    expectFailure(await vhdx('merge', join(folder, 'nowhere')), 1, 'no such file');
    await rename(base, join(folder, 'moved'));
    expectFailure(await vhdx('merge', child), 1, 'was not found', '--parent');
  });
});

describe('vhdx rebase', () => {
  needs(qemuImg, sevenZip).test('onto nothing gives an image that other programs read the same', async () => {
    const folder = await tempDir();
    const { child, model } = await saveChain(folder);
    const { status, stdout, stderr } = await vhdx('rebase', '-b', '', child);
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    expect(stdout).toContain(`${child}: has no parent any more`);
    expect(await qemuImg.run(['check', '-f', 'vhdx', child])).toMatchObject({ status: 0 });
    const disk = await openVhdx(child, { strict: true, parent: false });
    expect(disk.type).toBe('dynamic');
    await expectSameAsRaw(disk, await convertWithQemu(child));
    await disk.close();
    expectSameBytes(await readWith7Zip(child), model.expected(0, model.size));
  });

  needs(sevenZip).test(
    'onto the parent of the parent keeps what is read, and another program finds that parent',
    async () => {
      const folder = await tempDir();
      const { base, middle, child, model } = await saveChain(folder);
      const planned = await vhdx('rebase', '--dry-run', '--output', 'json', '-b', base, child);
      const done = await vhdx('rebase', '--output', 'json', '-b', base, child);
      expect(done).toMatchObject({ status: 0, stderr: '' });
      expect(JSON.parse(done.stdout)).toEqual({ ...JSON.parse(planned.stdout), 'dry-run': false });
      const isRebase = isOne('rebase');
      isRebase(JSON.parse(done.stdout));
      expect(isRebase.errors ?? []).toEqual([]);
      expect(JSON.parse(done.stdout)).toMatchObject({ parent: base, 'may-differ': false, broken: [] });
      await rename(middle, join(folder, 'gone'));
      await expectReads(child, model);
      expectSameBytes(await readWith7Zip(child), model.expected(0, model.size));
    },
  );

  test('-u refreshes the path of a parent that was moved', async () => {
    const folder = await tempDir();
    const { base, middle, model, files } = await saveChain(folder);
    const moved = join(folder, 'moved.vhdx');
    await rename(base, moved);
    const { size } = await stat(middle);
    expect(await vhdx('rebase', '-u', '-b', moved, middle)).toMatchObject({ status: 0, stderr: '' });
    const disk = await openVhdx(middle);
    expect(disk.info.parentLocator?.['relative_path']).toBe('.\\moved.vhdx');
    expect(disk.findings.filter(({ code }) => code === 'parent-guessed')).toEqual([]);
    await disk.close();
    expect((await stat(middle)).size).toBe(size);
    expect(files.length).toBe(3);
    await expectReads(join(folder, 'child.avhdx'), model);
  });

  test('-u wants the identity to fit, and warns of children if another one is taken', async () => {
    const folder = await tempDir();
    const { base, middle, child } = await saveChain(folder);
    const before = await contents(middle, child);
    const sibling = await saveSibling(folder);
    const refused = await vhdx('rebase', '-u', '-b', sibling, middle);
    expectFailure(refused, 1, `vhdx: ${sibling}: `, '--ignore-parent-mismatch');
    expectFailure(await vhdx('rebase', '-u', '-b', '', middle), 1, 'exclude each other');
    expectFailure(await vhdx('rebase', '-b', middle, middle), 1, 'is the image itself');
    expectFailure(await vhdx('rebase', '-b', child, middle), 1, 'has the image among its own parents');
    expectFailure(await vhdx('rebase', '-b', join(folder, 'nowhere'), middle), 1, 'no such file');
    await expectUnchanged([middle, child], before);
    const taken = await vhdx('rebase', '-u', '--ignore-parent-mismatch', '-b', sibling, middle);
    expect(taken.status).toBe(0);
    expect(taken.stderr).toContain(`${child}: warning: does not fit ${middle} any more`);
    const disk = await openVhdx(middle);
    expect(disk.parent?.path).toBe(sibling);
    expect(disk.parent?.parent?.path).toBe(base);
    await disk.close();
  });
});

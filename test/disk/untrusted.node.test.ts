// The mode for servers: an image of a stranger has nothing opened, and learns nothing of the machine.
import { symlink, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { describe, expect, test } from 'vitest';
import {
  checkVhdx,
  compareDisks,
  editVhdx,
  type OpenOptions,
  openSource,
  openVhdx,
  VhdxError,
} from '../../src/index.js';
import { buildImage } from '../support/build-image.js';
import { guidAt } from '../support/chain-files.js';
import { base, childWith, lay, other } from '../support/parent-folders.js';
import { saveFile } from '../support/save-image.js';
import { tempDir } from '../support/tools.js';

const untrusted = { untrusted: true } as const;

/** What a client of a server could be shown of an error: everything but its cause and its stack. */
async function shown(work: Promise<{ close(): Promise<void> }>): Promise<{ code: string; text: string }> {
  try {
    await (await work).close();
  } catch (error) {
    if (error instanceof VhdxError) return { code: error.code, text: `${error.message} ${JSON.stringify(error)}` };
    throw error;
  }
  return { code: 'opened', text: '' };
}

describe('an untrusted image', () => {
  for (const [title, options] of [
    ['as it is', {}],
    ['with paths that are followed anywhere', { followParents: 'anywhere' }],
    ['with the override', { ignoreParentMismatch: true }],
  ] as const) {
    test(`has no parent opened, though its paths lead to the right one: ${title}`, async () => {
      const { root, child } = await lay(
        { relativePath: '.\\base.vhdx', volumePath: '..\\other.vhdx' },
        { 'vm/base.vhdx': base, 'other.vhdx': other },
      );
      const { code, text } = await shown(openVhdx(child, { ...untrusted, ...options }));
      expect(code).toBe('parent-missing');
      expect(text).toContain(guidAt(0)); // what the image says itself
      for (const secret of [root, guidAt(99), 'no such file', 'outside']) expect(text).not.toContain(secret);
      const { findings, parent } = await checkVhdx(child, { ...untrusted, ...options });
      expect(parent).toBeUndefined();
      expect(JSON.stringify(findings)).not.toContain(root);
    });
  }

  test('says the same whether its neighbours exist or not', async () => {
    const answers = new Set<string>();
    for (const neighbours of [{}, { 'vm/base.vhdx': base }, { 'vm/base.vhdx': other }]) {
      const { child } = await lay({ relativePath: '.\\base.vhdx' }, neighbours);
      answers.add((await shown(openVhdx(child, untrusted))).text);
    }
    expect(answers.size).toBe(1);
  });

  test('takes the parent that the server hands over, if it fits', async () => {
    const { root, child } = await lay({ relativePath: 'x' }, { 'store/0001.vhdx': base, 'store/0002.vhdx': other });
    for (const parent of [join(root, 'store/0001.vhdx'), join(root, 'store'), () => join(root, 'store/0001.vhdx')]) {
      const disk = await openVhdx(child, { ...untrusted, parent });
      expect(disk.parent?.path).toBe(join(root, 'store/0001.vhdx'));
      expect(JSON.stringify(disk.findings)).not.toContain(root);
      await disk.close();
    }
  });

  test('is told neither the GUID nor the place of a file that does not fit', async () => {
    const { root, child } = await lay({ relativePath: 'x' }, { 'store/0002.vhdx': other });
    const place = join(root, 'store/0002.vhdx');
    const routes: OpenOptions['parent'][] = [place, [place, child], () => place, join(root, 'store')];
    for (const parent of routes) {
      const { code, text } = await shown(openVhdx(child, { ...untrusted, parent }));
      expect(['parent-missing', 'parent-mismatch']).toContain(code);
      for (const secret of [root, guidAt(99), '0002']) expect(text).not.toContain(secret);
    }
    const disk = await openVhdx(child, { ...untrusted, parent: place, ignoreParentMismatch: true });
    expect(disk.findings.map(({ code }) => code)).toContain('parent-mismatch');
    for (const secret of [root, guidAt(99), '0002']) expect(JSON.stringify(disk.findings)).not.toContain(secret);
    await disk.close();
  });

  test('has errors of its own file and of its parent without a path; the cause keeps it for the log', async () => {
    const root = await tempDir();
    const gone = join(root, 'uploads/gone.vhdx');
    const error = await openVhdx(gone, untrusted).catch((reason: unknown) => reason as VhdxError);
    expect(error).toMatchObject({ code: 'read-failed', cause: { message: expect.stringContaining(root) } });
    const letter = join(root, 'letter.txt');
    await writeFile(letter, 'a letter to mother');
    const child = join(root, 'child.avhdx');
    await saveFile(childWith({ relativePath: 'x' }), child);
    const cut = base.clone();
    cut.truncate(3 * 1024 * 1024);
    await saveFile(cut, join(root, 'cut.vhdx'));
    for (const work of [
      () => openVhdx(gone, untrusted),
      () => openVhdx(letter, untrusted),
      () => openVhdx(child, { ...untrusted, parent: gone }),
      () => openVhdx(child, { ...untrusted, parent: () => letter }),
      () => openVhdx(child, { ...untrusted, parent: join(root, 'cut.vhdx'), strict: true }),
    ]) {
      const { code, text } = await shown(work());
      expect(code).not.toBe('opened');
      expect(text).not.toContain(dirname(root));
      expect(text).not.toContain(basename(root));
    }
  });

  test('has no path in errors of what is read, compared or written', async () => {
    const root = await tempDir();
    const [child, parent] = [join(root, 'child.avhdx'), join(root, 'damaged.vhdx')];
    const damaged = buildImage({ blocks: { 0: { state: 4 } }, dataWriteGuid: guidAt(0) });
    await saveFile(damaged, parent);
    await saveFile(childWith({ relativePath: 'x' }), child);
    const disk = await openVhdx(child, { ...untrusted, parent });
    const zeros = await openSource(new Uint8Array(disk.size));
    const gone = join(root, 'uploads/gone.vhdx');
    const edited = await editVhdx(child, { ...untrusted, parent });
    const works: Record<string, () => Promise<unknown>> = {
      read: () => disk.read(0, 512),
      checksum: () => disk.checksum(),
      'compare, left': () => compareDisks(disk, zeros),
      'compare, right': () => compareDisks(zeros, disk),
      'edit, which opens nothing': () => editVhdx(gone, untrusted),
      'edit, where the parent is damaged': () => edited.read(0, 512),
    };
    for (const [name, work] of Object.entries(works)) {
      const { code, text } = await shown(work().then(() => disk));
      expect(code, name).not.toBe('opened');
      expect(text, name).not.toContain(root);
    }
    expect(edited.path).toBeUndefined();
    await edited.close();
    await disk.close();
  });

  test('leads nowhere by a link that lies beside it', async () => {
    const { root, child } = await lay({ relativePath: '.\\link.vhdx' }, { 'elsewhere/base.vhdx': base });
    await symlink(join(root, 'elsewhere/base.vhdx'), join(root, 'vm/link.vhdx'));
    expect((await shown(openVhdx(child, untrusted))).code).toBe('parent-missing');
  });
});

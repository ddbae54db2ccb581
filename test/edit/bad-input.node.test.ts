// What is asked of a path that cannot be changed: one clear error, and the folder as it was.
import { chmod, mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { createVhdx, editVhdx, findChildren, mergeVhdx, repairVhdx, setVhdx, VhdxError } from '../../src/index.js';
import { lockFile } from '../../src/io/lock.js';
import { buildImage } from '../support/build-image.js';
import { dirtied, structureSectors } from '../support/dirty-images.js';
import { saveChain, saveSibling } from '../support/edit/saved-chain.js';
import { MiB } from '../support/encode-primitives.js';
import { saveFile } from '../support/save-image.js';
import { rejection } from '../support/scripted-source.js';
import { tempDir } from '../support/tools.js';

const plain = buildImage();

/** An image that all of the jobs below would change. */
async function dirtyFile(): Promise<string> {
  const path = join(await tempDir(), 'disk.vhdx');
  await saveFile(dirtied(plain, structureSectors(plain)), path);
  return path;
}

const JOBS: readonly (readonly [string, (path: string) => Promise<unknown>])[] = [
  ['editVhdx', (path) => editVhdx(path)],
  ['repairVhdx', (path) => repairVhdx(path)],
  ['setVhdx', (path) => setVhdx(path, { newId: true })],
  ['createVhdx, to overwrite,', (path) => createVhdx(path, { size: MiB, overwrite: true })],
];

/** Does something as a user who is not root, whom no permission stops. */
async function asUser(work: () => Promise<void>): Promise<void> {
  const isRoot = process.geteuid?.() === 0;
  if (isRoot) process.seteuid?.(65_534);
  try {
    await work();
  } finally {
    if (isRoot) process.seteuid?.(0);
  }
}

/** Asserts that a job is refused with one error, and that nothing in the folder has changed. */
async function expectRefused(path: string, job: (path: string) => Promise<unknown>, code: string): Promise<Error> {
  const folder = dirname(path);
  const names = await readdir(folder);
  const before = await readFile(path).catch(() => Buffer.from(''));
  const error = (await rejection(job(path))) as Error;
  expect(error).toBeInstanceOf(VhdxError);
  expect(error).toMatchObject({ code });
  expect(error.message).toMatch(/^[^\n]{10,}$/);
  expect(await readdir(folder)).toEqual(names);
  expect(Buffer.compare(await readFile(path).catch(() => Buffer.from('')), before)).toBe(0);
  return error;
}

describe.each(JOBS)('%s of a path', (_, job) => {
  test('that may only be read is refused', async () => {
    const path = await dirtyFile();
    await chmod(path, 0o444);
    await chmod(dirname(path), 0o777);
    await asUser(async () => {
      const error = await expectRefused(path, job, 'read-only');
      expect(error.message).toBe(`${path}: permission denied`);
    });
  });

  test('that is a folder is refused', async () => {
    const path = join(await tempDir(), 'disk.vhdx');
    await mkdir(path);
    const error = await expectRefused(path, job, 'read-failed');
    expect(error.message).toBe(`${path}: is a folder, not a file`);
  });

  test('in a folder that is not there is refused', async () => {
    const path = join(await tempDir(), 'nowhere', 'disk.vhdx');
    const error = (await rejection(job(path))) as VhdxError;
    expect(error).toBeInstanceOf(VhdxError);
    expect(error.message).toMatch(/^[^\n]+: (no such file|the folder does not exist)$/);
  });

  test('that another writer has is refused, and that of another machine names the lock', async () => {
    const path = await dirtyFile();
    const lock = await lockFile(path);
    const text = await readFile(`${path}.lock`, 'utf8');
    await expectRefused(path, job, 'locked');
    await lock.release();
    await writeFile(`${path}.lock`, JSON.stringify({ ...JSON.parse(text), host: 'elsewhere', machine: 'other' }));
    const error = await expectRefused(path, job, 'locked');
    expect(error.message).toContain(`on elsewhere since `);
    expect(error.message).toContain(`if it is not, remove ${path}.lock`);
  });
});

describe('createVhdx', () => {
  test('of a path where there is a file is refused', async () => {
    await expectRefused(await dirtyFile(), (path) => createVhdx(path, { size: MiB }), 'exists');
  });

  test('in a folder that may not be written to is refused', async () => {
    const path = join(await tempDir(), 'disk.vhdx');
    await chmod(dirname(path), 0o555);
    await asUser(async () => {
      await expectRefused(path, (target) => createVhdx(target, { size: MiB }), 'read-only');
    });
  });
});

test('a folder that cannot be listed may hold other children: a merge refuses unless it is forced', async () => {
  const folder = await tempDir();
  const { base, middle, child } = await saveChain(folder);
  const sibling = await saveSibling(folder);
  const paths = [base, middle, child, sibling];
  const before = await Promise.all(paths.map((path) => readFile(path)));
  for (const path of paths) await chmod(path, 0o666);
  await chmod(folder, 0o333);
  try {
    await asUser(async () => {
      const message = `${folder}: the folder cannot be listed (permission denied), so its children are not known`;
      const refused = await rejection(mergeVhdx(child, { base }));
      expect(refused).toMatchObject({ code: 'read-failed', hints: ['force'] });
      expect((refused as Error).message).toContain(message);
      expect(await rejection(findChildren(base))).toMatchObject({ code: 'read-failed', message });
      for (const [i, path] of paths.entries()) expect((await readFile(path)).equals(before[i] as Buffer)).toBe(true);
      expect(await mergeVhdx(child, { base, force: true })).toMatchObject({ broken: [], orphans: [] });
    });
  } finally {
    await chmod(folder, 0o777);
  }
});

// Files that must be inside a folder, while somebody exchanges what the names lead to.
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, rename, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { describe, expect, test } from 'vitest';
import { VhdxError } from '../../src/index.js';
import { fileSource, openInside } from '../../src/io/file.js';
import { propertyRuns } from '../support/property-runs.js';
import { tempDir } from '../support/tools.js';

/** How long names are flipped in a spec, in milliseconds. */
const FLIPPING = propertyRuns(2000).numRuns;

/** A folder with a file in it, and a secret beside the folder. */
async function lay(): Promise<{ root: string; folder: string; inside: string; outside: string }> {
  const root = await tempDir();
  const folder = join(root, 'vm');
  await mkdir(join(folder, 'below'), { recursive: true });
  const [inside, outside] = [join(folder, 'below/base.vhdx'), join(root, 'secret')];
  await writeFile(inside, 'inside');
  await writeFile(outside, 'SECRET');
  return { root, folder, inside, outside };
}

/** What a file holds, or the code of the error that opening or reading it ends with. */
async function content(path: string, folder: string): Promise<string> {
  try {
    const source = await openInside(path, folder);
    const bytes = new Uint8Array(source.size);
    await source.readInto(bytes, 0).finally(() => source.close?.());
    return new TextDecoder().decode(bytes);
  } catch (error) {
    if (error instanceof VhdxError) return error.code;
    throw error;
  }
}

/** Puts each of some files in turn in the place of a name, as fast as it can, until it is told to end. */
async function whileFlipping(path: string, others: readonly string[], work: () => Promise<void>): Promise<void> {
  const script = `
    const { workerData: { path, others, ended } } = require('node:worker_threads');
    const fs = require('node:fs');
    while (!ended[0]) for (const other of others) {
      fs.renameSync(path, path + '.old');
      fs.renameSync(other, path);
      fs.renameSync(path, other);
      fs.renameSync(path + '.old', path);
    }`;
  const ended = new Uint8Array(new SharedArrayBuffer(1));
  const worker = new Worker(script, { eval: true, workerData: { path, others, ended } });
  const gone = once(worker, 'exit'); // of its own accord: one that is terminated goes on for a moment in Deno
  try {
    await work();
  } finally {
    ended[0] = 1;
    await gone;
  }
}

describe('a file that must be inside a folder', () => {
  test('is opened there, also through links that stay in it', async () => {
    const { root, folder, inside } = await lay();
    await symlink('below/base.vhdx', join(folder, 'link'));
    await symlink(folder, join(root, 'machine'));
    expect(await content(inside, folder)).toBe('inside');
    expect(await content(join(folder, 'link'), folder)).toBe('inside');
    expect(await content(join(root, 'machine/link'), join(root, 'machine'))).toBe('inside');
    expect((await openInside(join(folder, 'link'), folder)).path).toBe(join(folder, 'link'));
  });

  test('is refused elsewhere, by whatever way the path leads there', async () => {
    const { root, folder, outside } = await lay();
    await symlink(outside, join(folder, 'link'));
    await symlink(root, join(folder, 'up'));
    for (const path of [outside, join(folder, 'link'), join(folder, 'up/secret'), join(folder, '../secret'), folder]) {
      expect(await content(path, folder), path).toBe('read-failed');
    }
  });

  test('is never the file that a link was flipped to', async () => {
    const { folder, inside, outside } = await lay();
    await symlink(outside, join(folder, 'link'));
    const seen = new Map<string, number>();
    await whileFlipping(inside, [join(folder, 'link')], async () => {
      const until = Date.now() + FLIPPING;
      for (let i = 0; Date.now() < until || i < 200; i++) {
        const found = await content(inside, folder);
        seen.set(found, (seen.get(found) ?? 0) + 1);
      }
    });
    expect(seen.has('SECRET')).toBe(false);
    expect(seen.get('inside')).toBeGreaterThan(0);
  });

  test('is never in a folder that was flipped to another', async () => {
    const { root, folder, inside } = await lay();
    await mkdir(join(root, 'elsewhere'));
    await writeFile(join(root, 'elsewhere/base.vhdx'), 'SECRET');
    await symlink(join(root, 'elsewhere'), join(folder, 'link'));
    await whileFlipping(join(folder, 'below'), [join(folder, 'link')], async () => {
      const until = Date.now() + FLIPPING;
      for (let i = 0; Date.now() < until || i < 200; i++) expect(await content(inside, folder)).not.toBe('SECRET');
    });
  });

  test('that is a pipe, or is flipped to one, is refused at once', async () => {
    const { folder, inside } = await lay();
    const pipe = join(folder, 'pipe');
    execFileSync('mkfifo', [pipe]);
    expect(await content(pipe, folder)).toBe('read-failed');
    await expect(fileSource(pipe)).rejects.toMatchObject({ code: 'read-failed' });
    await whileFlipping(inside, [pipe], async () => {
      const until = Date.now() + FLIPPING;
      for (let i = 0; Date.now() < until || i < 200; i++) {
        expect(['inside', 'read-failed']).toContain(await content(inside, folder));
        const source = await fileSource(inside).catch((error: unknown) => error);
        if (source instanceof VhdxError) expect(source.code).toBe('read-failed');
        else await (source as { close(): Promise<void> }).close();
      }
    });
  });

  test('that was renamed meanwhile is still what was opened', async () => {
    const { folder, inside } = await lay();
    const source = await openInside(inside, folder);
    await rename(inside, join(folder, 'other'));
    const bytes = new Uint8Array(6);
    await source.readInto(bytes, 0);
    expect(new TextDecoder().decode(bytes)).toBe('inside');
    await source.close?.();
  });
});

import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { checkVhdx, createVhdx, editVhdx, openVhdx } from '../../src/index.js';
import { lockFile } from '../../src/io/lock.js';
import { MiB } from '../support/encode-primitives.js';
import { tempDir } from '../support/tools.js';

async function newDisk(): Promise<string> {
  const path = join(await tempDir(), 'disk.vhdx');
  await createVhdx(path, { size: MiB });
  return path;
}

const FINDING = { code: 'file-being-written', severity: 'info', structure: 'file' } as const;

describe('rule 113: a file that another program writes', () => {
  test('is opened and checked with a finding that names it, in strict mode too, until it is closed', async () => {
    const path = await newDisk();
    const writing = await editVhdx(path);
    const disk = await openVhdx(path, { strict: true });
    const message = expect.stringMatching(new RegExp(`^is being written by process ${process.pid} on `));
    expect(disk.findings).toMatchObject([{ ...FINDING, message }]);
    await disk.close();
    expect(await checkVhdx(path)).toMatchObject({ status: 'sound', findings: [{ ...FINDING, message }] });
    await writing.close();
    expect((await checkVhdx(path)).findings).toEqual([]);
  });

  test('does not find itself: what is opened for writing has no such finding', async () => {
    const disk = await editVhdx(await newDisk());
    expect(disk.findings).toEqual([]);
    expect((await disk.check()).findings).toEqual([]);
    await disk.close();
  });

  test('may be a parent, also of a disk that is written', async () => {
    const path = await newDisk();
    const child = join(path, '..', 'child.avhdx');
    await createVhdx(child, { parent: path });
    const lock = await lockFile(path);
    for (const open of [openVhdx, editVhdx]) {
      const disk = await open(child);
      expect(disk.findings).toEqual([]);
      expect(disk.parent?.findings).toMatchObject([FINDING]);
      await disk.close();
    }
    await lock.release();
  });

  test('is not told apart for an image that is not trusted', async () => {
    const path = await newDisk();
    const lock = await lockFile(path);
    const disk = await openVhdx(path, { untrusted: true });
    expect(disk.findings).toMatchObject([{ ...FINDING, message: 'is being written by another program' }]);
    await disk.close();
    await lock.release();
  });

  test('is not one whose writer is gone, nor one beside which there is some other lock', async () => {
    const path = await newDisk();
    for (const text of ['', 'not ours', '{}']) {
      await writeFile(`${path}.lock`, text);
      const disk = await openVhdx(path);
      expect(disk.findings).toEqual([]);
      await disk.close();
    }
  });
});

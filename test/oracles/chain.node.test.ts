// The chain of five members, read by every other tool as far as it can.
//
// Whole, no other tool reads it: libvhdi and 7-Zip do not replay logs, both want all members to be of one size, and
// QEMU knows no parents. So each is given what it can do: the same chain with members of one size and none dirty, and
// libvhdi, which takes zero, undefined and unmapped blocks from the parent, without those.
import { join } from 'node:path';
import { describe, expect } from 'vitest';
import { openVhdx } from '../../src/index.js';
import type { BuiltImage } from '../support/build-image.js';
import { nameAt } from '../support/chain-files.js';
import { dirtied, structureSectors } from '../support/dirty-images.js';
import { type FiveLimits, fiveMembers } from '../support/five-members.js';
import { pyvhdi, readWith7Zip, readWithLibvhdi, sevenZip } from '../support/other-readers.js';
import { expectSameBytes } from '../support/same-bytes.js';
import { saveFile } from '../support/save-image.js';
import { needs, tempDir } from '../support/tools.js';

/** Saves a chain under the names that its locators tell, and returns the paths, child first. */
async function save(files: readonly BuiltImage[]): Promise<string[]> {
  const folder = await tempDir();
  const paths = files.map((_, i) => join(folder, nameAt(files.length - 1 - i)));
  for (const [i, file] of files.entries()) await saveFile(file, paths[i] as string);
  return paths;
}

/** What is read of a chain by its child's path alone: the parents are found beside it. */
async function readAlone(path: string): Promise<Uint8Array> {
  const disk = await openVhdx(path);
  try {
    return await disk.read(0, disk.size);
  } finally {
    await disk.close();
  }
}

for (const logicalSectorSize of [512, 4096] as const) {
  describe(`five members with sectors of ${logicalSectorSize} bytes`, () => {
    const built = (limits: FiveLimits) => fiveMembers(logicalSectorSize, limits);

    needs(sevenZip).test('of one size and clean, are read as 7-Zip reads them, from every member on', async () => {
      const { files } = built({ sameSize: true });
      const paths = await save(files);
      for (const path of paths) expectSameBytes(await readAlone(path), await readWith7Zip(path));
    });

    needs(pyvhdi).test(
      'of one size, clean and without zero blocks, are read as libvhdi reads them, from every member on',
      async () => {
        const { files } = built({ sameSize: true, noZeros: true });
        const paths = await save(files);
        for (const [i, path] of paths.entries()) {
          expectSameBytes(await readAlone(path), await readWithLibvhdi(paths.slice(i)));
        }
      },
    );

    needs(sevenZip).test('with a dirty one, are read as 7-Zip reads them without', async () => {
      const { files } = built({ sameSize: true });
      const [clean = ''] = await save(files);
      const expected = await readWith7Zip(clean);
      for (const spoilt of files.keys()) {
        const [path = ''] = await save(
          files.map((file, i) => (i === spoilt ? dirtied(file, structureSectors(file)) : file)),
        );
        expectSameBytes(await readAlone(path), expected, `member ${spoilt} is dirty`);
      }
    });

    needs().test('of several sizes and with a dirty one, are read from files as their model says', async () => {
      const { files, model } = built({});
      const [path = ''] = await save(files.map((file, i) => (i === 2 ? dirtied(file, structureSectors(file)) : file)));
      expectSameBytes(await readAlone(path), model.expected(0, model.size));
    });

    needs(sevenZip, pyvhdi).test(
      'of several sizes are what the other tools cannot read: so far nobody can check us there',
      async () => {
        const { files, model } = built({ noZeros: true });
        const paths = await save(files);
        const expected = Buffer.from(model.expected(0, model.size));
        const { status, bytes } = await sevenZip.run(['e', '-so', '-tvhdx', paths[0] as string]);
        expect(status === 0 && expected.equals(bytes)).toBe(false);
        const other = await readWithLibvhdi(paths).catch(() => new Uint8Array(0));
        expect(expected.equals(other)).toBe(false);
      },
    );
  });
}

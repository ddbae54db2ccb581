// Disks that were written here, read by QEMU, 7-Zip and libvhdi; and written here and by qemu-io in turn.
import { copyFile, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect } from 'vitest';
import { createVhdx, editVhdx, openVhdx, type WritableVhdxDisk } from '../../src/index.js';
import { KiB, MiB } from '../support/encode-primitives.js';
import {
  convertWithQemu,
  pyvhdi,
  qemuImg,
  qemuIo,
  readWith7Zip,
  readWithLibvhdi,
  sevenZip,
} from '../support/other-readers.js';
import { propertyRuns } from '../support/property-runs.js';
import { expectSameBytes } from '../support/same-bytes.js';
import { needs, tempDir } from '../support/tools.js';

const SIZE = 12 * MiB;

/** Writes, zeros and trims here and there, and does the same to a plain array. */
async function scatter(disk: WritableVhdxDisk, model: Uint8Array, seed: number): Promise<void> {
  for (let i = 0; i < 12; i++) {
    const offset = ((seed * 7919 + i * 1_048_573) % (SIZE - 2 * MiB)) & ~511;
    const length = 512 + ((seed + i) % 5) * 40 * KiB;
    model.fill(seed + i, offset, offset + length);
    await disk.write(new Uint8Array(length).fill(seed + i), offset);
    if (i % 5 === 3) await disk.flush();
  }
  const block = (seed % 10) * MiB;
  model.fill(0, block, block + MiB);
  await disk.zero(block, MiB);
}

async function expectClean(path: string): Promise<void> {
  expect(await qemuImg.run(['check', '-q', '-f', 'vhdx', path])).toMatchObject({ status: 0, stderr: '' });
}

describe('a disk that was written', () => {
  needs(qemuImg, sevenZip, pyvhdi).test(
    'is clean to qemu-img, and reads the same in QEMU, 7-Zip and libvhdi',
    async () => {
      for (const type of ['dynamic', 'fixed'] as const) {
        const path = join(await tempDir(), `${type}.vhdx`);
        await createVhdx(path, { size: SIZE, type, blockSize: MiB });
        const model = new Uint8Array(SIZE);
        for (const seed of [3, 40]) {
          const disk = await editVhdx(path);
          await scatter(disk, model, seed);
          await disk.close();
        }
        await expectClean(path);
        expectSameBytes(await readFile(await convertWithQemu(path)), model);
        expectSameBytes(await readWith7Zip(path), model);
        expectSameBytes(await readWithLibvhdi([path]), model);
      }
    },
  );

  needs(qemuImg).test('and left dirty is repaired by qemu-img to what was flushed', async () => {
    const folder = await tempDir();
    const path = join(folder, 'disk.vhdx');
    await createVhdx(path, { size: SIZE, blockSize: MiB });
    const model = new Uint8Array(SIZE);
    const disk = await editVhdx(path);
    await scatter(disk, model, 9);
    await disk.flush();
    const copy = join(folder, 'copy.vhdx');
    await copyFile(path, copy);
    await disk.close();
    expect((await openVhdx(copy)).info.log.dirty).toBe(true);
    expect(await qemuImg.run(['check', '-q', '-r', 'all', '-f', 'vhdx', copy])).toMatchObject({ status: 0 });
    expectSameBytes(await readFile(await convertWithQemu(copy)), model);
  });

  needs(qemuImg, qemuIo).test('is written on by qemu-io, and here again, in turn', async () => {
    const path = join(await tempDir(), 'disk.vhdx');
    await createVhdx(path, { size: SIZE, blockSize: MiB });
    const model = new Uint8Array(SIZE);
    for (let round = 0; round < propertyRuns(10).numRuns; round++) {
      const disk = await editVhdx(path);
      await scatter(disk, model, (11 * round + 1) % 200);
      await disk.close();
      const offset = ((round * 1_300_000) % (SIZE - MiB)) & ~511;
      const command = `write -P ${200 + (round % 50)} ${offset} ${96 * KiB}`;
      expect(await qemuIo.run(['-f', 'vhdx', '-c', command, path])).toMatchObject({ status: 0, stderr: '' });
      model.fill(200 + (round % 50), offset, offset + 96 * KiB);
    }
    await expectClean(path);
    const read = await openVhdx(path);
    expectSameBytes(await read.read(0, SIZE), model);
    await read.close();
    expectSameBytes(await readFile(await convertWithQemu(path)), model);
  });

  needs(sevenZip).test('as a child shows the same in 7-Zip, parent and all', async () => {
    const folder = await tempDir();
    const [parent, child] = [join(folder, 'base.vhdx'), join(folder, 'child.avhdx')];
    await createVhdx(parent, { size: SIZE, blockSize: MiB });
    const model = new Uint8Array(SIZE);
    const base = await editVhdx(parent);
    await scatter(base, model, 5);
    await base.close();
    await createVhdx(child, { parent, blockSize: MiB });
    const disk = await editVhdx(child);
    await scatter(disk, model, 60);
    await disk.close();
    expectSameBytes(await readWith7Zip(child), model);
  });
});

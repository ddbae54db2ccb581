import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { createVhdx, editVhdx, openVhdx } from '../../src/index.js';
import { buildImage } from '../support/build-image.js';
import { expectFailure, saved, vhdx } from '../support/command.js';
import { MiB } from '../support/encode-primitives.js';
import { convertWithQemu, pyvhdi, qemuImg, readWith7Zip, readWithLibvhdi, sevenZip } from '../support/other-readers.js';
import { expectOutput } from '../support/output-schema.js';
import { expectSameBytes } from '../support/same-bytes.js';
import { sourceBytes } from '../support/scripted-source.js';
import { needs, tempDir } from '../support/tools.js';

const SIZE = 48 * MiB;

/** A disk of which every second block that was written is trimmed, or holds zeros by now; and what it holds. */
async function holedDisk(): Promise<{ path: string; model: Uint8Array }> {
  const path = join(await tempDir(), 'disk.vhdx');
  await createVhdx(path, { size: SIZE, blockSize: MiB });
  const disk = await editVhdx(path);
  const model = new Uint8Array(SIZE);
  for (let block = 0; block < 40; block++) {
    const bytes = sourceBytes(block * 1000, MiB);
    model.set(bytes, block * MiB);
    await disk.write(bytes, block * MiB);
  }
  for (let block = 0; block < 40; block += 2) {
    model.fill(0, block * MiB, (block + 1) * MiB);
    if (block % 4 === 0) await disk.trim(block * MiB, MiB);
    else await disk.write(new Uint8Array(MiB), block * MiB);
  }
  await disk.close();
  return { path, model };
}

async function contentOf(path: string): Promise<Uint8Array> {
  const disk = await openVhdx(path, { replay: 'refuse', strict: true });
  try {
    return await disk.read(0, disk.size);
  } finally {
    await disk.close();
  }
}

describe('vhdx compact', () => {
  needs(qemuImg, sevenZip, pyvhdi).test('makes the file short, and all that read it see the same', async () => {
    const { path, model } = await holedDisk();
    const child = join(path, '..', 'child.avhdx');
    await createVhdx(child, { parent: path });
    const before = (await stat(path)).size;
    const dry = await vhdx('compact', '--dry-run', path);
    expect(dry).toMatchObject({
      status: 0,
      stderr: '',
      stdout: expect.stringMatching(/disk\.vhdx: would have 24 MiB, before/),
    });
    expect((await stat(path)).size).toBe(before);
    const { status, stdout, stderr } = await vhdx('compact', path);
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    expect(stdout).toMatch(/disk\.vhdx: has 24 MiB, before \d+ MiB \(10 blocks of zeros, \d+ MiB moved\)\n$/);
    expect((await stat(path)).size).toBe(24 * MiB);
    expectSameBytes(await contentOf(path), model);
    expectSameBytes(await contentOf(child), model);
    expect(await qemuImg.run(['check', '-q', '-f', 'vhdx', path])).toMatchObject({ status: 0, stderr: '' });
    expectSameBytes(await readFile(await convertWithQemu(path)), model);
    expectSameBytes(await readWith7Zip(path), model);
    expectSameBytes(await readWithLibvhdi([path]), model);
    expect((await vhdx('compact', path)).stdout).toMatch(/nothing to gain\n$/);
  });

  test('says as JSON what it would do and what it did', async () => {
    const { path } = await holedDisk();
    const planned = await vhdx('compact', '--dry-run', '--output', 'json', path);
    const done = await vhdx('compact', '--output', 'json', path);
    for (const { stdout } of [planned, done]) expectOutput('compact', stdout);
    expect(JSON.parse(done.stdout)).toEqual({ ...JSON.parse(planned.stdout), 'dry-run': false });
    expect(JSON.parse(done.stdout)).toMatchObject({ 'file-size-after': 24 * MiB, 'zero-blocks': 10, 'free-blocks': 0 });
  });

  test('reads no blocks with --no-scan, and refuses a fixed image', async () => {
    const { path, model } = await holedDisk();
    const { stdout } = await vhdx('compact', '--no-scan', path);
    expect(stdout).toMatch(/has 34 MiB, before/);
    expectSameBytes(await contentOf(path), model);
    const fixed = await saved(buildImage({ type: 'fixed', virtualSize: 4 * MiB }), join(path, '..', 'fixed.vhdx'));
    const bytes = await readFile(fixed);
    expectFailure(await vhdx('compact', fixed), 1, 'a fixed image keeps the space');
    expect(Buffer.compare(await readFile(fixed), bytes)).toBe(0);
  });
});

import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { createVhdx, editVhdx, openVhdx } from '../../src/index.js';
import { readPartitionTable } from '../../src/volumes/index.js';
import { encodeGpt } from '../app/support/encode-gpt.js';
import { expectFailure, vhdx } from '../support/command.js';
import { GiB, MiB } from '../support/encode-primitives.js';
import { convertWithQemu, qemuImg, readWith7Zip, sevenZip } from '../support/other-readers.js';
import { expectOutput } from '../support/output-schema.js';
import { expectSameBytes } from '../support/same-bytes.js';
import { sourceBytes } from '../support/scripted-source.js';
import { needs, tempDir } from '../support/tools.js';

const LINUX = '0fc63daf-8483-4772-8e79-3d69d8477de4';

async function newDisk(size = 16 * MiB, parent?: string): Promise<string> {
  const path = join(await tempDir(), 'disk.vhdx');
  await createVhdx(path, { size, blockSize: MiB, ...(parent !== undefined && { parent }) });
  return path;
}

async function write(path: string, bytes: Uint8Array, offset: number): Promise<void> {
  const disk = await editVhdx(path);
  await disk.write(bytes, offset);
  await disk.close();
}

async function sizeOf(path: string): Promise<number> {
  const disk = await openVhdx(path, { replay: 'refuse', strict: true });
  await disk.close();
  return disk.size;
}

describe('vhdx resize', () => {
  test('takes a size, or a difference, with and without --', async () => {
    const path = await newDisk();
    const sizes: readonly [args: readonly string[], mebibytes: number][] = [
      [['20M'], 20],
      [['+4M'], 24],
      [['--shrink', '-1M'], 23],
      [['-1M', '--shrink'], 22],
      [['--shrink', '--', '-1M'], 21],
      [['0x1000000', '--shrink'], 16],
      [['16M'], 16],
    ];
    for (const [args, mebibytes] of sizes) {
      const { status, stdout, stderr } = await vhdx('resize', path, ...args);
      expect({ status, stderr, args }).toEqual({ status: 0, stderr: '', args });
      expect(stdout).toMatch(/^[^\n]*disk\.vhdx: (got|has) [^\n]+\n$/);
      expect(await sizeOf(path)).toBe(mebibytes * MiB);
    }
  });

  test('refuses in one line what cannot be, and changes nothing', async () => {
    const path = await newDisk();
    const before = await readFile(path);
    expectFailure(await vhdx('resize', path, '-1M'), 1, 'would get smaller', '--shrink');
    expectFailure(await vhdx('resize', path, '15M'), 1, '--shrink');
    expectFailure(await vhdx('resize', '--shrink', path, '-16M'), 1, 'size is 0');
    expectFailure(await vhdx('resize', path, '65T'), 1, 'size is');
    expectFailure(await vhdx('resize', path, '1000001'), 1, 'not a multiple of 512');
    for (const wrong of ['x', '+', '-', '+0', '--size']) expect((await vhdx('resize', path, wrong)).status).toBe(1);
    expect(await vhdx('resize', '--dry-run', path, '+1G')).toMatchObject({
      status: 0,
      stderr: '',
      stdout: expect.stringMatching(/^[^\n]*disk\.vhdx: would get 1\.02 GiB/),
    });
    expect(Buffer.compare(await readFile(path), before)).toBe(0);
    await writeFile(join(path, '..', 'no.vhdx'), 'nothing');
    expectFailure(await vhdx('resize', join(path, '..', 'no.vhdx'), '1G'), 1, 'no.vhdx');
  });

  test('says as JSON what it would do and what it did', async () => {
    const path = await newDisk();
    const planned = await vhdx('resize', '--dry-run', '--output', 'json', path, '+4M');
    const done = await vhdx('resize', '--output', 'json', path, '+4M');
    for (const { stdout } of [planned, done]) expectOutput('resize', stdout);
    expect(JSON.parse(done.stdout)).toEqual({ ...JSON.parse(planned.stdout), 'dry-run': false });
    expect(JSON.parse(done.stdout)).toMatchObject({ 'size-before': 16 * MiB, 'size-after': 20 * MiB, partitions: [] });
  });

  test('names children once, which do not fit any more', async () => {
    const path = await newDisk();
    await createVhdx(join(path, '..', 'child.avhdx'), { parent: path });
    const { status, stderr } = await vhdx('resize', path, '+1M');
    expect(status).toBe(0);
    expect(stderr).toMatch(/^vhdx: [^\n]+ is the parent of child\.avhdx: [^\n]+\n$/);
  });

  test('says what becomes of a GPT, and puts its backup right if it is asked to', async () => {
    const path = await newDisk();
    const { start, end } = encodeGpt((16 * MiB) / 512, 512, [{ type: LINUX, name: 'root', first: 2048, last: 30_000 }]);
    await write(path, start, 0);
    await write(path, end, 16 * MiB - end.length);
    expect((await vhdx('resize', '--dry-run', path, '+4M')).stdout).toContain('--fix-gpt puts it there');
    expect((await vhdx('resize', path, '+4M')).stdout).toContain('--fix-gpt puts it there');
    const fixed = await vhdx('resize', '--fix-gpt', path, '+4M');
    expect(fixed).toMatchObject({ status: 0, stderr: '' });
    expect(fixed.stdout).toContain('the backup of the GPT is at the end of the disk now');
    const disk = await openVhdx(path, { strict: true });
    const made = encodeGpt((24 * MiB) / 512, 512, [{ type: LINUX, name: 'root', first: 2048, last: 30_000 }]);
    expectSameBytes(await disk.read(24 * MiB - made.end.length, made.end.length), made.end);
    expect((await readPartitionTable(disk)).notes).toEqual([]);
    await disk.close();
    const cut = await vhdx('resize', '--shrink', '--fix-gpt', path, '12M');
    expect(cut.stdout).toMatch(/the GPT stays as it is: partition 1 reaches past/);
    expect((await vhdx('resize', '--shrink', path, '8M')).stdout).toContain('partition 1 reaches past the end');
  });
});

describe('a disk that was resized', () => {
  needs(qemuImg, sevenZip).test('is clean to qemu-img, and reads the same in QEMU and 7-Zip', async () => {
    const path = await newDisk(8 * MiB + 4096);
    const model = new Uint8Array(30 * MiB);
    const bytes = sourceBytes(0, 6 * MiB);
    await write(path, bytes, 2 * MiB);
    model.set(bytes, 2 * MiB);
    await write(path, bytes.subarray(0, 4096), 8 * MiB);
    model.set(bytes.subarray(0, 4096), 8 * MiB);
    for (const [size, length] of [
      ['30M', 30],
      ['5M', 5],
      ['20M', 20],
    ] as const) {
      expect(await vhdx('resize', '--shrink', path, size)).toMatchObject({ status: 0, stderr: '' });
      model.fill(0, length * MiB);
      expect(await qemuImg.run(['check', '-q', '-f', 'vhdx', path])).toMatchObject({ status: 0, stderr: '' });
      expectSameBytes(await readFile(await convertWithQemu(path)), model.subarray(0, length * MiB));
      expectSameBytes(await readWith7Zip(path), model.subarray(0, length * MiB));
    }
  });

  needs(qemuImg).test('past the length of its BAT is clean to qemu-img, dynamic and fixed', async () => {
    for (const type of ['dynamic', 'fixed'] as const) {
      const path = join(await tempDir(), `${type}.vhdx`);
      await createVhdx(path, { size: 127 * GiB, blockSize: MiB, type });
      const bytes = sourceBytes(0, 4096);
      for (const offset of [0, 127 * GiB - 4096]) await write(path, bytes, offset);
      expect(await vhdx('resize', path, '300G')).toMatchObject({ status: 0, stderr: '' });
      expect(await qemuImg.run(['check', '-q', '-f', 'vhdx', path])).toMatchObject({ status: 0, stderr: '' });
      const { stdout } = await qemuImg.run(['info', '--output=json', '-f', 'vhdx', path]);
      expect(JSON.parse(stdout)).toMatchObject({ 'virtual-size': 300 * GiB });
      const disk = await openVhdx(path, { strict: true });
      for (const offset of [0, 127 * GiB - 4096]) expectSameBytes(await disk.read(offset, 4096), bytes);
      expect((await disk.read(127 * GiB, MiB)).every((byte) => byte === 0)).toBe(true);
      const { fullyPresent } = (await disk.check()).blocks ?? {};
      expect(fullyPresent).toBe(type === 'fixed' ? 300 * 1024 : 2);
      await disk.close();
    }
  });
});

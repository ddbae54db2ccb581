import { link, mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { openVhdx } from '../../src/index.js';
import { contentBytes, pattern } from '../support/block-content.js';
import { buildImage } from '../support/build-image.js';
import { ending, expectFailure, saved, startVhdx, vhdx, vhdxWith } from '../support/command.js';
import { modelOf } from '../support/disk-model.js';
import { KiB, MiB } from '../support/encode-primitives.js';
import { convertWithQemu, pyvhdi, qemuImg, readWith7Zip, readWithLibvhdi, sevenZip } from '../support/other-readers.js';
import { expectSameBytes } from '../support/same-bytes.js';
import { needs, tempDir } from '../support/tools.js';

/** A raw disk with data, a little in the middle of nothing, and zeros. */
const raw = new Uint8Array(10 * MiB);
raw.set(contentBytes(pattern(1), 0, 700 * KiB));
raw.set([1, 2, 3], 3 * MiB + 77);
raw.set(contentBytes(pattern(2), 0, 3 * MiB), 5 * MiB + 512 * KiB);

async function rawFile(folder: string, bytes: Uint8Array = raw): Promise<string> {
  const path = join(folder, 'disk.img');
  await writeFile(path, bytes);
  return path;
}

/** What an image holds, by the library; strict. */
async function contentOf(path: string): Promise<Uint8Array> {
  const disk = await openVhdx(path, { strict: true });
  const bytes = await disk.read(0, disk.size);
  await disk.close();
  return bytes;
}

describe('vhdx convert -O vhdx', () => {
  needs(qemuImg, sevenZip, pyvhdi).test('writes images that qemu-img, 7-Zip and libvhdi read alike', async () => {
    const folder = await tempDir();
    const path = await rawFile(folder);
    for (const list of ['subformat=dynamic', 'subformat=fixed', 'block_size=1M', 'block_size=64M,log_size=2M']) {
      const out = join(folder, `${list}.vhdx`);
      const done = await vhdx('convert', '-f', 'raw', '-O', 'vhdx', '-o', list, path, out);
      expect(done).toMatchObject({ status: 0, stdout: '', stderr: '' });
      expect(await qemuImg.run(['check', '-f', 'vhdx', out])).toMatchObject({ status: 0, stderr: '' });
      expectSameBytes(await readFile(await convertWithQemu(out)), raw);
      expectSameBytes(await readWith7Zip(out), raw);
      expectSameBytes(await readWithLibvhdi([out]), raw);
      expectSameBytes(await contentOf(out), raw);
      const compared = await qemuImg.run(['compare', '-f', 'vhdx', '-F', 'raw', out, path]);
      expect(compared.status).toBe(0);
    }
    const sectors = join(folder, 'sectors.vhdx');
    const list = 'logical_sector_size=4k,physical_sector_size=4k,id=33333333-3333-3333-3333-333333333333';
    expect(await vhdx('convert', '-f', 'raw', '-o', list, '-q', path, sectors)).toMatchObject({
      status: 0,
      stderr: '',
    });
    expectSameBytes(await readWith7Zip(sectors), raw);
    const info = JSON.parse((await vhdx('info', '--output', 'json', sectors)).stdout);
    expect(JSON.stringify(info)).toContain('33333333-3333-3333-3333-333333333333');
  });

  needs(sevenZip).test('writes a child with what differs from its parent', async () => {
    const folder = await tempDir();
    await mkdir(join(folder, 'disks'));
    const parent = join(folder, 'disks/base.vhdx');
    const changed = raw.slice();
    changed.set([9, 9], 3 * MiB + 512);
    changed.fill(0, 6 * MiB, 8 * MiB);
    expect(await vhdx('convert', '-q', await rawFile(folder), parent)).toMatchObject({ status: 0, stderr: '' });
    const child = join(folder, 'disks/child.avhdx');
    const path = await rawFile(folder, changed);
    const words = ['-f', 'raw', '-O', 'vhdx', '-o', 'block_size=1M', '-B', parent];
    expect(await vhdx('convert', ...words, path, child)).toMatchObject({ status: 0, stderr: '' });
    expectSameBytes(await contentOf(child), changed);
    expectSameBytes(await readWith7Zip(child), changed);
    const disk = await openVhdx(child);
    expect(disk.info.parentLocator?.['relative_path']).toBe('.\\base.vhdx');
    expect(disk.info.fileSize).toBe(4 * MiB + MiB + MiB);
    await disk.close();
    // Elsewhere the path leads out of the folder.
    const far = join(folder, 'far.avhdx');
    expect(await vhdx('convert', ...words, path, far)).toMatchObject({ status: 0 });
    expect(await vhdx('compare', '--follow-parents', '-F', 'raw', far, path)).toMatchObject({ status: 0 });
    const merged = join(folder, 'whole.vhdx');
    expect(await vhdx('convert', '-q', child, merged)).toMatchObject({ status: 0, stderr: '' });
    expectSameBytes(await contentOf(merged), changed);
    for (const out of [parent, child]) {
      const over = await vhdx('convert', '--force', ...words, path, out);
      if (out === parent) expectFailure(over, 1, `vhdx: ${parent}: is the parent of the new image`);
      else expect(over).toMatchObject({ status: 0, stderr: '' });
    }
    expectSameBytes(await contentOf(parent), raw);
  });

  test('says what it does where only the name says so, and that raw was guessed', async () => {
    const folder = await tempDir();
    const path = await rawFile(folder);
    const out = join(folder, 'disk.VHDX');
    const { status, stderr } = await vhdx('convert', path, out);
    expect({ status, stderr }).toEqual({
      status: 0,
      stderr: `vhdx: ${out}: writing a VHDX, as the ending says; -O raw writes raw\nvhdx: ${path}: no known format, read as raw; -f raw says that it is\n`,
    });
    expectSameBytes(await contentOf(out), raw);
  });

  test('keeps the type of a VHDX, and replaces a file only with --force', async () => {
    const folder = await tempDir();
    const image = buildImage({ type: 'fixed', virtualSize: 3 * MiB, blockSize: MiB });
    const path = await saved(image, join(folder, 'fixed.vhdx'));
    const out = join(folder, 'copy.vhdx');
    expect(await vhdx('convert', '-O', 'vhdx', path, out)).toMatchObject({ status: 0, stderr: '' });
    const disk = await openVhdx(out, { strict: true });
    expect(disk).toMatchObject({ type: 'fixed', blockSize: MiB, id: (await openVhdx(path)).id });
    expectSameBytes(await disk.read(0, disk.size), modelOf(image).expected(0, 3 * MiB));
    await disk.close();
    const again = await vhdx('convert', '-O', 'vhdx', path, out);
    expectFailure(again, 1, `vhdx: ${out}: exists already; --force replaces it`);
    const force = ['--force', '-o', 'subformat=dynamic'];
    expect(await vhdx('convert', '-O', 'vhdx', ...force, path, out)).toMatchObject({ status: 0, stderr: '' });
    expect((await openVhdx(out)).type).toBe('dynamic');
    expect((await readdir(folder)).sort()).toEqual(['copy.vhdx', 'fixed.vhdx']);
  });

  test('does not write over what it reads, under whatever name', async () => {
    const folder = await tempDir();
    const path = await rawFile(folder);
    const other = join(folder, 'other.img');
    await link(path, other);
    for (const out of [path, other]) {
      const result = await vhdx('convert', '-f', 'raw', '-O', 'vhdx', '--force', path, out);
      expectFailure(result, 1, `vhdx: ${out}: is the image that is being read`);
    }
    expectSameBytes(await readFile(path), raw);
  });

  test('reads standard input', async () => {
    const folder = await tempDir();
    const out = join(folder, 'disk.vhdx');
    const done = await vhdxWith({ input: raw }, 'convert', '-O', 'vhdx', '-o', 'block_size=1M', '-', out);
    expect(done).toMatchObject({ status: 0, stdout: '', stderr: '' });
    expectSameBytes(await contentOf(out), raw);
    expect((await stat(out)).size).toBe(3 * MiB + 6 * MiB + MiB);
    const odd = join(folder, 'odd.vhdx');
    const input = raw.subarray(0, 1000);
    expectFailure(
      await vhdxWith({ input }, 'convert', '-O', 'vhdx', '-', odd),
      1,
      'standard input: ',
      '--pad adds zeros',
    );
    expect(await vhdxWith({ input }, 'convert', '-O', 'vhdx', '--pad', '-', odd)).toMatchObject({ status: 0 });
    expectSameBytes((await contentOf(odd)).subarray(0, 1000), input);
    expectFailure(
      await vhdxWith({ input }, 'convert', '-O', 'raw', '-', odd),
      1,
      'standard input: it can become a VHDX',
    );
    const image = await readFile(out);
    const refused = await vhdxWith({ input: image }, 'convert', '--force', '-O', 'vhdx', '-', odd);
    expectFailure(refused, 1, 'standard input: this is a VHDX image', '-f raw reads its bytes');
    expect((await readdir(folder)).sort()).toEqual(['disk.vhdx', 'odd.vhdx']);
  });

  test('writes to a pipe what it writes to a file', async () => {
    const folder = await tempDir();
    const path = await rawFile(folder);
    const id = 'id=33333333-3333-3333-3333-333333333333';
    const piped = await vhdx('convert', '-f', 'raw', '-O', 'vhdx', '-o', `block_size=1M,${id}`, path, '-');
    expect(piped).toMatchObject({ status: 0, stderr: '' });
    expect(piped.bytes.length).toBe(4 * MiB + 6 * MiB);
    const out = join(folder, 'piped.vhdx');
    await writeFile(out, piped.bytes);
    expectSameBytes(await contentOf(out), raw);
    const image = buildImage({ virtualSize: 3 * MiB, blocks: { 1: { state: 6, data: pattern(1) } } });
    const again = await vhdx('convert', '-O', 'vhdx', await saved(image, join(folder, 'disk.vhdx')), '-');
    expect(again).toMatchObject({ status: 0, stderr: '' });
    await writeFile(out, again.bytes);
    expectSameBytes(await contentOf(out), modelOf(image).expected(0, 3 * MiB));
    const toPipe = (...words: string[]) => vhdxWith({ input: raw }, 'convert', '-O', 'vhdx', ...words, '-');
    expectFailure(await toPipe('-'), 1, 'standard output: what comes from a pipe is written to a file');
    expectFailure(await toPipe('-B', out, '-f', 'raw', path), 1, 'standard output: -B writes a child to a file');
  });

  test('refuses a raw disk of no whole sector, and names the option that pads it', async () => {
    const folder = await tempDir();
    const path = await rawFile(folder, raw.subarray(0, 5 * MiB + 1));
    const out = join(folder, 'disk.vhdx');
    const words = ['-f', 'raw', '-O', 'vhdx'];
    expectFailure(await vhdx('convert', ...words, path, out), 1, `vhdx: ${path}: `, '--pad adds zeros');
    expect(await vhdx('convert', ...words, '--pad', path, out)).toMatchObject({ status: 0, stderr: '' });
    expect((await contentOf(out)).length).toBe(5 * MiB + 512);
    expect((await readdir(folder)).sort()).toEqual(['disk.img', 'disk.vhdx']);
  });

  test('refuses options that say nothing about what is written', async () => {
    const folder = await tempDir();
    const path = await rawFile(folder);
    for (const odd of [['-o', 'block_size=1M'], ['-B', path], ['--pad']]) {
      const result = await vhdx('convert', '-f', 'raw', '-O', 'raw', ...odd, path, join(folder, 'out'));
      expectFailure(result, 1, 'is about a VHDX that is written: -O vhdx');
    }
    const bad = await vhdx('convert', '-O', 'vhdx', '-o', 'block_size=3M', '-f', 'raw', path, join(folder, 'out'));
    expectFailure(bad, 1, 'blockSize is 3145728');
    expect(await readdir(folder)).toEqual(['disk.img']);
  });

  test('salvages what there is of a damaged image', async () => {
    const folder = await tempDir();
    const blocks = { 0: { state: 6, data: pattern(0) }, 1: { state: 4 }, 2: { state: 6, data: pattern(2) } };
    const path = await saved(buildImage({ virtualSize: 4 * MiB, blocks }), join(folder, 'damaged.vhdx'));
    const out = join(folder, 'out.vhdx');
    expectFailure(await vhdx('convert', '-O', 'vhdx', path, out), 1, 'BAT entry 1: ');
    const { status, stderr } = await vhdx('convert', '-O', 'vhdx', '--salvage', path, out);
    expect(status).toBe(2);
    const piped = await vhdx('convert', '-O', 'vhdx', '--salvage', path, '-');
    expect(piped).toMatchObject({ status: 2, stderr });
    await writeFile(`${out}.piped`, piped.bytes);
    expectSameBytes(await contentOf(`${out}.piped`), await contentOf(out));
    expect(stderr).toContain('lost 0x100000 to 0x200000 (1048576 bytes): bat-reserved-state');
    const sound = buildImage({ virtualSize: 4 * MiB, blocks: { 0: blocks[0], 2: blocks[2] } });
    expectSameBytes(await contentOf(out), modelOf(sound).expected(0, 4 * MiB));
  });

  test.each(['SIGINT', 'SIGTERM'] as const)('that gets %s leaves nothing', async (signal) => {
    const folder = await tempDir();
    const child = startVhdx('convert', '-O', 'vhdx', '-', join(folder, 'disk.vhdx'));
    const ended = ending(child);
    child.stdin?.on('error', () => {});
    child.stdin?.write(raw);
    for (;;) {
      const partial = (await readdir(folder)).find((name) => name.endsWith('.partial')); // beside it is the lock
      if (partial && (await stat(join(folder, partial))).size > 4 * MiB) break;
      expect(child.exitCode).toBeNull();
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    process.kill(child.pid as number, signal); // not child.kill, behind which Deno does not tell the exit code
    expect((await ended).status).toBe(signal === 'SIGINT' ? 130 : 143);
    expect(await readdir(folder)).toEqual([]);
  });
});

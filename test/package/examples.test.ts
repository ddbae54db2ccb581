import { mkdir, open, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { build, createLogger } from 'vite';
import { describe, expect, test } from 'vitest';
import { installApart } from '../../scripts/apart.mjs';
import { contentBytes, pattern } from '../support/block-content.js';
import { bootDisk } from '../support/boot-disk.js';
import { buildImage } from '../support/build-image.js';
import { chromiumProgram, openFolder } from '../support/chromium.js';
import { crc32cReference } from '../support/crc32c-reference.js';
import { modelOf } from '../support/disk-model.js';
import { MiB, u32Bytes } from '../support/encode-primitives.js';
import { STATE } from '../support/image-spec.js';
import { saveFile } from '../support/save-image.js';
import { needs, type RunResult, run, tempDir, tool } from '../support/tools.js';
import { root } from './module-graph.js';

const examples = { requiredInCI: true, ...(await installApart('examples')) };
const qemuImg = tool('qemu-img');
const mkfs = tool('mkfs.ext4');

/** Runs an example as its reader would. */
const example = (...args: string[]): Promise<RunResult> => run(process.execPath, args, { cwd: examples.folder });

/** Makes a dynamic VHDX of a raw image, as QEMU does it. */
async function toVhdx(raw: string): Promise<string> {
  const image = raw.replace(/\.raw$/, '.vhdx');
  const args = ['convert', '-f', 'raw', '-O', 'vhdx', '-o', 'subformat=dynamic', raw, image];
  expect(await qemuImg.run(args)).toMatchObject({ status: 0 });
  return image;
}

describe('the examples', () => {
  needs(examples).test('agree with the types of the package and of what they use', async () => {
    const tsc = join(root, 'node_modules/.bin/tsc');
    expect(await run(tsc, ['--project', '.'], { cwd: examples.folder })).toMatchObject({ status: 0, stdout: '' });
  });
});

describe.each(['examples', 'test/bundlers', 'test/manifests'])('the packages of %s', (folder) => {
  const read = async (name: string) => JSON.parse(await readFile(join(root, folder, name), 'utf8'));

  test('are asked for by exact versions', async () => {
    const { dependencies, devDependencies } = await read('package.json');
    const versions = Object.values<string>({ ...dependencies, ...devDependencies });
    expect(versions.length).toBeGreaterThan(1);
    expect(versions.filter((version) => !/^\d+\.\d+\.\d+$/.test(version))).toEqual([]);
  });

  test('have a lockfile that names no registry', async () => {
    const { lockfileVersion, packages } = await read('package-lock.json');
    const resolved = Object.values<{ resolved?: string }>(packages).filter((entry) => entry.resolved !== undefined);
    expect({ lockfileVersion, resolved }).toEqual({ lockfileVersion: 3, resolved: [] });
  });
});

describe('the emulator', () => {
  needs(examples, qemuImg, tool('seabios')).test(
    'boots from a dynamic image, reads all over it and writes to it',
    async () => {
      const raw = join(await tempDir(), 'boot.raw');
      const [greeting, text] = ['The boot sector says: ', 'hello from the far end\r\n'];
      await writeFile(raw, bootDisk(64 * MiB, 130_000, greeting, text));
      const image = await toVhdx(raw);
      const before = await readFile(image);
      expect(await example('boot.mjs', image)).toMatchObject({ status: 0, stdout: greeting + text, stderr: '' });
      expect(before.equals(await readFile(image))).toBe(true);

      // The guest copies the sector with the text to the one after it.
      expect(await example('boot.mjs', '--write', image)).toMatchObject({
        status: 0,
        stdout: greeting + text,
        stderr: '',
      });
      expect(await qemuImg.run(['check', image])).toMatchObject({ status: 0 });
      const after = join(await tempDir(), 'after.raw');
      expect(await qemuImg.run(['convert', '-O', 'raw', image, after])).toMatchObject({ status: 0 });
      const expected = Buffer.from(await readFile(raw));
      expected.copyWithin(130_001 * 512, 130_000 * 512, 130_001 * 512);
      expect(expected.equals(await readFile(after))).toBe(true);
    },
  );
});

describe('balena’s libraries', () => {
  /** A folder with a short file and one that goes over many blocks. */
  async function tree(folder: string): Promise<{ folder: string; notes: string; photo: Uint8Array }> {
    const home = join(folder, 'tree/home/ada');
    await mkdir(home, { recursive: true });
    const notes = 'Remember the milk.\n';
    const photo = contentBytes(pattern(7), 0, 3_000_001);
    await writeFile(join(home, 'notes.txt'), notes);
    await writeFile(join(home, 'photo.raw'), photo);
    return { folder: join(folder, 'tree'), notes, photo };
  }

  /** An ext4 file system of 32 MiB with a folder's content; before it, room for a partition table where it has to start later. */
  async function ext4Image(start: number, folder: string, raw: string): Promise<string> {
    const handle = await open(raw, 'w');
    await handle.truncate(start + 32 * MiB);
    await handle.close();
    const args = ['-q', '-d', folder, '-E', `offset=${start}`, raw, '32M'];
    expect(await mkfs.run(args)).toMatchObject({ status: 0 });
    if (start > 0) await writePartitionTable(raw, start / 512, (32 * MiB) / 512);
    return toVhdx(raw);
  }

  /** A master boot record with one Linux partition; positions in sectors. */
  async function writePartitionTable(raw: string, first: number, sectors: number): Promise<void> {
    const entry = Uint8Array.of(0, 0xfe, 0xff, 0xff, 0x83, 0xfe, 0xff, 0xff, ...u32Bytes(first), ...u32Bytes(sectors));
    const handle = await open(raw, 'r+');
    await handle.write(entry, 0, entry.length, 446);
    await handle.write(Uint8Array.of(0x55, 0xaa), 0, 2, 510);
    await handle.close();
  }

  for (const [what, start] of [
    ['a partition', MiB],
    ['a disk without a partition table, as WSL makes them,', 0],
  ] as const) {
    needs(examples, qemuImg, mkfs).test(`list and read files of ${what} in an image`, async () => {
      const folder = await tempDir();
      const { notes, photo, ...files } = await tree(folder);
      const image = await ext4Image(start, files.folder, join(folder, 'ext4.raw'));
      const before = await readFile(image);

      const ok = { status: 0, stderr: '' };
      expect(await example('ext4.mjs', image)).toMatchObject({ ...ok, stdout: `1: ${32 * MiB} bytes, ext4\n` });
      expect(await example('ext4.mjs', image, '/')).toMatchObject({ ...ok, stdout: 'lost+found\nhome\n' });
      expect(await example('ext4.mjs', image, '/home/ada/notes.txt')).toMatchObject({ ...ok, stdout: notes });
      const { bytes } = await example('ext4.mjs', image, '/home/ada/photo.raw');
      expect(Buffer.compare(bytes, photo)).toBe(0);
      expect(before.equals(await readFile(image))).toBe(true);
    });
  }

  needs(examples, qemuImg).test('are not asked about a disk without such a file system', async () => {
    const raw = join(await tempDir(), 'empty.raw');
    await writeFile(raw, bootDisk(4 * MiB, 1, '', ''));
    const image = await toVhdx(raw);
    const stderr = `${image} has no ext4 file system\n`;
    expect(await example('ext4.mjs', image, '/')).toMatchObject({ status: 1, stdout: '', stderr });
  });
});

describe('the page that verifies', () => {
  needs(examples, chromiumProgram).test('tells in a worker whether an image holds what was promised', async () => {
    const folder = await tempDir();
    const warnings: string[] = [];
    await build({
      root: join(examples.folder, 'verify'),
      configFile: false,
      customLogger: { ...createLogger('silent'), warn: (message) => warnings.push(message) },
      build: { outDir: join(folder, 'page'), emptyOutDir: true, reportCompressedSize: false },
      logLevel: 'warn',
    });
    expect(warnings).toEqual([]);

    const image = buildImage({ blocks: { 3: { state: STATE.fullyPresent, data: pattern(3) } } });
    const { size, expected } = modelOf(image);
    const checksum = crc32cReference(expected(0, size)).toString(16).padStart(8, '0');
    const path = join(folder, 'disk.vhdx');
    await saveFile(image, path);

    const page = await openFolder(join(folder, 'page'));
    const verify = async (file: string, promised: string) => {
      await page.setInputFiles('[name=image]', file);
      await page.fill('[name=expected]', promised);
      await page.click('button');
      const output = page.locator('output:not(:empty)');
      await output.waitFor();
      return output.innerHTML();
    };
    expect(await verify(path, checksum.toUpperCase())).toBe('disk.vhdx is what was promised');
    expect(await verify(path, '00000000')).toBe(`disk.vhdx differs: it has ${checksum}`);
    const noImage = join(folder, 'page/index.html');
    expect(await verify(noImage, checksum)).toMatch(/^index.html: /);
    expect(page.complaints).toEqual([]);
  });
});

import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { build, createLogger } from 'vite';
import { describe, expect, test } from 'vitest';
import { installApart } from '../../scripts/apart.mjs';
import { pattern } from '../support/block-content.js';
import { bootDisk } from '../support/boot-disk.js';
import { buildImage } from '../support/build-image.js';
import { chromiumProgram, openFolder } from '../support/chromium.js';
import { crc32cReference } from '../support/crc32c-reference.js';
import { modelOf } from '../support/disk-model.js';
import { MiB } from '../support/encode-primitives.js';
import { STATE } from '../support/image-spec.js';
import { saveFile } from '../support/save-image.js';
import { needs, type RunResult, run, tempDir, tool } from '../support/tools.js';
import { root } from './module-graph.js';

const examples = { requiredInCI: true, ...(await installApart('examples')) };
const qemuImg = tool('qemu-img');

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

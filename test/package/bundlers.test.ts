import { spawn } from 'node:child_process';
import { cp, mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { stripVTControlCharacters } from 'node:util';
import { beforeAll, describe, expect, onTestFinished } from 'vitest';
import { installApart } from '../../scripts/apart.mjs';
import { pattern } from '../support/block-content.js';
import { buildImage } from '../support/build-image.js';
import { chromiumProgram, openFolder, openPage, type WatchedPage } from '../support/chromium.js';
import { crc32cReference } from '../support/crc32c-reference.js';
import { dirtied, structureSectors } from '../support/dirty-images.js';
import { modelOf } from '../support/disk-model.js';
import { MiB } from '../support/encode-primitives.js';
import { STATE } from '../support/image-spec.js';
import { saveFile } from '../support/save-image.js';
import { SLOW } from '../support/time-limits.js';
import { needs, run } from '../support/tools.js';
import { root } from './module-graph.js';

/** A bundler: how it is called in the page's folder, and where its page is then. */
interface Bundler {
  /** The executable and its arguments; nothing else is configured. */
  readonly command: readonly [string, ...string[]];
  readonly folder: string;
  /** The element that runs its script, of those bundlers that make no page. */
  readonly script?: string;
}

const BUNDLERS: Readonly<Record<string, Bundler>> = {
  Vite: { command: ['vite', 'build'], folder: 'dist' },
  webpack: {
    command: ['webpack', '--mode', 'production', '--output-path', 'webpack'], // without a mode it complains
    folder: 'webpack',
    script: '<script defer src="main.js"></script>',
  },
  // The one that resolves no package by itself.
  'Rollup with its plugin node-resolve': {
    command: ['rollup', 'src/index.js', '--plugin', 'node-resolve', '--dir', 'rollup'],
    folder: 'rollup',
    script: '<script type="module" src="index.js"></script>',
  },
  esbuild: {
    command: ['esbuild', 'src/index.js', '--bundle', '--outdir=esbuild'],
    folder: 'esbuild',
    script: '<script defer src="index.js"></script>',
  },
  'esbuild with splitting': {
    command: [
      'esbuild',
      'src/index.js',
      '--bundle',
      '--minify',
      '--splitting',
      '--format=esm',
      '--outdir=esbuild-split',
    ],
    folder: 'esbuild-split',
    script: '<script type="module" src="index.js"></script>',
  },
  Parcel: { command: ['parcel', 'build', 'index.html', '--no-cache', '--dist-dir', 'parcel'], folder: 'parcel' },
};

const bundlers = { requiredInCI: true, ...(await installApart('bundlers')) };
const page = join(bundlers.folder, 'page');
const program = (name: string) => join(bundlers.folder, 'node_modules/.bin', name);
const withBundlers = needs(bundlers, chromiumProgram);

const parent = buildImage();
const child = buildImage({
  type: 'differencing',
  blocks: { 1: { state: STATE.fullyPresent, data: pattern(1) }, 2: { state: STATE.zero } },
});
const model = modelOf(child, modelOf(parent));
const checksum = crc32cReference(model.expected(0, model.size)).toString(16).padStart(8, '0');

/** What the page must say of a dirty child and its parent. */
const EXPECTED = `sound, ${8 * MiB} bytes, ${checksum}`;

beforeAll(async () => {
  if (bundlers.missing !== undefined) return;
  await rm(page, { recursive: true, force: true });
  await cp(join(root, 'test/bundlers/page'), page, { recursive: true });
  const pack = ['pack', '--json', '--ignore-scripts', '--pack-destination', bundlers.folder];
  const { stdout } = await run('npm', pack, { cwd: root });
  const [{ filename }] = JSON.parse(stdout);
  await rename(join(bundlers.folder, filename), join(bundlers.folder, 'vhdx.tgz'));
  const install = ['install', '--prefer-offline', '--no-audit', '--no-fund', '--no-package-lock'];
  expect(await run('npm', install, { cwd: page })).toMatchObject({ status: 0 });

  await mkdir(join(page, 'images'));
  await saveFile(dirtied(child, structureSectors(child)), join(page, 'images/child.avhdx'));
  await saveFile(parent, join(page, 'images/base.vhdx'));
});

/** Chooses the images in the page, as a person does, and returns what the page then says. */
async function chooseImages(opened: WatchedPage): Promise<string> {
  await opened.setInputFiles(
    'input',
    ['child.avhdx', 'base.vhdx'].map((name) => join(page, 'images', name)),
  );
  const output = opened.locator('output:not(:empty)');
  await output.waitFor();
  return output.innerHTML();
}

/** The names of the scripts of a folder that name a built-in module of Node. */
async function withNodeModules(folder: string): Promise<string[]> {
  const names = (await readdir(folder, { recursive: true })).filter((name) => /\.(m?js|html)$/.test(name));
  expect(names.length).toBeGreaterThan(0);
  const texts = await Promise.all(
    names.map(async (name) => ({ name, text: await readFile(join(folder, name), 'utf8') })),
  );
  return texts.filter(({ text }) => text.includes('node:')).map(({ name }) => name);
}

/** Runs a bundler in a folder; `said` is all that it wrote, without colours. */
async function runBundler(name: string, args: readonly string[], cwd: string) {
  const { status, stdout, stderr } = await run(program(name), args, { cwd });
  return { status, said: stripVTControlCharacters(stdout + stderr) };
}

/** What bundlers say where they are not content. */
const COMPLAINT = /\bwarn|deprecated|\(!\)/i;

describe.each(Object.entries(BUNDLERS))('a page bundled by %s', (_name, { command, folder, script }) => {
  withBundlers.test(
    'is made without a warning and reads a dirty child with its parent',
    async () => {
      const [name, ...args] = command;
      const { status, said } = await runBundler(name, args, page);
      expect(status, said).toBe(0);
      expect(said).not.toMatch(COMPLAINT);
      expect(await withNodeModules(join(page, folder))).toEqual([]);

      if (script !== undefined) {
        const html = await readFile(join(page, 'index.html'), 'utf8');
        await writeFile(join(page, folder, 'index.html'), html.replace(/<script.*<\/script>/, script));
      }
      const opened = await openFolder(join(page, folder));
      expect(await chooseImages(opened)).toBe(EXPECTED);
      expect(opened.complaints).toEqual([]);
    },
    SLOW.wholePackage.timeout,
  );
});

describe('a page without a bundler', () => {
  /** The same page, with the library in one file beside it. */
  const plainPage = async (name: string, html: (before: string) => string): Promise<string> => {
    const folder = join(bundlers.folder, name);
    await rm(folder, { recursive: true, force: true });
    await cp(join(root, 'test/bundlers/page'), folder, { recursive: true });
    await cp(join(page, 'node_modules/vhdx/dist/vhdx.bundle.js'), join(folder, 'vhdx.bundle.js'));
    const before = await readFile(join(folder, 'index.html'), 'utf8');
    await writeFile(join(folder, 'index.html'), html(before));
    return folder;
  };

  withBundlers.test('reads a dirty child with its parent by vhdx.bundle.js alone, from any server', async () => {
    const map = '<script type="importmap">{ "imports": { "vhdx": "./vhdx.bundle.js" } }</script>';
    const folder = await plainPage('plain', (html) => html.replace('<script', `${map}<script`));
    const opened = await openFolder(folder);
    expect(await chooseImages(opened)).toBe(EXPECTED);
    expect(opened.complaints).toEqual([]);
    expect(await withNodeModules(folder)).toEqual([]);
  });

  withBundlers.test('uses it in a module worker too', async () => {
    const script = `
      import * as vhdx from './vhdx.bundle.js';
      addEventListener('message', async ({ data: [child, parent] }) => {
        const disk = await vhdx.openVhdx(child, { parent });
        const sum = (await disk.checksum()).toString(16).padStart(8, '0');
        const path = await vhdx.openVhdx('images/disk.vhdx').catch(({ message }) => message);
        postMessage([disk.size, sum, path]);
      });`;
    const folder = await plainPage('plain-worker', () => '<input type="file" multiple><output></output>');
    await writeFile(join(folder, 'worker.js'), script);
    const opened = await openFolder(folder);
    await opened.setInputFiles(
      'input',
      ['child.avhdx', 'base.vhdx'].map((name) => join(page, 'images', name)),
    );
    const said = await opened.evaluate(async () => {
      const worker = new Worker('/worker.js', { type: 'module' });
      const answer = new Promise((resolve, reject) => {
        worker.onmessage = ({ data }) => resolve(data);
        worker.onerror = reject;
      });
      worker.postMessage([...(document.querySelector('input')?.files ?? [])]);
      return answer;
    });
    const message =
      '"images/disk.vhdx" is a path, and there is no file system here; if it is an address, new URL(\'…\', location.href) makes it whole';
    expect(said).toEqual([8 * MiB, checksum, expect.stringContaining(message)]);
    expect(opened.complaints).toEqual([]);
  });
});

describe("a page of Vite's development server", () => {
  withBundlers.test(
    'is served without a warning and reads a dirty child with its parent',
    async () => {
      const server = spawn(program('vite'), ['--host', '127.0.0.1', '--port', '0'], { cwd: page });
      onTestFinished(() => void server.kill());
      let said = '';
      const url = await new Promise<string>((resolve, reject) => {
        const hear = (chunk: Uint8Array) => {
          said = stripVTControlCharacters(said + chunk);
          const [found] = /http:\/\/127\.0\.0\.1:\d+\//.exec(said) ?? [];
          if (found !== undefined) resolve(found);
        };
        server.stdout.on('data', hear);
        server.stderr.on('data', hear);
        server.on('close', () => reject(new Error(said)));
      });
      const opened = await openPage(url);
      expect(await chooseImages(opened)).toBe(EXPECTED);
      expect(opened.complaints).toEqual([]);
      expect(said).not.toMatch(COMPLAINT);
      expect(await withNodeModules(join(page, 'node_modules/.vite/deps'))).toEqual([]);
    },
    SLOW.wholePackage.timeout,
  );
});

describe('a page that imports a module of Node, and what the package does not have', () => {
  // Vite leaves both empty without a word, the others refuse: Rollup is the one that would let it through to the page.
  withBundlers.test(
    'is noticed',
    async () => {
      const bad = join(page, 'bad');
      await cp(join(root, 'test/bundlers/page'), bad, { recursive: true });
      const script = "import fs from 'node:fs';\nimport * as vhdx from 'vhdx';\nconsole.log(fs, vhdx.nothing);\n";
      await writeFile(join(bad, 'src/index.js'), script);
      const { command, folder } = BUNDLERS['Rollup with its plugin node-resolve'] as Bundler;
      const { said } = await runBundler('rollup', command.slice(1), bad);
      expect(said).toMatch(COMPLAINT);
      expect(await withNodeModules(join(bad, folder))).toEqual(['index.js']);
    },
    SLOW.wholePackage.timeout,
  );
});

import { mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { run } from '../support/tools.js';
import { root } from './module-graph.js';

interface PackedFile {
  readonly path: string;
  readonly mode: number;
}

const bin = (name: string) => join(root, 'node_modules/.bin', name);
const manifest = JSON.parse(await readFile(join(root, 'package.json'), 'utf8'));

let folder: string;
let tarball: string;
let files: readonly PackedFile[];

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'vhdx-package-'));
  const args = ['pack', '--json', '--ignore-scripts', '--pack-destination', folder];
  const { status, stdout, stderr } = await run('npm', args, { cwd: root });
  if (status !== 0) throw new Error(stderr);
  const [packed] = JSON.parse(stdout);
  tarball = join(folder, packed.filename);
  files = packed.files;

  // An installation without a registry: the unpacked tarball, with this checkout's copies of what it depends on.
  await mkdir(join(folder, 'node_modules'));
  expect(await run('tar', ['-xzf', tarball, '-C', folder])).toMatchObject({ status: 0 });
  await symlink(join(folder, 'package'), join(folder, 'node_modules/vhdx'), 'dir');
  for (const name of Object.keys(manifest.dependencies)) {
    const link = join(folder, 'node_modules', name);
    await mkdir(dirname(link), { recursive: true });
    await symlink(join(root, 'node_modules', name), link, 'dir');
  }
});

afterAll(async () => rm(folder, { recursive: true, force: true }));

describe('the packed package', () => {
  test('holds the build, its licence and its papers, and nothing else', () => {
    const paths = files.map(({ path }) => path);
    expect(paths.filter((path) => !path.startsWith('dist/')).sort()).toEqual([
      'CHANGELOG.md',
      'LICENSE',
      'README.md',
      'llms.txt',
      'package.json',
    ]);
    expect(paths.filter((path) => !/\.(js|d\.ts|md|json|wasm|1)$|^LICENSE$|^llms\.txt$/.test(path))).toEqual([]);
  });

  test('holds the licence of whatever the command is built with', async () => {
    const licences = await readFile(join(folder, 'package/dist/cli/third-party-licences.md'), 'utf8');
    for (const name of ['commander', 'cli-progress']) {
      expect(licences).toMatch(new RegExp(`## ${name} - [\\d.]+ \\(MIT\\)\n[^#]*Permission is hereby granted`));
    }
  });

  test('holds every file that package.json names', () => {
    const named = (value: unknown): string[] =>
      typeof value === 'string' ? [value] : Object.values(value as object).flatMap(named);
    const { main, types, exports, bin: commands } = manifest;
    const paths = files.map(({ path }) => `./${path}`);
    const targets = named([main, types, exports, commands]).map((path) => `./${path.replace(/^\.\//, '')}`);
    expect(targets.filter((path) => !paths.includes(path))).toEqual([]);
  });

  test('holds a command that can be executed', async () => {
    const command = files.find(({ path }) => path === 'dist/cli/main.js');
    expect(command?.mode).toBe(0o755);
    expect(await readFile(join(root, 'dist/cli/main.js'), 'utf8')).toMatch(/^#!\/usr\/bin\/env node\n/);
  });

  test('pleases publint', async () => {
    const { status, stdout } = await run(bin('publint'), ['run', tarball, '--strict']);
    expect(status, stdout).toBe(0);
    expect(stdout).toContain('All good!');
  });

  test('has types that resolve in every way an ES module is imported', async () => {
    const options = [
      '--profile',
      'esm-only',
      '--exclude-entrypoints',
      './core.wasm',
      './output-schema.json',
      '--no-color',
      '--no-emoji',
    ];
    const { status, stdout } = await run(bin('attw'), [tarball, ...options]);
    expect(status, stdout).toBe(0);
    expect(stdout).toContain('"vhdx"');
    expect(stdout).toContain('"vhdx/volumes"');
  });
});

describe('the installed package', () => {
  // The check value of CRC-32C, as every catalogue of checksums gives it.
  const checkValue = "vhdx.crc32c(new TextEncoder().encode('123456789')).then((crc) => console.log(crc.toString(16)))";

  test('can be imported', async () => {
    const script = `import * as vhdx from 'vhdx'; await ${checkValue};`;
    const result = await run(process.execPath, ['--input-type=module', '--eval', script], { cwd: folder });
    expect(result).toMatchObject({ status: 0, stdout: 'e3069283\n', stderr: '' });
  });

  test('can be required', async () => {
    const script = `const vhdx = require('vhdx'); ${checkValue};`;
    const result = await run(process.execPath, ['--no-warnings', '--eval', script], { cwd: folder });
    expect(result).toMatchObject({ status: 0, stdout: 'e3069283\n', stderr: '' });
  });

  test('hands out the raw core', async () => {
    const script = `
      import { readFile } from 'node:fs/promises';
      import { fileURLToPath } from 'node:url';
      import { crc32c, initCore } from 'vhdx';
      await initCore(new WebAssembly.Module(await readFile(fileURLToPath(import.meta.resolve('vhdx/core.wasm')))));
      console.log((await crc32c(new TextEncoder().encode('123456789'))).toString(16));`;
    const result = await run(process.execPath, ['--input-type=module', '--eval', script], { cwd: folder });
    expect(result).toMatchObject({ status: 0, stdout: 'e3069283\n', stderr: '' });
  });

  test('has a door for volumes', async () => {
    const script = `
      import { readPartitionTable } from 'vhdx/volumes';
      const disk = { size: 1048576, readInto: async (target) => void target.fill(0) };
      console.log((await readPartitionTable(disk)).scheme);`;
    const result = await run(process.execPath, ['--input-type=module', '--eval', script], { cwd: folder });
    expect(result).toMatchObject({ status: 0, stdout: 'none\n', stderr: '' });
  });

  test('has a door for NBD', async () => {
    const script = `
      import { serveNbd } from 'vhdx/nbd';
      const disk = { size: 1048576, readInto: async (target) => void target.fill(0) };
      const server = await serveNbd(disk, { port: 0 });
      console.log(server.uri() === 'nbd://127.0.0.1:' + server.port + '/');
      await server.close();`;
    const result = await run(process.execPath, ['--input-type=module', '--eval', script], { cwd: folder });
    expect(result).toMatchObject({ status: 0, stdout: 'true\n', stderr: '' });
  });

  test('has a command that knows its version', async () => {
    const result = await run(join(folder, 'package/dist/cli/main.js'), ['--version'], { cwd: folder });
    expect(result).toMatchObject({ status: 0, stdout: `${manifest.version}\n`, stderr: '' });
  });

  test('has types for a program of Node, without those of a page, and checks them too', async () => {
    const program = `
      import { editVhdx, exportStream, initCore, openVhdx } from 'vhdx';
      import { openVolume } from 'vhdx/volumes';
      import { serveNbd } from 'vhdx/nbd';
      export const bytes = async (path: string): Promise<Uint8Array> => (await openVhdx(path)).read(0, 512);
      export const remote = () => openVhdx(new URL('https://example.org/a.vhdx'), { http: { headers: { 'x-key': 'a' } } });
      export { editVhdx, exportStream, initCore, openVolume, serveNbd };
      // @ts-expect-error a number is no image
      openVhdx(1);`;
    const compilerOptions = {
      strict: true,
      noEmit: true,
      skipLibCheck: false,
      target: 'es2023',
      module: 'nodenext',
      moduleResolution: 'nodenext',
      lib: ['es2023'],
      types: ['node'],
      typeRoots: [join(root, 'node_modules/@types')],
    };
    await writeFile(join(folder, 'program.mts'), program);
    await writeFile(join(folder, 'tsconfig.json'), JSON.stringify({ compilerOptions, files: ['program.mts'] }));
    const result = await run(bin('tsc'), ['--project', folder]);
    expect(result).toMatchObject({ stdout: '', status: 0 });
  });

  test('has types for a page, without those of Node', async () => {
    const page = `
      import { openVhdx, VhdxError, type VhdxDisk } from 'vhdx';
      export const open = (file: File): Promise<VhdxDisk> => openVhdx(file);
      export const code = (error: unknown) => (error instanceof VhdxError ? error.code : undefined);
      // @ts-expect-error a number is no image
      openVhdx(1);`;
    const compilerOptions = {
      strict: true,
      noEmit: true,
      target: 'es2022',
      module: 'esnext',
      moduleResolution: 'bundler',
      skipLibCheck: false,
      lib: ['es2022', 'dom', 'dom.iterable', 'dom.asynciterable'],
      types: [],
    };
    await writeFile(join(folder, 'page.ts'), page);
    await writeFile(join(folder, 'tsconfig.json'), JSON.stringify({ compilerOptions, files: ['page.ts'] }));
    const result = await run(bin('tsc'), ['--project', folder]);
    expect(result).toMatchObject({ stdout: '', status: 0 });
  });
});

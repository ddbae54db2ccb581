import { readFileSync } from 'node:fs';
import { copyFile, mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { CREATOR } from '../../src/edit/create/create-image.js';
import { run, tempDir } from '../support/tools.js';
import { reachableFrom, readModules, root } from './module-graph.js';

interface Manifest {
  readonly version: string;
  readonly license: string;
  readonly engines: Readonly<Record<string, string>>;
  readonly scripts: Readonly<Record<string, string>>;
  readonly dependencies: Readonly<Record<string, string>>;
  readonly devDependencies: Readonly<Record<string, string>>;
}

interface LockedPackage extends Partial<Manifest> {
  readonly resolved?: string;
  readonly optionalDependencies?: Readonly<Record<string, string>>;
}

interface Lockfile {
  readonly lockfileVersion: number;
  readonly packages: Readonly<Record<string, LockedPackage>>;
}

const readText = (path: string) => readFileSync(join(root, path), 'utf8');
const manifest: Manifest = JSON.parse(readText('package.json'));
const lockfile: Lockfile = JSON.parse(readText('package-lock.json'));

describe('package.json', () => {
  test('asks for exact versions only', () => {
    const versions = Object.entries({ ...manifest.dependencies, ...manifest.devDependencies });
    expect(versions.filter(([, version]) => !/^\d+\.\d+\.\d+$/.test(version))).toEqual([]);
  });

  test('has one dependency', () => {
    expect(Object.keys(manifest.dependencies)).toEqual(['@assemblyscript/loader']);
  });

  test('has what the library imports as its dependencies, and nothing else', () => {
    const modules = readModules('src');
    const library = [...reachableFrom('src/index.ts', modules)].flatMap((path) => modules.get(path)?.foreign ?? []);
    const packages = new Set(library.filter((name) => !name.startsWith('node:')));
    expect([...packages]).toEqual(Object.keys(manifest.dependencies));
  });

  test('brings nothing by a back door', () => {
    const doors = /^(peer|optional|bundled?)Dependencies/;
    expect(Object.keys(manifest).filter((key) => doors.test(key))).toEqual([]);
  });

  test('runs nothing on the machine that installs it', () => {
    expect(Object.keys(manifest.scripts).filter((name) => /^(pre|post)?install$|^prepare$/.test(name))).toEqual([]);
  });

  test('says which licence the LICENSE file is', () => {
    expect(readText('LICENSE')).toMatch(new RegExp(`^${manifest.license} License`));
  });

  test('is not published while it has no home, or under a version that the change log does not have', async () => {
    const folder = await tempDir();
    for (const name of ['package.json', 'CHANGELOG.md']) await copyFile(join(root, name), join(folder, name));
    for (const built of ['dist/index.js', 'dist/cli/main.js', 'dist/vhdx.bundle.js']) {
      await mkdir(dirname(join(folder, built)), { recursive: true });
      await writeFile(join(folder, built), '');
    }
    const check = (env = {}) => run(process.execPath, [join(root, 'scripts/check-release.mjs'), folder], { env });
    const ofOwner = (owner: string, version = manifest.version) => {
      const url = `git+https://github.com/${owner}/vhdx.git`;
      const housed = { ...manifest, version, repository: { url }, homepage: url, bugs: { url } };
      return writeFile(join(folder, 'package.json'), JSON.stringify(housed));
    };
    await ofOwner('OWNER');
    expect(await check()).toMatchObject({ status: 1, stderr: expect.stringContaining('has the placeholder OWNER') });
    await ofOwner('somebody');
    const branch = { GITHUB_REF_TYPE: 'branch', GITHUB_REF_NAME: 'main' };
    expect(await check(branch)).toMatchObject({ status: 0, stderr: '' });
    const tag = { GITHUB_REF_TYPE: 'tag', GITHUB_REF_NAME: 'v9.9.9' };
    expect(await check(tag)).toMatchObject({ status: 1, stderr: expect.stringContaining('the tag is v9.9.9') });
    await ofOwner('somebody', '9.9.9');
    expect(await check(branch)).toMatchObject({ status: 1, stderr: expect.stringContaining('package.json has 9.9.9') });
  });

  test('is published by a workflow that proves where it was built, after all checks', () => {
    const { on, jobs } = parse(readText('.github/workflows/release.yml'));
    expect(on).toEqual({ push: { tags: ['v*'] } });
    const { permissions, steps } = jobs.publish;
    expect(permissions).toEqual({ contents: 'read', 'id-token': 'write' });
    const commands: string[] = steps.flatMap(({ run: command }: { run?: string }) => command ?? []);
    expect(commands).toEqual(['.ci/run', 'npm run build', 'npm publish --provenance --access public']);
    expect(manifest.scripts['prepublishOnly']).toBe('node scripts/check-release.mjs');
  });

  test('has the version that images name as their creator', () => {
    expect(CREATOR).toBe(`vhdx ${manifest.version}`);
  });

  test('has a version that is in the changelog', () => {
    expect(readText('CHANGELOG.md')).toContain(manifest.version);
  });
});

describe('package-lock.json', () => {
  test('is of the same package', () => {
    const { version, license, engines, dependencies, devDependencies } = manifest;
    expect(lockfile.packages['']).toMatchObject({ version, license, engines, dependencies, devDependencies });
  });

  // `npm ci` refuses a lockfile without the builds for other platforms, which `npm install` may leave out.
  test('lists all that its packages ask for', () => {
    const asked = Object.values(lockfile.packages).flatMap(({ dependencies, optionalDependencies }) =>
      Object.keys({ ...dependencies, ...optionalDependencies }),
    );
    const listed = new Set(Object.keys(lockfile.packages).map((path) => path.replace(/^.*node_modules\//, '')));
    expect(asked.filter((name) => !listed.has(name))).toEqual([]);
  });

  test('names no registry', () => {
    const resolved = Object.values(lockfile.packages).filter((entry) => entry.resolved !== undefined);
    expect(resolved).toEqual([]);
    expect(lockfile.lockfileVersion).toBe(3);
  });
});

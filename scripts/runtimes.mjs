// @ts-check
/**
 * Other JavaScript runtimes than the present one, from the npm registry into build/engines, because they are too large
 * for everybody's `npm ci`.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** Where they are, and what is kept of their runs. */
export const enginesFolder = fileURLToPath(new URL('../build/engines', import.meta.url));

const { platform, arch } = process;
const bunPlatform = `${platform}-${arch === 'arm64' ? 'aarch64' : arch}`;
const denoPlatform = `${platform}-${arch}${platform === 'linux' ? '-glibc' : ''}`;

/** @typedef {{ name: string, version: string, executable: string }} Runtime a package, and the program in it */

/** @param {string} version @returns {Runtime} */
const node = (version) => ({ name: `node-${platform}-${arch}`, version, executable: 'bin/node' });

/** @satisfies {Record<string, Runtime>} */
export const RUNTIMES = {
  // The oldest version that package.json allows, and the newest of each line after it.
  'node-20': node('20.19.0'),
  'node-22': node('22.23.3'),
  'node-24': node('24.21.0'),
  bun: { name: `@oven/bun-${bunPlatform}`, version: '1.4.5', executable: 'bin/bun' },
  deno: { name: `@deno/${denoPlatform}`, version: '2.9.6', executable: 'deno' },
};

/** Installs a runtime where it is not there, and returns its program, which is not there where that failed. @param {Runtime} runtime */
export function installRuntime({ name, version, executable }) {
  // Each in a folder of its own: npm would take three versions of one package for one that changes.
  const prefix = join(enginesFolder, `${name.replace('/', '-')}-${version}`);
  const program = join(prefix, 'node_modules', name, executable);
  if (existsSync(program)) return program;
  console.log(`installing ${name}@${version}`);
  mkdirSync(prefix, { recursive: true });
  writeFileSync(join(prefix, 'package.json'), '{}');
  // Their install scripts would download what the package already holds, or warn.
  const options = ['--prefix', prefix, '--ignore-scripts', '--no-package-lock', '--loglevel', 'error'];
  spawnSync('npm', ['install', ...options, `${name}@${version}`], { cwd: prefix, stdio: 'inherit' });
  return program;
}

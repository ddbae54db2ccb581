// @ts-check
/**
 * Packages that only a few specs and the examples need, such as five bundlers. Each list has a lockfile of its own and
 * is installed apart from this checkout's packages, so that everybody's `npm ci` stays small.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { copyFile, mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../', import.meta.url));

/** Where the lists are, and where what they name is installed. */
const places = {
  bundlers: { list: join(root, 'test/bundlers'), folder: join(root, 'build/bundlers') },
  manifests: { list: join(root, 'test/manifests'), folder: join(root, 'build/manifests') },
  examples: { list: join(root, 'examples'), folder: join(root, 'examples') },
};

/** The names of the lists. */
export const apart = /** @type {(keyof places)[]} */ (Object.keys(places));

/**
 * Installs what a list names, unless it is there.
 *
 * @param {keyof places} name
 * @returns {Promise<{ folder: string, missing: string | undefined }>} where it is, and why it is not there if it is not
 */
export async function installApart(name) {
  const { list, folder } = places[name];
  const lockfile = await readFile(join(list, 'package-lock.json'), 'utf8');
  const stamp = join(folder, 'node_modules/.installed');
  if ((await readFile(stamp, 'utf8').catch(() => '')) === lockfile) return { folder, missing: undefined };
  if (folder !== list) {
    await mkdir(folder, { recursive: true });
    for (const file of ['package.json', 'package-lock.json']) await copyFile(join(list, file), join(folder, file));
  }
  // Nothing of what is installed may run a script while it is; the examples' own makes a link.
  const problem =
    (await npm(folder, 'ci', '--ignore-scripts', '--prefer-offline', '--no-audit', '--no-fund')) ??
    (await npm(folder, 'run', 'postinstall', '--if-present'));
  if (problem !== undefined) return { folder, missing: `the ${name} could not be installed: ${problem}` };
  await writeFile(stamp, lockfile);
  return { folder, missing: undefined };
}

/** Runs npm; the first that it said where it failed. @param {string} cwd @param {string[]} args */
async function npm(cwd, ...args) {
  const child = spawn('npm', [...args, '--loglevel', 'error'], { cwd, stdio: ['ignore', 'ignore', 'pipe'] });
  let said = '';
  child.stderr.on('data', (chunk) => {
    said += chunk;
  });
  const [status] = await once(child, 'close');
  return status === 0 ? undefined : said.replaceAll('npm error', '').trim().split('\n').slice(0, 3).join(',');
}

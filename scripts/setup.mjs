// @ts-check
/**
 * Installs the programs that the tests talk to, where it may, and the packages that only some of them need:
 * `node scripts/setup.mjs [PROGRAM...]`; with arguments, the programs named alone.
 * Does nothing where they are there; where it may not install, it says what to install.
 */
import { spawnSync } from 'node:child_process';
import { apart, installApart } from './apart.mjs';
import { findProgram, packageOf, testPrograms } from './programs.mjs';

const wanted = process.argv.length > 2 ? process.argv.slice(2) : testPrograms;
const missing = () => wanted.filter((name) => findProgram(name) === undefined);

/** @param {string} command @param {string[]} args */
const succeeds = (command, args) => spawnSync(command, args, { stdio: 'ignore' }).status === 0;

/** The words to put before a command that needs root; `undefined` where we may not become root without asking. */
function rootPrefix() {
  if (process.getuid?.() === 0) return [];
  return succeeds('sudo', ['-n', 'true']) ? ['sudo', '-n'] : undefined;
}

/** @param {string[]} prefix @param {string[]} args */
function aptGet(prefix, args) {
  const options = ['DPkg::Lock::Timeout=300', 'Acquire::Retries=3'].flatMap((option) => ['-o', option]);
  const command = [...prefix, 'env', 'DEBIAN_FRONTEND=noninteractive', 'apt-get', '-qq', ...options, ...args];
  const [program = 'env', ...rest] = command;
  return spawnSync(program, rest, { stdio: ['ignore', 'inherit', 'inherit'] }).status === 0;
}

const before = missing();
if (before.length === 0) {
  console.log(`setup: all there (${wanted.join(', ')})`);
} else {
  const packages = [...new Set(before.map(packageOf))];
  const prefix = succeeds('apt-get', ['--version']) ? rootPrefix() : undefined;
  if (prefix === undefined) {
    console.log(
      `setup: not installed: ${before.join(', ')}. On Debian and Ubuntu: sudo apt-get install ${packages.join(' ')}`,
    );
    console.log('setup: the tests that need them will be shown as left out.');
  } else {
    console.log(`setup: installing ${packages.join(' ')}`);
    const done =
      aptGet(prefix, ['update']) && aptGet(prefix, ['install', '--yes', '--no-install-recommends', ...packages]);
    const still = missing();
    if (still.length > 0) console.error(`setup: still missing: ${still.join(', ')}`);
    if (!done || still.length > 0) process.exitCode = 1;
  }
}

if (process.argv.length === 2) {
  for (const name of apart) {
    const { missing } = await installApart(name);
    console.log(missing ?? `setup: the packages of the ${name} are there`);
    if (missing !== undefined) process.exitCode = 1;
  }
}

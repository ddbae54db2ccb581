// @ts-check
/** The versions of everything that took part. */
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { findProgram } from '../scripts/programs.mjs';
import { root } from './harness.mjs';
import { peerVersions } from './peers.mjs';

/** How programs tell their version: arguments, and what to look for. */
const PROGRAMS = {
  'qemu-img': [['--version'], /version (\S+)/],
  '7zz': [['i'], /7-Zip.*? (\d\S+)/],
  vhdiinfo: [['-V'], /vhdiinfo (\d+)/],
  pyvhdi: [['-c', 'import pyvhdi; print(pyvhdi.get_version())'], /(\d+)/],
};

/** Programs and packages, as a list. */
export function versionsText() {
  const { version } = JSON.parse(readFileSync(`${root}package.json`, 'utf8'));
  const commit = spawnSync('git', ['rev-parse', '--short', 'HEAD'], { cwd: root, encoding: 'utf8' }).stdout?.trim();
  const programs = Object.entries(PROGRAMS).map(([name, [args, pattern]]) => {
    const path = findProgram(name);
    if (path === undefined) return `${name} (not installed)`;
    const { stdout, stderr } = spawnSync(path, /** @type {string[]} */ (args), { encoding: 'utf8' });
    return `${name} ${/** @type {RegExp} */ (pattern).exec(stdout + stderr)?.[1] ?? '(version unknown)'}`;
  });
  const packages = Object.entries(peerVersions()).map(([name, wanted]) => `${name} ${wanted}`);
  return [
    `- vhdx ${version}${commit ? ` (${commit})` : ''}, Node ${process.versions.node}, V8 ${process.versions.v8}`,
    `- ${[...programs, ...packages].join(', ')}`,
  ].join('\n');
}

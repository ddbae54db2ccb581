// @ts-check
/** What questions need of the machine: programs, what they take in time and memory, and the build under test. */
import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { findProgram } from '../scripts/programs.mjs';

/** The root of the checkout, with a slash at its end. */
export const root = fileURLToPath(new URL('../', import.meta.url));

/** Thrown if something cannot be measured here: the report says what, and why. */
export class LeftOut extends Error {}

/** Where a program is. LeftOut if it is not installed. @param {string} name one of `scripts/programs.mjs` */
export function program(name) {
  const path = findProgram(name);
  if (path === undefined) throw new LeftOut(`${name} is not installed`);
  return path;
}

/**
 * @typedef {object} Taken
 * @property {number} seconds from start to end
 * @property {number} cpu seconds of processor
 * @property {number} memory most that was resident, in bytes
 * @property {boolean} ended whether it was ended because it took too long
 * @property {string} output what it wrote to standard output, unless that went elsewhere
 */

/**
 * Runs a program to its end and says what it took. Throws if it fails.
 *
 * @param {readonly string[]} command
 * @param {{ limit?: number, output?: 'keep' | 'ignore' }} [options] `limit`: seconds after which it is ended
 * @returns {Promise<Taken>}
 */
export async function measured([name, ...args], { limit = 600, output = 'ignore' } = {}) {
  const python = findProgram('pyvhdi') ?? 'python3';
  const child = spawn(python, [`${root}bench/measure.py`, String(limit), String(name), ...args], {
    stdio: ['ignore', output === 'keep' ? 'pipe' : 'ignore', 'pipe', 'pipe'],
  });
  const [, stdout, stderr, report] = child.stdio.map(textOf);
  await new Promise((resolve, reject) => {
    child.on('error', (cause) => reject(new LeftOut(`${python} does not start`, { cause })));
    child.on('close', resolve);
  });
  const problem = `${name} ${args.join(' ')}: ${stderr?.()}`;
  if (!report?.()) throw new Error(problem);
  const { status, ...taken } = JSON.parse(report());
  if (status !== 0 && !taken.ended) throw new Error(`${problem} (exit code ${status})`);
  return { ...taken, output: stdout?.() ?? '' };
}

/** @param {import('node:stream').Readable | import('node:stream').Writable | null | undefined} stream */
function textOf(stream) {
  let text = '';
  if (stream && 'read' in stream) stream.setEncoding('utf8').on('data', (/** @type {string} */ part) => (text += part));
  return () => text;
}

/** The command under test, as programs are started. @param {...string} args */
export const vhdx = (...args) => [process.execPath, `${root}dist/cli/main.js`, ...args];

/** What the library exports. @returns {Promise<typeof import('../src/index.js')>} */
export const library = () => import(new URL('dist/index.js', `file://${root}`).href);

/** The door to the builds of the core. @returns {Promise<typeof import('../src/core/instance.js')>} */
export const coreBuilds = () => import(new URL('dist/core/instance.js', `file://${root}`).href);

// @ts-check
/**
 * Explores what power cuts leave of sessions that write, for as long as it may: each session is a seed, and a failure
 * names it. Prints how many states there were, of which kinds, and with which seed to go on.
 *
 *     npm run test:crashes -- [--minutes 8] [--states 5000000] [--seed 1] [--processes 2]
 */
import { spawn } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '8' },
    states: { type: 'string', default: '5000000' },
    seed: { type: 'string', default: '1' },
    processes: { type: 'string', default: String(availableParallelism()) },
  },
});
const [minutes, states, seed, processes] = [values.minutes, values.states, values.seed, values.processes].map(Number);
if (![minutes, states, seed, processes].every((value) => Number(value) > 0)) throw new Error('not a number above 0');

/** @typedef {{ sessions: number, next: number, distinct: number, checked: number, seconds: number, features: Record<string, number> }} Done */

const root = fileURLToPath(new URL('../', import.meta.url));
const folder = await mkdtemp(join(tmpdir(), 'vhdx-crash-'));
try {
  const runs = await Promise.all(Array.from({ length: Number(processes) }, (_, i) => explore(i)));
  const sum = (/** @type {(done: Done) => number} */ of) => runs.reduce((all, done) => all + of(done), 0);
  const seconds = Math.max(...runs.map((done) => done.seconds));
  for (const name of Object.keys(runs[0]?.features ?? {})) {
    console.log(`${String(sum(({ features }) => Number(features[name]))).padStart(9)}  ${name}`);
  }
  const next = Math.max(...runs.map((done) => done.next));
  console.log(
    `${sum((done) => done.checked)} states, ${sum((done) => done.distinct)} different, of ${sum((done) => done.sessions)} sessions in ${seconds.toFixed(0)} s; go on with --seed ${next}`,
  );
} finally {
  await rm(folder, { recursive: true });
}

/** Runs one process. @param {number} index @returns {Promise<Done>} */
async function explore(index) {
  const report = join(folder, `${index}.json`);
  const run = {
    first: Number(seed) + index,
    step: Number(processes),
    seconds: Number(minutes) * 60,
    states: Number(states) / Number(processes),
    report,
  };
  const child = spawn(
    process.execPath,
    ['node_modules/vitest/vitest.mjs', 'run', '--config', 'vitest.crash.config.ts', '--reporter', 'dot'],
    {
      cwd: root,
      env: { ...process.env, VHDX_CRASH_RUN: JSON.stringify(run) },
      stdio: ['ignore', 'pipe', 'pipe'],
    },
  );
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (part) => (output += part));
  const status = await new Promise((resolve) => child.on('close', resolve));
  if (status !== 0) throw new Error(output);
  return JSON.parse(await readFile(report, 'utf8'));
}

// @ts-check
import { linkSync, rmSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { fixture } from './fixtures.mjs';
import { measured, root, vhdx } from './harness.mjs';
import { GiB } from './images.mjs';
import { rate, round, speedRow } from './rows.mjs';
import { takeTurns } from './turns.mjs';

/** What do threads gain? @param {string} folder @returns {Promise<import('./rows.mjs').Answer>} */
export async function ask(folder) {
  const threads = Math.min(8, Math.max(2, availableParallelism()));
  const image = fixture(folder, 'full-4g');
  const second = `${folder}/full-4g-again.vhdx`;
  linkSync(image, second);
  const seconds = (/** @type {string[]} */ command) => async () => (await measured(command)).seconds;
  const both = (/** @type {string} */ name, /** @type {(count: string) => string[]} */ command) => ({
    [`${name} by one`]: seconds(command('1')),
    [`${name} by all`]: seconds(command(String(threads))),
  });
  const runs = await takeTurns(
    {
      ...both('reading', (count) => [process.execPath, `${root}bench/plain-readers.mjs`, count, image]),
      ...both('checksum', (count) => vhdx('checksum', '--threads', count, image)),
      ...both('compare', (count) => vhdx('compare', '--threads', count, image, second)),
    },
    { rounds: 7, seconds: 45 },
  );
  rmSync(second);
  const gain = (/** @type {string} */ name) => runs.ratio(`${name} by one`, `${name} by all`);
  const plain = gain('reading');
  const row = (/** @type {string} */ name, /** @type {import('./targets.mjs').TargetName | undefined} */ target) => {
    const ours = { what: `${name}, ${threads} threads`, ours: `${name} by all`, theirs: `${name} by one` };
    const pair = speedRow({ runs, figure: rate(4 * GiB), ...ours });
    if (!target) return pair;
    const share = gain(name) / plain;
    return { ...pair, ratio: `${pair.ratio}, ${round(share)} of what readers gain`, value: share, target };
  };
  return {
    title: 'Threads',
    notes: [
      `4 GiB of data in the page cache, ${threads} threads against one; programs from start to end. Plain readers are threads of a program that read the file, a part each, and do nothing with it: what they gain is what the machine has to give. With \`--threads 1\`, and for files of less than 2 GiB, there are no threads, and all is as before.`,
    ],
    rows: [row('reading', undefined), row('checksum', 'threads'), row('compare', 'threads-compare')],
    leftOut: [],
  };
}

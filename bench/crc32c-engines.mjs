// @ts-check
import { ENGINES, oneFile } from './engines.mjs';
import { LeftOut } from './harness.mjs';
import { MiB } from './images.mjs';
import { installPeers } from './peers.mjs';
import { rate, speedRow } from './rows.mjs';
import { Runs } from './turns.mjs';

/** How fast are bytes in memory summed, in every engine? @param {string} folder @returns {Promise<import('./rows.mjs').Answer>} */
export async function ask(folder) {
  installPeers();
  const script = await oneFile(folder, 'contest');
  /** @type {import('./rows.mjs').Row[]} */
  const rows = [];
  /** @type {string[]} */
  const leftOut = [];
  for (const [name, find] of Object.entries(ENGINES)) {
    try {
      const engine = find();
      const { figures, error } = JSON.parse(await engine.run(script, folder));
      if (error) throw new LeftOut(`${engine.title}: ${error}`);
      rows.push(...rowsOf(name, engine.title, new Runs(figures)));
    } catch (error) {
      if (!(error instanceof LeftOut)) throw error;
      leftOut.push(`${name}: ${error.message}`);
    }
  }
  return {
    title: 'CRC-32C of 1 MiB in memory, in every engine',
    notes: ['The same script, bundled, in each; native peers exist for Node only and stand in the table above.'],
    rows,
    leftOut,
  };
}

/** @param {string} name @param {string} title @param {Runs} runs */
function rowsOf(name, title, runs) {
  /** @type {[label: string, ours: string, theirs: string, target?: import('./targets.mjs').TargetName][]} */
  const pairs = [
    ['kernel', 'kernel', 'our slicing-by-8', 'chromium-slicing'],
    ['kernel, no SIMD', 'kernel, no SIMD', 'our slicing-by-8, no SIMD'],
    ['kernel', 'kernel', 'hash-wasm'],
    ['as called', 'vhdx', 'hash-wasm'],
    ['as called, bytes that lendBytes lent', 'vhdx, lent bytes', 'hash-wasm', 'chromium-hash-wasm'],
    ['as called', 'vhdx', '@aws-crypto/crc32c'],
    ['as called', 'vhdx', 'JavaScript slicing-by-8'],
  ];
  return pairs.map(([label, ours, theirs, target]) => {
    const row = { what: `${title}, ${label}`, runs, ours, theirs, figure: rate(MiB) };
    return speedRow({ ...row, target: name === 'Chromium' ? target : undefined });
  });
}

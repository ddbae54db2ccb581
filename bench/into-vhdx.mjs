// @ts-check
import { execFileSync } from 'node:child_process';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { fixture, flatFile, needRoom, removeFixtures } from './fixtures.mjs';
import { measured, program, vhdx } from './harness.mjs';
import { GiB } from './images.mjs';
import { memoryRow, rate, speedRow } from './rows.mjs';
import { Runs, takeTurns } from './turns.mjs';

/** What `qemu-img -t writeback` adds: it flushes, as we do. */
const FLUSHING = 'qemu-img -t writeback';

/** How long does it take to turn a disk into a VHDX? @param {string} folder @returns {Promise<import('./rows.mjs').Answer>} */
export async function ask(folder) {
  program('qemu-img');
  needRoom(folder, 4 * GiB);
  const raw = flatFile(folder);
  const image = fixture(folder, 'sparse-64g');
  const vhd = join(folder, 'sparse-64g.vhd');
  execFileSync(program('qemu-img'), ['convert', '-f', 'vhdx', '-O', 'vpc', '-o', 'force_size=on', image, vhd]);
  const dense = await turnsOf(folder, raw, 'raw', ['vhdx', 'qemu-img', FLUSHING]);
  const sparse = await turnsOf(folder, image, 'vhdx', ['vhdx', 'qemu-img']);
  const fromVhd = await turnsOf(folder, vhd, 'vpc', ['vhdx', 'qemu-img']);
  rmSync(vhd);
  removeFixtures('sparse-64g.vhdx', 'flat-1g.raw');
  const figure = rate(GiB);
  const ours = { ours: 'vhdx', theirs: 'qemu-img' };
  return {
    title: 'Convert to VHDX',
    notes: [
      'Programs from start to end. Ours flushes before it gives the file its signature; qemu-img by its default flushes nothing, and with `-t writeback` all the time. What is written is compared with the source once.',
      'Node cannot ask a file for its holes, so a sparse raw file is read as the zeros that it shows.',
    ],
    rows: [
      speedRow({ ...ours, what: 'raw, 1 GiB, all of it data', runs: dense.seconds, figure, target: 'into-vhdx-raw' }),
      speedRow({ ...ours, theirs: FLUSHING, what: 'raw, 1 GiB, all of it data', runs: dense.seconds, figure }),
      memoryRow({
        ...ours,
        what: 'raw, 1 GiB, all of it data: resident memory',
        runs: dense.memory,
        target: 'into-vhdx-memory',
      }),
      speedRow({
        ...ours,
        what: 'VHDX, 64 GiB virtual, 1 GiB of data in 64 places',
        runs: sparse.seconds,
        target: 'into-vhdx-64g',
      }),
      speedRow({
        ...ours,
        what: 'VHD, 64 GiB virtual, 1 GiB of data in 64 places',
        runs: fromVhd.seconds,
        target: 'into-vhdx-vhd',
      }),
    ],
    leftOut: [],
  };
}

/**
 * Lets programs convert a file in turn, and compares what each of them wrote first with it.
 *
 * @param {string} folder
 * @param {string} file
 * @param {'raw' | 'vhdx' | 'vpc'} format
 * @param {string[]} programs
 */
async function turnsOf(folder, file, format, programs) {
  const out = join(folder, 'out.vhdx');
  /** @type {Record<string, number[]>} */
  const memory = {};
  const turns = programs.map((name) => {
    const cache = name === FLUSHING ? ['-t', 'writeback'] : [];
    const command =
      name === 'vhdx'
        ? vhdx('convert', '-q', '-f', format, '-O', 'vhdx', file, out)
        : [program('qemu-img'), 'convert', ...cache, '-f', format, '-O', 'vhdx', file, out];
    /** @type {number[]} */
    const peaks = [];
    memory[name] = peaks;
    const turn = async () => {
      const taken = await measured(command);
      if (peaks.push(taken.memory) === 1) {
        const [program, ...words] = vhdx('compare', '-q', '-f', 'vhdx', '-F', format, out, file);
        execFileSync(/** @type {string} */ (program), words);
      }
      rmSync(out);
      return taken.seconds;
    };
    return /** @type {const} */ ([name, turn]);
  });
  const seconds = await takeTurns(Object.fromEntries(turns), { rounds: 5, seconds: 30 });
  return { seconds, memory: new Runs(memory) };
}

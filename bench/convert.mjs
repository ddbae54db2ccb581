// @ts-check
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { fixture, needRoom, planOf, removeFixtures } from './fixtures.mjs';
import { LeftOut, measured, program, root, vhdx } from './harness.mjs';
import { checkRaw, GiB } from './images.mjs';
import { memoryRow, rate, round, speedRow, time } from './rows.mjs';
import { Runs, takeTurns } from './turns.mjs';

/** Longest that qemu-img is waited for when it walks 4 TiB, in seconds. */
const PATIENCE = 60;

/**
 * The command that turns an image into a raw file, for each; throws LeftOut if it is not installed.
 *
 * @satisfies {Record<string, (image: string, out: string) => string[]>}
 */
const PROGRAMS = {
  vhdx: (image, out) => vhdx('convert', '-O', 'raw', image, out),
  'qemu-img': (image, out) => [program('qemu-img'), ...'convert -p -f vhdx -O raw'.split(' '), image, out],
  '7zz': (image, out) => ['sh', '-c', 'exec "$0" e -so -tvhdx "$1" > "$2"', program('7zz'), image, out],
  'libvhdi from Python': (image, out) => [program('pyvhdi'), `${root}bench/libvhdi.py`, 'convert', image, out],
};

/** How long does it take to turn an image into a raw file? @param {string} folder @returns {Promise<import('./rows.mjs').Answer>} */
export async function ask(folder) {
  program('qemu-img');
  /** @type {string[]} */
  const leftOut = ['7zz and libvhdi on the sparse images: they write every hole out'];
  const rows = [await sparse(folder), await hugeAndSparse(folder), ...(await allData(folder, leftOut))];
  removeFixtures('sparse-4t.vhdx', 'full-4g.vhdx');
  return {
    title: 'Convert to a raw file',
    notes: [
      'Programs from start to end, with their defaults. What they wrote is checked once, and removed before the next turn.',
      `qemu-img reads every hole of the 4 TiB: it runs once, and is stopped after ${PATIENCE} s, or when it has taken 100 times what we take. Its time is then what its own progress says the rest would take.`,
    ],
    rows,
    leftOut,
  };
}

/** @param {string} folder */
async function sparse(folder) {
  const { seconds } = await takeConversions(folder, 'sparse-64g', ['vhdx', 'qemu-img']);
  const what = '64 GiB virtual, 1 GiB of data in 64 places';
  return speedRow({ what, runs: seconds, ours: 'vhdx', theirs: 'qemu-img', target: 'convert-64g' });
}

/** @param {string} folder @returns {Promise<import('./rows.mjs').Row>} */
async function hugeAndSparse(folder) {
  const { seconds } = await takeConversions(folder, 'sparse-4t', ['vhdx']);
  const ours = seconds.median('vhdx');
  const out = join(folder, 'out.raw');
  const command = PROGRAMS['qemu-img'](fixture(folder, 'sparse-4t'), out);
  const taken = await measured(command, { limit: Math.min(PATIENCE, 101 * ours), output: 'keep' });
  rmSync(out);
  const percent = Number([...taken.output.matchAll(/\(([\d.]+)\/100%\)/g)].at(-1)?.[1] ?? 0);
  // Stopped before the first percent, it counts for what it has taken.
  const whole = taken.ended && percent > 0 ? taken.seconds / (percent / 100) : taken.seconds;
  const value = whole / ours;
  return {
    what: '4 TiB virtual, 1 GiB of data in 64 places',
    ours: time(ours),
    peer: 'qemu-img',
    theirs: taken.ended ? `${time(whole)} (${round(percent)} % after ${time(taken.seconds)})` : time(whole),
    ratio: `${round(value)} × as fast`,
    value,
    target: 'convert-4t',
  };
}

/** @param {string} folder @param {string[]} leftOut */
async function allData(folder, leftOut) {
  const size = 4 * GiB;
  needRoom(folder, 2 * size);
  const peers = /** @type {const} */ (['qemu-img', '7zz', 'libvhdi from Python']).filter((name) => {
    try {
      return PROGRAMS[name]('', '').length > 0;
    } catch (error) {
      if (!(error instanceof LeftOut)) throw error;
      leftOut.push(error.message);
      return false;
    }
  });
  const { seconds, memory } = await takeConversions(folder, 'full-4g', ['vhdx', ...peers]);
  return peers.flatMap((theirs) => {
    const isFirst = theirs === 'qemu-img';
    const row = { ours: 'vhdx', theirs };
    return [
      speedRow({
        ...row,
        what: '4 GiB, all of it data',
        runs: seconds,
        figure: rate(size),
        ...(isFirst && { target: 'convert-full' }),
      }),
      memoryRow({
        ...row,
        what: '4 GiB, all of it data: resident memory',
        runs: memory,
        ...(isFirst && { target: 'convert-full-memory' }),
      }),
    ];
  });
}

/**
 * Lets programs convert an image in turn, and checks what each of them wrote first.
 *
 * @param {string} folder
 * @param {string} name of the image
 * @param {(keyof typeof PROGRAMS)[]} programs
 */
async function takeConversions(folder, name, programs) {
  const image = fixture(folder, name);
  const out = join(folder, 'out.raw');
  /** @type {Record<string, number[]>} */
  const memory = {};
  const turns = programs.map((peer) => {
    const command = PROGRAMS[peer](image, out);
    /** @type {number[]} */
    const peaks = [];
    memory[peer] = peaks;
    const turn = async () => {
      const taken = await measured(command);
      if (peaks.push(taken.memory) === 1) checkRaw(out, planOf(name));
      rmSync(out);
      return taken.seconds;
    };
    return [peer, turn];
  });
  const seconds = await takeTurns(Object.fromEntries(turns), { rounds: 5, seconds: 40 });
  return { seconds, memory: new Runs(memory) };
}

// @ts-check
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fixture, removeFixtures } from './fixtures.mjs';
import { LeftOut, measured, program, vhdx } from './harness.mjs';
import { GiB, MiB, TiB } from './images.mjs';
import { megabytes, plainRow, round, speedRow, time } from './rows.mjs';
import { Runs, takeTurns } from './turns.mjs';

/** What does it take to say where the bytes of 64 TiB are? @param {string} folder @returns {Promise<import('./rows.mjs').Answer>} */
export async function ask(folder) {
  const rows = [
    ...(await nothingAllocated(fixture(folder, 'empty-64t'))),
    ...(await everySecond(fixture(folder, 'half-64t'))),
  ];
  removeFixtures('empty-64t.vhdx', 'half-64t.vhdx');
  return {
    title: 'Map an image of 64 TiB',
    notes: [
      '`vhdx map --output json`, to nowhere; blocks of 1 MiB: 67 million entries of the BAT. “4 TiB” and “1 TiB” are the first of the 64 (`--max-length`); their times are without what `map` of 1 GiB takes.',
      'qemu-img has no map of a VHDX: it says that all of it is data, in one line. 7zz and libvhdi have none at all.',
    ],
    rows,
    leftOut: [],
  };
}

/** @param {string} image */
async function nothingAllocated(image) {
  const command = vhdx('map', '--output', 'json', image);
  /** @type {Record<string, () => Promise<number>>} */
  const turns = { vhdx: async () => (await measured(command)).seconds };
  try {
    const qemu = [program('qemu-img'), 'map', '-f', 'vhdx', '--output', 'json', image];
    turns['qemu-img'] = async () => (await measured(qemu)).seconds;
  } catch (error) {
    if (!(error instanceof LeftOut)) throw error;
  }
  const runs = await takeTurns(turns, { rounds: 7, seconds: 20 });
  const what = 'nothing allocated';
  const value = runs.median('vhdx');
  const row = plainRow({ what, ours: time(value), value, target: 'map-empty' });
  return runs.has('qemu-img') ? [row, speedRow({ what, runs, ours: 'vhdx', theirs: 'qemu-img' })] : [row];
}

/** @param {string} image */
async function everySecond(image) {
  /** @type {Record<string, number[]>} */
  const memory = { '1 TiB': [], '4 TiB': [] };
  const part = (/** @type {string} */ name, /** @type {number} */ length) => async () => {
    const taken = await measured(vhdx('map', '--output', 'json', '--max-length', String(length), image));
    memory[name]?.push(taken.memory);
    return taken.seconds;
  };
  const runs = await takeTurns(
    { start: part('start', GiB), '1 TiB': part('1 TiB', TiB), '4 TiB': part('4 TiB', 4 * TiB) },
    { rounds: 5, seconds: 40 },
  );
  const peaks = new Runs(memory);
  const [one, four] = /** @type {const} */ (['1 TiB', '4 TiB']).map((name) => runs.minus(name, 'start'));
  const slope = new Runs({ one: one ?? [], four: (four ?? []).map((seconds) => seconds / 4) });
  const linear = slope.ratio('four', 'one');
  const growth = peaks.ratio('4 TiB', '1 TiB');
  const first = (await takeTurns({ first: () => untilFirstOutput(image) }, { rounds: 3 })).median('first');
  const perExtent = (/** @type {string} */ name) => time(slope.median(name) / (TiB / MiB));
  return [
    plainRow({
      what: 'every second block, time an extent',
      ours: `${perExtent('four')} in 4 TiB`,
      peer: 'ours',
      theirs: `${perExtent('one')} in 1 TiB`,
      ratio: `${round(linear)} × the time`,
      value: linear,
      target: 'map-linear',
    }),
    plainRow({
      what: 'every second block, first output',
      ours: time(first),
      value: first,
      target: 'map-streamed',
    }),
    plainRow({
      what: 'every second block, resident memory',
      ours: `${megabytes(peaks.median('4 TiB'))} in 4 TiB`,
      peer: 'ours',
      theirs: `${megabytes(peaks.median('1 TiB'))} in 1 TiB`,
      ratio: `${round(growth)} × the memory`,
      value: growth,
      target: 'map-memory',
    }),
  ];
}

/** Seconds until the map of all 64 TiB begins to come. @param {string} image */
async function untilFirstOutput(image) {
  const [name, ...args] = vhdx('map', '--output', 'json', image);
  const began = performance.now();
  const child = spawn(String(name), args, { stdio: ['ignore', 'pipe', 'ignore'] });
  await once(child.stdout, 'data');
  const taken = (performance.now() - began) / 1000;
  child.stdout.destroy();
  child.kill();
  await once(child, 'close');
  return taken;
}

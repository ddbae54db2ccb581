// @ts-check
import { closeSync, openSync, read, readSync } from 'node:fs';
import { fixture, flatFile, removeFixtures } from './fixtures.mjs';
import { LeftOut, library, measured, program, root } from './harness.mjs';
import { GiB, KiB } from './images.mjs';
import { floorRow, speedRow } from './rows.mjs';
import { takeTurns } from './turns.mjs';

const READ = 4 * KiB;
/** Reads of a turn, by how many are in flight. */
const COUNTS = /** @type {const} */ ({ 1: 5000, 16: 40_000 });

/** What does a random read of 4 KiB cost through a disk? @param {string} folder @returns {Promise<import('./rows.mjs').Answer>} */
export async function ask(folder) {
  const { openVhdx } = await library();
  const [flat, image] = [flatFile(folder), fixture(folder, 'full-1g')];
  const file = openSync(flat, 'r');
  const disk = await openVhdx(image, { sync: true });
  await sameBytes(file, disk);
  /** @type {import('./rows.mjs').Row[]} */
  const rows = [];
  /** @type {string[]} */
  const leftOut = ['7zz: it extracts from the start, and cannot read at an offset'];
  const floor = 'fs.read of the raw file';
  for (const depth of /** @type {const} */ ([1, 16])) {
    const count = COUNTS[depth];
    const runs = await takeTurns(
      {
        vhdx: () => inFlight(depth, count, (target, offset, done) => disk.readInto(target, offset).then(done)),
        [floor]: () => inFlight(depth, count, (target, offset, done) => read(file, target, 0, READ, offset, done)),
        ...peers(image, depth, count, leftOut),
      },
      { rounds: 15, seconds: 25 },
    );
    const row = { what: `${depth} in flight`, runs, ours: 'vhdx' };
    rows.push(floorRow({ ...row, theirs: floor, target: `reads-${depth}` }));
    for (const theirs of [QEMU, LIBVHDI]) if (runs.has(theirs)) rows.push(speedRow({ ...row, theirs }));
  }
  rows.push(...(await synchronous(disk, file, image, leftOut)));
  await disk.close();
  closeSync(file);
  removeFixtures('flat-1g.raw', 'full-1g.vhdx');
  return {
    title: 'Random reads of 4 KiB',
    notes: [
      'Time a read, from 1 GiB in the page cache. The floor is the callback form of `fs.read` with nothing around it; ours is `disk.readInto` with its promise, and `disk.readIntoSync` without one.',
      '`qemu-img bench` walks in steps of 633 MiB and a bit; its figure is without its start.',
    ],
    rows,
    leftOut,
  };
}

/**
 * One read after the other, without promises.
 *
 * @param {import('../src/index.js').VhdxDisk} disk
 * @param {number} file
 * @param {string} image
 * @param {string[]} leftOut
 */
async function synchronous(disk, file, image, leftOut) {
  const floor = 'fs.readSync of the raw file';
  const target = new Uint8Array(READ);
  const each = (/** @type {(offset: number) => unknown} */ readAt) => async () => {
    const offsets = randomOffsets(COUNTS[16]);
    const began = performance.now();
    for (const offset of offsets) readAt(offset);
    return (performance.now() - began) / 1000 / offsets.length;
  };
  const { [QEMU]: qemu } = peers(image, 1, COUNTS[1], leftOut);
  const runs = await takeTurns(
    {
      vhdx: each((offset) => disk.readIntoSync(target, offset)),
      [floor]: each((offset) => readSync(file, target, 0, READ, offset)),
      ...(qemu && { [QEMU]: qemu }),
    },
    { rounds: 15, seconds: 25 },
  );
  const row = { what: 'one after the other, synchronously', runs, ours: 'vhdx' };
  const rows = [floorRow({ ...row, theirs: floor, target: 'reads-sync' })];
  if (qemu) rows.push(speedRow({ ...row, theirs: QEMU, target: 'reads-sync-qemu' }));
  return rows;
}

const QEMU = 'qemu-img bench';
const LIBVHDI = 'libvhdi from Python';

/**
 * @param {string} image
 * @param {1 | 16} depth
 * @param {number} count
 * @param {string[]} leftOut
 */
function peers(image, depth, count, leftOut) {
  /** @type {Record<string, () => Promise<number>>} */
  const turns = {};
  const add = (/** @type {string} */ name, /** @type {() => (() => Promise<number>)} */ make) => {
    try {
      turns[name] = make();
    } catch (error) {
      if (!(error instanceof LeftOut)) throw error;
      leftOut.push(`${name}, ${depth} in flight: ${error.message}`);
    }
  };
  add(QEMU, () => {
    const options = ['-f', 'vhdx', '-c', String(count), '-d', String(depth), '-s', String(READ), '-S', '663670784'];
    const command = [program('qemu-img'), 'bench', ...options, image];
    return async () => {
      const { output } = await measured(command, { output: 'keep' });
      return Number(/completed in ([\d.]+) seconds/.exec(output)?.[1]) / count;
    };
  });
  add(LIBVHDI, () => {
    if (depth !== 1) throw new LeftOut('it reads one at a time');
    const command = [program('pyvhdi'), `${root}bench/libvhdi.py`, 'reads', image, String(count)];
    return async () => Number((await measured(command, { output: 'keep' })).output) / count;
  });
  return turns;
}

/**
 * Reads with several in flight, each begun when one has ended. Returns seconds a read.
 *
 * @param {number} depth
 * @param {number} count
 * @param {(target: Uint8Array, offset: number, done: (error?: unknown) => void) => void} start
 * @returns {Promise<number>}
 */
function inFlight(depth, count, start) {
  const offsets = randomOffsets(count);
  const began = performance.now();
  return new Promise((resolve, reject) => {
    let started = 0;
    let ended = 0;
    const next = (/** @type {Uint8Array} */ target) => {
      if (started === count) return;
      start(target, Number(offsets[started++]), (error) => {
        if (error) reject(error);
        else if (++ended === count) resolve((performance.now() - began) / 1000 / count);
        else next(target);
      });
    };
    for (let i = 0; i < depth; i++) next(new Uint8Array(READ));
  });
}

let state = 1;

/** @param {number} count */
function randomOffsets(count) {
  return Float64Array.from({ length: count }, () => {
    state = (Math.imul(state, 1103515245) + 12345) >>> 0;
    return ((state >>> 8) % (GiB / READ)) * READ;
  });
}

/** @param {number} file @param {import('../src/index.js').VhdxDisk} disk */
async function sameBytes(file, disk) {
  for (const offset of randomOffsets(100)) {
    const target = Buffer.alloc(READ);
    await new Promise((resolve) => read(file, target, 0, READ, offset, resolve));
    if (!target.equals(await disk.read(offset, READ))) throw new Error(`the disk reads otherwise at ${offset}`);
  }
}

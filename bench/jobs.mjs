// @ts-check
import { closeSync, copyFileSync, fdatasync, ftruncate, openSync, read, rmSync, write } from 'node:fs';
import { join } from 'node:path';
import { needRoom } from './fixtures.mjs';
import { library, measured, vhdx } from './harness.mjs';
import { GiB, MiB, TiB } from './images.mjs';
import { megabytes, plainRow, rate, speedRow, time } from './rows.mjs';
import { takeTurns } from './turns.mjs';

const COPY = 'fs.read and fs.write of what must move';
const COPY_AND_CUT = 'the same, and fs.ftruncate';
/** Size of the disk that is compacted, and of its blocks. */
const SIZE = 2 * GiB;
const BLOCK = 2 * MiB;

/** What do jobs on a whole image cost? @param {string} folder @returns {Promise<import('./rows.mjs').Answer>} */
export async function ask(folder) {
  return {
    title: 'Resize and compact',
    notes: [
      'Compact: `compactVhdx` with its scan, of which each block that stays takes 4 KiB. The floor copies as many bytes within the same file, eight pieces of 1 MiB at a time, and calls `fdatasync` once. A file in memory takes long to be cut, which the second floor does too.',
      'Resize: the command from start to end, with all that Node takes.',
    ],
    rows: [...(await compact(folder)), ...(await grow(folder))],
    leftOut: [],
  };
}

/** @param {string} folder @returns {Promise<import('./rows.mjs').Row[]>} */
async function compact(folder) {
  needRoom(folder, 3 * SIZE);
  const { compactVhdx, createVhdx, editVhdx } = await library();
  const [image, copy] = [join(folder, 'every-second.vhdx'), join(folder, 'compacted.vhdx')];
  await createVhdx(image, { size: SIZE, blockSize: BLOCK });
  const disk = await editVhdx(image);
  const bytes = new Uint8Array(BLOCK).fill(3);
  for (let at = 0; at < SIZE; at += BLOCK) await disk.write(bytes, at);
  for (let at = 0; at < SIZE; at += 2 * BLOCK) await disk.trim(at, BLOCK);
  await disk.close();
  // Of the half that is left, the half that lies past the new end.
  const moved = SIZE / 4;
  const runs = await takeTurns(
    {
      vhdx: async () => {
        copyFileSync(image, copy);
        const began = performance.now();
        const { movedBytes } = await compactVhdx(copy);
        const seconds = (performance.now() - began) / 1000;
        if (Math.abs(movedBytes - moved) > BLOCK) throw new Error(`${movedBytes} bytes were moved, not ${moved}`);
        return seconds;
      },
      [COPY]: () => copied(image, copy, moved, false),
      [COPY_AND_CUT]: () => copied(image, copy, moved, true),
    },
    { rounds: 7, seconds: 60 },
  );
  for (const path of [image, copy]) rmSync(path);
  const what = '2 GiB in blocks of 2 MiB, every second of them free';
  const row = { what, runs, ours: 'vhdx', figure: rate(moved) };
  return [speedRow({ ...row, theirs: COPY, target: 'compact' }), speedRow({ ...row, theirs: COPY_AND_CUT })];
}

/** How long it takes to copy within a file, in seconds. @param {string} image @param {string} copy @param {number} length @param {boolean} cuts */
async function copied(image, copy, length, cuts) {
  copyFileSync(image, copy);
  const file = openSync(copy, 'r+');
  const began = performance.now();
  await copyWithin(file, length);
  if (cuts) await called((done) => ftruncate(file, SIZE / 2, done));
  const seconds = (performance.now() - began) / 1000;
  closeSync(file);
  return seconds;
}

/** Copies bytes from the second half of a file to its first. @param {number} file @param {number} length */
async function copyWithin(file, length) {
  let next = 0;
  const lane = async () => {
    const bytes = new Uint8Array(MiB);
    while (next < length) {
      const at = next;
      next += MiB;
      await called((done) => read(file, bytes, 0, MiB, SIZE / 2 + at, done));
      await called((done) => write(file, bytes, 0, MiB, at, done));
    }
  };
  await Promise.all(Array.from({ length: 8 }, lane));
  await called((done) => fdatasync(file, done));
}

/** @param {(done: (error: Error | null) => void) => void} call */
const called = (call) =>
  new Promise((resolve, reject) => call((error) => (error ? reject(error) : resolve(undefined))));

/** @param {string} folder @returns {Promise<import('./rows.mjs').Row[]>} */
async function grow(folder) {
  const { createVhdx } = await library();
  const image = join(folder, 'grown.vhdx');
  const runs = await takeTurns(
    {
      vhdx: async () => {
        await createVhdx(image, { size: TiB, blockSize: MiB, overwrite: true });
        const { seconds, memory } = await measured(vhdx('resize', '-q', image, '2T'));
        memories.push(memory);
        return seconds;
      },
    },
    { rounds: 7, seconds: 60 },
  );
  rmSync(image);
  const what = 'grow 1 TiB to 2 TiB in blocks of 1 MiB, whose BAT moves';
  const seconds = runs.median('vhdx');
  const memory = Math.max(...memories);
  return [
    plainRow({ what, ours: time(seconds), value: seconds, target: 'resize-time' }),
    plainRow({ what: `${what}: memory`, ours: megabytes(memory), value: memory, target: 'resize-memory' }),
  ];
}

/** Most that each resize held, in bytes. @type {number[]} */
const memories = [];

// @ts-check
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { needRoom } from './fixtures.mjs';
import { library } from './harness.mjs';
import { GiB, MiB, TiB } from './images.mjs';
import { floorRow, plainRow, round } from './rows.mjs';
import { takeTurns } from './turns.mjs';

const WRITING = 'writing the same through editVhdx';
/** Changes are so long, and in so many places all over the disk. */
const [CHANGE, PLACES] = [16 * MiB, 64];

/** What does it cost to merge? @param {string} folder @returns {Promise<import('./rows.mjs').Answer>} */
export async function ask(folder) {
  needRoom(folder, 3 * GiB);
  const { mergeVhdx } = await library();
  const [base, child] = [join(folder, 'merge-base.vhdx'), join(folder, 'merge-child.avhdx')];
  const merge = async (/** @type {number} */ size) => {
    await prepare(base, child, size);
    await change(child, size);
    const began = performance.now();
    await mergeVhdx(child);
    return (performance.now() - began) / 1000;
  };
  const runs = await takeTurns(
    {
      vhdx: () => merge(TiB),
      [WRITING]: async () => {
        await prepare(base, child, TiB);
        return change(base, TiB);
      },
      'a parent of 2 GiB': () => merge(2 * GiB),
    },
    { rounds: 5, seconds: 90 },
  );
  rmSync(base);
  rmSync(child);
  const growth = runs.ratio('vhdx', 'a parent of 2 GiB');
  return {
    title: 'Merge 1 GiB of changes into a parent of 1 TiB',
    notes: [
      '64 changes of 16 MiB, all over the disk, in a child with blocks of 2 MiB; the parent has none of these blocks. In one process, with all flushes. What qemu-img calls commit is not there for VHDX.',
      `Into a parent of 1 TiB it takes ${round(growth)} × the time of one into a parent of 2 GiB.`,
    ],
    rows: [
      floorRow({ what: 'merge 1 GiB into 1 TiB', runs, ours: 'vhdx', theirs: WRITING, target: 'merge' }),
      plainRow({
        what: 'the same into 2 GiB',
        ours: `${round(runs.median('a parent of 2 GiB'))} s`,
        value: runs.median('a parent of 2 GiB'),
      }),
    ],
    leftOut: [],
  };
}

/** Makes an empty base and a child of it. @param {string} base @param {string} child @param {number} size */
async function prepare(base, child, size) {
  const { createVhdx } = await library();
  await createVhdx(base, { size, overwrite: true });
  await createVhdx(child, { parent: base, overwrite: true });
}

/** Writes the changes, and returns the seconds that it took. @param {string} path @param {number} size */
async function change(path, size) {
  const { editVhdx } = await library();
  const bytes = new Uint8Array(MiB).fill(7);
  const began = performance.now();
  const disk = await editVhdx(path);
  let next = 0;
  const lane = async () => {
    while (next < (PLACES * CHANGE) / MiB) {
      const piece = next++;
      const place = Math.floor((piece * MiB) / CHANGE);
      await disk.write(bytes, place * (size / PLACES) + ((piece * MiB) % CHANGE));
    }
  };
  await Promise.all(Array.from({ length: 8 }, lane));
  await disk.close();
  return (performance.now() - began) / 1000;
}

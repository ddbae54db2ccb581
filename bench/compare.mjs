// @ts-check
import { copyFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { fixture, removeFixtures } from './fixtures.mjs';
import { measured, program, vhdx } from './harness.mjs';
import { speedRow } from './rows.mjs';
import { takeTurns } from './turns.mjs';

/** How long does it take to tell that two disks are the same? @param {string} folder @returns {Promise<import('./rows.mjs').Answer>} */
export async function ask(folder) {
  const qemu = program('qemu-img');
  const image = fixture(folder, 'sparse-64g');
  const other = join(folder, 'other.vhdx');
  copyFileSync(image, other);
  const runs = await takeTurns(
    {
      vhdx: async () => (await measured(vhdx('compare', image, other))).seconds,
      'qemu-img': async () => (await measured([qemu, 'compare', '-f', 'vhdx', '-F', 'vhdx', image, other])).seconds,
    },
    { rounds: 3 },
  );
  rmSync(other);
  removeFixtures('sparse-64g.vhdx');
  return {
    title: 'Compare two disks',
    notes: ['64 GiB virtual with 1 GiB of data in 64 places, and a copy of the file; both say that they are the same.'],
    rows: [speedRow({ what: '64 GiB virtual, 1 GiB of data in 64 places', runs, ours: 'vhdx', theirs: 'qemu-img' })],
    leftOut: [],
  };
}

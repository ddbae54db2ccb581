// @ts-check
import { spawnSync } from 'node:child_process';
import { closeSync, mkdirSync, openSync, read, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { needRoom } from './fixtures.mjs';
import { library, measured, program, root, vhdx } from './harness.mjs';
import { GiB, MiB, TiB } from './images.mjs';
import { floorRow, megabytes, plainRow, rate } from './rows.mjs';
import { takeTurns } from './turns.mjs';

const LENGTH = 100 * MiB;
const PIECE = MiB;
const IN_FLIGHT = 4;
const FLOOR = 'fs.read of the same bytes in a raw file';

/** What does a file cost that is inside? @param {string} folder @returns {Promise<import('./rows.mjs').Answer>} */
export async function ask(folder) {
  needRoom(folder, GiB);
  const [tree, raw, image] = ['files-tree', 'files.raw', 'files.vhdx'].map((name) => join(folder, name));
  if (!tree || !raw || !image) throw new Error('no names');
  mkdirSync(tree);
  const flat = join(tree, 'large');
  writeFileSync(flat, Buffer.alloc(LENGTH, 'not all zeros'));
  writeFileSync(raw, '');
  truncateSync(raw, TiB);
  run('mkfs.ext4', '-q', '-F', '-d', tree, raw);
  run('qemu-img', 'convert', '-f', 'raw', '-O', 'vhdx', raw, image);
  const { openVhdx } = await library();
  const { openVolume } = /** @type {typeof import('../src/volumes/index.js')} */ (
    await import(new URL('dist/volumes/index.js', `file://${root}`).href)
  );
  let reads = 0;
  const openDisk = await openVhdx(image);
  const openFile = await (await openVolume(openDisk)).open('/large');
  const runs = await takeTurns(
    {
      vhdx: async () => {
        const began = performance.now();
        const disk = await openVhdx(image);
        const readInto = (/** @type {Uint8Array} */ target, /** @type {number} */ offset) => {
          reads++;
          return disk.readInto(target, offset);
        };
        reads = 0;
        const fs = await openVolume({ size: disk.size, readInto });
        for await (const _ of fs.list('/'));
        const file = await fs.open('/large');
        await inFlight((target, offset) => file.readInto(target, offset));
        await disk.close();
        return (performance.now() - began) / 1000;
      },
      'vhdx, open before': async () => {
        const began = performance.now();
        await inFlight((target, offset) => openFile.readInto(target, offset));
        return (performance.now() - began) / 1000;
      },
      [FLOOR]: async () => {
        const began = performance.now();
        const fd = openSync(flat, 'r');
        await inFlight(
          (target, offset) =>
            new Promise((resolve, reject) =>
              read(fd, target, 0, target.length, offset, (error) => (error ? reject(error) : resolve(undefined))),
            ),
        );
        closeSync(fd);
        return (performance.now() - began) / 1000;
      },
    },
    { rounds: 15, seconds: 60 },
  );
  await openDisk.close();
  const info = await measured(vhdx('info', image));
  const copied = await measured(vhdx('cp', image, '/large', join(folder, 'files-copy')));
  rmSync(join(folder, 'files-copy'));
  for (const path of [tree, raw, image]) rmSync(path, { recursive: true });
  return {
    title: 'Files of an ext4 file system of 1 TiB in a VHDX',
    notes: [
      `Open the image and the file system, list the root, and read a file of 100 MiB, ${IN_FLIGHT} pieces of 1 MiB at a time; made by mke2fs and qemu-img.`,
    ],
    rows: [
      floorRow({
        what: 'list the root and read 100 MiB',
        runs,
        ours: 'vhdx',
        theirs: FLOOR,
        figure: rate(LENGTH),
        target: 'files',
      }),
      floorRow({
        what: 'read those 100 MiB of a file system that is open',
        runs,
        ours: 'vhdx, open before',
        theirs: FLOOR,
        figure: rate(LENGTH),
      }),
      plainRow({
        what: 'resident memory of vhdx cp of that file',
        ours: megabytes(copied.memory),
        peer: 'vhdx info',
        theirs: megabytes(info.memory),
        ratio: `+ ${megabytes(copied.memory - info.memory)}`,
        value: copied.memory - info.memory,
        target: 'files-memory',
      }),
      plainRow({
        what: 'reads of the disk beside those of the contents',
        ours: `${reads - LENGTH / PIECE}`,
        value: reads - LENGTH / PIECE,
      }),
    ],
    leftOut: [],
  };
}

/** @param {(target: Uint8Array, offset: number) => Promise<unknown>} readInto */
async function inFlight(readInto) {
  let next = 0;
  const lane = async () => {
    const target = new Uint8Array(PIECE);
    while (next < LENGTH) {
      const offset = next;
      next += PIECE;
      await readInto(target, offset);
    }
  };
  await Promise.all(Array.from({ length: IN_FLIGHT }, lane));
}

/** @param {string} name @param {string[]} args */
function run(name, ...args) {
  const { status, stderr } = spawnSync(program(name), args, { encoding: 'utf8' });
  if (status !== 0) throw new Error(`${name}: ${stderr}`);
}

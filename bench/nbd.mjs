// @ts-check
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { fixture, needRoom } from './fixtures.mjs';
import { library, measured, program, vhdx } from './harness.mjs';
import { GiB, KiB, MiB } from './images.mjs';
import { rate, speedRow, time } from './rows.mjs';
import { takeTurns } from './turns.mjs';

const QEMU = 'qemu-nbd';
/** Requests of 4 KiB go to places that are so far apart, and come round to others. */
const STEP = 1028 * KiB;

/** How fast are disks served over NBD? @param {string} folder @returns {Promise<import('./rows.mjs').Answer>} */
export async function ask(folder) {
  needRoom(folder, 6 * GiB);
  const disk = mkdtempSync(join(process.env.VHDX_BENCH_DISK ?? tmpdir(), 'vhdx-nbd-'));
  try {
    const sparse = fixture(folder, 'sparse-64g-64m');
    const dense = fixture(folder, 'full-4g');
    const copy = (/** @type {string} */ uri) => [program('nbdcopy'), uri, 'null:'];
    const bench = (/** @type {string[]} */ ...more) => [
      program('qemu-img'),
      'bench',
      '-f',
      'raw',
      '-s',
      '4k',
      '-S',
      `${STEP}`,
      ...more,
    ];
    const reads = 20_000;
    const writes = 500;
    return {
      title: 'Serve a disk over NBD',
      notes: [
        'Both serve the same image on a Unix socket, and the same client asks both in turn: `nbdcopy` to nowhere, and `qemu-img bench`. What writes is on a file system on a disk (VHDX_BENCH_DISK, otherwise the folder for temporary files), and qemu-nbd caches as it does by default (writeback).',
        'qemu-nbd does not say of a VHDX where it has no data, so it sends all zeros.',
      ],
      rows: [
        speedRow({
          ...(await turns(folder, () => sparse, copy, { rounds: 1 })),
          what: 'nbdcopy of 64 GiB with 64 MiB of data',
          target: 'nbd-sparse',
        }),
        speedRow({
          ...(await turns(folder, () => dense, copy, { rounds: 5 })),
          what: 'nbdcopy of 4 GiB, all of it data',
          figure: rate(4 * GiB),
          target: 'nbd-dense',
        }),
        speedRow({
          ...(await turns(
            folder,
            () => dense,
            (uri) => bench('-c', `${reads}`, '-d', '16', uri),
            { rounds: 5 },
          )),
          what: '4 KiB reads all over, 16 in flight',
          figure: (seconds) => time(seconds / reads),
          target: 'nbd-reads',
        }),
        speedRow({
          ...(await turns(
            disk,
            (path) => newDisk(path),
            (uri) => bench('-w', '-c', `${writes}`, '-d', '1', '--flush-interval', '1', '--no-drain', uri),
            { rounds: 5, writable: true },
          )),
          what: '4 KiB writes all over, a flush after each',
          figure: (seconds) => time(seconds / writes),
          target: 'nbd-writes',
        }),
      ],
      leftOut: [],
    };
  } finally {
    rmSync(disk, { recursive: true, force: true });
  }
}

/** A dynamic disk of 1 GiB, empty. @param {string} path */
async function newDisk(path) {
  const { createVhdx } = await library();
  await createVhdx(path, { size: GiB, blockSize: 2 * MiB, overwrite: true });
  return path;
}

/**
 * Lets a client ask our server and qemu-nbd in turn; each has a server of its own for each turn, whose start does not count.
 *
 * @param {string} folder
 * @param {(path: string) => string | Promise<string>} image given a path that it may use
 * @param {(uri: string) => readonly string[]} client
 * @param {{ rounds: number, writable?: boolean }} options
 */
async function turns(folder, image, client, { rounds, writable = false }) {
  const socket = join(folder, 'nbd.sock');
  const uri = `nbd+unix:///?socket=${socket}`;
  const turn = async (/** @type {(path: string) => readonly string[]} */ server) => {
    const path = await image(join(folder, 'nbd.vhdx'));
    const [name = '', ...args] = server(path);
    const child = spawn(name, args, { stdio: 'ignore' });
    const gone = once(child, 'exit');
    while (!existsSync(socket)) await setTimeout(10);
    const { seconds } = await measured(client(uri));
    child.kill('SIGTERM');
    await gone;
    rmSync(socket, { force: true });
    return seconds;
  };
  const runs = await takeTurns(
    {
      vhdx: () => turn((path) => vhdx('serve', '--socket', socket, ...(writable ? ['--writable'] : []), path)),
      [QEMU]: () => turn((path) => [program(QEMU), ...(writable ? [] : ['-r']), '-t', '-k', socket, path]),
    },
    { rounds, seconds: 60 },
  );
  return { runs, ours: 'vhdx', theirs: QEMU };
}

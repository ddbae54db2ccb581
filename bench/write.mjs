// @ts-check
import { closeSync, fdatasync, ftruncateSync, mkdtempSync, openSync, rmSync, write, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fixture, needRoom, removeFixtures } from './fixtures.mjs';
import { LeftOut, library, measured, program, root } from './harness.mjs';
import { GiB, KiB, MiB, TiB } from './images.mjs';
import { floorRow, megabytes, plainRow, rate, round, speedRow } from './rows.mjs';
import { takeTurns } from './turns.mjs';

/** @typedef {import('./rows.mjs').Row} Row */

const WRITE = 4 * KiB;
const RAW = 'fs.write to a raw file';
const QEMU = 'qemu-io -t writeback';

/** What does it cost to write? @param {string} folder @returns {Promise<import('./rows.mjs').Answer>} */
export async function ask(folder) {
  /** @type {string[]} */
  const leftOut = [];
  /** @type {Row[]} */
  const rows = [];
  // Where a sync takes time: what is in memory syncs for nothing.
  const disk = mkdtempSync(join(process.env.VHDX_BENCH_DISK ?? tmpdir(), 'vhdx-bench-'));
  process.once('exit', () => rmSync(disk, { recursive: true, force: true }));
  for (const part of [
    () => sequential(folder, leftOut),
    () => overwrites(folder),
    () => newBlocks(disk, leftOut),
    () => writers(disk),
    () => creation(folder),
    () => memory(folder),
  ]) {
    try {
      rows.push(...(await part()));
    } catch (error) {
      if (!(error instanceof LeftOut)) throw error;
      leftOut.push(error.message);
    }
  }
  rmSync(disk, { recursive: true, force: true });
  return {
    title: 'Writing',
    notes: [
      'The floor is the callback form of `fs.write` to a raw file that is there already, with `fdatasync` when ours flushes. What flushes was measured on a file system on a disk (VHDX_BENCH_DISK, otherwise the folder for temporary files), the rest where the other questions are.',
      'Syncs are counted in the library, by a file that passes everything on; figures of qemu-io are without its start.',
      'A new dynamic image says of every block that it is zeros (state 2), which is what Windows does: “not present” may read as anything by the specification. That is why a disk of 64 TiB in blocks of 1 MiB has 513 MiB of BAT to write, and no hole.',
    ],
    rows,
    leftOut,
  };
}

/** @param {string} path @param {number} size @param {number} [blockSize] @param {number} [filled] bytes that are stored */
async function newImage(path, size, blockSize = 2 * MiB, filled = 0) {
  const { createVhdx, editVhdx } = await library();
  await createVhdx(path, { size, blockSize, overwrite: true });
  if (filled === 0) return;
  const disk = await editVhdx(path);
  const bytes = new Uint8Array(MiB).fill(1);
  for (let at = 0; at < filled; at += MiB) await disk.write(bytes, at);
  await disk.close();
}

/** Starts so many operations at a time. Returns seconds. @param {number} depth @param {number} count @param {(index: number) => Promise<unknown>} start */
async function inFlight(depth, count, start) {
  const began = performance.now();
  let next = 0;
  const lane = async () => {
    while (next < count) await start(next++);
  };
  await Promise.all(Array.from({ length: depth }, lane));
  return (performance.now() - began) / 1000;
}

/** `fs.write` as a promise, with nothing else around it. @param {number} fd @param {Uint8Array} bytes @param {number} offset */
const rawWrite = (fd, bytes, offset) =>
  new Promise((resolve, reject) =>
    write(fd, bytes, 0, bytes.length, offset, (error) => (error ? reject(error) : resolve(undefined))),
  );

/** @param {number} fd */
const sync = (fd) =>
  new Promise((resolve, reject) => fdatasync(fd, (error) => (error ? reject(error) : resolve(undefined))));

/** What qemu-io takes beyond its start, in seconds. @param {string} path @param {string[]} commands */
async function qemuIo(path, commands) {
  const run = (/** @type {string[]} */ list) =>
    measured([program('qemu-io'), '-f', 'vhdx', '-t', 'writeback', ...list.flatMap((line) => ['-c', line]), path]);
  const start = await run(['length']);
  const whole = await run(commands);
  return whole.seconds - start.seconds;
}

/** @param {string} folder @param {string[]} leftOut @returns {Promise<Row[]>} */
async function sequential(folder, leftOut) {
  const size = GiB;
  needRoom(folder, 3 * size);
  const { editVhdx } = await library();
  const bytes = new Uint8Array(MiB).fill(7);
  const [image, raw] = [join(folder, 'sequential.vhdx'), join(folder, 'sequential.raw')];
  const runs = await takeTurns(
    {
      vhdx: async () => {
        await newImage(image, size);
        const disk = await editVhdx(image);
        const began = performance.now();
        await inFlight(8, size / MiB, (i) => disk.write(bytes, i * MiB));
        await disk.flush();
        const seconds = (performance.now() - began) / 1000;
        await disk.close();
        rmSync(image);
        return seconds;
      },
      [RAW]: async () => {
        const fd = openSync(raw, 'w');
        const began = performance.now();
        await inFlight(8, size / MiB, (i) => rawWrite(fd, bytes, i * MiB));
        await sync(fd);
        const seconds = (performance.now() - began) / 1000;
        closeSync(fd);
        rmSync(raw);
        return seconds;
      },
      ...qemuTurn(leftOut, 'sequential', async () => {
        await newImage(image, size);
        const commands = Array.from({ length: 16 }, (_, i) => `write -q -P 7 ${i * 64}M 64M`);
        const seconds = await qemuIo(image, [...commands, 'flush']);
        rmSync(image);
        return seconds;
      }),
    },
    { rounds: 7, seconds: 60 },
  );
  const row = { what: '1 GiB in order into a new image, one flush', runs, ours: 'vhdx', figure: rate(size) };
  return [
    floorRow({ ...row, theirs: RAW, target: 'write-sequential' }),
    ...(runs.has(QEMU) ? [speedRow({ ...row, theirs: QEMU, target: 'write-sequential-qemu' })] : []),
  ];
}

/** @param {string[]} leftOut @param {string} what @param {() => Promise<number>} turn @returns {Record<string, () => Promise<number>>} */
function qemuTurn(leftOut, what, turn) {
  try {
    program('qemu-io');
    return { [QEMU]: turn };
  } catch (error) {
    if (!(error instanceof LeftOut)) throw error;
    leftOut.push(`${what}: ${error.message}`);
    return {};
  }
}

let state = 1;

/** @param {number} limit */
function random(limit) {
  state = (Math.imul(state, 1103515245) + 12345) >>> 0;
  return (state >>> 8) % limit;
}

/** @param {string} folder @returns {Promise<Row[]>} */
async function overwrites(folder) {
  const size = 256 * MiB;
  needRoom(folder, 2 * size);
  const { editVhdx } = await library();
  const [image, raw] = [join(folder, 'overwrite.vhdx'), join(folder, 'overwrite.raw')];
  await newImage(image, size, 2 * MiB, size);
  const fd = openSync(raw, 'w');
  for (let at = 0; at < size; at += MiB) writeSync(fd, new Uint8Array(MiB).fill(1), 0, MiB, at);
  const disk = await editVhdx(image);
  const bytes = new Uint8Array(WRITE).fill(2);
  await disk.write(bytes, 0);
  /** @type {Row[]} */
  const rows = [];
  for (const depth of /** @type {const} */ ([1, 16])) {
    const count = depth === 1 ? 10_000 : 40_000;
    const offset = () => random(size / WRITE) * WRITE;
    const runs = await takeTurns(
      {
        vhdx: async () => (await inFlight(depth, count, () => disk.write(bytes, offset()))) / count,
        [RAW]: async () => (await inFlight(depth, count, () => rawWrite(fd, bytes, offset()))) / count,
      },
      { rounds: 15, seconds: 25 },
    );
    const what = `4 KiB at random into stored blocks, ${depth} in flight`;
    rows.push(floorRow({ what, runs, ours: 'vhdx', theirs: RAW, target: `writes-${depth}` }));
  }
  await disk.close();
  closeSync(fd);
  rmSync(image);
  rmSync(raw);
  return rows;
}

/** A disk over a file that counts what it syncs. @param {string} path */
async function counted(path) {
  const { editVhdx, openFile } = await library();
  const file = await openFile(path, { write: true });
  const counts = { syncs: 0 };
  /** @type {import('../src/index.js').RandomAccessFile} */
  const counting = {
    get size() {
      return file.size;
    },
    readInto: (target, offset, options) => file.readInto(target, offset, options),
    write: (bytes, offset) => file.write(bytes, offset),
    truncate: (size) => file.truncate(size),
    flush: () => {
      counts.syncs += 1;
      return file.flush();
    },
    close: () => Promise.resolve(file.close?.()),
  };
  return { disk: await editVhdx(counting), counts };
}

/** @param {string} folder @param {string[]} leftOut @returns {Promise<Row[]>} */
async function newBlocks(folder, leftOut) {
  const count = 200;
  const image = join(folder, 'new-blocks.vhdx');
  const bytes = new Uint8Array(WRITE).fill(3);
  /** @type {number[]} */
  const syncs = [];
  // Each block once, in no order.
  const offsetOf = (/** @type {number} */ i) => ((i * 77) % count) * MiB + 64 * KiB;
  const runs = await takeTurns(
    {
      vhdx: async () => {
        await newImage(image, count * MiB, MiB);
        const { disk, counts } = await counted(image);
        await disk.write(bytes, 0);
        await disk.flush();
        const before = counts.syncs;
        const seconds = await inFlight(1, count, (i) => disk.write(bytes, offsetOf(i)).then(() => disk.flush()));
        syncs.push((counts.syncs - before) / count);
        await disk.close();
        return seconds / count;
      },
      ...qemuTurn(leftOut, 'new blocks', async () => {
        await newImage(image, count * MiB, MiB);
        const commands = Array.from({ length: count }, (_, i) => [`write -q -P 3 ${offsetOf(i)} 4k`, 'flush']).flat();
        return (await qemuIo(image, commands)) / count;
      }),
    },
    { rounds: 5, seconds: 60 },
  );
  rmSync(image);
  const most = Math.max(...syncs);
  const what = '4 KiB at random, each into a new block and flushed';
  return [
    plainRow({ what: `${what}: syncs each`, ours: round(most), value: most, target: 'write-syncs' }),
    ...(runs.has(QEMU) ? [speedRow({ what, runs, ours: 'vhdx', theirs: QEMU, target: 'write-new-blocks' })] : []),
  ];
}

/** @param {string} folder @returns {Promise<Row[]>} */
async function writers(folder) {
  const image = join(folder, 'writers.vhdx');
  await newImage(image, 64 * MiB, MiB, 64 * MiB);
  const { editVhdx } = await library();
  const disk = await editVhdx(image);
  const bytes = new Uint8Array(WRITE).fill(4);
  const once = (/** @type {number} */ i) =>
    disk.write(bytes, ((i * 40503) % (64 * 256)) * WRITE).then(() => disk.flush());
  const runs = await takeTurns(
    {
      'sixty-four': async () => (await inFlight(64, 1280, once)) / 1280,
      'one writer': async () => (await inFlight(1, 200, once)) / 200,
    },
    { rounds: 7, seconds: 40 },
  );
  await disk.close();
  rmSync(image);
  const what = 'sixty-four writers, each flushing what it wrote: a write and flush';
  return [speedRow({ what, runs, ours: 'sixty-four', theirs: 'one writer', target: 'write-shared' })];
}

/** @param {string} folder @returns {Promise<Row[]>} */
async function creation(folder) {
  const batBytes = 513 * MiB;
  needRoom(folder, 2 * batBytes);
  const { createVhdx } = await library();
  const [image, raw] = [join(folder, 'created.vhdx'), join(folder, 'created.raw')];
  const bytes = new Uint8Array(MiB);
  for (let at = 0; at < MiB; at += 8) bytes[at] = 2;
  const floor = 'writing 513 MiB and one sync';
  const runs = await takeTurns(
    {
      vhdx: async () => {
        const began = performance.now();
        await createVhdx(image, { size: 64 * TiB, blockSize: MiB });
        const seconds = (performance.now() - began) / 1000;
        rmSync(image);
        return seconds;
      },
      [floor]: async () => {
        const fd = openSync(raw, 'w');
        const began = performance.now();
        ftruncateSync(fd, batBytes);
        await inFlight(4, batBytes / MiB, (i) => rawWrite(fd, bytes, i * MiB));
        await sync(fd);
        const seconds = (performance.now() - began) / 1000;
        closeSync(fd);
        rmSync(raw);
        return seconds;
      },
    },
    { rounds: 5, seconds: 40 },
  );
  const what = 'creating 64 TiB in blocks of 1 MiB';
  return [floorRow({ what, runs, ours: 'vhdx', theirs: floor, target: 'create-64t' })];
}

/** @param {string} folder @returns {Promise<Row[]>} */
async function memory(folder) {
  const image = fixture(folder, 'empty-64t');
  const script = `${root}bench/write-session.mjs`;
  const taken = await takeTurns(
    {
      read: async () => (await measured([process.execPath, script, 'read', image])).memory,
      write: async () => (await measured([process.execPath, script, 'write', image])).memory,
    },
    { rounds: 3 },
  );
  removeFixtures('empty-64t.vhdx');
  const value = taken.median('write') - taken.median('read');
  const what = 'a session that writes, 64 TiB: resident memory beyond that of reading';
  return [plainRow({ what, ours: megabytes(value), value, target: 'write-memory' })];
}

// @ts-check
/**
 * Kills processes that write to an image, at random, and looks whether what a flush acknowledged is there: one image,
 * and one writer after the other. Wants a build.
 *
 *     node scripts/kill-writers.mjs [TIMES] [SEED]
 */
import { spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { operation } from './kill-operations.mjs';

const SECTOR = 512;
const SIZE = 24 * 2 ** 20;

/**
 * Kills so many writers. Throws if an image is not sound afterwards or lacks what was flushed.
 *
 * @param {number} times
 * @param {number} seed
 * @returns {Promise<{ dirty: number, flushed: number }>} after how many of them the log had to be replayed, and how
 *   many operations were acknowledged in all
 */
export async function killWriters(times, seed) {
  const library = new URL('../dist/index.js', import.meta.url).href;
  /** @type {typeof import('../src/index.js')} */
  const { checkVhdx, createVhdx, openVhdx } = await import(library);
  const folder = await mkdtemp(join(tmpdir(), 'vhdx-kill-'));
  try {
    const path = join(folder, 'disk.vhdx');
    await createVhdx(path, { size: SIZE, blockSize: 2 ** 20 });
    let content = new Uint8Array(SIZE);
    let [dirty, flushed] = [0, 0];
    for (let i = 0; i < times; i++) {
      const acknowledged = await killWriter(path, seed + i);
      flushed += acknowledged;
      const { findings } = await checkVhdx(path);
      // The file grows ahead, and is cut when it is closed.
      const wrong = findings.filter(({ severity, code }) => severity !== 'info' && code !== 'leaked-space');
      if (wrong.length > 0) throw new Error(`writer ${seed + i}: ${JSON.stringify(wrong)}`);
      const disk = await openVhdx(path);
      if (disk.info.log.dirty) dirty += 1;
      const after = await disk.read(0, SIZE);
      await disk.close();
      compare(content, after, seed + i, acknowledged);
      content = after;
    }
    return { dirty, flushed };
  } finally {
    await rm(folder, { recursive: true });
  }
}

/** Starts a writer, kills it, and returns the number of the last operation that it said is flushed. @param {string} path @param {number} seed @returns {Promise<number>} */
function killWriter(path, seed) {
  const writer = fileURLToPath(new URL('killed-writer.mjs', import.meta.url));
  const child = spawn(process.execPath, [writer, path, String(seed)], { stdio: ['ignore', 'pipe', 'pipe'] });
  let [output, errors] = ['', ''];
  child.stderr.on('data', (part) => (errors += part));
  child.stdout.on('data', (part) => {
    // Sooner or later after its first flush: how long it takes to start says nothing.
    if (output === '') setTimeout(() => child.kill('SIGKILL'), (seed * 7919) % 400);
    output += part;
  });
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (status) => {
      if (status !== null) reject(new Error(`writer ${seed} ended by itself: ${errors}`));
      else resolve(Number(output.slice(0, output.lastIndexOf('\n')).split('\n').at(-1)));
    });
  });
}

/**
 * Every sector holds what was flushed last, or what an operation made of it that came after that.
 *
 * @param {Uint8Array} before
 * @param {Uint8Array} after
 * @param {number} seed
 * @param {number} acknowledged
 */
function compare(before, after, seed, acknowledged) {
  const durable = before.slice();
  for (let number = 1; number <= acknowledged; number++) {
    const { offset, bytes } = operation(seed, number, SIZE);
    durable.set(bytes, offset);
  }
  const isSame = (/** @type {Uint8Array} */ bytes, /** @type {number} */ at, from = at) =>
    Buffer.compare(after.subarray(at, at + SECTOR), bytes.subarray(from, from + SECTOR)) === 0;
  const differing = new Set(
    Array.from({ length: SIZE / SECTOR }, (_, sector) => sector * SECTOR).filter((at) => !isSame(durable, at)),
  );
  // Those that it had begun: it cannot have come far after the last flush that it told.
  for (let number = acknowledged + 1; differing.size > 0 && number < acknowledged + 200; number++) {
    const { offset, bytes } = operation(seed, number, SIZE);
    for (let at = offset; at < offset + bytes.length; at += SECTOR) {
      if (differing.has(at) && isSame(bytes, at, at - offset)) differing.delete(at);
    }
  }
  const [first] = differing;
  if (first !== undefined) {
    throw new Error(`writer ${seed}: ${differing.size} sectors lack what was flushed, the first at ${first}`);
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const [times = '100', seed = '1'] = process.argv.slice(2);
  const { dirty, flushed } = await killWriters(Number(times), Number(seed));
  console.log(
    `${times} writers were killed, ${dirty} left a log to replay; all of ${flushed} flushed operations are there`,
  );
}

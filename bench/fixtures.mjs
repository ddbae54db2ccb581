// @ts-check
/** The images that questions ask about, each made when it is first asked for. */
import { existsSync, mkdtempSync, readFileSync, rmSync, statfsSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { LeftOut } from './harness.mjs';
import { GiB, KiB, MiB, makeFlat, makeImage, TiB } from './images.mjs';

const BLOCK = 16 * MiB;

/** @type {Record<string, import('./images.mjs').ImagePlan>} */
const IMAGES = {
  'full-256m': { size: 256 * MiB, blockSize: BLOCK, every: 1, filled: true },
  'full-1g': { size: GiB, blockSize: BLOCK, every: 1, filled: true },
  'full-4g': { size: 4 * GiB, blockSize: BLOCK, every: 1, filled: true },
  // 1 GiB of data in 64 places.
  'sparse-64g': { size: 64 * GiB, blockSize: BLOCK, every: 64, filled: true },
  'sparse-64g-64m': { size: 64 * GiB, blockSize: BLOCK, every: 1024, filled: true },
  'sparse-4t': { size: 4 * TiB, blockSize: BLOCK, every: 4096, filled: true },
  'empty-64t': { size: 64 * TiB, blockSize: MiB },
  'half-64t': { size: 64 * TiB, blockSize: MiB, every: 2 },
};

/** What an image is. @param {string} name */
export const planOf = (name) => /** @type {import('./images.mjs').ImagePlan} */ (IMAGES[name]);

/** Where files in memory are, on Linux. */
const IN_MEMORY = '/dev/shm';
/** What all questions together need at a time, in bytes. */
const ROOM = 14 * GiB;

/** @type {Map<string, string>} */
const made = new Map();

/**
 * A folder for images and what they become, removed at exit. In memory if there is room: what is asked for is what
 * programs take, not what this machine's disk does. VHDX_BENCH_DIR says otherwise.
 */
export function workFolder() {
  const parent = process.env.VHDX_BENCH_DIR ?? (hasRoom(IN_MEMORY, ROOM) && freeMemory() > ROOM ? IN_MEMORY : tmpdir());
  return { folder: ownFolder(parent), kind: kindOf(parent) };
}

/** @param {string} parent */
function ownFolder(parent) {
  const folder = mkdtempSync(join(parent, 'vhdx-bench-'));
  process.once('exit', () => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** @param {string} path */
function kindOf(path) {
  const { type } = statfsSync(path);
  const kinds = { ext4: 0xef53, tmpfs: 0x01021994, xfs: 0x58465342, btrfs: 0x9123683e };
  const known = Object.entries(kinds).find(([, number]) => number === type);
  return known?.[0] ?? `a file system of type 0x${type.toString(16)}`;
}

/** Bytes that could be had without swapping; what Node calls free leaves out the page cache. */
function freeMemory() {
  if (!existsSync('/proc/meminfo')) return 0;
  return KiB * Number(/MemAvailable: +(\d+)/.exec(readFileSync('/proc/meminfo', 'utf8'))?.[1]);
}

/** @param {string} folder @param {number} bytes */
function hasRoom(folder, bytes) {
  if (!existsSync(folder)) return false;
  const { bavail, bsize } = statfsSync(folder);
  return bavail * bsize >= bytes;
}

/** Throws LeftOut if a folder cannot take so many bytes. @param {string} folder @param {number} bytes */
export function needRoom(folder, bytes) {
  if (!hasRoom(folder, bytes + GiB)) throw new LeftOut(`${folder} has no room for ${Math.ceil(bytes / GiB)} GiB`);
}

/** Path of the raw file that holds what full-1g holds. @param {string} folder */
export const flatFile = (folder) => madeOnce(folder, 'flat-1g.raw', GiB, (path) => makeFlat(path, GiB / BLOCK, BLOCK));

/** Path of an image. LeftOut if there is no room for it. @param {string} folder @param {string} name */
export function fixture(folder, name) {
  const plan = planOf(name);
  const { size, blockSize, every = Infinity, filled } = plan;
  const room = filled ? size / every : (8 * size) / blockSize;
  return madeOnce(folder, `${name}.vhdx`, room, (path) => makeImage(path, plan));
}

/** @param {string} folder @param {string} file @param {number} room in bytes @param {(path: string) => void} make */
function madeOnce(folder, file, room, make) {
  const known = made.get(file);
  if (known) return known;
  needRoom(folder, room);
  console.log(`making ${file}`);
  let path = join(folder, file);
  try {
    make(path);
  } catch (error) {
    // ext4 ends files at 16 TiB, memory does not.
    if (/** @type {NodeJS.ErrnoException} */ (error).code !== 'EFBIG') throw error;
    rmSync(path);
    if (!hasRoom(IN_MEMORY, room)) throw new LeftOut('no file system here takes a file of 32 TiB', { cause: error });
    path = join(ownFolder(IN_MEMORY), file);
    make(path);
  }
  made.set(file, path);
  return path;
}

/** Removes images that are not needed any more. @param {...string} files */
export function removeFixtures(...files) {
  for (const file of files) {
    const path = made.get(file);
    if (path) rmSync(path);
    made.delete(file);
  }
}

// @ts-check
/**
 * Images of every size, made in seconds: qemu-img writes an empty dynamic image, its BAT is filled in here, and data is
 * written where it points. What is not written is a hole of the file, so an image of 32 TiB takes a few hundred MiB.
 */
import { spawnSync } from 'node:child_process';
import { closeSync, fstatSync, ftruncateSync, openSync, readSync, writeSync } from 'node:fs';
import { program } from './harness.mjs';

export const KiB = 1024;
export const MiB = 1024 * KiB;
export const GiB = 1024 * MiB;
export const TiB = 1024 * GiB;

/** GUID of the BAT region as it is stored, [MS-VHDX] 2.2.3.2. */
const BAT_REGION = '6677c22d23f600429d64115e9bfd4a08';
const REGION_TABLE = 192 * KiB;
const FULLY_PRESENT = 6;
/** Sectors of a chunk, [MS-VHDX] 2.5. */
const SECTORS_PER_CHUNK = 2 ** 23;

/**
 * @typedef {object} ImagePlan
 * @property {number} size virtual size in bytes
 * @property {number} blockSize in bytes
 * @property {number} [every] one payload block in so many is there, the first one among them; none if it is left out
 * @property {boolean} [filled] whether these blocks are written; otherwise they are holes of the file
 */

/**
 * Makes a dynamic image with sectors of 512 bytes.
 *
 * @param {string} path
 * @param {ImagePlan} plan
 */
export function makeImage(path, { size, blockSize, every, filled = false }) {
  const options = `subformat=dynamic,block_size=${blockSize},block_state_zero=off`;
  const { status, stderr } = spawnSync(
    program('qemu-img'),
    ['create', '-q', '-f', 'vhdx', '-o', options, path, String(size)],
    { encoding: 'utf8' },
  );
  if (status !== 0) throw new Error(`qemu-img create: ${stderr}`);
  if (every === undefined) return;
  const file = openSync(path, 'r+');
  try {
    fillBat(file, { size, blockSize, every, filled });
  } finally {
    closeSync(file);
  }
}

/**
 * Puts entries into the BAT, chunk by chunk, and data where they point. Blocks are in the file in the order of the disk.
 *
 * @param {number} file
 * @param {Required<ImagePlan>} plan
 */
function fillBat(file, { size, blockSize, every, filled }) {
  const batOffset = findBat(file);
  const firstBlock = Math.ceil(fstatSync(file).size / MiB) * MiB;
  const chunkRatio = (SECTORS_PER_CHUNK * 512) / blockSize;
  const blocks = Math.ceil(size / blockSize);
  const entries = new Uint32Array(2 * chunkRatio);
  let present = 0;
  for (let first = 0; first < blocks; first += chunkRatio) {
    entries.fill(0);
    const end = Math.min(first + chunkRatio, blocks);
    const before = present;
    for (let block = first; block < end; block++) {
      if (block % every !== 0) continue;
      const offset = firstBlock + present * blockSize;
      if (filled) writeSync(file, contentOf(present, blockSize), 0, blockSize, offset);
      const megabyte = offset / MiB; // from bit 20 of the entry on
      entries[2 * (block - first)] = ((megabyte & 0xfff) << 20) | FULLY_PRESENT;
      entries[2 * (block - first) + 1] = Math.floor(megabyte / 2 ** 12);
      present++;
    }
    // After the entries of each chunk comes that of its sector bitmap block, which a dynamic image has none of.
    const chunkOffset = batOffset + 8 * (first + first / chunkRatio);
    if (present > before) writeSync(file, entries, 0, 8 * (end - first), chunkOffset);
  }
  ftruncateSync(file, firstBlock + present * blockSize);
}

/** @param {number} file */
function findBat(file) {
  const table = Buffer.alloc(64 * KiB);
  readSync(file, table, 0, table.length, REGION_TABLE);
  const at = table.indexOf(Buffer.from(BAT_REGION, 'hex'));
  if (at < 0) throw new Error('qemu-img wrote an image without a BAT');
  return Number(table.readBigUInt64LE(at + 16));
}

/**
 * Makes a raw file of what the present blocks of an image hold, one after the other.
 *
 * @param {string} path
 * @param {number} blocks
 * @param {number} blockSize
 */
export function makeFlat(path, blocks, blockSize) {
  const file = openSync(path, 'w');
  for (let block = 0; block < blocks; block++) writeSync(file, contentOf(block, blockSize), 0, blockSize);
  closeSync(file);
}

/**
 * Throws unless a raw file is what an image says: its blocks where they belong, and no room taken for anything else.
 *
 * @param {string} path
 * @param {ImagePlan} plan
 */
export function checkRaw(path, { size, blockSize, every = Infinity }) {
  const file = openSync(path, 'r');
  try {
    const bytes = Buffer.alloc(blockSize);
    let present = 0;
    for (let offset = 0; offset < size; offset += blockSize * every) {
      readSync(file, bytes, 0, blockSize, offset);
      if (!bytes.equals(contentOf(present++, blockSize)))
        throw new Error(`${path} is not what it should be at ${offset}`);
    }
    const { size: length, blocks } = fstatSync(file);
    if (length !== size) throw new Error(`${path} has ${length} bytes, not ${size}`);
    if (blocks * 512 > present * blockSize + MiB) throw new Error(`${path} takes room for what is not there`);
  } finally {
    closeSync(file);
  }
}

/** @type {Buffer | undefined} */
let noise;

/**
 * Bytes without a run of zeros, other ones for each block: noise with a number in each sector.
 *
 * @param {number} number
 * @param {number} length
 */
function contentOf(number, length) {
  if (noise === undefined || noise.length !== length) {
    noise = Buffer.alloc(length);
    let state = 0x9e3779b9;
    const words = new Uint32Array(noise.buffer, noise.byteOffset, length / 4);
    for (let i = 0; i < words.length; i++) {
      // Marsaglia's xorshift, 32 bits.
      state ^= state << 13;
      state ^= state >>> 17;
      state ^= state << 5;
      words[i] = state;
    }
  }
  for (let sector = 0; sector < length; sector += 512) noise.writeUInt32LE(number + 1, sector);
  return noise;
}

import type { ReadOptions } from '../../io/random-access.js';
import { type ExtVolume, type Inode, InodeFlag } from './inode.js';
import { damaged, hex } from './problems.js';

/** Blocks of a file that are together on the volume. */
export interface Run {
  /** First block in the file. */
  readonly logical: number;
  /** How many. */
  readonly length: number;
  /** First block on the volume. */
  readonly physical: number;
}

/** Blocks of a file, by number: `from` is the first, `to` the one after the last. */
interface Wanted {
  readonly from: number;
  readonly to: number;
  readonly options?: ReadOptions | undefined;
}

/** Where blocks of a file are, in the order of the file; those that are nowhere, and read as zeros, are left out. */
export function runsOf(volume: ExtVolume, inode: Inode, wanted: Wanted): AsyncGenerator<Run> {
  return inode.flags & InodeFlag.extents ? extentRuns(volume, inode, wanted) : mappedRuns(volume, inode, wanted);
}

const EXTENT_MAGIC = 0xf30a;
/** Levels of an extent tree at the most. */
const MAX_DEPTH = 5;
/** Of an extent whose stored length is more, the rest is the length; it is reserved, and reads as zeros. */
const MAX_WRITTEN = 32_768;

async function* extentRuns(volume: ExtVolume, inode: Inode, wanted: Wanted): AsyncGenerator<Run> {
  const order = { next: 0 };
  yield* extentNode(volume, inode, wanted, inode.map, undefined, order);
}

/** A node of the tree. What is below it has one level less, so that no cycle is followed; the file's order only grows. */
async function* extentNode(
  volume: ExtVolume,
  inode: Inode,
  wanted: Wanted,
  node: Uint8Array,
  levels: number | undefined,
  order: { next: number },
): AsyncGenerator<Run> {
  const name = `inode ${inode.number}, extent tree`;
  const view = new DataView(node.buffer, node.byteOffset, node.byteLength);
  const { entries, depth } = headOf(volume, inode, node, levels);
  for (let i = 0; i < entries; i++) {
    const at = 12 * (i + 1);
    const logical = view.getUint32(at, true);
    if (logical < order.next) throw damaged(name, `block ${logical} of the file after block ${order.next}`);
    if (logical >= wanted.to) return;
    if (depth === 0) {
      const run = runAt(view, at);
      order.next = logical + run.length;
      if (!run.isWritten || logical + run.length <= wanted.from) continue;
      volume.blocks.check(run.physical, run.length, name);
      yield clip(run, wanted);
      continue;
    }
    // What is wanted is not in this branch if the next one begins at it or before it.
    if (i + 1 < entries && view.getUint32(at + 12, true) <= wanted.from) continue;
    const child = view.getUint32(at + 4, true) + view.getUint16(at + 8, true) * 2 ** 32;
    const bytes = await volume.blocks.get(child, name, wanted.options);
    yield* extentNode(volume, inode, wanted, bytes, depth - 1, order);
  }
}

/** The head of a node, which is at the level where it has to be, and holds its checksum. */
function headOf(volume: ExtVolume, inode: Inode, node: Uint8Array, levels: number | undefined) {
  const name = `inode ${inode.number}, extent tree`;
  const view = new DataView(node.buffer, node.byteOffset, node.byteLength);
  const [entries, most, depth] = [view.getUint16(2, true), view.getUint16(4, true), view.getUint16(6, true)];
  if (view.getUint16(0, true) !== EXTENT_MAGIC) throw damaged(name, 'a node without its magic number');
  const tail = 12 * (most + 1);
  if (entries > most || tail > node.length) throw damaged(name, `a node with ${entries} of ${most} entries`);
  if (levels === undefined ? depth > MAX_DEPTH : depth !== levels) throw damaged(name, `a node at level ${depth}`);
  // The first node is in the inode, which has a checksum itself.
  if (levels !== undefined && volume.superblock.checksums === 'crc32c' && tail + 4 <= node.length) {
    const stored = view.getUint32(tail, true);
    const computed = ~volume.checksum(node.subarray(0, tail), inode.seed) >>> 0;
    if (stored !== computed) throw damaged(name, `checksum of a node is ${hex(stored)}, computed ${hex(computed)}`);
  }
  return { entries, depth };
}

function runAt(view: DataView, at: number): Run & { readonly isWritten: boolean } {
  const stored = view.getUint16(at + 4, true);
  const isWritten = stored <= MAX_WRITTEN;
  return {
    logical: view.getUint32(at, true),
    length: isWritten ? stored : stored - MAX_WRITTEN,
    physical: view.getUint32(at + 8, true) + view.getUint16(at + 6, true) * 2 ** 32,
    isWritten,
  };
}

function clip({ logical, length, physical }: Run, { from, to }: Wanted): Run {
  const start = Math.max(logical, from);
  const end = Math.min(logical + length, to);
  return { logical: start, length: end - start, physical: physical + start - logical };
}

/** Numbers of blocks in an inode: twelve of data, and of blocks with numbers of one, two and three levels. */
const DIRECT = 12;

async function* mappedRuns(volume: ExtVolume, inode: Inode, wanted: Wanted): AsyncGenerator<Run> {
  const view = new DataView(inode.map.buffer, inode.map.byteOffset, inode.map.byteLength);
  const perBlock = volume.superblock.blockSize / 4;
  const numbers = Array.from({ length: DIRECT }, (_, i) => view.getUint32(4 * i, true));
  const join = new Joined();
  for (const [i, physical] of numbers.entries()) {
    if (physical > 0 && i >= wanted.from && i < wanted.to) yield* join.add(volume, inode, i, physical);
  }
  let first = DIRECT;
  for (let level = 1; level <= 3; level++) {
    const pointer = view.getUint32(4 * (DIRECT + level - 1), true);
    yield* mappedBlock(volume, inode, wanted, pointer, first, level, join);
    first += perBlock ** level;
  }
  yield* join.rest();
}

/** A block of numbers: each is that of a block of data, or one level below. */
async function* mappedBlock(
  volume: ExtVolume,
  inode: Inode,
  wanted: Wanted,
  pointer: number,
  first: number,
  level: number,
  join: Joined,
): AsyncGenerator<Run> {
  const perBlock = volume.superblock.blockSize / 4;
  const each = perBlock ** (level - 1);
  if (pointer === 0 || first >= wanted.to || first + each * perBlock <= wanted.from) return;
  const bytes = await volume.blocks.get(pointer, `inode ${inode.number}, block map`, wanted.options);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const start = Math.max(0, Math.floor((wanted.from - first) / each));
  for (let i = start; i < perBlock && first + i * each < wanted.to; i++) {
    const number = view.getUint32(4 * i, true);
    if (number === 0) continue;
    if (level > 1) yield* mappedBlock(volume, inode, wanted, number, first + i * each, level - 1, join);
    else if (first + i >= wanted.from) yield* join.add(volume, inode, first + i, number);
  }
}

/** Makes runs of blocks that follow one another. */
class Joined {
  #run: { logical: number; length: number; physical: number } | undefined;

  *add(volume: ExtVolume, inode: Inode, logical: number, physical: number): Generator<Run> {
    volume.blocks.check(physical, 1, `inode ${inode.number}, block map`);
    const run = this.#run;
    if (run && run.logical + run.length === logical && run.physical + run.length === physical) {
      run.length++;
      return;
    }
    yield* this.rest();
    this.#run = { logical, length: 1, physical };
  }

  *rest(): Generator<Run> {
    if (this.#run) yield this.#run;
    this.#run = undefined;
  }
}

import type { Checksum } from '../../core/crc32c.js';
import type { ReadOptions } from '../../io/random-access.js';
import type { FileKind, FileStat } from '../file-system.js';
import type { Blocks } from './blocks.js';
import { readGroup } from './groups.js';
import { damaged, hex, unsupported } from './problems.js';
import type { Superblock } from './superblock.js';

/** An opened file system, as its parts need it. */
export interface ExtVolume {
  readonly superblock: Superblock;
  readonly blocks: Blocks;
  readonly checksum: Checksum;
}

/** What an inode says, and where the contents of its file are. */
export interface Inode {
  readonly number: number;
  readonly stat: FileStat;
  readonly flags: number;
  /** What says where its blocks are: extents, or numbers of blocks, or the contents themselves. */
  readonly map: Uint8Array;
  /** All of the inode, for contents that are inside. */
  readonly bytes: Uint8Array;
  /** What checksums of its metadata go on from. */
  readonly seed: number;
}

/** Flags of an inode. */
export const InodeFlag = {
  encrypted: 0x800,
  index: 0x1000,
  verity: 0x10_0000,
  extents: 0x8_0000,
  inlineData: 0x1000_0000,
} as const;

/** Refuses what is only readable with a key: the contents of a file, the names in a directory, the target of a link. */
export function refuseEncrypted({ flags }: Inode, name: string): void {
  if (flags & InodeFlag.encrypted) throw unsupported(`${name} is encrypted, and its key is not known`);
}

/** The root directory. */
export const ROOT = 2;

const KINDS: Readonly<Record<number, FileKind>> = {
  1: 'pipe',
  2: 'character device',
  4: 'directory',
  6: 'block device',
  8: 'file',
  10: 'symlink',
  12: 'socket',
};

/** Reads an inode and holds it against its checksum. */
export async function readInode(volume: ExtVolume, number: number, options?: ReadOptions): Promise<Inode> {
  const { superblock, blocks, checksum } = volume;
  const { inodesPerGroup, inodeSize, blockSize, inodes } = superblock;
  const name = `inode ${number}`;
  if (number < 1 || number > inodes) throw damaged(name, `there are ${inodes} inodes`);
  const group = await readGroup(volume, Math.floor((number - 1) / inodesPerGroup), options);
  const at = ((number - 1) % inodesPerGroup) * inodeSize;
  const block = await blocks.get(group.inodeTable + Math.floor(at / blockSize), name, options);
  const bytes = block.slice(at % blockSize, (at % blockSize) + inodeSize);
  const view = new DataView(bytes.buffer);
  const extra = inodeSize > 128 ? view.getUint16(0x80, true) : 0;
  if (extra > inodeSize - 128) throw damaged(name, `has ${extra} bytes more than the first 128`);
  const seed = seedOf(superblock, checksum, number, view.getUint32(0x64, true));
  if (superblock.checksums === 'crc32c') verify(name, bytes, checksum, seed, extra);
  const has = (offset: number) => offset + 4 <= 128 + extra;
  const time = (seconds: number, more: number) => dateOf(view, seconds, has(more) ? more : undefined);
  const mode = view.getUint16(0, true);
  const kind = KINDS[mode >> 12] ?? 'unknown';
  const large = kind === 'file' || (kind === 'directory' && superblock.largeDirectories);
  const size = view.getUint32(4, true) + (large ? view.getUint32(0x6c, true) * 2 ** 32 : 0);
  if (!Number.isSafeInteger(size)) throw damaged(name, `a size of ${size} bytes`);
  const links = view.getUint16(0x1a, true);
  if (mode === 0 || links === 0) throw damaged(name, 'is not in use, and a directory names it');
  return {
    number,
    flags: view.getUint32(0x20, true),
    map: bytes.subarray(0x28, 0x64),
    bytes,
    seed,
    stat: {
      kind,
      size,
      mode: mode & 0xfff,
      uid: view.getUint16(2, true) + view.getUint16(0x78, true) * 2 ** 16,
      gid: view.getUint16(0x18, true) + view.getUint16(0x7a, true) * 2 ** 16,
      links,
      inode: number,
      accessed: time(8, 0x8c),
      changed: time(0x0c, 0x84),
      modified: time(0x10, 0x88),
      ...(has(0x90) && { created: time(0x90, 0x94) }),
    },
  };
}

/** What checksums of an inode's metadata go on from: the file system, its number, its generation. */
function seedOf({ seed }: Superblock, checksum: Checksum, number: number, generation: number): number {
  const bytes = new Uint8Array(8);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, number, true);
  view.setUint32(4, generation, true);
  return checksum(bytes, seed);
}

function verify(name: string, bytes: Uint8Array, checksum: Checksum, seed: number, extra: number): void {
  const view = new DataView(bytes.buffer);
  const wide = extra >= 4;
  const stored = view.getUint16(0x7c, true) + (wide ? view.getUint16(0x82, true) * 2 ** 16 : 0);
  const cleared = bytes.slice();
  cleared.fill(0, 0x7c, 0x7e);
  if (wide) cleared.fill(0, 0x82, 0x84);
  const sum = ~checksum(cleared, seed) >>> 0;
  const computed = wide ? sum : sum & 0xffff;
  if (stored !== computed) throw damaged(name, `checksum is ${hex(stored)}, computed ${hex(computed)}`);
}

/** A time: seconds from 1970 on, signed, and in larger inodes two bits more of them, and nanoseconds. */
function dateOf(view: DataView, at: number, more: number | undefined): Date {
  const seconds = view.getInt32(at, true);
  if (more === undefined) return new Date(seconds * 1000);
  const extra = view.getUint32(more, true);
  return new Date((seconds + (extra & 3) * 2 ** 32) * 1000 + Math.floor((extra >>> 2) / 1e6));
}

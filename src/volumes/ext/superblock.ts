import type { Checksum } from '../../core/crc32c.js';
import { damaged, hex, unsupported } from './problems.js';

/** Where the superblock is, in bytes. */
export const SUPERBLOCK = 1024;
/** Bytes of the superblock. */
export const SUPERBLOCK_LENGTH = 1024;

/** Features that this reader knows and that change nothing for it, or that it honours. */
const COMPATIBLE = { hasJournal: 0x4, sparseSuper2: 0x200 } as const;
const INCOMPATIBLE = {
  compression: 0x1,
  filetype: 0x2,
  recover: 0x4,
  journalDevice: 0x8,
  metaBg: 0x10,
  extents: 0x40,
  bit64: 0x80,
  multipleMountProtection: 0x100,
  flexBg: 0x200,
  largeXattr: 0x400,
  dataInDirent: 0x1000,
  checksumSeed: 0x2000,
  largeDirectory: 0x4000,
  inlineData: 0x8000,
  encrypt: 0x10000,
  casefold: 0x20000,
} as const;
const READ_ONLY_COMPATIBLE = { sparseSuper: 0x1, gdtChecksum: 0x10, bigalloc: 0x200, metadataChecksum: 0x400 } as const;

/** Which of them are not read: what has one is refused by its name. */
const NOT_READ: readonly string[] = ['compression', 'journalDevice', 'dataInDirent'];

/** What the superblock says of a file system. Numbers of blocks are of `blockSize` bytes. */
export interface Superblock {
  readonly kind: 'ext2' | 'ext3' | 'ext4';
  readonly label: string;
  readonly uuid: Uint8Array;
  readonly blockSize: number;
  readonly blocks: number;
  /** The block that group 0 begins with. */
  readonly firstDataBlock: number;
  readonly blocksPerGroup: number;
  /** Blocks of a cluster, the unit of a bitmap: 1 but for bigalloc. */
  readonly blocksPerCluster: number;
  readonly groups: number;
  readonly inodes: number;
  readonly inodesPerGroup: number;
  readonly inodeSize: number;
  /** Bytes of a group descriptor. */
  readonly descriptorSize: number;
  /** The first group whose descriptors are in the groups themselves, for meta_bg; otherwise no group is. */
  readonly firstMetaGroup: number;
  /** Inode of the journal; 0 if there is none. */
  readonly journalInode: number;
  readonly needsRecovery: boolean;
  /** Whether a directory may have 4 GiB and more; in others, what would be the upper half of its length is something else. */
  readonly largeDirectories: boolean;
  readonly hasErrors: boolean;
  readonly checksums: 'none' | 'crc16' | 'crc32c';
  /** What checksums of metadata go on from, in the manner of `Checksum`. */
  readonly seed: number;
  /** Whether group `i` begins with a copy of the superblock. */
  hasCopy(group: number): boolean;
}

/** Reads a superblock. Rejects features that are not read, and numbers that cannot be. */
export function parseSuperblock(bytes: Uint8Array, checksum: Checksum, volumeSize: number): Superblock {
  if (bytes[56] !== 0x53 || bytes[57] !== 0xef) throw damaged('superblock', 'has no magic number');
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const u32 = (at: number) => view.getUint32(at, true);
  const u16 = (at: number) => view.getUint16(at, true);
  const dynamic = u32(0x4c) > 0;
  const [compatible, incompatible, readOnly] = dynamic ? [u32(0x5c), u32(0x60), u32(0x64)] : [0, 0, 0];
  refuseUnknown(incompatible);
  const has = (set: number, bit: number) => (set & bit) !== 0;

  const withSums = has(readOnly, READ_ONLY_COMPATIBLE.metadataChecksum);
  if (withSums) verify(bytes, checksum);
  const wide = has(incompatible, INCOMPATIBLE.bit64);
  const log = u32(0x18);
  if (log > 6) throw damaged('superblock', `block size is 2^${10 + log}`);
  const blockSize = 1024 << log;
  const blocks = u32(4) + (wide ? u32(0x150) * 2 ** 32 : 0);
  const [firstDataBlock, blocksPerGroup, inodesPerGroup, inodes] = [u32(0x14), u32(0x20), u32(0x28), u32(0)];
  const bigalloc = has(readOnly, READ_ONLY_COMPATIBLE.bigalloc);
  const blocksPerCluster = bigalloc ? 2 ** (u32(0x1c) - log) : 1;
  const inodeSize = dynamic ? u16(0x58) : 128;
  const descriptorSize = wide ? u16(0xfe) : 32;
  const whole = !bigalloc && blockSize === 1024 ? 1 : 0;
  const facts = { blocks, blockSize, blocksPerGroup, blocksPerCluster, inodesPerGroup, inodeSize, descriptorSize };
  checkNumbers({ ...facts, volumeSize, isFirstRight: firstDataBlock === whole });
  const groups = Math.ceil((blocks - firstDataBlock) / blocksPerGroup);
  if (groups * inodesPerGroup > 2 ** 32) throw damaged('superblock', 'more inodes than can be');

  const uuid = bytes.slice(0x68, 0x78);
  const copies = has(compatible, COMPATIBLE.sparseSuper2) ? [u32(0x24c), u32(0x250)] : undefined;
  const sparse = has(readOnly, READ_ONLY_COMPATIBLE.sparseSuper);
  const hasJournal = has(compatible, COMPATIBLE.hasJournal);
  return {
    kind: has(incompatible, INCOMPATIBLE.extents) || withSums || wide ? 'ext4' : hasJournal ? 'ext3' : 'ext2',
    label: new TextDecoder().decode(bytes.subarray(0x78, 0x88)).replace(/\0.*$/s, ''),
    uuid,
    blockSize,
    blocks,
    firstDataBlock,
    blocksPerGroup,
    blocksPerCluster,
    groups,
    inodes,
    inodesPerGroup,
    inodeSize,
    descriptorSize,
    firstMetaGroup: has(incompatible, INCOMPATIBLE.metaBg) ? u32(0x104) : Number.POSITIVE_INFINITY,
    journalInode: hasJournal ? u32(0xe0) : 0,
    needsRecovery: has(incompatible, INCOMPATIBLE.recover),
    largeDirectories: has(incompatible, INCOMPATIBLE.largeDirectory),
    hasErrors: (u16(0x3a) & 2) !== 0,
    checksums: withSums ? 'crc32c' : has(readOnly, READ_ONLY_COMPATIBLE.gdtChecksum) ? 'crc16' : 'none',
    seed: has(incompatible, INCOMPATIBLE.checksumSeed) ? ~u32(0x270) >>> 0 : checksum(uuid),
    hasCopy: (group) => (copies ? group === 0 || copies.includes(group) : !sparse || isSparseGroup(group)),
  };
}

function verify(bytes: Uint8Array, checksum: Checksum): void {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const [stored, computed] = [view.getUint32(0x3fc, true), ~checksum(bytes.subarray(0, 0x3fc)) >>> 0];
  if (stored !== computed) throw damaged('superblock', `checksum is ${hex(stored)}, computed ${hex(computed)}`);
}

/** What everything else is computed from must be possible. */
function checkNumbers(facts: {
  readonly blocks: number;
  readonly blockSize: number;
  readonly blocksPerGroup: number;
  readonly blocksPerCluster: number;
  readonly inodesPerGroup: number;
  readonly inodeSize: number;
  readonly descriptorSize: number;
  readonly volumeSize: number;
  readonly isFirstRight: boolean;
}): void {
  const { blocks, blockSize, blocksPerGroup, blocksPerCluster, inodesPerGroup, inodeSize, descriptorSize } = facts;
  const isPower = (value: number, least: number, most: number) =>
    value >= least && value <= most && (value & (value - 1)) === 0;
  const checks: readonly (readonly [boolean, string])[] = [
    [
      blocks > 0 && blocks * blockSize <= facts.volumeSize,
      `${blocks} blocks of ${blockSize} bytes do not fit the volume`,
    ],
    [facts.isFirstRight, 'the first data block is another one'],
    [isPower(blocksPerCluster, 1, 65_536), 'the size of a cluster is none'],
    [blocksPerGroup > 0 && blocksPerGroup <= 8 * blockSize * blocksPerCluster, `${blocksPerGroup} blocks in a group`],
    [inodesPerGroup > 0 && inodesPerGroup <= 8 * blockSize, `${inodesPerGroup} inodes in a group`],
    [isPower(inodeSize, 128, blockSize), `inodes of ${inodeSize} bytes`],
    [isPower(descriptorSize, 32, blockSize), `group descriptors of ${descriptorSize} bytes`],
  ];
  for (const [good, reason] of checks) if (!good) throw damaged('superblock', reason);
}

function refuseUnknown(incompatible: number): void {
  const known = Object.entries(INCOMPATIBLE).reduce(
    (all, [name, bit]) => (NOT_READ.includes(name) ? all : all | bit),
    0,
  );
  const rest = incompatible & ~known;
  if (rest === 0) return;
  const names = Object.entries(INCOMPATIBLE).flatMap(([name, bit]) => (rest & bit ? [name] : []));
  throw unsupported(`it has features that are not read here: ${names.join(', ') || hex(rest)}`);
}

/** Groups 0 and 1, and the powers of 3, 5 and 7. */
function isSparseGroup(group: number): boolean {
  if (group <= 1) return true;
  return [3, 5, 7].some((base) => {
    let power = base;
    while (power < group) power *= base;
    return power === group;
  });
}

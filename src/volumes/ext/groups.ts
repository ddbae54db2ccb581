import type { Checksum } from '../../core/crc32c.js';
import type { ReadOptions } from '../../io/random-access.js';
import type { Blocks } from './blocks.js';
import { damaged, hex } from './problems.js';
import type { Superblock } from './superblock.js';

/** What a group descriptor says. */
export interface Group {
  readonly number: number;
  readonly blockBitmap: number;
  readonly inodeTable: number;
  /** The checksum of the block bitmap. */
  readonly bitmapChecksum: number;
  /** Whether its blocks were never used, and its bitmap was never written. */
  readonly blocksUninitialised: boolean;
  readonly inodesUninitialised: boolean;
}

const UNINITIALISED = { inodes: 1, blocks: 2 } as const;

/** Reads the descriptor of a group, and holds it against its checksum. */
export async function readGroup(
  { superblock, blocks, checksum }: { superblock: Superblock; blocks: Blocks; checksum: Checksum },
  number: number,
  options?: ReadOptions,
): Promise<Group> {
  const { descriptorSize, blockSize } = superblock;
  const perBlock = blockSize / descriptorSize;
  const index = Math.floor(number / perBlock);
  const name = `descriptor of group ${number}`;
  const bytes = await blocks.get(descriptorBlock(superblock, index, perBlock), name, options);
  const at = (number % perBlock) * descriptorSize;
  const descriptor = bytes.subarray(at, at + descriptorSize);
  const view = new DataView(descriptor.buffer, descriptor.byteOffset, descriptor.length);
  const wide = descriptorSize >= 64;
  const block = (low: number, high: number) =>
    view.getUint32(low, true) + (wide ? view.getUint32(high, true) * 2 ** 32 : 0);
  const stored = view.getUint16(0x1e, true);
  const computed = sumOf(superblock, checksum, number, descriptor);
  if (computed !== undefined && stored !== computed) {
    throw damaged(name, `checksum is ${hex(stored)}, computed ${hex(computed)}`);
  }
  const flags = superblock.checksums === 'none' ? 0 : view.getUint16(0x12, true);
  return {
    number,
    blockBitmap: block(0, 0x20),
    inodeTable: block(8, 0x28),
    bitmapChecksum: view.getUint16(0x18, true) + (wide ? view.getUint16(0x38, true) * 2 ** 16 : 0),
    blocksUninitialised: (flags & UNINITIALISED.blocks) !== 0,
    inodesUninitialised: (flags & UNINITIALISED.inodes) !== 0,
  };
}

/** Where a block of descriptors is: after the superblock, or with meta_bg in the first of the groups that it describes. */
function descriptorBlock(superblock: Superblock, index: number, perBlock: number): number {
  const { blockSize, firstDataBlock, blocksPerGroup, firstMetaGroup, hasCopy } = superblock;
  const first = blockSize === 1024 ? 1 : 0;
  if (index < firstMetaGroup) return first + 1 + index;
  const group = index * perBlock;
  // With blocks of 1 KiB that are numbered from 0, the boot sectors are before the superblock.
  const boot = blockSize === 1024 && firstDataBlock === 0 && group === 0 ? 1 : 0;
  return firstDataBlock + group * blocksPerGroup + (hasCopy(group) ? 1 : 0) + boot;
}

function sumOf({ checksums, seed, uuid }: Superblock, checksum: Checksum, number: number, descriptor: Uint8Array) {
  if (checksums === 'none') return undefined;
  const group = new Uint8Array(4);
  new DataView(group.buffer).setUint32(0, number, true);
  if (checksums === 'crc32c') {
    const cleared = descriptor.slice();
    cleared.fill(0, 0x1e, 0x20);
    return ~checksum(cleared, checksum(group, seed)) & 0xffff;
  }
  const rest = descriptor.length > 32 ? [descriptor.subarray(0x20)] : [];
  return [uuid, group, descriptor.subarray(0, 0x1e), ...rest].reduce(crc16, 0xffff);
}

/** CRC-16 (polynomial 0x8005, reflected), by which ext4 summed its descriptors before 2012. */
function crc16(initial: number, bytes: Uint8Array): number {
  let crc = initial;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0xa001 : crc >>> 1;
  }
  return crc;
}

import { eventLoopYielder } from '../../base/concurrency.js';
import type { ReadOptions } from '../../io/random-access.js';
import type { VolumeRange } from '../file-system.js';
import { readGroup } from './groups.js';
import type { ExtVolume } from './inode.js';
import { damaged, hex } from './problems.js';
import type { Superblock } from './superblock.js';

/**
 * The ranges that no file and no structure uses, by the bitmaps. Groups that were never used have no bitmap and are left
 * out: nothing was ever written there.
 */
export async function* freeSpace(volume: ExtVolume, options?: ReadOptions): AsyncGenerator<VolumeRange> {
  const { superblock } = volume;
  const { groups, blockSize } = superblock;
  if (superblock.hasErrors) throw damaged('superblock', 'the file system is marked as having errors');
  const breathe = eventLoopYielder();
  let last: { offset: number; length: number } | undefined;
  for (let number = 0; number < groups; number++) {
    await breathe();
    options?.signal?.throwIfAborted();
    const bitmap = await bitmapOf(volume, number, options);
    for (const { first, length } of bitmap ? clearBits(superblock, number, bitmap) : []) {
      if (last && last.offset + last.length === first * blockSize) last.length += length * blockSize;
      else {
        if (last) yield last;
        last = { offset: first * blockSize, length: length * blockSize };
      }
    }
  }
  if (last) yield last;
}

/** The block bitmap of a group, held against its checksum; undefined if it was never written. */
async function bitmapOf(volume: ExtVolume, number: number, options?: ReadOptions): Promise<Uint8Array | undefined> {
  const { blocks, checksum } = volume;
  const { blocksPerGroup, blocksPerCluster, checksums, seed, descriptorSize } = volume.superblock;
  const group = await readGroup(volume, number, options);
  if (group.blocksUninitialised) return undefined;
  const name = `block bitmap of group ${number}`;
  const whole = await blocks.get(group.blockBitmap, name, options);
  const bitmap = whole.subarray(0, blocksPerGroup / blocksPerCluster / 8);
  if (checksums !== 'crc32c') return bitmap;
  const sum = ~checksum(bitmap, seed) >>> 0;
  const computed = descriptorSize >= 64 ? sum : sum & 0xffff;
  if (computed !== group.bitmapChecksum)
    throw damaged(name, `checksum is ${hex(group.bitmapChecksum)}, computed ${hex(computed)}`);
  return bitmap;
}

/** Blocks whose bits are 0, in runs. */
function* clearBits(
  superblock: Superblock,
  group: number,
  bitmap: Uint8Array,
): Generator<{ first: number; length: number }> {
  const { firstDataBlock, blocksPerGroup, blocksPerCluster, blocks } = superblock;
  const start = firstDataBlock + group * blocksPerGroup;
  const clusters = Math.ceil((Math.min(start + blocksPerGroup, blocks) - start) / blocksPerCluster);
  const isFree = (cluster: number) => ((bitmap[cluster >> 3] ?? 0xff) & (1 << (cluster & 7))) === 0;
  for (let cluster = 0; cluster < clusters; cluster++) {
    if (bitmap[cluster >> 3] === 0xff) cluster |= 7; // eight that are used
    if (cluster >= clusters || !isFree(cluster)) continue;
    const from = cluster;
    while (cluster + 1 < clusters && isFree(cluster + 1)) cluster++;
    const first = start + from * blocksPerCluster;
    yield { first, length: Math.min((cluster + 1 - from) * blocksPerCluster, blocks - first) };
  }
}

import type { ReadOptions } from '../../io/random-access.js';
import type { DirectoryEntry, FileKind } from '../file-system.js';
import { inlineData } from './inline-data.js';
import { type ExtVolume, type Inode, InodeFlag, refuseEncrypted } from './inode.js';
import { damaged, hex } from './problems.js';
import { runsOf } from './runs.js';

/** What an entry says of the kind of a file. */
const KINDS: readonly FileKind[] = [
  'unknown',
  'file',
  'directory',
  'character device',
  'block device',
  'pipe',
  'socket',
  'symlink',
];

/** Bytes at the end of a block that hold its checksum, in the shape of an entry of this kind. */
const TAIL = { length: 12, kind: 0xde } as const;

/**
 * The entries of a directory, but `.` and `..`, in the order in which they are stored, block by block. The blocks of a
 * hash index look like entries that are not in use.
 */
export async function* entriesOf(
  volume: ExtVolume,
  inode: Inode,
  options?: ReadOptions,
): AsyncGenerator<DirectoryEntry> {
  const name = `directory of inode ${inode.number}`;
  refuseEncrypted(inode, name);
  if (inode.flags & InodeFlag.inlineData) {
    const bytes = inlineData(inode);
    yield* entriesIn(bytes.subarray(4, 60), name); // after the number of the directory above
    yield* entriesIn(bytes.subarray(60), name);
    return;
  }
  const { blockSize } = volume.superblock;
  const to = Math.ceil(inode.stat.size / blockSize);
  for await (const { physical, length } of runsOf(volume, inode, { from: 0, to, options })) {
    for (let i = 0; i < length; i++) {
      options?.signal?.throwIfAborted();
      const bytes = await volume.blocks.get(physical + i, name, options);
      verify(volume, inode, bytes, name);
      yield* entriesIn(bytes, name);
    }
  }
}

function* entriesIn(bytes: Uint8Array, where: string): Generator<DirectoryEntry> {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (let at = 0; at + 8 <= bytes.length; ) {
    const inode = view.getUint32(at, true);
    const length = lengthOf(view.getUint16(at + 4, true), bytes.length);
    const nameLength = bytes[at + 6] ?? 0;
    if (length < 8 || length % 4 !== 0 || at + length > bytes.length || (inode !== 0 && 8 + nameLength > length))
      throw damaged(where, `an entry of ${length} bytes at ${at} of a block, with a name of ${nameLength}`);
    const rawName = bytes.slice(at + 8, at + 8 + nameLength);
    const kind = KINDS[bytes[at + 7] ?? 0] ?? 'unknown';
    at += length;
    if (inode === 0 || isSelfOrAbove(rawName)) continue;
    yield { name: new TextDecoder().decode(rawName), rawName, kind, inode };
  }
}

/** The length of an entry in 16 bits: of blocks of 64 KiB, two of them that are no multiple of 4 are more. */
function lengthOf(stored: number, blockSize: number): number {
  if (blockSize < 65_536) return stored;
  if (stored === 0xffff || stored === 0) return blockSize;
  return (stored & 0xfffc) | ((stored & 3) << 16);
}

const isSelfOrAbove = ([first, second, third]: Uint8Array): boolean =>
  first === 0x2e && (second === undefined || (second === 0x2e && third === undefined));

/** Holds a block against its checksum, if it has one: those of a hash index have another. */
function verify({ superblock, checksum }: ExtVolume, inode: Inode, bytes: Uint8Array, name: string): void {
  if (superblock.checksums !== 'crc32c') return;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const at = bytes.length - TAIL.length;
  if (view.getUint32(at, true) !== 0 || view.getUint16(at + 4, true) !== TAIL.length || bytes[at + 7] !== TAIL.kind)
    return;
  const stored = view.getUint32(at + 8, true);
  const computed = ~checksum(bytes.subarray(0, at), inode.seed) >>> 0;
  if (stored !== computed) throw damaged(name, `checksum of a block is ${hex(stored)}, computed ${hex(computed)}`);
}

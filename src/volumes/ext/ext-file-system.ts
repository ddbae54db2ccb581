import { checksumFunction } from '../../core/crc32c.js';
import { VhdxError } from '../../errors.js';
import type { RandomAccessSource, ReadOptions } from '../../io/random-access.js';
import type { DirectoryEntry, FilePlace, FileStat, FileSystem, VolumeRange } from '../file-system.js';
import { Blocks } from './blocks.js';
import { entriesOf } from './directory.js';
import { ExtFile } from './file.js';
import { freeSpace } from './free-space.js';
import { type ExtVolume, type Inode, InodeFlag, ROOT, readInode, refuseEncrypted } from './inode.js';
import { readJournal } from './journal.js';
import { damaged } from './problems.js';
import { parseSuperblock, SUPERBLOCK, SUPERBLOCK_LENGTH } from './superblock.js';

/** Links that one path may lead through, as in Linux. */
const MAX_LINKS = 40;
/** Longest path that a link may hold, in bytes. */
const MAX_TARGET = 4096;

/** Opens ext2, ext3 or ext4; what its journal has and its blocks do not is replayed in memory. */
export async function openExt(source: RandomAccessSource, options?: ReadOptions): Promise<FileSystem> {
  const checksum = await checksumFunction();
  const bytes = new Uint8Array(SUPERBLOCK_LENGTH);
  await source.readInto(bytes, SUPERBLOCK, options);
  const notes: string[] = [];
  let superblock = parseSuperblock(bytes, checksum, source.size);
  const blocks = new Blocks(source, superblock.blockSize, superblock.blocks);
  if (superblock.needsRecovery) {
    const changes = await readJournal({ superblock, blocks, checksum }, options);
    blocks.replay(changes);
    notes.push(`It was not unmounted: ${changes.size} blocks of its journal were put in place in memory.`);
    await blocks.readInto(
      bytes,
      Math.floor(SUPERBLOCK / superblock.blockSize),
      SUPERBLOCK % superblock.blockSize,
      options,
    );
    superblock = parseSuperblock(bytes, checksum, source.size); // which may be among them
  }
  if (superblock.hasErrors) notes.push('It is marked as having errors: e2fsck has not mended it yet.');
  return new ExtFileSystem({ superblock, blocks, checksum }, notes);
}

class ExtFileSystem implements FileSystem {
  readonly kind: string;
  readonly label: string;
  readonly notes: readonly string[];
  readonly #volume: ExtVolume;
  #closed = false;

  constructor(volume: ExtVolume, notes: readonly string[]) {
    this.#volume = volume;
    this.kind = volume.superblock.kind;
    this.label = volume.superblock.label;
    this.notes = notes;
  }

  async *list(place: FilePlace, options?: ReadOptions): AsyncGenerator<DirectoryEntry> {
    const inode = await this.#at(place, true, options);
    if (inode.stat.kind !== 'directory') throw wrongKind(nameOf(place), `a ${inode.stat.kind}, and no directory`);
    yield* entriesOf(this.#volume, inode, options);
  }

  async stat(place: FilePlace, options?: ReadOptions): Promise<FileStat> {
    return (await this.#at(place, false, options)).stat;
  }

  async open(place: FilePlace, options?: ReadOptions): Promise<RandomAccessSource> {
    const inode = await this.#at(place, true, options);
    if (inode.stat.kind !== 'file') throw wrongKind(nameOf(place), `a ${inode.stat.kind}, and no file`);
    return new ExtFile(this.#volume, inode, nameOf(place));
  }

  async readlink(place: FilePlace, options?: ReadOptions): Promise<string> {
    const inode = await this.#at(place, false, options);
    if (inode.stat.kind !== 'symlink') throw wrongKind(nameOf(place), `a ${inode.stat.kind}, and no link`);
    return this.#target(inode, options);
  }

  async *free(options?: ReadOptions): AsyncGenerator<VolumeRange> {
    this.#checkOpen();
    yield* freeSpace(this.#volume, options);
  }

  async close(): Promise<void> {
    this.#closed = true;
  }

  #checkOpen(): void {
    if (this.#closed) throw new VhdxError('closed', 'the file system was closed');
  }

  #at(place: FilePlace, followsLast: boolean, options?: ReadOptions): Promise<Inode> {
    if (typeof place === 'string') return this.#find(place, followsLast, options);
    this.#checkOpen();
    return readInode(this.#volume, place.inode, options);
  }

  /** Follows a path from the root, and the links in it; a link at its end as asked. */
  async #find(path: string, followsLast: boolean, options?: ReadOptions): Promise<Inode> {
    this.#checkOpen();
    const root = await readInode(this.#volume, ROOT, options);
    const way: Inode[] = [root];
    const names = namesOf(path);
    for (let links = 0; names.length > 0; ) {
      const name = names.shift() as string;
      const here = way[way.length - 1] ?? root;
      if (here.stat.kind !== 'directory') throw wrongKind(path, `not there, because a ${here.stat.kind} is on the way`);
      if (name === '..') {
        if (way.length > 1) way.pop();
        continue;
      }
      const inode = await this.#child(here, name, path, options);
      if (inode.stat.kind !== 'symlink' || (names.length === 0 && !followsLast)) {
        way.push(inode);
        continue;
      }
      if (++links > MAX_LINKS) throw new VhdxError('not-found', `${path}: its links lead in a circle`);
      const target = await this.#target(inode, options);
      if (target.startsWith('/')) way.length = 1;
      names.unshift(...namesOf(target));
    }
    return way[way.length - 1] ?? root;
  }

  async #child(directory: Inode, name: string, path: string, options?: ReadOptions): Promise<Inode> {
    for await (const entry of entriesOf(this.#volume, directory, options)) {
      if (entry.name === name) return readInode(this.#volume, entry.inode, options);
    }
    throw new VhdxError('not-found', `${path}: there is no such file or directory`);
  }

  /** A link is in its inode if it is short; otherwise it is like a file. */
  async #target(inode: Inode, options?: ReadOptions): Promise<string> {
    const { size } = inode.stat;
    refuseEncrypted(inode, `the link of inode ${inode.number}`);
    if (size > MAX_TARGET) throw damaged(`inode ${inode.number}`, `a link of ${size} bytes`);
    const isInside = size < inode.map.length && (inode.flags & (InodeFlag.extents | InodeFlag.inlineData)) === 0;
    if (isInside) return new TextDecoder().decode(inode.map.subarray(0, size));
    const bytes = new Uint8Array(size);
    await new ExtFile(this.#volume, inode, `inode ${inode.number}`).readInto(bytes, 0, options);
    return new TextDecoder().decode(bytes);
  }
}

const nameOf = (place: FilePlace): string => (typeof place === 'string' ? place : place.name);

const namesOf = (path: string): string[] => path.split('/').filter((name) => name !== '' && name !== '.');

const wrongKind = (path: string, what: string): VhdxError => new VhdxError('wrong-kind', `${path} is ${what}`);

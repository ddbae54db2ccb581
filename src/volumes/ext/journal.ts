// What a journal has that is not in its place yet: jbd2, in big-endian, read and never written.
import { eventLoopYielder } from '../../base/concurrency.js';
import type { Checksum } from '../../core/crc32c.js';
import type { ReadOptions } from '../../io/random-access.js';
import type { JournalChange } from './blocks.js';
import { type ExtVolume, readInode } from './inode.js';
import { damaged, hex, unsupported } from './problems.js';
import { type Run, runsOf } from './runs.js';

const MAGIC = 0xc03b_3998;
const Type = { descriptor: 1, commit: 2, superblockV1: 3, superblockV2: 4, revoke: 5 } as const;
const Feature = { revoke: 1, bit64: 2, asyncCommit: 4, checksumV2: 8, checksumV3: 16, fastCommit: 32 } as const;
const KNOWN = Object.values(Feature).reduce((all, bit) => all | bit, 0);
const Tag = { escaped: 1, sameUuid: 2, last: 8 } as const;
/** Blocks of a journal at the most: 8 GiB in blocks of 4 KiB. */
const MAX_BLOCKS = 2 ** 21;

/** The superblock of a journal. */
interface JournalInfo {
  readonly first: number;
  /** The block after the last one that transactions use. */
  readonly end: number;
  readonly start: number;
  readonly sequence: number;
  readonly features: number;
  readonly seed: number;
  readonly fastBlocks: number;
}

/** A block that a transaction changes. */
interface Change {
  readonly target: number;
  readonly journalBlock: number;
  readonly escaped: boolean;
  readonly sequence: number;
  readonly checksum: number | undefined;
}

/**
 * Goes through the transactions of a journal that were committed, in three passes as the kernel does it, and returns what
 * they change. What comes after the last whole transaction was never promised.
 */
export async function readJournal(volume: ExtVolume, options?: ReadOptions): Promise<Map<number, JournalChange>> {
  const { journalInode, blockSize } = volume.superblock;
  if (journalInode === 0) throw unsupported('its journal, which is needed, is on another device');
  const inode = await readInode(volume, journalInode, options);
  const length = Math.floor(inode.stat.size / blockSize);
  if (length > MAX_BLOCKS) throw damaged('journal', `${length} blocks`);
  const runs: Run[] = [];
  for await (const run of runsOf(volume, inode, { from: 0, to: length, options })) runs.push(run);
  const journal = new Journal(volume, runs, length, options);
  return journal.changes();
}

class Journal {
  readonly #volume: ExtVolume;
  readonly #runs: readonly Run[];
  readonly #length: number;
  readonly #options: ReadOptions | undefined;
  #info: JournalInfo = { first: 0, end: 0, start: 0, sequence: 0, features: 0, seed: 0, fastBlocks: 0 };

  constructor(volume: ExtVolume, runs: readonly Run[], length: number, options: ReadOptions | undefined) {
    this.#volume = volume;
    this.#runs = runs;
    this.#length = length;
    this.#options = options;
  }

  async changes(): Promise<Map<number, JournalChange>> {
    this.#info = parseInfo(await this.#read(0), this.#length, this.#volume);
    const result = new Map<number, JournalChange>();
    if (this.#info.start === 0) return result; // it was closed
    const { changes, revoked, sequence } = await this.#scan();
    await this.#refuseFastCommits(sequence);
    for (const { target, journalBlock, escaped, sequence: own } of changes) {
      if ((revoked.get(target) ?? -1) >= own) continue; // it was given back afterwards, and may hold other things
      if (target >= this.#volume.blocks.count)
        throw damaged('journal', `block ${target} is outside of the file system`);
      result.set(target, { block: this.#place(journalBlock), escaped });
    }
    return result;
  }

  #has(feature: number): boolean {
    return (this.#info.features & feature) !== 0;
  }

  get #isSummed(): boolean {
    return this.#has(Feature.checksumV2) || this.#has(Feature.checksumV3);
  }

  /** Where a block of the journal is on the volume. */
  #place(block: number): number {
    let [low, high] = [0, this.#runs.length - 1];
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if ((this.#runs[middle]?.logical ?? 0) <= block) low = middle;
      else high = middle - 1;
    }
    const run = this.#runs[low];
    if (!run || block < run.logical || block >= run.logical + run.length) throw damaged('journal', `no block ${block}`);
    return run.physical + block - run.logical;
  }

  async #read(block: number): Promise<DataView> {
    const bytes = new Uint8Array(this.#volume.superblock.blockSize);
    await this.#volume.blocks.readInto(bytes, this.#place(block), 0, this.#options);
    return new DataView(bytes.buffer);
  }

  #after(block: number, count = 1): number {
    const { first, end } = this.#info;
    return block + count < end ? block + count : first + (block + count - end);
  }

  /** Goes from the start to the last commit. */
  async #scan(): Promise<{ changes: Change[]; revoked: Map<number, number>; sequence: number }> {
    const breathe = eventLoopYielder();
    const changes: Change[] = [];
    const revoked = new Map<number, number>();
    let { start: block, sequence } = this.#info;
    let pending: Change[] = [];
    let pendingRevokes: number[] = [];
    for (let seen = 0; seen <= this.#length; seen++) {
      await breathe();
      this.#options?.signal?.throwIfAborted();
      const view = await this.#read(block);
      if (view.getUint32(0) !== MAGIC || view.getUint32(8) !== sequence) break;
      const type = view.getUint32(4);
      if (type === Type.descriptor) {
        if (!this.#isTailRight(view)) break;
        const found = this.#tags(view, this.#after(block), sequence);
        pending.push(...found);
        seen += found.length;
        block = this.#after(block, 1 + found.length);
      } else if (type === Type.revoke) {
        if (!this.#isTailRight(view)) break;
        pendingRevokes.push(...this.#revoked(view));
        block = this.#after(block);
      } else if (type === Type.commit) {
        if (!this.#isCommitRight(view) || !(await this.#areDataRight(pending))) break;
        changes.push(...pending);
        for (const target of pendingRevokes) revoked.set(target, sequence);
        [pending, pendingRevokes] = [[], []];
        sequence = (sequence + 1) >>> 0;
        block = this.#after(block);
      } else break;
    }
    return { changes, revoked, sequence };
  }

  /** What a descriptor says of the blocks after it. */
  #tags(view: DataView, first: number, sequence: number): Change[] {
    const v3 = this.#has(Feature.checksumV3);
    const wide = this.#has(Feature.bit64);
    const size = v3 ? 16 : 12 + (this.#has(Feature.checksumV2) ? 2 : 0) - (wide ? 0 : 4);
    const end = view.byteLength - (this.#isSummed ? 4 : 0);
    const found: Change[] = [];
    for (let at = 12; at + size <= end; ) {
      const flags = v3 ? view.getUint32(at + 4) : view.getUint16(at + 6);
      const high = wide ? view.getUint32(at + 8) : 0;
      const checksum = v3
        ? view.getUint32(at + 12)
        : this.#has(Feature.checksumV2)
          ? view.getUint16(at + 4)
          : undefined;
      found.push({
        target: view.getUint32(at) + high * 2 ** 32,
        journalBlock: this.#after(first, found.length),
        escaped: (flags & Tag.escaped) !== 0,
        sequence,
        checksum,
      });
      at += size + (flags & Tag.sameUuid ? 0 : 16);
      if (flags & Tag.last) break;
    }
    return found;
  }

  #revoked(view: DataView): number[] {
    const wide = this.#has(Feature.bit64);
    const end = Math.min(view.getUint32(12), view.byteLength);
    const found: number[] = [];
    const size = wide ? 8 : 4;
    for (let at = 16; at + size <= end; at += size)
      found.push(wide ? Number(view.getBigUint64(at)) : view.getUint32(at));
    return found;
  }

  #sum(bytes: Uint8Array, before?: Uint8Array): number {
    const { checksum } = this.#volume;
    const initial = before ? checksum(before, this.#info.seed) : this.#info.seed;
    return ~checksum(bytes, initial) >>> 0;
  }

  /** Whether a descriptor or a revocation is whole: with its checksum in its last four bytes. */
  #isTailRight(view: DataView): boolean {
    if (!this.#isSummed) return true;
    const bytes = new Uint8Array(view.buffer.slice(0));
    bytes.fill(0, bytes.length - 4);
    return this.#sum(bytes) === view.getUint32(view.byteLength - 4);
  }

  #isCommitRight(view: DataView): boolean {
    if (!this.#isSummed) return true;
    const bytes = new Uint8Array(view.buffer.slice(0));
    bytes.fill(0, 16, 20);
    return this.#sum(bytes) === view.getUint32(16);
  }

  /** Whether the blocks of a transaction are whole. One that is torn was never promised, with its commit or without. */
  async #areDataRight(changes: readonly Change[]): Promise<boolean> {
    for (const { journalBlock, checksum, sequence } of changes) {
      if (checksum === undefined) return true;
      const before = new Uint8Array(4);
      new DataView(before.buffer).setUint32(0, sequence);
      const sum = this.#sum(new Uint8Array((await this.#read(journalBlock)).buffer), before);
      if ((this.#has(Feature.checksumV3) ? sum : sum & 0xffff) !== checksum) return false;
    }
    return true;
  }

  /** What was committed fast is in a format of its own, after the transactions: to leave it out would be to read old files. */
  async #refuseFastCommits(sequence: number): Promise<void> {
    const { end, fastBlocks } = this.#info;
    if (fastBlocks === 0) return;
    const view = await this.#read(end);
    const HEAD = 9; // a tag, its length, features, and the transaction that it belongs to, little-endian
    if (view.getUint16(0, true) === HEAD && view.getUint32(8, true) === sequence)
      throw unsupported('its journal has fast commits that are needed; mounting it once, or e2fsck, applies them');
  }
}

function parseInfo(view: DataView, length: number, { superblock, checksum }: ExtVolume): JournalInfo {
  const type = view.getUint32(4);
  if (view.getUint32(0) !== MAGIC || (type !== Type.superblockV1 && type !== Type.superblockV2))
    throw damaged('journal', 'has no superblock');
  const features = type === Type.superblockV2 ? view.getUint32(0x28) : 0;
  if (features & ~KNOWN) throw unsupported(`its journal has features that are not known: ${hex(features & ~KNOWN)}`);
  const [blockSize, maxLength, first] = [view.getUint32(0x0c), view.getUint32(0x10), view.getUint32(0x14)];
  const fastBlocks = features & Feature.fastCommit ? view.getUint32(0x54) || 256 : 0;
  const end = maxLength - fastBlocks;
  const [sequence, start] = [view.getUint32(0x18), view.getUint32(0x1c)];
  if (
    blockSize !== superblock.blockSize ||
    maxLength > length ||
    first < 1 ||
    end <= first ||
    start >= end ||
    (start > 0 && start < first)
  )
    throw damaged('journal', `blocks ${first} to ${end} of ${length}, from ${start} on`);
  const bytes = new Uint8Array(view.buffer);
  if (features & (Feature.checksumV2 | Feature.checksumV3)) verify(view, bytes, checksum);
  return { first, end, start, sequence, features, fastBlocks, seed: checksum(bytes.subarray(0x30, 0x40)) };
}

/** Holds the superblock of a journal, of 1024 bytes, against its checksum. */
function verify(view: DataView, bytes: Uint8Array, checksum: Checksum): void {
  const cleared = bytes.slice(0, 1024);
  cleared.fill(0, 0xfc, 0x100);
  const [stored, computed] = [view.getUint32(0xfc), ~checksum(cleared) >>> 0];
  if (stored !== computed) throw damaged('journal', `checksum is ${hex(stored)}, computed ${hex(computed)}`);
}

import { eventLoopYielder, InFlight } from '../../base/concurrency.js';
import { KiB } from '../../base/units.js';
import { zeroBytes } from '../../core/buffer-bytes.js';
import type { Core } from '../../core/instance.js';
import type { CopyOptions } from '../../disk/copy.js';
import { extentsOfSource, type Span } from '../../disk/pieces.js';
import { isLocal, Salvager } from '../../disk/salvage.js';
import type { RandomAccessSource } from '../../io/random-access.js';

/** What is read of a block first, in bytes: most blocks with data begin with some. */
const FIRST_READ = 64 * KiB;
/** Blocks that are looked at at a time. */
const BLOCKS_IN_FLIGHT = 4;

/** Which blocks of a disk have to be stored, a bit each. */
export class StoredBlocks {
  readonly blockSize: number;
  readonly #bits: Uint8Array;
  readonly #blocks: number;

  constructor(size: number, blockSize: number) {
    this.blockSize = blockSize;
    this.#blocks = Math.ceil(size / blockSize);
    this.#bits = new Uint8Array(Math.ceil(this.#blocks / 8));
  }

  /** Adds the blocks of a range of the disk, which is not empty. */
  add(offset: number, length: number): void {
    const last = Math.floor((offset + length - 1) / this.blockSize);
    for (let block = Math.floor(offset / this.blockSize); block <= last; block++) {
      this.#bits[block >>> 3] = (this.#bits[block >>> 3] as number) | (1 << (block & 7));
    }
  }

  /** The blocks by their numbers, in order. */
  *[Symbol.iterator](): Generator<number, undefined> {
    for (let block = 0; block < this.#blocks; block++) {
      if (this.#bits[block >>> 3] === 0) block |= 7;
      else if (((this.#bits[block >>> 3] as number) >> (block & 7)) & 1) yield block;
    }
    return undefined;
  }

  /** The same as ranges of the disk, those that follow one another joined. The last may end after the disk. */
  *runs(): Generator<Span, void> {
    let run: Span | undefined;
    for (const block of this) {
      const offset = block * this.blockSize;
      if (run && run.offset + run.length === offset) {
        run = { offset: run.offset, length: run.length + this.blockSize };
        continue;
      }
      if (run) yield run;
      run = { offset, length: this.blockSize };
    }
    if (run) yield run;
  }
}

/**
 * Finds the blocks of a source that have to be stored: by its extents, without reading payload, or if it knows none by
 * reading each block up to its first byte that is not zero.
 */
export async function findStoredBlocks(
  core: Core,
  source: RandomAccessSource,
  blockSize: number,
  options: CopyOptions,
): Promise<StoredBlocks> {
  const found = new StoredBlocks(source.size, blockSize);
  if (!source.extents) {
    await scanBlocks(core, source, found, options);
    return found;
  }
  const { signal, onProgress, onDamage } = options;
  const salvager = new Salvager(source, onDamage, signal);
  for await (const { offset, length, kind, code } of extentsOfSource(source, { signal })) {
    if (kind === 'data') found.add(offset, length);
    if (kind === 'damaged') {
      // Rejects with what is wrong there, before anything was sent.
      if (!onDamage || code === undefined) await source.readInto(new Uint8Array(1), offset, { signal });
      else salvager.tell({ offset, length, damage: code });
    }
    onProgress?.({ done: offset + length, total: source.size });
  }
  salvager.end();
  return found;
}

async function scanBlocks(
  core: Core,
  source: RandomAccessSource,
  found: StoredBlocks,
  { signal, onProgress, onDamage }: CopyOptions,
): Promise<void> {
  const { size } = source;
  const { blockSize } = found;
  const blocks = new InFlight(BLOCKS_IN_FLIGHT);
  const free = Array.from({ length: BLOCKS_IN_FLIGHT }, () => core.buffers.makePrivate()[0]);
  const scan = async (start: number): Promise<void> => {
    const buffer = free.pop();
    if (!buffer) throw new Error('more blocks are looked at than there are buffers');
    const end = Math.min(start + blockSize, size);
    try {
      for (let at = start, length = FIRST_READ; at < end; at += length, length = buffer.bytes.length) {
        const bytes = Math.min(length, end - at);
        await source.readInto(buffer.bytes.subarray(0, bytes), at, { signal });
        if (zeroBytes(core, buffer, 0, bytes) === bytes) continue;
        found.add(start, 1);
        return;
      }
    } catch (error) {
      if (!onDamage || !isLocal(error)) throw error;
      found.add(start, 1); // what is lost of it is found out when it is read again
    } finally {
      free.push(buffer);
    }
  };
  const yieldToEventLoop = eventLoopYielder();
  try {
    for (let start = 0; start < size && !blocks.failed; start += blockSize) {
      await yieldToEventLoop();
      signal?.throwIfAborted();
      await blocks.add(scan(start));
      onProgress?.({ done: Math.min(size, start + blockSize), total: size });
    }
  } catch (error) {
    blocks.fail(error);
  }
  await blocks.settle();
}

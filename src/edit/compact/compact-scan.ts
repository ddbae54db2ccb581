import { InFlight } from '../../base/concurrency.js';
import { KiB } from '../../base/units.js';
import { zeroBytes } from '../../core/buffer-bytes.js';
import { BAT_ENTRY_SIZE, PayloadState, readBatEntry } from '../../format/bat.js';
import { batPieces } from '../bat-pieces.js';
import type { JobImage } from '../job.js';
import type { CompactOptions } from './compact-report.js';
import { FreeRanges } from './free-ranges.js';

/** Blocks that are read at a time. */
const BLOCKS_IN_FLIGHT = 6;
/** Bytes that are read of a block first: as a rule they say already that it is not all zeros. */
const FIRST_BYTES = 4 * KiB;

/** Numbers of BAT entries, a bit for each. */
export class EntrySet {
  readonly #bits: Uint8Array;

  constructor(entries: number) {
    this.#bits = new Uint8Array(Math.ceil(entries / 8));
  }

  add(index: number): void {
    this.#bits[index >>> 3] = (this.#bits[index >>> 3] as number) | (1 << (index & 7));
  }

  has(index: number): boolean {
    return (((this.#bits[index >>> 3] as number) >>> (index & 7)) & 1) === 1;
  }

  /** Whether any of some entries is in the set; `first` is a multiple of 8. */
  hasAny(first: number, count: number): boolean {
    return this.#bits.subarray(first >>> 3, (first + count + 7) >>> 3).some((byte) => byte !== 0);
  }
}

/** Which BAT entries can give up their space. */
export interface Releases {
  /** Blocks of zeros, blocks that are free, places that trimmed blocks kept, sector bitmap blocks that no block needs. */
  readonly entries: EntrySet;
  /** Those of them that are in ranges that the caller knows to be free. */
  readonly free: EntrySet;
  readonly zeroBlocks: number;
  readonly freeBlocks: number;
  readonly isEmpty: boolean;
}

/** Finds out which entries can give up their space. Nothing is changed. */
export async function findReleases(image: JobImage, options: CompactOptions): Promise<Releases> {
  const { geometry } = image.examination;
  const ranges = options.free && new FreeRanges(options.free, geometry.virtualSize);
  const scan = new Scan(image, ranges, options);
  try {
    await scan.run();
    await ranges?.finish();
  } finally {
    await ranges?.close();
  }
  return scan;
}

class Scan implements Releases {
  readonly entries: EntrySet;
  readonly free: EntrySet;
  zeroBlocks = 0;
  freeBlocks = 0;
  isEmpty = true;
  readonly #image: JobImage;
  readonly #ranges: FreeRanges | undefined;
  readonly #options: CompactOptions;
  readonly #reads = new InFlight(BLOCKS_IN_FLIGHT);
  #doneBytes = 0;

  constructor(image: JobImage, ranges: FreeRanges | undefined, options: CompactOptions) {
    const { batEntries } = image.examination.geometry;
    this.entries = new EntrySet(batEntries);
    this.free = new EntrySet(batEntries);
    this.#image = image;
    this.#ranges = ranges;
    this.#options = options;
  }

  async run(): Promise<void> {
    const { examination, source } = this.#image;
    const { geometry, regions } = examination;
    const { signal } = this.#options;
    const period = geometry.chunkRatio + 1;
    // Whether a block of the present chunk stays partially present, and so needs the chunk's bitmap block.
    let needsBitmap = false;
    try {
      for await (const { first, count, view } of batPieces(source, regions.bat.offset, 0, geometry.batEntries, {
        signal,
      })) {
        for (let i = 0; i < count; i++) {
          const { state, offset } = readBatEntry(view, i * BAT_ENTRY_SIZE);
          const index = first + i;
          if (index % period === geometry.chunkRatio) {
            if (state === PayloadState.FullyPresent && !needsBitmap) this.#release(index);
            needsBitmap = false;
            continue;
          }
          if (offset === 0) continue;
          const stays = await this.#examine(index, state, offset);
          needsBitmap ||= stays && state === PayloadState.PartiallyPresent;
          if (this.#reads.failed) break;
        }
        if (this.#reads.failed) break;
      }
    } catch (error) {
      this.#reads.fail(error);
    }
    await this.#reads.settle();
  }

  /** Looks at a block that has a place in the file; false if it gives that up for certain. */
  async #examine(index: number, state: number, offset: number): Promise<boolean> {
    const { blockSize, virtualSize, chunkRatio } = this.#image.examination.geometry;
    const start = (index - Math.floor(index / (chunkRatio + 1))) * blockSize;
    const length = Math.min(blockSize, virtualSize - start);
    const isStored = state === PayloadState.FullyPresent || state === PayloadState.PartiallyPresent;
    if (!isStored) {
      if (state === PayloadState.Undefined || state === PayloadState.Unmapped) this.#release(index);
      return false;
    }
    if (await this.#ranges?.cover(start, start + length)) {
      this.#release(index);
      this.free.add(index);
      this.freeBlocks += 1;
      return false;
    }
    if (this.#options.scan === false || state !== PayloadState.FullyPresent) return true;
    await this.#reads.add(this.#releaseZeros(index, offset, length));
    return true;
  }

  #release(index: number): void {
    this.entries.add(index);
    this.isEmpty = false;
  }

  async #releaseZeros(index: number, offset: number, length: number): Promise<void> {
    const { core, source, counts, examination } = this.#image;
    const { signal, onProgress } = this.#options;
    const buffers = core.buffers.take() ?? core.buffers.makePrivate();
    const [buffer] = buffers;
    if (!buffer) throw new Error('compact: no buffer was lent');
    try {
      let isZero = true;
      for (let at = 0; isZero && at < length; ) {
        signal?.throwIfAborted();
        const bytes = Math.min(at === 0 ? FIRST_BYTES : buffer.bytes.length, length - at);
        await source.readInto(buffer.bytes.subarray(0, bytes), offset + at, { signal });
        isZero = zeroBytes(core, buffer, 0, bytes) === bytes;
        at += bytes;
      }
      if (isZero) {
        this.#release(index);
        this.zeroBlocks += 1;
      }
    } finally {
      core.buffers.release(buffers);
    }
    const { blockSize } = examination.geometry;
    this.#doneBytes += blockSize;
    // The second half of the bar is that of the moves.
    onProgress?.({ done: this.#doneBytes, total: 2 * blockSize * counts.fullyPresent });
  }
}

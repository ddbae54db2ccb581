import { checkRead, rangeOf } from '../base/byte-range.js';
import { hex } from '../base/bytes.js';
import { InFlight } from '../base/concurrency.js';
import type { RangeOptions } from '../base/options.js';
import { pushExtent } from '../disk/member.js';
import { VhdxError } from '../errors.js';
import { NOT_STORED } from '../format/vhd-header.js';
import type { Extent, RandomAccessSource, ReadOptions } from '../io/random-access.js';
import { type Finding, finding } from '../rules.js';
import { SECTOR, type VhdBlocks, type VhdImage } from './vhd-image.js';

/** Reads of one call that are in flight at a time. */
const READS_IN_FLIGHT = 8;
/** Bitmaps that are kept. */
const BITMAPS = 128;

/** A run of a disk: data in the file, nothing (zeros, or what the parent has), or damage. */
interface Run {
  readonly offset: number;
  readonly length: number;
  readonly kind: 'data' | 'none' | 'damaged';
  readonly fileOffset: number;
}

/** Reads the disk of a VHD through its BAT and the bitmaps of its blocks. */
export class VhdReader {
  readonly size: number;
  readonly #image: VhdImage;
  readonly #parent: RandomAccessSource | undefined;
  readonly #bitmaps = new Map<number, Promise<Uint8Array>>();

  constructor(image: VhdImage, parent: RandomAccessSource | undefined) {
    this.#image = image;
    this.#parent = parent;
    this.size = image.footer.currentSize;
  }

  async readInto(target: Uint8Array, offset: number, options?: ReadOptions): Promise<void> {
    options?.signal?.throwIfAborted();
    checkRead(this.size, target, offset);
    const reads = new InFlight(READS_IN_FLIGHT);
    try {
      for await (const run of this.#runs(offset, target.length, options)) {
        if (reads.failed) break;
        const part = target.subarray(run.offset - offset, run.offset - offset + run.length);
        if (run.kind === 'damaged') throw VhdxError.from(this.#damage(Math.floor(run.offset / this.#blockSize)));
        if (run.kind === 'data') await reads.add(this.#image.source.readInto(part, run.fileOffset, options));
        else if (this.#image.type !== 'differencing') part.fill(0);
        else if (this.#parent) await reads.add(this.#parent.readInto(part, run.offset, options));
        else throw this.#parentMissing(run);
      }
    } catch (error) {
      reads.fail(error);
    }
    await reads.settle();
  }

  async *extents(options: RangeOptions = {}, depth = 0): AsyncGenerator<Extent> {
    const { offset, length } = rangeOf(this.size, options);
    let held: Extent[] = [];
    for await (const run of this.#runs(offset, length, options)) {
      if (run.kind === 'data') {
        pushExtent(held, { ...run, kind: 'data', depth });
      } else if (run.kind === 'damaged') {
        pushExtent(held, { offset: run.offset, length: run.length, kind: 'damaged', depth, code: 'vhd-block' });
      } else if (this.#image.type !== 'differencing') {
        pushExtent(held, { offset: run.offset, length: run.length, kind: 'unmapped', depth });
      } else if (!this.#parent?.extents) {
        pushExtent(held, { offset: run.offset, length: run.length, kind: 'damaged', depth, code: 'parent-missing' });
      } else {
        const { signal } = options;
        for await (const extent of this.#parent.extents({ offset: run.offset, length: run.length, signal })) {
          pushExtent(held, { ...extent, depth: extent.depth + 1 });
        }
      }
      if (held.length < 2) continue;
      yield* held.slice(0, -1);
      held = held.slice(-1); // it may go on
    }
    yield* held;
  }

  /** What is wrong with blocks, found in the BAT alone. */
  damages(): Finding[] {
    const { blocks } = this.#image;
    const found: Finding[] = [];
    blocks?.bat.forEach((sector, block) => {
      if (sector !== NOT_STORED && this.#isDamaged(blocks, block, sector)) found.push(this.#damage(block));
    });
    return found;
  }

  /**
   * Findings for blocks of a dynamic disk with bytes in sectors that were never written, by their bitmaps: they read as
   * zeros, and other readers may show them.
   */
  async strayBytes(options: ReadOptions): Promise<Finding[]> {
    const { blocks, type, source } = this.#image;
    if (!blocks || type !== 'dynamic') return [];
    const found: Finding[] = [];
    for (const [block, sector] of blocks.bat.entries()) {
      options.signal?.throwIfAborted();
      if (sector === NOT_STORED || this.#isDamaged(blocks, block, sector)) continue;
      const bitmap = await this.#bitmap(blocks, block, options);
      const start = block * blocks.header.blockSize;
      const next = Math.min(this.size, start + blocks.header.blockSize);
      const place = { at: start, next, start, data: sector * SECTOR + blocks.bitmapSize };
      for (const { kind, fileOffset, length } of runsOfBlock(bitmap, place)) {
        if (kind === 'data') continue;
        const bytes = new Uint8Array(length);
        await source.readInto(bytes, fileOffset, options);
        if (bytes.every((byte) => byte === 0)) continue;
        const message = `block ${block} has bytes in sectors that were never written, by its bitmap; they read as zeros`;
        const at = { structure: `BAT entry ${block}`, offset: fileOffset, facts: { block } };
        found.push(finding('vhd-stray-bytes', message, at));
        break;
      }
    }
    return found;
  }

  get #blockSize(): number {
    return this.#image.blocks?.header.blockSize ?? this.size;
  }

  async *#runs(offset: number, length: number, options: ReadOptions | undefined): AsyncGenerator<Run> {
    const { blocks } = this.#image;
    if (!blocks) {
      if (length > 0) yield { offset, length, kind: 'data', fileOffset: offset };
      return;
    }
    const { blockSize } = blocks.header;
    const end = offset + length;
    for (let at = offset; at < end; ) {
      const block = Math.floor(at / blockSize);
      const start = block * blockSize;
      const sector = blocks.bat[block] as number;
      const next = Math.min(end, start + blockSize);
      if (sector === NOT_STORED) {
        yield { offset: at, length: next - at, kind: 'none', fileOffset: 0 };
      } else if (this.#isDamaged(blocks, block, sector)) {
        yield { offset: at, length: next - at, kind: 'damaged', fileOffset: 0 };
      } else {
        const bitmap = await this.#bitmap(blocks, block, options);
        yield* runsOfBlock(bitmap, { at, next, start, data: sector * SECTOR + blocks.bitmapSize });
      }
      at = next;
    }
  }

  #isDamaged({ bitmapSize, header, shared, bat }: VhdBlocks, block: number, sector: number): boolean {
    const needed = Math.min(header.blockSize, this.size - block * header.blockSize);
    const place = sector * SECTOR;
    if (place + bitmapSize + needed > this.#image.dataEnd || shared.has(sector)) return true;
    // The copy of the footer, the header and the BAT.
    const others = [
      [0, SECTOR],
      [this.#image.footer.dataOffset, 1024],
      [header.batOffset, bat.length * 4],
    ] as const;
    return others.some(([start, length]) => place < start + length && start < place + bitmapSize + needed);
  }

  #damage(block: number): Finding {
    const blocks = this.#image.blocks as VhdBlocks;
    const { blockSize, batOffset } = blocks.header;
    const sector = blocks.bat[block] as number;
    const why = blocks.shared.has(sector)
      ? 'overlaps another block'
      : 'is not inside the file, or overlaps a structure';
    const offset = block * blockSize;
    return finding('vhd-block', `block ${block} at ${hex(sector * SECTOR)} ${why}`, {
      structure: `BAT entry ${block}`,
      offset: batOffset + block * 4,
      facts: { batEntry: block, block, range: { offset, length: Math.min(blockSize, this.size - offset) } },
    });
  }

  #parentMissing({ offset, length }: Run): VhdxError {
    const message = `the disk's bytes at ${hex(offset)} are in its parent, and the parent is not available`;
    return new VhdxError('parent-missing', message, {
      structure: 'parent locator',
      facts: { range: { offset, length } },
    });
  }

  #bitmap({ bat, bitmapSize }: VhdBlocks, block: number, options: ReadOptions | undefined): Promise<Uint8Array> {
    const known = this.#bitmaps.get(block);
    if (known !== undefined) return known;
    const bytes = new Uint8Array(bitmapSize);
    // Without the signal: another read may wait for it too.
    const loading = this.#image.source.readInto(bytes, (bat[block] as number) * SECTOR).then(() => bytes);
    loading.catch(() => this.#bitmaps.delete(block));
    if (this.#bitmaps.size >= BITMAPS) this.#bitmaps.delete(this.#bitmaps.keys().next().value as number);
    this.#bitmaps.set(block, loading);
    options?.signal?.throwIfAborted();
    return loading;
  }
}

/** The runs of a part of a stored block: bit 7 of the first byte is its first sector, 1 says that it is here. */
function* runsOfBlock(
  bitmap: Uint8Array,
  { at, next, start, data }: { at: number; next: number; start: number; data: number },
): Generator<Run> {
  const isHere = (sector: number) => (((bitmap[sector >>> 3] as number) >>> (7 - (sector & 7))) & 1) === 1;
  for (let from = at; from < next; ) {
    const first = Math.floor((from - start) / SECTOR);
    const here = isHere(first);
    let sector = first + 1;
    const last = Math.ceil((next - start) / SECTOR);
    const whole = here ? 0xff : 0;
    while (sector < last && isHere(sector) === here) {
      if ((sector & 7) === 0 && bitmap[sector >>> 3] === whole) sector += 8;
      else sector += 1;
    }
    const to = Math.min(next, start + sector * SECTOR);
    yield { offset: from, length: to - from, kind: here ? 'data' : 'none', fileOffset: data + from - start };
    from = to;
  }
}

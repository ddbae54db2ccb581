import { viewOf } from '../base/bytes.js';
import { eventLoopYielder } from '../base/concurrency.js';
import { KiB, MiB } from '../base/units.js';
import {
  BAT_ENTRY_SIZE,
  bitmapEntryIndex,
  PayloadState,
  readBatEntry,
  SECTOR_BITMAP_BLOCK_SIZE,
} from '../format/bat.js';
import type { RandomAccessSource, ReadOptions } from '../io/random-access.js';
import type { TranslatorImage } from './translator.js';

/** Space in the file that was handed out. */
export interface Allocation {
  /** First byte, a multiple of 1 MiB. */
  readonly offset: number;
  /** Whether all of it reads as zeros: it lies past everything that the file held when the session began. */
  readonly zeros: boolean;
}

/**
 * Which MiB of a file are in use: one bit for each, 8 MiB of them for a file of 64 TiB. Everything in a VHDX file lies
 * at multiples of 1 MiB ([MS-VHDX] 2.1), blocks of any size among them.
 *
 * The lowest space that is long enough is taken first, so that the file stays short; past the last structure there is
 * always more. The caller lengthens the file and decides when freed space may be used again.
 */
export class Space {
  #bits: Uint8Array;
  /** The MiB after the last one in use. */
  #end: number;
  /** Space from here on was never used in this session, and holds zeros. */
  #zerosFrom: number;
  /** No free MiB lies below this one. */
  #lowestFree = 0;
  /** Free MiB below the end. */
  #holes: number;
  /** As many free MiB in a row, or more, are not to be found below the end. */
  #missingRun = Number.POSITIVE_INFINITY;

  /**
   * @param bits a bit for each MiB of the file, set if it is in use; the lowest bit of a byte first
   * @param units how many MiB the bits cover
   */
  constructor(bits: Uint8Array, units: number) {
    this.#bits = bits;
    this.#end = 0;
    let used = 0;
    for (let unit = 0; unit < units; unit++) {
      if (!this.#isUsed(unit)) continue;
      used += 1;
      this.#end = unit + 1;
    }
    this.#holes = this.#end - used;
    this.#zerosFrom = this.#end;
  }

  /** Marks space that something owns beyond what the bits say. */
  cover(offset: number, length: number): void {
    for (let unit = offset / MiB; unit < (offset + length) / MiB; unit++) {
      if (this.#isUsed(unit)) continue;
      this.#mark(unit, 1, true);
      this.#holes += unit < this.#end ? -1 : unit - this.#end;
      this.#end = Math.max(this.#end, unit + 1);
    }
    this.#zerosFrom = this.#end;
  }

  /** End of the last structure, in bytes: what the file must be long at least. */
  get end(): number {
    return this.#end * MiB;
  }

  /** How much is in use up to there, in bytes. */
  get used(): number {
    return (this.#end - this.#holes) * MiB;
  }

  /**
   * Takes the lowest hole of `length` bytes that lies from `start` on and ends at `end` or before; all of them multiples
   * of 1 MiB. Returns its offset, or undefined if there is none. What it held is still there.
   */
  takeHole(length: number, start: number, end: number): number | undefined {
    const units = length / MiB;
    let run = 0;
    for (let unit = start / MiB; unit < Math.min(this.#end, end / MiB); unit++) {
      run = this.#isUsed(unit) ? 0 : run + 1;
      if (run < units) continue;
      this.#mark(unit - units + 1, units, true);
      this.#holes -= units;
      return (unit - units + 1) * MiB;
    }
    return undefined;
  }

  /** Takes `length` bytes, a multiple of 1 MiB, in one piece. */
  allocate(length: number): Allocation {
    const units = length / MiB;
    const unit = this.#findHole(units) ?? this.#end;
    this.#mark(unit, units, true);
    this.#holes -= Math.min(units, Math.max(0, this.#end - unit));
    this.#end = Math.max(this.#end, unit + units);
    const zeros = unit >= this.#zerosFrom;
    this.#zerosFrom = Math.max(this.#zerosFrom, this.#end);
    return { offset: unit * MiB, zeros };
  }

  /** Gives space back. What it held is still there. */
  free(offset: number, length: number): void {
    const [unit, units] = [offset / MiB, length / MiB];
    this.#mark(unit, units, false);
    this.#holes += units;
    this.#lowestFree = Math.min(this.#lowestFree, unit);
    this.#missingRun = Number.POSITIVE_INFINITY;
    while (this.#end > 0 && !this.#isUsed(this.#end - 1)) {
      this.#end -= 1;
      this.#holes -= 1;
    }
  }

  #findHole(units: number): number | undefined {
    if (this.#holes < units || units >= this.#missingRun) return undefined;
    let run = 0;
    let first = true;
    for (let unit = this.#lowestFree; unit < this.#end; unit++) {
      if (unit % 8 === 0 && this.#bits[unit >>> 3] === 0xff) {
        run = 0;
        unit += 7;
        continue;
      }
      if (this.#isUsed(unit)) {
        run = 0;
        continue;
      }
      if (first) this.#lowestFree = unit;
      first = false;
      run += 1;
      if (run === units) return unit - units + 1;
    }
    this.#missingRun = units;
    return undefined;
  }

  #isUsed(unit: number): boolean {
    return (((this.#bits[unit >>> 3] ?? 0) >>> (unit & 7)) & 1) === 1;
  }

  #mark(unit: number, units: number, used: boolean): void {
    const needed = Math.ceil((unit + units) / 8);
    if (needed > this.#bits.length) {
      const longer = new Uint8Array(Math.max(needed, 2 * this.#bits.length));
      longer.set(this.#bits);
      this.#bits = longer;
    }
    for (let i = unit; i < unit + units; i++) {
      if (this.#isUsed(i) === used) throw new Error(`space: MiB ${i} is ${used ? 'in use already' : 'free already'}`);
      const bit = 1 << (i & 7);
      const byte = this.#bits[i >>> 3] as number;
      this.#bits[i >>> 3] = used ? byte | bit : byte & ~bit;
    }
  }
}

/** The greatest state; an entry with nothing but a state leads nowhere. */
const MAX_STATE = 7;

/** Bytes of a BAT that are read at a time. */
const BAT_PIECE = 256 * KiB;

/**
 * Reads from the BAT which space of a file is in use: that of structures, of blocks that are stored, and of undefined
 * and unmapped blocks that still own a place ([MS-VHDX] 2.5.1.1). A last block that reaches past the end of the file,
 * where nothing of the disk is, owns that space too.
 */
export async function readSpace(
  source: RandomAccessSource,
  { geometry, batOffset, reserved }: TranslatorImage,
  options?: ReadOptions,
): Promise<Space> {
  const space = new Space(new Uint8Array(), 0);
  space.cover(0, MiB);
  for (const { offset, length } of reserved) space.cover(offset, length);
  const yieldToEventLoop = eventLoopYielder();
  const bytes = new Uint8Array(Math.min(BAT_PIECE, geometry.batEntries * BAT_ENTRY_SIZE));
  const view = viewOf(bytes);
  const perPiece = bytes.length / BAT_ENTRY_SIZE;
  for (let first = 0; first < geometry.batEntries; first += perPiece) {
    options?.signal?.throwIfAborted();
    await yieldToEventLoop();
    const count = Math.min(perPiece, geometry.batEntries - first);
    await source.readInto(bytes.subarray(0, count * BAT_ENTRY_SIZE), batOffset + first * BAT_ENTRY_SIZE, options);
    for (let i = 0; i < count; i++) {
      const at = i * BAT_ENTRY_SIZE;
      // Most entries of a large disk lead nowhere: no object is made of each.
      if (view.getUint32(at, true) <= MAX_STATE && view.getUint32(at + 4, true) === 0) continue;
      const { state, offset } = readBatEntry(view, at);
      if (offset === 0 || !OWNS_SPACE.has(state)) continue;
      const chunk = Math.floor((first + i) / (geometry.chunkRatio + 1));
      const isBitmap = first + i === bitmapEntryIndex(geometry, chunk);
      space.cover(offset, isBitmap ? SECTOR_BITMAP_BLOCK_SIZE : geometry.blockSize);
    }
  }
  return space;
}

/** States of blocks that own the place in their entries. */
const OWNS_SPACE: ReadonlySet<number> = new Set([
  PayloadState.Undefined,
  PayloadState.Unmapped,
  PayloadState.FullyPresent,
  PayloadState.PartiallyPresent,
]);

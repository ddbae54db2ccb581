import * as numbers from './core-numbers.generated.js';
import type { Core } from './instance.js';

/**
 * What an extent of one image is: a payload block state of [MS-VHDX] 2.5.1.1 or, from 8 on, why it cannot be read.
 * Most come from the core; that a block overlaps a structure or shares its place is found by the host.
 */
export const Kind = {
  /** In the parent, or zeros if there is none. */
  NotPresent: numbers.NOT_PRESENT,
  Zero: numbers.ZERO,
  /** The last of the kinds that have nothing stored: from here down they are zeros or the parent's. */
  Unmapped: numbers.UNMAPPED,
  /** Stored in the file. */
  Data: numbers.FULLY_PRESENT,
  /** Some sectors in the file, some in the parent: the sector bitmap says which. */
  Partial: numbers.PARTIALLY_PRESENT,
  ReservedState: numbers.RESERVED_STATE,
  PartialWithoutParent: numbers.PARTIAL_WITHOUT_PARENT,
  OffsetMissing: numbers.OFFSET_MISSING,
  OffsetRange: numbers.OFFSET_RANGE,
  PastEnd: numbers.PAST_END,
  OverlapsStructure: numbers.OVERLAPS_STRUCTURE,
  BitmapState: numbers.BITMAP_STATE,
  BitmapMissing: numbers.BITMAP_MISSING,
  /** The block shares its place in the file with another one. */
  SharedPlace: numbers.SHARED_PLACE,
  /** The sector bitmap block of its chunk does. */
  SharedBitmap: numbers.SHARED_BITMAP,
} as const;

/** Bytes of a page of a BAT or of a sector bitmap block. */
export const PAGE_BYTES = numbers.PAGE_BYTES;

/** A range of the virtual disk, by one image's BAT and bitmaps. Numbers in bytes. */
export interface RawExtent {
  readonly offset: number;
  readonly length: number;
  /** One of {@link Kind}, or another payload block state. */
  readonly kind: number;
  /** File offset of its first byte, if it has data in the file. */
  readonly fileOffset: number;
}

/** How far a call of the core came. */
export interface Outcome {
  /** The offset on the disk that it reached; of a scan, the BAT entry. */
  readonly reached: number;
  /** The page that it lacks, to be loaded before it is called again; -1 if it lacks none. */
  readonly missing: number;
}

/** The BAT entry of a sector bitmap block, or the BAT page that must be loaded to know it. */
export type BitmapEntry = { readonly missing: number } | { readonly state: number; readonly fileOffset: number };

/** Bytes of a bin by what they are, as {@link BatCalls.usage} gives them: the place of each in the sums. */
export const USAGE_CLASSES = {
  data: numbers.USAGE_DATA,
  zero: numbers.USAGE_ZERO,
  unmapped: numbers.USAGE_UNMAPPED,
  parent: numbers.USAGE_PARENT,
  partial: numbers.USAGE_PARTIAL,
  damaged: numbers.USAGE_DAMAGED,
} as const;

/** Bytes of the sums of some bins. */
export const usageBytes = (bins: number): number => bins * numbers.USAGE_CLASSES * 8;

/** The part of a disk's geometry that its BAT is walked by. Sizes in bytes. */
export interface BatShape {
  readonly virtualSize: number;
  readonly blockSize: number;
  readonly logicalSectorSize: number;
  readonly hasParent: boolean;
  readonly chunkRatio: number;
  readonly payloadBlocks: number;
  readonly batEntries: number;
}

/**
 * The calls of the core that walk one image's BAT and sector bitmaps, on the pages of them that are loaded, and what
 * they give, by name. Only this file and scan-calls.ts know how core and host pass each other numbers: the core writes
 * its answers into its memory, and they are good until the next call of any of these.
 */
export class BatCalls {
  /** The number under which the core keeps the image's pages. */
  readonly disk: number;
  readonly #core: Core;
  readonly #exports: Core['exports'];
  readonly #header: Float64Array;
  readonly #extents: Float64Array;
  readonly #hasParent: boolean;
  readonly #blockShift: number;
  readonly #ratioShift: number;
  readonly #sectorShift: number;

  constructor(core: Core, disk: number, shape: BatShape) {
    this.disk = disk;
    this.#core = core;
    this.#exports = core.exports;
    this.#header = core.header;
    this.#extents = core.extents;
    this.#hasParent = shape.hasParent;
    this.#blockShift = Math.log2(shape.blockSize);
    this.#ratioShift = Math.log2(shape.chunkRatio);
    this.#sectorShift = Math.log2(shape.logicalSectorSize);
  }

  /**
   * Translates a range that is inside the disk, as far as pages and room for extents go, and returns the number of
   * extents. They and the {@link outcome} stay in the core's memory until the next call.
   */
  translate(offset: number, length: number, fileSize: number): number {
    const [block, ratio] = [this.#blockShift, this.#ratioShift];
    return this.#exports.translate(this.disk, offset, length, block, ratio, fileSize, this.#hasParent);
  }

  /** How far the call before this one came. */
  outcome(): Outcome {
    return { reached: this.#reached, missing: this.#missing };
  }

  /** The extent of the translation before, if it gave just this one and reached `end`. */
  onlyExtent(count: number, end: number): RawExtent | undefined {
    return count === 1 && this.#header[numbers.HEADER_REACHED] === end ? this.#extentAt(0) : undefined;
  }

  /**
   * Splits a range inside one partially present block, whose first byte would be at `fileOffset`, into what is in the
   * file and what is in the parent; returns as {@link translate} does.
   */
  splitPartial(offset: number, length: number, fileOffset: number, fileSize: number): number {
    return this.#exports.splitPartial(this.disk, offset, length, fileOffset, this.#sectorShift, fileSize);
  }

  #extentAt(index: number): RawExtent {
    const extents = this.#extents;
    const at = numbers.EXTENT_FIELDS * index;
    return {
      offset: extents[at + numbers.EXTENT_OFFSET] as number,
      length: extents[at + numbers.EXTENT_LENGTH] as number,
      kind: extents[at + numbers.EXTENT_KIND] as number,
      fileOffset: extents[at + numbers.EXTENT_FILE_OFFSET] as number,
    };
  }

  /** The extents of the call before this one. */
  extents(count: number): RawExtent[] {
    const extents: RawExtent[] = [];
    for (let i = 0; i < count; i++) extents.push(this.#extentAt(i));
    return extents;
  }

  /** Looks up the BAT entry of a sector bitmap block by its index. */
  bitmapEntry(index: number): BitmapEntry {
    const state = this.#exports.sectorBitmapEntry(this.disk, index);
    const missing = this.#missing;
    return missing < 0 ? { state, fileOffset: this.#result } : { missing };
  }

  /**
   * Adds up what a range consists of, into bins of `binBytes` in the scratch area of which the first begins at
   * `origin`, as far as the BAT page reaches that holds the range's first block. From `storedSize` on, the file has only
   * holes that replay adds.
   */
  addUsage(
    offset: number,
    end: number,
    file: { readonly size: number; readonly storedSize: number },
    origin: number,
    binBytes: number,
  ): Outcome {
    this.#exports.addUsage(
      this.disk,
      offset,
      end,
      this.#blockShift,
      this.#ratioShift,
      file.size,
      file.storedSize,
      this.#hasParent,
      origin,
      binBytes,
      this.#core.scratch.address,
    );
    return this.outcome();
  }

  /** The sums of one class, one for each bin. */
  usage(name: keyof typeof USAGE_CLASSES, bins: number): Float64Array {
    const sums = new Float64Array(this.#core.bytes.buffer, this.#core.scratch.address, bins * numbers.USAGE_CLASSES);
    const place = USAGE_CLASSES[name];
    return Float64Array.from({ length: bins }, (_, bin) => sums[bin * numbers.USAGE_CLASSES + place] as number);
  }

  get #reached(): number {
    return this.#header[numbers.HEADER_REACHED] as number;
  }

  get #missing(): number {
    return this.#header[numbers.HEADER_MISSING] as number;
  }

  get #result(): number {
    return this.#header[numbers.HEADER_RESULT] as number;
  }
}

/** The number of a page of a sector bitmap; `page` counts the pages of all bitmaps from the start of the disk. */
export const bitmapPage = (page: number): number => numbers.BITMAP_PAGE + page;

/** The page of a sector bitmap that a number from {@link bitmapPage} is about. */
export const pageOfBitmap = (number: number): number => number - numbers.BITMAP_PAGE;

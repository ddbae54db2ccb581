import * as numbers from './core-numbers.generated.js';
import type { Core } from './instance.js';

/**
 * What an extent of one image is: a payload block state of [MS-VHDX] 2.5.1.1 or, from 8 on, why it cannot be read.
 * Most come from the core; that a block overlaps a structure is found by the host.
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
} as const;

/** What a scan finds wrong with an entry beside the kinds from 8 on. */
export const Problem = {
  ReservedBits: numbers.RESERVED_BITS,
  DraftState: numbers.DRAFT_STATE,
  SharedPlace: numbers.SHARED_PLACE,
  BitmapUnexpected: numbers.BITMAP_UNEXPECTED,
  UnusedBitmapState: numbers.UNUSED_BITMAP_STATE,
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
  /** The offset that it reached; of a scan, the BAT entry. */
  readonly reached: number;
  /** The page that it lacks, to be loaded before it is called again; -1 if it lacks none. */
  readonly missing: number;
}

/** Outcome of a step of a scan. */
export interface ScanStep extends Outcome {
  /** Whether the chunk in which it stopped has a partially present block: the next step must know. */
  readonly partial: boolean;
  readonly problems: readonly BatProblem[];
}

/** Something wrong with a BAT entry. */
export interface BatProblem {
  /** Number of the entry. */
  readonly index: number;
  /** One of {@link Kind} from 8 on, or of {@link Problem}. */
  readonly kind: number;
  /** State in the entry. */
  readonly state: number;
  readonly fileOffset: number;
}

/** The BAT entry of a sector bitmap block, or the BAT page that must be loaded to know it. */
export type BitmapEntry = { readonly missing: number } | { readonly state: number; readonly fileOffset: number };

/** What a step of a scan counted. */
export interface ScanCounts {
  /** Payload blocks by state, 0 to 7. */
  readonly states: readonly number[];
  /** Sector bitmap blocks that are present. */
  readonly bitmaps: number;
  /** Undefined and unmapped blocks that still own a place in the file. */
  readonly anchors: number;
  /** Payload blocks that cannot be read, or not all of them. */
  readonly bad: number;
  /** File offset of the first payload block; Infinity if there is none. */
  readonly lowest: number;
  /** The highest file offset that any entry refers to. */
  readonly highest: number;
}

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
 * they give, by name. Nothing else knows how core and host pass each other numbers: the core writes its answers into
 * its memory, and they are good until the next call of any of these.
 */
export class BatCalls {
  /** The number under which the core keeps the image's pages. */
  readonly disk: number;
  readonly #core: Core;
  readonly #exports: Core['exports'];
  readonly #floats: Float64Array;
  readonly #shape: BatShape;
  readonly #hasParent: boolean;
  readonly #blockShift: number;
  readonly #ratioShift: number;
  readonly #sectorShift: number;
  readonly #header: number;
  readonly #extents: number;

  constructor(core: Core, disk: number, shape: BatShape) {
    this.disk = disk;
    this.#core = core;
    this.#exports = core.exports;
    this.#floats = core.floats;
    this.#shape = shape;
    this.#hasParent = shape.hasParent;
    this.#blockShift = Math.log2(shape.blockSize);
    this.#ratioShift = Math.log2(shape.chunkRatio);
    this.#sectorShift = Math.log2(shape.logicalSectorSize);
    this.#header = core.layout.extentsHeader / 8;
    this.#extents = core.layout.extents / 8;
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
    return count === 1 && this.#floats[this.#header + numbers.HEADER_REACHED] === end ? this.#extentAt(0) : undefined;
  }

  /**
   * Splits a range inside one partially present block, whose first byte would be at `fileOffset`, into what is in the
   * file and what is in the parent; returns as {@link translate} does.
   */
  splitPartial(offset: number, length: number, fileOffset: number, fileSize: number): number {
    return this.#exports.splitPartial(this.disk, offset, length, fileOffset, this.#sectorShift, fileSize);
  }

  #extentAt(index: number): RawExtent {
    const floats = this.#floats;
    const at = this.#extents + numbers.EXTENT_FIELDS * index;
    return {
      offset: floats[at + numbers.EXTENT_OFFSET] as number,
      length: floats[at + numbers.EXTENT_LENGTH] as number,
      kind: floats[at + numbers.EXTENT_KIND] as number,
      fileOffset: floats[at + numbers.EXTENT_FILE_OFFSET] as number,
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
   * Checks BAT entries from `first` on, as far as the page reaches that holds it, and marks in the map what they occupy.
   * `anchors`: only marks what unmapped and undefined blocks still own.
   */
  scan(first: number, fileSize: number, partial: boolean, anchors: boolean): ScanStep {
    const { virtualSize, payloadBlocks, batEntries, hasParent } = this.#shape;
    const found = this.#exports.scanBat(
      this.disk,
      first,
      batEntries,
      payloadBlocks,
      this.#blockShift,
      this.#ratioShift,
      virtualSize,
      fileSize,
      hasParent,
      partial,
      anchors,
    );
    const problems: BatProblem[] = [];
    for (let i = 0; i < found; i++) problems.push(this.#problemAt(i));
    return { reached: this.#reached, missing: this.#missing, partial: this.#result !== 0, problems };
  }

  /** What the last step of a scan counted. */
  scanCounts(): ScanCounts {
    const start = this.#core.layout.scanCounts / 8;
    const counts = this.#floats.subarray(start, start + numbers.COUNTS);
    const count = (place: number): number => counts[place] as number;
    return {
      states: [0, 1, 2, 3, 4, 5, 6, 7].map(count),
      bitmaps: count(numbers.COUNT_BITMAPS),
      anchors: count(numbers.COUNT_ANCHORS),
      bad: count(numbers.COUNT_BAD),
      lowest: count(numbers.LOWEST_BLOCK),
      highest: count(numbers.HIGHEST_BLOCK),
    };
  }

  /**
   * Adds up what a range consists of, into bins of `binBytes` in the scratch area of which the first begins at
   * `origin`, as far as the BAT page reaches that holds the range's first block.
   */
  addUsage(offset: number, end: number, fileSize: number, origin: number, binBytes: number): Outcome {
    this.#exports.addUsage(
      this.disk,
      offset,
      end,
      this.#blockShift,
      this.#ratioShift,
      fileSize,
      this.#hasParent,
      origin,
      binBytes,
      this.#core.scratch.address,
    );
    return this.outcome();
  }

  /** The sums of one class, one for each bin. */
  usage(name: keyof typeof USAGE_CLASSES, bins: number): Float64Array {
    const floats = this.#floats;
    const start = this.#core.scratch.address / 8 + USAGE_CLASSES[name];
    return Float64Array.from({ length: bins }, (_, bin) => floats[start + bin * numbers.USAGE_CLASSES] as number);
  }

  get #reached(): number {
    return this.#floats[this.#header + numbers.HEADER_REACHED] as number;
  }

  get #missing(): number {
    return this.#floats[this.#header + numbers.HEADER_MISSING] as number;
  }

  get #result(): number {
    return this.#floats[this.#header + numbers.HEADER_RESULT] as number;
  }

  #problemAt(i: number): BatProblem {
    const value = (field: number) => this.#floats[this.#extents + numbers.EXTENT_FIELDS * i + field] as number;
    return {
      index: value(numbers.PROBLEM_ENTRY),
      kind: value(numbers.PROBLEM_KIND),
      state: value(numbers.PROBLEM_STATE),
      fileOffset: value(numbers.PROBLEM_FILE_OFFSET),
    };
  }
}

/** The number of a page of a sector bitmap; `page` counts the pages of all bitmaps from the start of the disk. */
export const bitmapPage = (page: number): number => numbers.BITMAP_PAGE + page;

/** The page of a sector bitmap that a number from {@link bitmapPage} is about. */
export const pageOfBitmap = (number: number): number => number - numbers.BITMAP_PAGE;

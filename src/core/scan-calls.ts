import { MiB } from '../base/units.js';
import type { BatShape, Outcome } from './bat-calls.js';
import * as numbers from './core-numbers.generated.js';
import type { Core } from './instance.js';

/** What a pass of a scan does with the BAT entries of a part of the file. */
export const Pass = {
  /** Checks them and marks the places of blocks in the map. */
  Mark: numbers.PASS_MARK,
  /** Lists the blocks that share a place. */
  Shared: numbers.PASS_SHARED,
  /** Marks the places that undefined and unmapped blocks keep, and lists those that another block has. */
  Anchors: numbers.PASS_ANCHORS,
} as const;

/** What a scan finds wrong with an entry, beside the kinds of extents from 8 on. */
export const Problem = {
  SharedPlace: numbers.SHARED_PLACE,
  SharedBitmap: numbers.SHARED_BITMAP,
  ReservedBits: numbers.RESERVED_BITS,
  DraftState: numbers.DRAFT_STATE,
  BitmapUnexpected: numbers.BITMAP_UNEXPECTED,
  /** Of a sector bitmap block that no partially present block needs. */
  UnusedBitmapState: numbers.UNUSED_BITMAP_STATE,
  UnusedBitmapShared: numbers.UNUSED_BITMAP_SHARED,
  /** An undefined or unmapped block keeps a place that another block or a structure has. */
  AnchorShared: numbers.ANCHOR_SHARED,
  AnchorPastEnd: numbers.ANCHOR_PAST_END,
} as const;

/** Something wrong with a BAT entry. */
export interface BatProblem {
  /** Number of the entry. */
  readonly index: number;
  /** One of the kinds of extents from 8 on, or of {@link Problem}. */
  readonly kind: number;
  /** State in the entry. */
  readonly state: number;
  readonly fileOffset: number;
}

/** A step of a pass: how far it came, what it found wrong, and what it counted. */
export interface ScanStep extends Outcome {
  /** Whether the chunk in which it stopped has a partially present block: the next step must know. */
  readonly partial: boolean;
  readonly problems: readonly BatProblem[];
  readonly counts: ScanCounts;
}

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
  /** MiB that payload blocks occupy, each counted once. */
  readonly storedUnits: number;
  /** Entries that refer to a place in the file. */
  readonly placed: number;
  /** MiB that were found to be taken twice. */
  readonly sharedUnits: number;
  /** File offset of the first payload block; Infinity if there is none. */
  readonly lowest: number;
  /** Lowest file offset of the places that end after the map; Infinity if there is none. */
  readonly next: number;
  /** How many problems there are of each kind, those that are not listed too. */
  readonly problems: readonly number[];
}

/** A part of the file, in MiB, of which the map says what is taken. */
export interface MapPart {
  readonly first: number;
  readonly length: number;
  /** End of the part before: what ends up to there was judged in it. */
  readonly judged: number;
}

/** The calls of the core that scan one image's BAT. A map and the one of what is taken twice are in the scratch area. */
export class ScanCalls {
  readonly #core: Core;
  readonly #disk: number;
  readonly #shape: BatShape;
  readonly #blockShift: number;
  readonly #ratioShift: number;

  constructor(core: Core, disk: number, shape: BatShape) {
    this.#core = core;
    this.#disk = disk;
    this.#shape = shape;
    this.#blockShift = Math.log2(shape.blockSize);
    this.#ratioShift = Math.log2(shape.chunkRatio);
  }

  /** Chooses the map of the calls that follow at once: `mapBytes` of the scratch area for each of the two. */
  useMaps(mapBytes: number, { first, length, judged }: MapPart): void {
    const { address } = this.#core.scratch;
    this.#core.exports.useMap(address, address + mapBytes, first, length, judged);
  }

  /** Marks a structure in the map. In bytes. */
  markRange(offset: number, length: number): void {
    this.#core.exports.markRange(offset, length);
  }

  /** How many of `length` MiB from the map's number `first` on are not taken. */
  countFree(first: number, length: number): number {
    return this.#core.exports.countUnmarked(first, length);
  }

  /**
   * Goes through BAT entries from `first` on, as far as the page reaches that holds it.
   *
   * @param enough kinds of problems of which no more are listed, by bit
   */
  step(first: number, fileSize: number, partial: boolean, pass: number, enough: number): ScanStep {
    const { virtualSize, payloadBlocks, batEntries, hasParent } = this.#shape;
    const { exports, header } = this.#core;
    const found = exports.scanBat(
      this.#disk,
      first,
      batEntries,
      payloadBlocks,
      this.#blockShift,
      this.#ratioShift,
      virtualSize,
      fileSize,
      hasParent,
      partial,
      pass,
      enough,
    );
    return {
      reached: header[numbers.HEADER_REACHED] as number,
      missing: header[numbers.HEADER_MISSING] as number,
      partial: header[numbers.HEADER_RESULT] !== 0,
      problems: Array.from({ length: found }, (_, i) => this.#problemAt(i)),
      counts: this.#counts(),
    };
  }

  /** The places that are taken twice, as runs of MiB by their file offset in bytes, up to the MiB `end`. */
  sharedRuns(mapBytes: number, { first }: MapPart, end: number): { offset: number; length: number }[] {
    const { address } = this.#core.scratch;
    const map = this.#core.bytes.subarray(address + mapBytes, address + 2 * mapBytes);
    const runs: { offset: number; length: number }[] = [];
    let start = -1;
    for (let unit = 0; unit <= end - first; unit++) {
      if (unit % 8 === 0 && start < 0) while (map[unit >> 3] === 0 && unit + 8 <= end - first) unit += 8;
      const isShared = unit < end - first && (((map[unit >> 3] as number) >> (unit & 7)) & 1) === 1;
      if (isShared && start < 0) start = unit;
      if (isShared || start < 0) continue;
      runs.push({ offset: (first + start) * MiB, length: (unit - start) * MiB });
      start = -1;
    }
    return runs;
  }

  #counts(): ScanCounts {
    const { counts } = this.#core;
    const count = (place: number): number => counts[place] as number;
    return {
      states: [0, 1, 2, 3, 4, 5, 6, 7].map(count),
      bitmaps: count(numbers.COUNT_BITMAPS),
      anchors: count(numbers.COUNT_ANCHORS),
      bad: count(numbers.COUNT_BAD),
      storedUnits: count(numbers.COUNT_STORED),
      placed: count(numbers.COUNT_PLACED),
      sharedUnits: count(numbers.COUNT_SHARED),
      lowest: count(numbers.LOWEST_BLOCK),
      next: count(numbers.NEXT_PLACE),
      problems: Array.from({ length: numbers.PROBLEMS }, (_, kind) => count(numbers.COUNT_PROBLEMS + kind)),
    };
  }

  #problemAt(i: number): BatProblem {
    const { extents } = this.#core;
    const value = (field: number) => extents[numbers.EXTENT_FIELDS * i + field] as number;
    return {
      index: value(numbers.PROBLEM_ENTRY),
      kind: value(numbers.PROBLEM_KIND),
      state: value(numbers.PROBLEM_STATE),
      fileOffset: value(numbers.PROBLEM_FILE_OFFSET),
    };
  }
}

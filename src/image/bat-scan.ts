import { type FileRange, findOverlap } from '../base/byte-range.js';
import { eventLoopYielder } from '../base/concurrency.js';
import type { ProgressOptions } from '../base/options.js';
import { MiB } from '../base/units.js';
import { type BatProblem, Problem, type ScanCounts } from '../core/bat-calls.js';
import type { Core } from '../core/instance.js';
import type { ScratchUser } from '../core/scratch-area.js';
import { bitmapEntryIndex, LONGEST_FILE } from '../format/bat.js';
import type { ReadOptions } from '../io/random-access.js';
import type { Finding, RuleCode } from '../rules.js';
import type { BatPages } from './bat-pages.js';
import type { TranslatorImage } from './translator.js';

/** What the BAT of an image says in all. Numbers of blocks, and bytes if the name says so. */
export interface BlockCounts {
  /** How many there are: the sum of the states below and of entries with a reserved state. */
  readonly payloadBlocks: number;
  /** In the parent, or nothing if there is none. */
  readonly notPresent: number;
  /** Content that no reader may rely on. */
  readonly undefined: number;
  /** Zeros. */
  readonly zero: number;
  /** Given back by the guest. */
  readonly unmapped: number;
  /** Wholly in the file. */
  readonly fullyPresent: number;
  /** Some sectors in the file, some in the parent. */
  readonly partiallyPresent: number;
  /** Sector bitmap blocks that are present. */
  readonly sectorBitmaps: number;
  /** Payload blocks whose BAT entry does not lead to all of their data. */
  readonly damaged: number;
  /** Bytes of the file after its first payload block that nothing refers to. */
  readonly leakedBytes: number;
}

/** Problems of one kind that become findings one by one; the others are only counted. */
const LISTED_PER_KIND = 1000;

/** Outcome of a scan. */
export interface BatScan {
  readonly counts: BlockCounts;
  readonly findings: readonly Finding[];
  /** How many findings were only counted, by code. */
  readonly unlisted: ReadonlyMap<RuleCode, number>;
}

/** Options of a scan; progress is counted in BAT entries. */
export interface ScanOptions extends ReadOptions, ProgressOptions {}

/**
 * Checks every entry of a BAT in the core, in time linear in its length and in bounded memory. What blocks and
 * structures occupy is marked in a map of the file, one bit for each MiB, in the core's scratch area: it covers 4 TiB,
 * and a longer file takes several passes.
 */
export async function scanBat(
  core: Core,
  image: TranslatorImage,
  pages: BatPages,
  options: ScanOptions = {},
): Promise<BatScan> {
  const scan = new Scan(core, image, pages, options);
  try {
    return await scan.run();
  } finally {
    scan.end();
  }
}

const NOTHING_COUNTED: ScanCounts = {
  states: [0, 0, 0, 0, 0, 0, 0, 0],
  bitmaps: 0,
  anchors: 0,
  bad: 0,
  lowest: Number.POSITIVE_INFINITY,
  highest: 0,
};

class Scan {
  readonly #core: Core;
  readonly #image: TranslatorImage;
  readonly #pages: BatPages;
  readonly #options: ScanOptions;
  readonly #map: ScratchUser;
  readonly #structures: readonly FileRange[];
  readonly #problems: BatProblem[] = [];
  /** How many problems there are, by kind. */
  readonly #seen = new Map<number, number>();
  #counts = NOTHING_COUNTED;

  constructor(core: Core, image: TranslatorImage, pages: BatPages, options: ScanOptions) {
    this.#core = core;
    this.#image = image;
    this.#pages = pages;
    this.#options = options;
    const units = Math.ceil(image.source.size / MiB);
    // Whole words of 64 bits: the core counts by the word.
    this.#map = { length: Math.min(core.scratch.bytes.length, Math.ceil(units / 64) * 8) };
    this.#structures = [{ structure: 'header section', offset: 0, length: MiB }, ...image.reserved];
  }

  async run(): Promise<BatScan> {
    const mapUnits = this.#map.length * 8;
    const fileUnits = Math.min(Math.floor(this.#image.source.size / MiB), LONGEST_FILE / MiB);
    let leaked = 0;
    let passes = Math.ceil(fileUnits / mapUnits);
    for (let pass = 0; pass < Math.max(1, passes); pass++) {
      const first = pass * mapUnits;
      this.#enterMap(first);
      this.#core.scratch.bytes.fill(0, 0, this.#map.length);
      for (const { offset, length } of this.#structures) this.#core.exports.markRange(offset, length);
      await this.#goThrough(first, false, pass === 0);
      if (this.#counts.anchors > 0) await this.#goThrough(first, true, false);
      leaked += this.#countLeaked(first, Math.min(mapUnits, fileUnits - first));
      // The file after the last block needs no passes: nothing refers to it.
      const needed = Math.ceil((this.#counts.highest + this.#image.geometry.blockSize) / MiB / mapUnits);
      if (needed < passes) {
        leaked += Math.max(0, fileUnits - needed * mapUnits) * MiB;
        passes = needed;
      }
    }
    if (this.#counts.lowest === Number.POSITIVE_INFINITY) leaked = 0;
    const counts = this.#blockCounts(leaked);
    if (this.#problems.length === 0) return { counts, findings: [], unlisted: new Map() };
    const { batFindings, countUnlisted } = await import('./bat-findings.js'); // most images have none
    return {
      counts,
      findings: batFindings(this.#problems, this.#image, this.#structures),
      unlisted: countUnlisted(this.#seen, LISTED_PER_KIND),
    };
  }

  end(): void {
    this.#core.scratch.leave(this.#map);
  }

  /** Makes the map the one that the core works on until the next wait; it covers the file from MiB number `first` on. */
  #enterMap(first: number): void {
    this.#core.scratch.enter(this.#map);
    this.#core.exports.useMap(this.#core.scratch.address, first, this.#map.length * 8);
  }

  /** Goes through all entries once. `list`: problems that do not depend on the map are listed. */
  async #goThrough(mapFirst: number, anchors: boolean, list: boolean): Promise<void> {
    const { geometry, source } = this.#image;
    const { calls } = this.#pages;
    const yieldToEventLoop = eventLoopYielder();
    let partial = false;
    for (let index = 0; index < geometry.batEntries; ) {
      this.#options.signal?.throwIfAborted();
      await yieldToEventLoop();
      this.#enterMap(mapFirst);
      const step = calls.scan(index, source.size, partial, anchors);
      index = step.reached;
      partial = step.partial;
      if (list) this.#addCounts(calls.scanCounts());
      this.#keepProblems(step.problems, list);
      if (step.missing >= 0) await this.#pages.loadBat(step.missing, this.#options);
      // Later passes make no progress: work that is done once does not begin again.
      else if (list) this.#options.onProgress?.({ done: index, total: geometry.batEntries });
    }
  }

  #addCounts(now: ScanCounts): void {
    const before = this.#counts;
    this.#counts = {
      states: before.states.map((count, state) => count + (now.states[state] as number)),
      bitmaps: before.bitmaps + now.bitmaps,
      anchors: before.anchors + now.anchors,
      bad: before.bad + now.bad,
      lowest: Math.min(before.lowest, now.lowest),
      highest: Math.max(before.highest, now.highest),
    };
  }

  /** Keeps what the core found wrong. `all`: also what does not depend on the map, and so is the same in each pass. */
  #keepProblems(problems: readonly BatProblem[], all: boolean): void {
    for (const problem of problems) {
      const { index, kind, fileOffset } = problem;
      const isShared = kind === Problem.SharedPlace;
      if (!isShared && !all) continue;
      if (isShared && this.#isOnStructure(index, fileOffset)) {
        this.#counts = { ...this.#counts, bad: this.#counts.bad + 1 };
      }
      const seen = (this.#seen.get(kind) ?? 0) + 1;
      this.#seen.set(kind, seen);
      if (seen <= LISTED_PER_KIND) this.#problems.push(problem);
    }
  }

  /** Whether a payload block overlaps the log, a region or the header section, so that it cannot be read. */
  #isOnStructure(index: number, offset: number): boolean {
    const { geometry } = this.#image;
    if (index === bitmapEntryIndex(geometry, Math.floor(index / (geometry.chunkRatio + 1)))) return false;
    return findOverlap(this.#structures, offset, geometry.blockSize) !== undefined;
  }

  /** Bytes after the first payload block that nothing refers to, of the `units` MiB that the map covers from `first` on. */
  #countLeaked(first: number, units: number): number {
    const from = Math.max(0, this.#counts.lowest / MiB - first);
    this.#enterMap(first);
    return from < units ? this.#core.exports.countUnmarked(from, units - from) * MiB : 0;
  }

  #blockCounts(leakedBytes: number): BlockCounts {
    const { states, bitmaps, bad } = this.#counts;
    const count = (state: number) => states[state] as number;
    return {
      payloadBlocks: this.#image.geometry.payloadBlocks,
      notPresent: count(0),
      undefined: count(1),
      zero: count(2),
      unmapped: count(3) + count(5),
      fullyPresent: count(6),
      partiallyPresent: count(7),
      sectorBitmaps: bitmaps,
      damaged: bad,
      leakedBytes,
    };
  }
}

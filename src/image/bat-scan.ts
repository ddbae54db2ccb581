import type { FileRange } from '../base/byte-range.js';
import { eventLoopYielder } from '../base/concurrency.js';
import { checkShard, type ProgressOptions, type Shard } from '../base/options.js';
import { MiB } from '../base/units.js';
import { PAGE_BYTES } from '../core/bat-calls.js';
import type { Core } from '../core/instance.js';
import { type BatProblem, type MapPart, Pass, ScanCalls, type ScanStep } from '../core/scan-calls.js';
import type { ScratchUser } from '../core/scratch-area.js';
import { BAT_ENTRY_SIZE, LONGEST_FILE } from '../format/bat.js';
import { LARGEST_BLOCK } from '../format/metadata.js';
import type { ReadOptions } from '../io/random-access.js';
import type { Finding, RuleCode } from '../rules.js';
import type { BatPages } from './bat-pages.js';
import type { BlockCounts } from './block-counts.js';
import type { TranslatorImage } from './translator.js';

/** Problems of one kind that become findings one by one; the others are only counted. */
const LISTED_PER_KIND = 1000;
/** Shared places that are kept one by one; from then on, all up to the highest counts as shared. */
const MAX_SHARED_PLACES = 65_536;
const PAGE_ENTRIES = PAGE_BYTES / BAT_ENTRY_SIZE;
/** Kinds of problems of which no more are listed, by bit: all of them. */
const LIST_NOTHING = 0xffffffff;

/** Outcome of a scan. */
export interface BatScan {
  readonly counts: BlockCounts;
  readonly findings: readonly Finding[];
  /** How many findings were only counted, by code. */
  readonly unlisted: ReadonlyMap<RuleCode, number>;
  /** Places in the file that two blocks claim, by their offsets: what is there is the content of one of them at most. */
  readonly sharedPlaces: readonly FileRange[];
}

/** Options of a scan; progress is counted in BAT entries. */
export interface ScanOptions extends ReadOptions, ProgressOptions {
  /**
   * Judges the places in one of several equal parts of the file only; what does not depend on the file is part 0's. The
   * counts and findings of all parts add up to those of the whole.
   */
  readonly shard?: Shard | undefined;
}

/**
 * Checks every entry of a BAT in the core, in bounded memory. What blocks and structures occupy is marked in a map of
 * the file, one bit for each MiB, in the core's scratch area: it covers 2 TiB, and a longer file is scanned part by
 * part, as many as blocks are in. Pages of the BAT that refer to no place are gone through once.
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

class Scan {
  readonly #core: Core;
  readonly #image: TranslatorImage;
  readonly #pages: BatPages;
  readonly #calls: ScanCalls;
  readonly #options: ScanOptions;
  /** Number of the part that is scanned, and the MiB of the file where it begins and ends; the last one has no end. */
  readonly #shard: number;
  readonly #from: number;
  readonly #end: number;
  /** Bytes of each of the two maps, and the MiB that they cover. */
  readonly #mapBytes: number;
  readonly #mapUnits: number;
  readonly #scratch: ScratchUser;
  readonly #structures: readonly FileRange[];
  readonly #problems: BatProblem[] = [];
  /** How many problems there are, and how many of them are listed, by kind. */
  readonly #seen = new Map<number, number>();
  readonly #listed = new Map<number, number>();
  /** Kinds of problems of which enough are listed, by bit. */
  #enough = 0;
  /** Pages of the BAT with entries that refer to a place. */
  readonly #busyPages: Uint8Array;
  readonly #states = [0, 0, 0, 0, 0, 0, 0, 0];
  readonly #shared: { structure: string; offset: number; length: number }[] = [];
  #bitmaps = 0;
  #anchors = 0;
  #bad = 0;
  #storedUnits = 0;
  #lowest = Number.POSITIVE_INFINITY;

  constructor(core: Core, image: TranslatorImage, pages: BatPages, options: ScanOptions) {
    this.#core = core;
    this.#image = image;
    this.#pages = pages;
    this.#calls = new ScanCalls(core, pages.calls.disk, image.geometry);
    this.#options = options;
    const { index, of } = options.shard ?? { index: 0, of: 1 };
    checkShard({ index, of });
    this.#shard = index;
    this.#from = Math.floor((this.#fileUnits * index) / of);
    this.#end = index + 1 === of ? Number.POSITIVE_INFINITY : Math.floor((this.#fileUnits * (index + 1)) / of);
    // Whole words of 64 bits: the core counts by the word.
    const words = Math.min(core.scratch.bytes.length / 16, Math.ceil(image.source.size / MiB / 64));
    this.#mapBytes = words * 8;
    this.#mapUnits = words * 64;
    this.#scratch = { length: 2 * this.#mapBytes };
    this.#structures = [{ structure: 'header section', offset: 0, length: MiB }, ...image.reserved];
    this.#busyPages = new Uint8Array(Math.ceil(image.geometry.batEntries / PAGE_ENTRIES));
  }

  get #fileUnits(): number {
    return Math.min(Math.floor(this.#image.source.size / MiB), LONGEST_FILE / MiB);
  }

  async run(): Promise<BatScan> {
    let leakedUnits = 0;
    let judged = this.#from;
    // Low enough for a block that begins before the part and ends in it.
    let first = Math.max(0, this.#from - LARGEST_BLOCK / MiB);
    for (;;) {
      const part: MapPart = { first, length: Math.min(this.#mapUnits, Math.max(0, this.#end - first)), judged };
      const next = await this.#scanPart(part);
      judged = first + part.length;
      const end = Math.min(this.#fileUnits, this.#end);
      const nextFirst = Math.min(end, next / MiB);
      leakedUnits += this.#countFree(part, Math.min(judged, nextFirst, end));
      leakedUnits += this.#countFreeGap(judged, nextFirst);
      if (judged >= this.#end || next === Number.POSITIVE_INFINITY) break;
      first = next / MiB;
    }
    const leaked = this.#lowest === Number.POSITIVE_INFINITY ? 0 : leakedUnits * MiB;
    const counts = this.#blockCounts(leaked);
    if (this.#problems.length === 0) return { counts, findings: [], unlisted: new Map(), sharedPlaces: this.#shared };
    const { batFindings, countUnlisted } = await import('./bat-findings.js'); // most images have none
    return {
      counts,
      findings: batFindings(
        this.#problems.sort((a, b) => a.index - b.index),
        this.#image,
        this.#structures,
      ),
      unlisted: countUnlisted(this.#seen, LISTED_PER_KIND),
      sharedPlaces: this.#shared,
    };
  }

  end(): void {
    this.#core.scratch.leave(this.#scratch);
  }

  /** Scans a part of the file, and returns the lowest file offset of what ends after it; Infinity if nothing does. */
  async #scanPart(part: MapPart): Promise<number> {
    const isFirst = part.judged === this.#from;
    this.#enterMap(part);
    this.#core.scratch.bytes.fill(0, 0, this.#scratch.length);
    for (const { offset, length } of this.#structures) this.#calls.markRange(offset, length);
    let next = Number.POSITIVE_INFINITY;
    let sharedUnits = 0;
    await this.#goThrough(part, Pass.Mark, (step, page) => {
      next = Math.min(next, step.counts.next);
      sharedUnits += step.counts.sharedUnits;
      this.#storedUnits += step.counts.storedUnits;
      if (!isFirst) return; // what does not depend on the map is the same in each part
      if (step.counts.placed > 0) this.#busyPages[page] = 1;
      this.#anchors += step.counts.anchors;
      this.#lowest = Math.min(this.#lowest, step.counts.lowest);
      if (this.#shard > 0) return;
      this.#takeCounts(step);
      this.#keepProblems(step);
    });
    if (sharedUnits > 0) {
      await this.#goThrough(part, Pass.Shared, (step) => {
        this.#bad += step.counts.bad;
        this.#keepProblems(step);
      });
      this.#enterMap(part);
      const end = Math.min(part.first + part.length, next / MiB);
      for (const run of this.#calls.sharedRuns(this.#mapBytes, part, end)) this.#keepSharedPlace(run);
    }
    if (this.#anchors > 0) await this.#goThrough(part, Pass.Anchors, (step) => this.#keepProblems(step));
    return next;
  }

  /** Makes the maps the ones that the core works on until the next wait. */
  #enterMap(part: MapPart): void {
    this.#core.scratch.enter(this.#scratch);
    this.#calls.useMaps(this.#mapBytes, part);
  }

  /** Goes through all entries once. */
  async #goThrough(part: MapPart, pass: number, take: (step: ScanStep, page: number) => void): Promise<void> {
    const { geometry, source } = this.#image;
    const isFirstPass = part.judged === this.#from && pass === Pass.Mark;
    const yieldToEventLoop = eventLoopYielder();
    let partial = false;
    for (let index = 0; index < geometry.batEntries; ) {
      const page = Math.floor(index / PAGE_ENTRIES);
      if (!isFirstPass && this.#busyPages[page] === 0) {
        const end = Math.min((page + 1) * PAGE_ENTRIES, geometry.batEntries);
        partial &&= this.#chunkOf(end) === this.#chunkOf(index);
        index = end;
        continue;
      }
      this.#options.signal?.throwIfAborted();
      await yieldToEventLoop();
      this.#enterMap(part);
      const isListed = pass !== Pass.Mark || (isFirstPass && this.#shard === 0);
      const enough = isListed ? this.#enough : LIST_NOTHING;
      const step = this.#calls.step(index, source.size, partial, pass, enough);
      index = step.reached;
      partial = step.partial;
      take(step, page);
      if (step.missing >= 0) await this.#pages.loadBat(step.missing, this.#options);
      // Later passes make no progress: work that is done once does not begin again.
      else if (isFirstPass) this.#options.onProgress?.({ done: index, total: geometry.batEntries });
    }
  }

  #chunkOf(index: number): number {
    return Math.floor(index / (this.#image.geometry.chunkRatio + 1));
  }

  #takeCounts({ counts }: ScanStep): void {
    for (const [state, count] of counts.states.entries()) this.#states[state] = (this.#states[state] as number) + count;
    this.#bitmaps += counts.bitmaps;
    this.#bad += counts.bad;
  }

  #keepProblems({ problems, counts }: ScanStep): void {
    for (const problem of problems) {
      const listed = this.#listed.get(problem.kind) ?? 0;
      if (listed === LISTED_PER_KIND) continue;
      this.#listed.set(problem.kind, listed + 1);
      this.#problems.push(problem);
    }
    for (const [kind, count] of counts.problems.entries()) {
      if (count === 0) continue;
      const seen = (this.#seen.get(kind) ?? 0) + count;
      this.#seen.set(kind, seen);
      if (seen >= LISTED_PER_KIND) this.#enough |= 1 << kind;
    }
  }

  /** MiB of a part that was not counted before, up to `end`, that nothing refers to, from the first payload block on. */
  #countFree(part: MapPart, end: number): number {
    const from = Math.max(part.first, part.judged, this.#lowest / MiB);
    this.#enterMap(part);
    return from < end ? this.#calls.countFree(from - part.first, end - from) : 0;
  }

  /** The same of a gap between two parts, in which there are no blocks. */
  #countFreeGap(start: number, end: number): number {
    let free = Math.max(0, end - Math.max(start, this.#lowest / MiB));
    for (const { offset, length } of this.#structures) {
      const [from, to] = [Math.max(start, offset / MiB), Math.min(end, (offset + length) / MiB)];
      if (from < to) free -= to - from;
    }
    return Math.max(0, free);
  }

  #keepSharedPlace({ offset, length }: { offset: number; length: number }): void {
    const last = this.#shared.at(-1);
    if (last && (this.#shared.length === MAX_SHARED_PLACES || last.offset + last.length === offset)) {
      last.length = offset + length - last.offset;
    } else {
      this.#shared.push({ structure: 'shared place', offset, length });
    }
  }

  #blockCounts(leakedBytes: number): BlockCounts {
    const count = (state: number) => this.#states[state] as number;
    return {
      payloadBlocks: this.#image.geometry.payloadBlocks,
      notPresent: count(0),
      undefined: count(1),
      zero: count(2),
      unmapped: count(3) + count(5),
      fullyPresent: count(6),
      partiallyPresent: count(7),
      sectorBitmaps: this.#bitmaps,
      damaged: this.#bad,
      storedBytes: Math.min(this.#storedUnits * MiB, this.#image.source.size, this.#image.storedSize),
      leakedBytes,
    };
  }
}

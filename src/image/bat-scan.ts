import { type FileRange, findOverlap } from '../base/byte-range.js';
import { eventLoopYielder } from '../base/concurrency.js';
import type { ProgressOptions } from '../base/options.js';
import { MiB } from '../base/units.js';
import type { Core } from '../core/instantiate.js';
import type { ScratchUser } from '../core/scratch-area.js';
import { bitmapEntryIndex, LONGEST_FILE } from '../format/bat.js';
import type { ReadOptions } from '../io/random-access.js';
import type { Finding, RuleCode } from '../rules.js';
import { type BatProblem, SHARED_PLACE } from './bat-problem.js';
import { Translator, type TranslatorImage } from './translator.js';

/** What the BAT of an image says in all. Numbers of blocks, and bytes where the name says so. */
export interface BlockCounts {
  /** How many there are; the states below sum up to it, but for entries with a reserved state. */
  readonly payloadBlocks: number;
  /** In the parent, or nothing where there is none. */
  readonly notPresent: number;
  /** Nothing that anybody relies on. */
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
  /** Bytes of the file behind its first payload block that nothing refers to. */
  readonly leakedBytes: number;
}

/** Problems of one kind that become findings one by one; the others are only counted. */
const LISTED_PER_KIND = 1000;

/** Places in the core's counts. */
const COUNT = { bitmaps: 8, anchors: 9, bad: 10, lowest: 11, highest: 12 } as const;

/** Outcome of a scan. */
export interface BatScan {
  readonly counts: BlockCounts;
  readonly findings: readonly Finding[];
  /** How many findings were only counted, by code. */
  readonly unlisted: ReadonlyMap<RuleCode, number>;
}

/**
 * Checks every entry of a BAT in the core, in time linear in its length and in bounded memory. What blocks and
 * structures occupy is marked in a map of the file, one bit for each MiB, in the core's scratch area: it covers 4 TiB,
 * and a longer file is gone through in several passes.
 */
export async function scanBat(core: Core, image: TranslatorImage, options: ScanOptions = {}): Promise<BatScan> {
  const scan = new Scan(core, image, options);
  try {
    return await scan.run();
  } finally {
    await scan.close();
  }
}

/** Options of a scan; progress is told in BAT entries. */
interface ScanOptions extends ReadOptions, ProgressOptions {}

class Scan {
  readonly #core: Core;
  readonly #image: TranslatorImage;
  readonly #translator: Translator;
  readonly #options: ScanOptions;
  readonly #map: ScratchUser;
  readonly #structures: readonly FileRange[];
  readonly #problems: BatProblem[] = [];
  /** How many problems there are, by kind. */
  readonly #seen = new Map<number, number>();
  readonly #counts = new Float64Array(13);

  constructor(core: Core, image: TranslatorImage, options: ScanOptions) {
    this.#core = core;
    this.#image = image;
    this.#translator = new Translator(core, image);
    this.#options = options;
    const units = Math.ceil(image.source.size / MiB);
    // Whole words of 64 bits: the core counts by the word.
    this.#map = { length: Math.min(core.scratch.bytes.length, Math.ceil(units / 64) * 8) };
    this.#structures = [{ structure: 'header section', offset: 0, length: MiB }, ...image.reserved];
    this.#counts[COUNT.lowest] = Number.POSITIVE_INFINITY;
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
      if (this.#counts[COUNT.anchors]) await this.#goThrough(first, true, false);
      leaked += this.#countLeaked(first, Math.min(mapUnits, fileUnits - first));
      // What lies behind the last block needs no passes: nothing refers to it.
      const needed = Math.ceil(
        ((this.#counts[COUNT.highest] as number) + this.#image.geometry.blockSize) / MiB / mapUnits,
      );
      if (needed < passes) {
        leaked += Math.max(0, fileUnits - needed * mapUnits) * MiB;
        passes = needed;
      }
    }
    if (this.#counts[COUNT.lowest] === Number.POSITIVE_INFINITY) leaked = 0;
    const counts = this.#blockCounts(leaked);
    if (this.#problems.length === 0) return { counts, findings: [], unlisted: new Map() };
    const { describeProblems, countUnlisted } = await import('./describe-problems.js'); // most images have none
    return {
      counts,
      findings: describeProblems(this.#problems, this.#image, this.#structures),
      unlisted: countUnlisted(this.#seen, LISTED_PER_KIND),
    };
  }

  close(): Promise<void> {
    this.#core.scratch.leave(this.#map);
    return this.#translator.close();
  }

  /** Makes the map the one that the core works on until the next wait; it covers the file from MiB number `first` on. */
  #enterMap(first: number): void {
    this.#core.scratch.enter(this.#map);
    this.#core.exports.useMap(this.#core.scratch.address, first, this.#map.length * 8);
  }

  /** Goes through all entries once. `list`: problems that do not depend on the map are listed. */
  async #goThrough(mapFirst: number, anchors: boolean, list: boolean): Promise<void> {
    const { geometry, source } = this.#image;
    const { exports, floats, layout } = this.#core;
    const header = layout.extentsHeader / 8;
    const yieldToEventLoop = eventLoopYielder();
    let partial = false;
    for (let index = 0; index < geometry.batEntries; ) {
      this.#options.signal?.throwIfAborted();
      await yieldToEventLoop();
      this.#enterMap(mapFirst);
      const found = exports.scanBat(
        this.#translator.disk,
        index,
        geometry.batEntries,
        geometry.payloadBlocks,
        Math.log2(geometry.blockSize),
        Math.log2(geometry.chunkRatio),
        geometry.virtualSize,
        source.size,
        geometry.hasParent,
        partial,
        anchors,
      );
      index = floats[header] as number;
      const missing = floats[header + 1] as number;
      partial = floats[header + 2] !== 0;
      this.#takeProblems(found, list);
      if (list) this.#takeCounts();
      if (missing >= 0) await this.#translator.loadBatPage(missing, this.#options);
      // Later passes are not told of: what was done once does not begin anew.
      else if (list) this.#options.onProgress?.({ done: index, total: geometry.batEntries });
    }
  }

  #takeCounts(): void {
    const { floats, layout } = this.#core;
    for (let i = 0; i < this.#counts.length; i++) {
      const before = this.#counts[i] as number;
      const now = floats[layout.scanCounts / 8 + i] as number;
      if (i === COUNT.lowest) this.#counts[i] = Math.min(before, now);
      else if (i === COUNT.highest) this.#counts[i] = Math.max(before, now);
      else this.#counts[i] = before + now;
    }
  }

  /** Keeps what the core found wrong. `all`: also what does not depend on the map, and so is the same in each pass. */
  #takeProblems(count: number, all: boolean): void {
    const { floats, layout } = this.#core;
    for (let i = 0; i < count; i++) {
      const at = layout.extents / 8 + 4 * i;
      const [index, kind, state, fileOffset] = floats.subarray(at, at + 4) as unknown as [
        number,
        number,
        number,
        number,
      ];
      if (kind !== SHARED_PLACE && !all) continue;
      if (kind === SHARED_PLACE && this.#isOnStructure(index, fileOffset))
        this.#counts[COUNT.bad] = (this.#counts[COUNT.bad] as number) + 1;
      const seen = (this.#seen.get(kind) ?? 0) + 1;
      this.#seen.set(kind, seen);
      if (seen <= LISTED_PER_KIND) this.#problems.push({ index, kind, state, fileOffset });
    }
  }

  /** Whether a payload block lies where the log, a region or the header section is, so that it cannot be read. */
  #isOnStructure(index: number, offset: number): boolean {
    const { geometry } = this.#image;
    if (index === bitmapEntryIndex(geometry, Math.floor(index / (geometry.chunkRatio + 1)))) return false;
    return findOverlap(this.#structures, offset, geometry.blockSize) !== undefined;
  }

  /** Bytes behind the first payload block that nothing refers to, of the `units` MiB that the map covers from `first` on. */
  #countLeaked(first: number, units: number): number {
    const lowest = this.#counts[COUNT.lowest] as number;
    const from = Math.max(0, lowest / MiB - first);
    this.#enterMap(first);
    return from < units ? this.#core.exports.countUnmarked(from, units - from) * MiB : 0;
  }

  #blockCounts(leakedBytes: number): BlockCounts {
    const count = (state: number) => this.#counts[state] as number;
    return {
      payloadBlocks: this.#image.geometry.payloadBlocks,
      notPresent: count(0),
      undefined: count(1),
      zero: count(2),
      unmapped: count(3) + count(5),
      fullyPresent: count(6),
      partiallyPresent: count(7),
      sectorBitmaps: count(COUNT.bitmaps),
      damaged: count(COUNT.bad),
      leakedBytes,
    };
  }
}

import type { FileRange } from '../base/byte-range.js';
import { viewOf } from '../base/bytes.js';
import { eventLoopYielder } from '../base/concurrency.js';
import { MiB } from '../base/units.js';
import { beginsLogEntry, LOG_SECTOR_SIZE } from '../format/log.js';
import type { RandomAccessSource, ReadOptions } from '../io/random-access.js';

/** Bytes of the log that are in memory at a time: all of a log of the usual length. */
const WINDOW = 1 * MiB;

/** Neighbouring log sectors that are in memory. */
export interface SectorRun {
  /** The bytes that are in memory; valid until the next call. */
  readonly bytes: Uint8Array;
  readonly view: DataView;
  /** Where in them the sectors begin. */
  readonly at: number;
  /** How many there are, at least one. */
  readonly count: number;
}

/**
 * The log as a ring of 4 KiB sectors ([MS-VHDX] 2.3), of which one window is in memory, whatever the length of the log.
 * Sector numbers past the end of the ring wrap around.
 */
export class LogRing {
  /** Length of the log, in log sectors. */
  readonly sectors: number;
  readonly #source: RandomAccessSource;
  readonly #log: FileRange;
  readonly #window: Uint8Array;
  readonly #view: DataView;
  readonly #options: ReadOptions | undefined;
  readonly #yieldToEvents = eventLoopYielder();
  /** The sectors that are in the window. */
  #first = 0;
  #count = 0;

  constructor(source: RandomAccessSource, log: FileRange, options?: ReadOptions) {
    this.#source = source;
    this.#log = log;
    this.#window = new Uint8Array(Math.min(WINDOW, log.length));
    this.#view = viewOf(this.#window);
    this.#options = options;
    this.sectors = log.length / LOG_SECTOR_SIZE;
  }

  /** File offset of a sector. */
  offsetOf(sector: number): number {
    return this.#log.offset + (sector % this.sectors) * LOG_SECTOR_SIZE;
  }

  /** The sectors from one on that are in memory, at most `count`; reads the next window if none is. */
  async read(sector: number, count: number): Promise<SectorRun> {
    const first = sector % this.sectors;
    if (first < this.#first || first >= this.#first + this.#count) await this.#load(first);
    const start = first - this.#first;
    const available = Math.min(count, this.#count - start);
    return { bytes: this.#window, view: this.#view, at: start * LOG_SECTOR_SIZE, count: available };
  }

  /** The first sector from one on, without wrapping, that begins with the signature of an entry; undefined if none does. */
  async findEntry(from: number): Promise<number | undefined> {
    for (let sector = from; sector < this.sectors; ) {
      const { view, at, count } = await this.read(sector, this.sectors - sector);
      for (let i = 0; i < count; i++) if (beginsLogEntry(view, at + i * LOG_SECTOR_SIZE)) return sector + i;
      sector += count;
    }
    return undefined;
  }

  async #load(first: number): Promise<void> {
    this.#options?.signal?.throwIfAborted();
    await this.#yieldToEvents();
    const count = Math.min(this.#window.length / LOG_SECTOR_SIZE, this.sectors - first);
    this.#count = 0;
    const target = this.#window.subarray(0, count * LOG_SECTOR_SIZE);
    await this.#source.readInto(target, this.offsetOf(first), this.#options);
    this.#first = first;
    this.#count = count;
  }
}

/** Log sectors that are searched for old entries: as many as a log of 64 MiB has. */
const DEAD_SECTORS = 16_384;

/**
 * Counts what looks like log entries, whatever their log GUID: what a dead log still holds. Of a very long log only the
 * first part is read, and `all` is false.
 */
export async function countEntries(ring: LogRing): Promise<{ readonly count: number; readonly all: boolean }> {
  const sectors = Math.min(ring.sectors, DEAD_SECTORS);
  let count = 0;
  for (let sector = 0; sector < sectors; ) {
    const run = await ring.read(sector, sectors - sector);
    for (let i = 0; i < run.count; i++) if (beginsLogEntry(run.view, run.at + i * LOG_SECTOR_SIZE)) count += 1;
    sector += run.count;
  }
  return { count, all: sectors === ring.sectors };
}

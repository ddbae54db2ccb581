import type { FileRange } from '../base/byte-range.js';
import { viewOf } from '../base/bytes.js';
import { KiB } from '../base/units.js';
import { sumBytes } from '../core/crc32c.js';
import type { Core } from '../core/instance.js';
import { structureChecksum } from '../format/checksum.js';
import {
  beginsLogEntry,
  DESCRIPTOR_SIZE,
  isDataSector,
  LOG_SECTOR_SIZE,
  type LogDescriptor,
  type LogEntryHeader,
  parseLogDescriptors,
  parseLogEntryHeader,
} from '../format/log.js';
import type { RandomAccessSource, ReadOptions } from '../io/random-access.js';

/** A valid log entry and where it begins, in log sectors from the start of the ring. */
export interface LogEntry extends LogEntryHeader {
  readonly sector: number;
}

/** A descriptor, and where it and the data sector that belongs to it lie in the file. */
export interface PlacedDescriptor extends LogDescriptor {
  readonly descriptorOffset: number;
  readonly dataOffset: number;
}

/** Bytes of the log that are in memory at a time. */
const WINDOW = 512 * KiB;

/**
 * The log as a ring of 4 KiB sectors, of which a window lies in memory. Whatever the length of the log, this is all of
 * it that is ever there.
 */
export class LogRing {
  /** Length of the log, in log sectors. */
  readonly sectors: number;
  readonly #core: Core;
  readonly #source: RandomAccessSource;
  readonly #log: FileRange;
  readonly #window: Uint8Array;
  readonly #view: DataView;
  readonly #options: ReadOptions | undefined;
  /** The sectors that lie in the window. */
  #first = 0;
  #count = 0;

  constructor(core: Core, source: RandomAccessSource, log: FileRange, options?: ReadOptions) {
    this.#core = core;
    this.#source = source;
    this.#log = log;
    this.#window = new Uint8Array(Math.min(WINDOW, log.length));
    this.#view = viewOf(this.#window);
    this.#options = options;
    this.sectors = log.length / LOG_SECTOR_SIZE;
  }

  /** File offset of a sector; numbers past the end of the ring go round. */
  offsetOf(sector: number): number {
    return this.#log.offset + (sector % this.sectors) * LOG_SECTOR_SIZE;
  }

  /** Whether an entry seems to begin at a sector. */
  async beginsEntry(sector: number): Promise<boolean> {
    return beginsLogEntry(this.#view, await this.#bring(sector));
  }

  /** Reads the entry at a sector and checks all of it ([MS-VHDX] 2.3.1); undefined where it is not valid. */
  async readEntry(sector: number, logGuid: string): Promise<LogEntry | undefined> {
    let at = await this.#bring(sector);
    const entry = parseLogEntryHeader(this.#view, at, this.sectors, logGuid);
    if (!entry) return undefined;
    let dataDescriptors = 0;
    let crc = 0;
    for (let index = 0; index < entry.sectors; index++) {
      at = await this.#bring(sector + index);
      if (index < entry.descriptorSectors) {
        const descriptors = parseLogDescriptors(this.#view, at, index, entry);
        if (!descriptors) return undefined;
        for (const { kind } of descriptors) dataDescriptors += kind === 'data' ? 1 : 0;
      } else if (!isDataSector(this.#view, at, entry)) {
        return undefined;
      }
      const bytes = this.#window.subarray(at, at + LOG_SECTOR_SIZE);
      const sum = (part: Uint8Array, initial = 0) => sumBytes(this.#core, part, initial);
      crc = index === 0 ? structureChecksum(bytes, sum) : sum(bytes, crc);
    }
    const exact = entry.sectors === entry.descriptorSectors + dataDescriptors;
    return exact && crc === entry.checksum ? { ...entry, sector } : undefined;
  }

  /** Reads the descriptors of a valid entry in their order, those of one log sector at a time. */
  async *readDescriptors(entry: LogEntry): AsyncGenerator<readonly PlacedDescriptor[]> {
    let data = entry.sector + entry.descriptorSectors;
    for (let index = 0; index < entry.descriptorSectors; index++) {
      const sector = this.offsetOf(entry.sector + index);
      const at = await this.#bring(entry.sector + index);
      yield (parseLogDescriptors(this.#view, at, index, entry) ?? []).map((descriptor) => {
        const placed = {
          ...descriptor,
          descriptorOffset: sector + descriptor.slot * DESCRIPTOR_SIZE,
          dataOffset: this.offsetOf(data),
        };
        if (descriptor.kind === 'data') data += 1;
        return placed;
      });
    }
  }

  /** Brings a sector into the window and returns where it begins in it. */
  async #bring(sector: number): Promise<number> {
    const wanted = sector % this.sectors;
    if (wanted < this.#first || wanted >= this.#first + this.#count) {
      const room = this.#window.length / LOG_SECTOR_SIZE;
      const count = Math.min(room, this.sectors - wanted);
      this.#count = 0;
      await this.#source.readInto(
        this.#window.subarray(0, count * LOG_SECTOR_SIZE),
        this.offsetOf(wanted),
        this.#options,
      );
      this.#first = wanted;
      this.#count = count;
    }
    return (wanted - this.#first) * LOG_SECTOR_SIZE;
  }
}

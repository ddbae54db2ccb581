import type { LeasedBuffer } from '../core/buffers.js';
import type { Core } from '../core/instantiate.js';
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
import { type FileRange, viewOf } from '../format/sizes.js';
import type { RandomAccessSource, ReadOptions } from '../source/source.js';

/** A valid log entry and where it begins, in log sectors from the start of the ring. */
export interface LogEntry extends LogEntryHeader {
  readonly sector: number;
}

/** A descriptor, and where it and the data sector that belongs to it lie in the file. */
export interface PlacedDescriptor extends LogDescriptor {
  readonly descriptorOffset: number;
  readonly dataOffset: number;
}

/**
 * The log as a ring of 4 KiB sectors, of which a window lies in a buffer of the core's memory, where the core can
 * sum it. Whatever the length of the log, this is all of it that is ever in memory.
 */
export class LogRing {
  /** Length of the log, in log sectors. */
  readonly sectors: number;
  readonly #core: Core;
  readonly #source: RandomAccessSource;
  readonly #log: FileRange;
  readonly #window: LeasedBuffer;
  readonly #view: DataView;
  readonly #options: ReadOptions | undefined;
  /** The sectors that lie in the window. */
  #first = 0;
  #count = 0;

  constructor(core: Core, source: RandomAccessSource, log: FileRange, window: LeasedBuffer, options?: ReadOptions) {
    this.#core = core;
    this.#source = source;
    this.#log = log;
    this.#window = window;
    this.#view = viewOf(window.bytes);
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
    const { exports } = this.#core;
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
      const address = this.#window.address + at;
      // The checksum field, the second four bytes of the entry, counts as zeros.
      const head = index === 0 ? exports.crc32cZeros(exports.crc32c(0, address, 4), 4) : crc;
      const skipped = index === 0 ? 8 : 0;
      crc = exports.crc32c(head, address + skipped, LOG_SECTOR_SIZE - skipped);
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
      const room = this.#window.bytes.length / LOG_SECTOR_SIZE;
      const count = Math.min(room, this.sectors - wanted);
      this.#count = 0;
      await this.#source.readInto(
        this.#window.bytes.subarray(0, count * LOG_SECTOR_SIZE),
        this.offsetOf(wanted),
        this.#options,
      );
      this.#first = wanted;
      this.#count = count;
    }
    return (wanted - this.#first) * LOG_SECTOR_SIZE;
  }
}

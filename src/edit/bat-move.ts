import { InFlight } from '../base/concurrency.js';
import { KiB } from '../base/units.js';
import { sumBytes } from '../core/crc32c.js';
import type { Core } from '../core/instance.js';
import { BAT_ENTRY_SIZE } from '../format/bat.js';
import {
  BAT_GUID,
  encodeRegionTable,
  REGION_TABLE_SIZE,
  type RegionTableCopy,
  readRegionTableEntries,
} from '../format/region-table.js';
import type { CompleteExamination } from '../image/examination.js';
import { PAGE_SIZE } from '../image/page-layer.js';
import type { WriteSession } from '../image/session.js';
import type { RandomAccessSource } from '../io/random-access.js';
import type { Patch } from './page-patches.js';

/** Bytes of a BAT that are made and written at a time, and how many of them are under way. */
const CHUNK = 256 * KiB;
const IN_FLIGHT = 4;

/** A BAT as the file has it. */
export interface StoredBat {
  readonly source: RandomAccessSource;
  readonly offset: number;
  /** Bytes that its region has. */
  readonly length: number;
}

/**
 * Writes a copy of a BAT to space that nothing refers to yet, past the log: however long it is, a few pages lead to it
 * afterwards.
 *
 * @param length of the new region in bytes, a multiple of 1 MiB
 * @param fill changes slots, of which the first has the given number
 */
export async function writeBatCopy(
  session: WriteSession,
  bat: StoredBat,
  offset: number,
  length: number,
  fill: (bytes: Uint8Array, first: number) => void,
  onWritten: (bytes: number) => void,
): Promise<void> {
  const writes = new InFlight(IN_FLIGHT);
  const free: Uint8Array[] = [];
  const write = async (buffer: Uint8Array, bytes: Uint8Array, at: number): Promise<void> => {
    await session.writePayload(bytes, offset + at);
    free.push(buffer);
  };
  for (let at = 0; at < length && !writes.failed; at += CHUNK) {
    const buffer = free.pop() ?? new Uint8Array(CHUNK);
    const bytes = buffer.subarray(0, Math.min(CHUNK, length - at));
    try {
      const old = Math.max(0, Math.min(bytes.length, bat.length - at));
      if (old > 0) await bat.source.readInto(bytes.subarray(0, old), bat.offset + at);
      bytes.fill(0, old);
      fill(bytes, at / BAT_ENTRY_SIZE);
      await writes.add(write(buffer, bytes, at));
      onWritten(at + bytes.length);
    } catch (error) {
      writes.fail(error);
    }
  }
  await writes.settle();
}

/** The BAT region of a file, and the region tables that name it ([MS-VHDX] 2.2.3). */
export class BatRegion {
  offset: number;
  /** In bytes. */
  length: number;
  readonly #core: Core;
  #copies: readonly Pick<RegionTableCopy, 'offset' | 'bytes' | 'fault'>[];

  constructor(core: Core, { regions, regionTables }: CompleteExamination) {
    this.#core = core;
    this.offset = regions.bat.offset;
    this.length = regions.bat.length;
    if (!regionTables) throw new Error('BAT region: the region tables were not kept');
    this.#copies = regionTables;
  }

  /**
   * Gives it another place or length, and returns the pages of both region tables that change. A copy that is not valid,
   * or differs, becomes equal to the other one: changing a sector of it and its checksum would make it valid and wrong.
   */
  place(offset: number, length: number): Patch[] {
    const good = this.#copies.find(({ fault }) => fault === undefined);
    if (!good) throw new Error('BAT region: no region table is valid');
    const entries = readRegionTableEntries(good.bytes).map((entry) =>
      entry.guid === BAT_GUID ? { ...entry, offset, length } : entry,
    );
    const table = encodeRegionTable(entries, (bytes, initial = 0) => sumBytes(this.#core, bytes, initial), good.bytes);
    const patches: Patch[] = [];
    for (const copy of this.#copies) {
      for (let at = 0; at < REGION_TABLE_SIZE; at += PAGE_SIZE) {
        const bytes = table.subarray(at, at + PAGE_SIZE);
        if (bytes.some((byte, i) => byte !== copy.bytes[at + i])) patches.push({ offset: copy.offset + at, bytes });
      }
    }
    this.#copies = this.#copies.map((copy) => ({ offset: copy.offset, bytes: table }));
    this.offset = offset;
    this.length = length;
    return patches;
  }
}

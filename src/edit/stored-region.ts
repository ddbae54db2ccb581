import type { Crc } from '../format/checksum.js';
import {
  encodeRegionTable,
  REGION_TABLE_SIZE,
  type Region,
  type RegionTableCopy,
  readRegionTableEntries,
} from '../format/region-table.js';
import type { CompleteExamination } from '../image/examination.js';
import { PAGE_SIZE } from '../image/page-layer.js';
import type { Patch } from './page-patches.js';

/** The BAT region or the metadata region of a file, and the region tables that name it ([MS-VHDX] 2.2.3). */
export class StoredRegion {
  offset: number;
  /** In bytes. */
  length: number;
  readonly #guid: string;
  readonly #crc: Crc;
  #copies: readonly Pick<RegionTableCopy, 'offset' | 'bytes' | 'fault'>[];

  constructor({ guid, offset, length }: Region, { regionTables }: CompleteExamination, crc: Crc) {
    this.#guid = guid;
    this.#crc = crc;
    this.offset = offset;
    this.length = length;
    if (!regionTables) throw new Error('the region tables were not kept');
    this.#copies = regionTables;
  }

  /**
   * Gives it another place or length, and returns the pages of both region tables that change. A copy that is not valid,
   * or differs, becomes equal to the other one: changing a sector of it and its checksum would make it valid and wrong.
   */
  place(offset: number, length: number): Patch[] {
    const good = this.#copies.find(({ fault }) => fault === undefined);
    if (!good) throw new Error('no region table is valid');
    const entries = readRegionTableEntries(good.bytes).map((entry) =>
      entry.guid === this.#guid ? { ...entry, offset, length } : entry,
    );
    const table = encodeRegionTable(entries, this.#crc, good.bytes);
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

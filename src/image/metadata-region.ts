import { KiB } from '../base/units.js';
import { type DiskMetadata, NEEDED_ITEMS, parseMetadata } from '../format/metadata.js';
import { listedItems, METADATA_TABLE_SIZE, type MetadataEntry, parseMetadataTable } from '../format/metadata-table.js';
import type { Region } from '../format/region-table.js';
import type { RandomAccessSource, ReadOptions } from '../io/random-access.js';
import type { Report } from '../rules.js';

/** Bytes read at the start of the metadata region: the table, and as a rule all items. */
const METADATA_READ_SIZE = METADATA_TABLE_SIZE + 64 * KiB;

/** What a metadata region holds, as far as it can be understood. */
export interface MetadataRegion {
  /** The 64 KiB of its table. */
  readonly table: Uint8Array;
  /** The items that can be read. */
  readonly entries?: readonly MetadataEntry[];
  readonly metadata?: DiskMetadata;
}

/** Reads and checks the metadata region ([MS-VHDX] 2.6): its table and the items that reading needs. */
export async function readMetadataRegion(
  source: RandomAccessSource,
  region: Region,
  report: Report,
  options?: ReadOptions,
): Promise<MetadataRegion> {
  const start = new Uint8Array(Math.min(METADATA_READ_SIZE, region.length));
  await source.readInto(start, region.offset, options);
  const table = start.subarray(0, METADATA_TABLE_SIZE);
  const entries = parseMetadataTable(table, region, report);
  if (!entries) return { table };
  const items = new Map<MetadataEntry, Uint8Array>();
  for (const entry of entries) {
    if (!entry.name || !NEEDED_ITEMS.includes(entry.name)) continue;
    const at = entry.offset - region.offset;
    if (at + entry.length <= start.length) {
      items.set(entry, start.subarray(at, at + entry.length));
    } else {
      const bytes = new Uint8Array(entry.length);
      await source.readInto(bytes, entry.offset, options);
      items.set(entry, bytes);
    }
  }
  const metadata = parseMetadata(entries, listedItems(table), (entry) => items.get(entry) as Uint8Array, report);
  if (!metadata) return { table, entries };
  const locator = metadata.hasParent && entries.find(({ name }) => name === 'Parent Locator');
  if (!locator) return { table, entries, metadata };
  const { parseParentLocator } = await import('../format/parent-locator.js'); // few images have a parent
  const parentLocator = parseParentLocator(items.get(locator) as Uint8Array, locator.offset, report);
  return { table, entries, metadata: { ...metadata, ...(parentLocator && { parentLocator }) } };
}

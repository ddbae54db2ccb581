import { type FileRange, overlaps } from '../base/byte-range.js';
import { hex, readU64, viewOf } from '../base/bytes.js';
import { KiB, MiB } from '../base/units.js';
import { finding, type Report } from '../rules.js';
import { type Crc, crcText, structureChecksum } from './checksum.js';
import { readGuid } from './guid.js';

/** Length in bytes of a region table. */
export const REGION_TABLE_SIZE = 64 * KiB;
/** File offsets of the two copies of the region table. */
export const REGION_TABLE_OFFSETS = [192 * KiB, 256 * KiB] as const;

const MAX_ENTRIES = 2047;
const BAT_GUID = '2dc27766-f623-4200-9d64-115e9bfd4a08';
const METADATA_GUID = '8b7ca206-4790-4b9a-b8fe-575f050f886e';
const KNOWN = new Map([
  [BAT_GUID, 'BAT region'],
  [METADATA_GUID, 'metadata region'],
]);

/** A region: a part of the file that the region table names. */
export interface Region extends FileRange {
  readonly guid: string;
  readonly required: boolean;
}

/** What the region table says. */
export interface Regions {
  readonly bat: Region;
  readonly metadata: Region;
  /** All regions, those that this reader does not know too. */
  readonly all: readonly Region[];
}

/**
 * Parses both copies of the region table ([MS-VHDX] 2.2.3) and checks the regions of the first valid one.
 * `section` holds the first 320 KiB of the file; `log` is the log's place, for the overlap check.
 */
export function parseRegionTables(
  section: Uint8Array,
  fileSize: number,
  log: FileRange | undefined,
  crc: Crc,
  report: Report,
): Partial<Regions> {
  const copies = REGION_TABLE_OFFSETS.map((offset) => section.subarray(offset, offset + REGION_TABLE_SIZE));
  const valid = copies.map((bytes, i) => isValidCopy(bytes, i, crc, report));
  const chosen = valid.indexOf(true);
  const table = copies[chosen];
  if (!table) {
    report(
      finding('region-table-none-valid', 'neither copy is valid', {
        structure: 'region tables',
        offset: REGION_TABLE_OFFSETS[0],
      }),
    );
    return {};
  }
  if (valid.every(Boolean) && copies[0]?.some((byte, i) => byte !== copies[1]?.[i])) {
    const place = { structure: 'region table 2', offset: REGION_TABLE_OFFSETS[1] };
    report(finding('region-tables-differ', 'differs from region table 1, and both are valid', place));
  }
  const all = parseEntries(table, chosen, report);
  return checkRegions(all, fileSize, log, report);
}

function isValidCopy(bytes: Uint8Array, index: number, crc: Crc, report: Report): boolean {
  const place = { structure: `region table ${index + 1}`, offset: REGION_TABLE_OFFSETS[index] as number };
  const view = viewOf(bytes);
  if (view.getUint32(0, true) !== 0x69676572) {
    report(finding('region-table-signature', 'does not begin with "regi"', place));
    return false;
  }
  const stored = view.getUint32(4, true);
  const computed = structureChecksum(bytes, crc);
  if (stored !== computed) {
    report(finding('region-table-checksum', `checksum is ${crcText(stored)}, computed ${crcText(computed)}`, place));
    return false;
  }
  return true;
}

function parseEntries(bytes: Uint8Array, index: number, report: Report): Region[] {
  const table = `region table ${index + 1}`;
  const base = REGION_TABLE_OFFSETS[index] as number;
  const view = viewOf(bytes);
  const count = view.getUint32(8, true);
  if (count > MAX_ENTRIES) {
    report(
      finding('region-entry-count', `${count} entries, at most ${MAX_ENTRIES} are possible`, {
        structure: table,
        offset: base + 8,
      }),
    );
    return [];
  }
  if (view.getUint32(12, true) !== 0) {
    report(finding('region-table-reserved', 'reserved bytes are not zero', { structure: table, offset: base + 12 }));
  }
  const regions: Region[] = [];
  const seen = new Set<string>();
  for (let i = 0; i < count; i++) {
    const at = 16 + 32 * i;
    const guid = readGuid(view, at);
    const flags = view.getUint32(at + 28, true);
    const known = KNOWN.get(guid);
    const entry = { structure: `${table} entry ${i} (${known ?? guid})`, offset: base + at };
    const region = {
      structure: known ?? `region ${guid}`,
      guid,
      offset: readU64(view, at + 16),
      length: view.getUint32(at + 24, true),
      required: (flags & 1) !== 0,
    };
    if (flags > 1) report(finding('region-flags', `flags are ${hex(flags)}, only bit 0 has a meaning`, entry));
    if (seen.has(guid)) {
      report(finding('region-duplicate', 'this region is listed twice', entry, known ? 'fatal' : 'warning'));
      if (known) continue;
    }
    seen.add(guid);
    if (region.required && !known) {
      report(finding('region-unknown-required', `required region ${guid} is unknown`, entry));
    }
    if (region.offset % MiB !== 0 || region.offset < MiB || region.offset > Number.MAX_SAFE_INTEGER) {
      const message = `offset ${hex(region.offset)} is not a multiple of 1 MiB behind the header section`;
      report(finding('region-offset', message, entry));
    } else if (region.length % MiB !== 0 || region.length === 0) {
      report(finding('region-length', `length ${hex(region.length)} is not a positive multiple of 1 MiB`, entry));
    } else {
      regions.push(region);
    }
  }
  return regions;
}

function checkRegions(all: Region[], fileSize: number, log: FileRange | undefined, report: Report): Partial<Regions> {
  for (const region of all) {
    const end = region.offset + region.length;
    if (end <= fileSize) continue;
    const message = `ends at ${hex(end)}, the file at ${hex(fileSize)}`;
    report(finding('region-outside-file', message, region, KNOWN.has(region.guid) ? 'fatal' : 'warning'));
  }
  const sorted = [...all].sort((a, b) => a.offset - b.offset);
  for (const [i, region] of sorted.entries()) {
    const next = sorted[i + 1];
    if (next && overlaps(region, next)) {
      report(finding('region-overlap', `overlaps the ${next.structure} at ${hex(next.offset)}`, region));
    }
    if (log && overlaps(region, log)) {
      report(finding('log-overlap', `the log at ${hex(log.offset)} overlaps the ${region.structure}`, log));
    }
  }
  const bat = all.find((region) => region.guid === BAT_GUID);
  const metadata = all.find((region) => region.guid === METADATA_GUID);
  for (const [region, name] of [
    [bat, 'BAT'],
    [metadata, 'metadata'],
  ] as const) {
    if (!region) {
      const place = { structure: 'region table', offset: REGION_TABLE_OFFSETS[0] };
      report(finding('region-missing', `no usable entry for the ${name} region`, place));
    }
  }
  return { all, ...(bat && { bat }), ...(metadata && { metadata }) };
}

import { type FileRange, overlaps } from '../base/byte-range.js';
import { hex, readU64, viewOf } from '../base/bytes.js';
import { KiB, MiB } from '../base/units.js';
import { finding, type Report } from '../rules.js';
import { type Crc, crcText, setStructureChecksum, structureChecksum } from './checksum.js';
import { readGuid, writeGuid } from './guid.js';

/** Length in bytes of a region table. */
export const REGION_TABLE_SIZE = 64 * KiB;
/** File offsets of the two copies of the region table. */
export const REGION_TABLE_OFFSETS = [192 * KiB, 256 * KiB] as const;

const MAX_ENTRIES = 2047;
const REGI = 0x69676572; // "regi"
const HEADER_LENGTH = 16;
const ENTRY_LENGTH = 32;
/** The GUID of the BAT region. */
export const BAT_GUID = '2dc27766-f623-4200-9d64-115e9bfd4a08';
/** The GUID of the metadata region. */
export const METADATA_GUID = '8b7ca206-4790-4b9a-b8fe-575f050f886e';
const KNOWN = new Map([
  [BAT_GUID, 'BAT region'],
  [METADATA_GUID, 'metadata region'],
]);

/** An entry of a region table as the file has it ([MS-VHDX] 2.2.3.2). */
export interface RegionTableEntry {
  readonly guid: string;
  /** In bytes from the start of the file. */
  readonly offset: number;
  /** In bytes. */
  readonly length: number;
  /** Bit 0 says that the region is required; the others are reserved. */
  readonly flags: number;
}

/** One of the two copies of the region table as the file has it, valid or not. */
export interface RegionTableCopy {
  readonly copy: 1 | 2;
  /** In bytes from the start of the file. */
  readonly offset: number;
  /** Its {@link REGION_TABLE_SIZE} bytes. */
  readonly bytes: Uint8Array;
  /** The rule that makes it invalid; undefined for a valid one. */
  readonly fault?: 'region-table-signature' | 'region-table-checksum';
}

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

/** What the region tables say, as far as it can be understood. */
export interface ParsedRegions extends Partial<Regions> {
  /** Both copies of the table. */
  readonly copies: readonly [RegionTableCopy, RegionTableCopy];
}

/** Whether the signature of a region table is at `at`. */
export function hasRegionTableSignature(view: DataView, at = 0): boolean {
  return view.getUint32(at, true) === REGI;
}

/** The entries that a region table counts, in their order, as they are; nothing is checked but that they fit. */
export function readRegionTableEntries(bytes: Uint8Array): RegionTableEntry[] {
  const view = viewOf(bytes);
  const count = Math.min(view.getUint32(8, true), MAX_ENTRIES);
  return Array.from({ length: count }, (_, i) => {
    const at = HEADER_LENGTH + ENTRY_LENGTH * i;
    return {
      guid: readGuid(view, at),
      offset: readU64(view, at + 16),
      length: view.getUint32(at + 24, true),
      flags: view.getUint32(at + 28, true),
    };
  });
}

/**
 * A region table with these entries as bytes ([MS-VHDX] 2.2.3), with its checksum. A present table is changed by
 * encoding its own entries, changed, over its own bytes: everything else stays as it is.
 *
 * @param base the present table, from which all other bytes are taken; zeros if it is not given
 */
export function encodeRegionTable(
  entries: readonly RegionTableEntry[],
  crc: Crc,
  base?: Uint8Array,
): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(REGION_TABLE_SIZE);
  if (base) bytes.set(base);
  const view = viewOf(bytes);
  view.setUint32(0, REGI, true);
  view.setUint32(8, entries.length, true);
  for (const [i, { guid, offset, length, flags }] of entries.entries()) {
    const at = HEADER_LENGTH + ENTRY_LENGTH * i;
    writeGuid(view, at, guid);
    view.setBigUint64(at + 16, BigInt(offset), true);
    view.setUint32(at + 24, length, true);
    view.setUint32(at + 28, flags, true);
  }
  setStructureChecksum(bytes, crc);
  return bytes;
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
): ParsedRegions {
  const copies = [parseCopy(section, 1, crc, report), parseCopy(section, 2, crc, report)] as const;
  const table = copies.find(({ fault }) => fault === undefined);
  if (!table) {
    report(
      finding('region-table-none-valid', 'neither copy is valid', {
        structure: 'region tables',
        offset: REGION_TABLE_OFFSETS[0],
      }),
    );
    return { copies };
  }
  const [first, second] = copies;
  if (!first.fault && !second.fault && first.bytes.some((byte, i) => byte !== second.bytes[i])) {
    const place = { structure: 'region table 2', offset: REGION_TABLE_OFFSETS[1] };
    report(finding('region-tables-differ', 'differs from region table 1, and both are valid', place));
  }
  return { copies, ...parseRegionTable(table, fileSize, log, report) };
}

/** Checks the regions that one copy of the region table lists, whether that copy is valid or not. */
export function parseRegionTable(
  copy: RegionTableCopy,
  fileSize: number,
  log: FileRange | undefined,
  report: Report,
): Omit<ParsedRegions, 'copies'> {
  const entries = parseEntries(copy, report);
  return entries ? checkRegions(entries, fileSize, log, report) : { all: [] };
}

/** The entries of a region table: the regions that are possible, and the GUIDs of all that are listed. */
interface RegionEntries {
  readonly regions: Region[];
  readonly listed: ReadonlySet<string>;
}

function parseCopy(section: Uint8Array, copy: 1 | 2, crc: Crc, report: Report): RegionTableCopy {
  const offset = REGION_TABLE_OFFSETS[copy - 1] as number;
  const bytes = section.subarray(offset, offset + REGION_TABLE_SIZE);
  const place = { structure: `region table ${copy}`, offset };
  const view = viewOf(bytes);
  if (!hasRegionTableSignature(view)) {
    report(finding('region-table-signature', 'does not begin with "regi"', place));
    return { copy, offset, bytes, fault: 'region-table-signature' };
  }
  const stored = view.getUint32(4, true);
  const computed = structureChecksum(bytes, crc);
  if (stored === computed) return { copy, offset, bytes };
  report(finding('region-table-checksum', `checksum is ${crcText(stored)}, computed ${crcText(computed)}`, place));
  return { copy, offset, bytes, fault: 'region-table-checksum' };
}

function parseEntries({ copy, offset: base, bytes }: RegionTableCopy, report: Report): RegionEntries | undefined {
  const table = `region table ${copy}`;
  const view = viewOf(bytes);
  const count = view.getUint32(8, true);
  if (count > MAX_ENTRIES) {
    report(
      finding('region-entry-count', `${count} entries, the maximum is ${MAX_ENTRIES}`, {
        structure: table,
        offset: base + 8,
      }),
    );
    return undefined;
  }
  if (view.getUint32(12, true) !== 0) {
    report(finding('region-table-reserved', 'reserved bytes are not zero', { structure: table, offset: base + 12 }));
  }
  const regions: Region[] = [];
  const seen = new Set<string>();
  for (const [i, { guid, offset, length, flags }] of readRegionTableEntries(bytes).entries()) {
    const known = KNOWN.get(guid);
    const entry = {
      structure: `${table} entry ${i} (${known ?? guid})`,
      offset: base + HEADER_LENGTH + ENTRY_LENGTH * i,
    };
    const region = { structure: known ?? `region ${guid}`, guid, offset, length, required: (flags & 1) !== 0 };
    if (flags > 1) report(finding('region-flags', `flags are ${hex(flags)}, only bit 0 has a meaning`, entry));
    if (seen.has(guid)) {
      report(finding('region-duplicate', 'this region is listed twice', entry, known ? 'fatal' : 'warning'));
      if (known) continue;
    }
    seen.add(guid);
    if (region.required && !known) {
      report(finding('region-unknown-required', `required region ${guid} is not supported`, entry));
    }
    if (region.offset % MiB !== 0 || region.offset < MiB || region.offset > Number.MAX_SAFE_INTEGER) {
      const message = `offset ${hex(region.offset)} is not 1 MiB aligned, or is inside the header section`;
      report(finding('region-offset', message, entry));
    } else if (region.length % MiB !== 0 || region.length === 0) {
      report(finding('region-length', `length ${hex(region.length)} is not a positive multiple of 1 MiB`, entry));
    } else {
      regions.push(region);
    }
  }
  return { regions, listed: seen };
}

function checkRegions(
  { regions: all, listed }: RegionEntries,
  fileSize: number,
  log: FileRange | undefined,
  report: Report,
): Omit<ParsedRegions, 'copies'> {
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
  for (const [guid, name] of [
    [BAT_GUID, 'BAT'],
    [METADATA_GUID, 'metadata'],
  ] as const) {
    if (listed.has(guid)) continue; // what is wrong with it was reported
    const place = { structure: 'region table', offset: REGION_TABLE_OFFSETS[0] };
    report(finding('region-missing', `there is no entry for the ${name} region`, place));
  }
  return { all, ...(bat && { bat }), ...(metadata && { metadata }) };
}

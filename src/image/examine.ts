import { hex, viewOf } from '../base/bytes.js';
import { crcOf } from '../core/crc32c.js';
import type { Core } from '../core/instance.js';
import { BAT_ENTRY_SIZE, computeGeometry, type Geometry } from '../format/bat.js';
import { FILE_IDENTIFIER_SIZE, hasVhdxSignature, readCreator } from '../format/file-identifier.js';
import {
  checkLogPlace,
  HEADER_OFFSETS,
  HEADER_SECTION_SIZE,
  type Header,
  hasHeaderSignature,
  isDirty,
  parseHeaders,
} from '../format/header.js';
import {
  hasRegionTableSignature,
  parseRegionTable,
  parseRegionTables,
  REGION_TABLE_OFFSETS,
  REGION_TABLE_SIZE,
  type Regions,
  type RegionTableCopy,
} from '../format/region-table.js';
import type { RandomAccessSource, ReadOptions } from '../io/random-access.js';
import { type Finding, finding, type Report } from '../rules.js';
import type { Examination, ExamineOptions, Examining, ReplayMode } from './examination.js';
import { readMetadataRegion } from './metadata-region.js';

/** Bytes read at the start of the file: the used part of the header section. */
const SECTION_SIZE = (REGION_TABLE_OFFSETS[1] as number) + REGION_TABLE_SIZE;

/**
 * Reads and checks the structures of an image, from the file identifier to the metadata, and collects what it finds.
 * A fault of the format never rejects: what depends on it stays undefined. Rejects if the input cannot be read.
 */
export async function examine(
  core: Core,
  source: RandomAccessSource,
  replay: ReplayMode,
  options: ExamineOptions = {},
): Promise<Examination> {
  const examination: Examination = { findings: [], source, isVhdx: false };
  const report: Report = (found) => examination.findings.push(found);
  const crc = crcOf(core);
  const assume = options.salvage === 'unverified' ? await import('./assumptions.js') : undefined;
  const examining = { examination, crc, report, options, assume };
  const section = await readSection(source, options);
  if (!(await examineIdentifier(examining, section))) return examination;
  if (source.size < HEADER_SECTION_SIZE) {
    const message = `the file has ${source.size} bytes, its header section alone has ${HEADER_SECTION_SIZE}`;
    report(finding('file-too-small', message, { structure: 'header section', offset: 0 }));
    return examination;
  }
  if (!examineHeaders(examining, section) || !(await examineLog(examining, section, replay))) return examination;
  const { metadata, bat } = await examineRegions(examining, section);
  if (metadata && metadata.offset + metadata.length <= examination.source.size) {
    const found = await readMetadataRegion(examination.source, metadata, report, options);
    if (options.keepTables) examination.metadataTable = found.table;
    if (found.entries) examination.metadataEntries = found.entries;
    if (found.metadata) examination.metadata = found.metadata;
  }
  if (examination.metadata) {
    examination.geometry = computeGeometry(examination.metadata);
    if (bat) checkBatLength(bat, examination.geometry, report);
  }
  return examination;
}

async function readSection(source: RandomAccessSource, options?: ReadOptions): Promise<Uint8Array> {
  const section = new Uint8Array(SECTION_SIZE);
  await source.readInto(section.subarray(0, Math.min(SECTION_SIZE, source.size)), 0, options);
  return section;
}

/** Reads the file identifier; false, and a fatal finding, if the file is not a VHDX file. */
async function examineIdentifier(
  { examination, report, options, assume }: Examining,
  section: Uint8Array,
): Promise<boolean> {
  const { source } = examination;
  const start = section.subarray(0, Math.min(FILE_IDENTIFIER_SIZE, source.size));
  const isVhdx = hasVhdxSignature(start);
  examination.isVhdx = isVhdx || hasSignatures(section);
  if (isVhdx) {
    examination.creator = readCreator(start);
    return true;
  }
  const { describeForeignFile } = await import('../format/foreign-file.js');
  const end = new Uint8Array(Math.min(512, source.size));
  await source.readInto(end, source.size - end.length, options);
  const isAssumed = assume !== undefined && examination.isVhdx;
  (isAssumed ? assume.asDoubt(report) : report)(describeForeignFile(start, end));
  if (isAssumed) assume.assumeVhdx(report);
  return isAssumed;
}

/** Whether a header or a region table of a VHDX file is in its place, as far as its signature says. */
function hasSignatures(section: Uint8Array): boolean {
  const view = viewOf(section);
  return (
    HEADER_OFFSETS.some((offset) => hasHeaderSignature(view, offset)) ||
    REGION_TABLE_OFFSETS.some((offset) => hasRegionTableSignature(view, offset))
  );
}

/** Finds the current header; false, and a fatal finding, if there is none. */
function examineHeaders({ examination, crc, report, assume }: Examining, section: Uint8Array): boolean {
  const found: Finding[] = [];
  const headers = parseHeaders(section, crc, (one) => found.push(one));
  examination.headers = headers;
  // A format of another version is not guessed at.
  const mayAssume = !headers.current && !found.some(({ code }) => code === 'header-version');
  for (const one of found) (mayAssume && assume ? assume.asDoubt(report) : report)(one);
  const header = mayAssume ? assume?.assumeHeader(headers, report) : headers.current;
  if (header) examination.header = header;
  return header !== undefined;
}

/** Replays the log of a dirty image; false, and a fatal finding, if that cannot be done and nothing else is assumed. */
async function examineLog(examining: Examining, section: Uint8Array, mode: ReplayMode): Promise<boolean> {
  const { examination, report, options, assume } = examining;
  const header = examination.header as Header;
  let isUsable = true;
  const log = checkLogPlace(header, examination.source.size, (found) => {
    if (found.severity === 'fatal') isUsable = false;
    (assume ? assume.asDoubt(report) : report)(found);
  });
  // The log of a header that is only assumed may be anywhere; it must not make its place unreadable.
  if (log && examination.headers?.current) examination.log = log;
  examination.isDirty = isDirty(header);
  if (!examination.isDirty) return true;
  if (isUsable && mode === 'refuse') {
    const message = `the image is dirty: its log (log GUID ${header.logGuid}) must be replayed`;
    report(finding('log-dirty', message, log ?? { structure: 'log' }));
    return false;
  }
  const { replayDirtyLog } = await import('./dirty-log.js'); // few images are dirty
  if (isUsable && log && (await replayDirtyLog(examining, header, log))) {
    examination.log = log;
    const tables = section.subarray(REGION_TABLE_OFFSETS[0]);
    await examination.source.readInto(tables, REGION_TABLE_OFFSETS[0], options);
    return true;
  }
  assume?.assumeUnreplayed(log, report);
  return assume !== undefined;
}

async function examineRegions(examining: Examining, section: Uint8Array): Promise<Partial<Regions>> {
  const { examination, crc, report, options, assume } = examining;
  const { source, log } = examination;
  const found: Finding[] = [];
  const { copies, ...regions } = parseRegionTables(section, source.size, log, crc, (one) => found.push(one));
  if (options.keepTables) examination.regionTables = copies;
  const isValid = copies.some(({ fault }) => fault === undefined);
  const parse = (copy: RegionTableCopy, to: Report) => parseRegionTable(copy, source.size, log, to);
  const assumed = isValid ? undefined : await assume?.assumeRegions(copies, source, parse, report, options);
  for (const one of found) (assumed && assume ? assume.asDoubt(report) : report)(one);
  examination.regions = assumed ?? regions;
  return examination.regions;
}

function checkBatLength(bat: Regions['bat'], geometry: Geometry, report: Report): void {
  const needed = geometry.batEntries * BAT_ENTRY_SIZE;
  if (needed <= bat.length) return;
  const message = `has ${hex(bat.length)} bytes, ${geometry.batEntries} entries need ${hex(needed)}`;
  report(finding('bat-too-short', message, bat));
}

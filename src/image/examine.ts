import type { FileRange } from '../base/byte-range.js';
import { hex } from '../base/bytes.js';
import { KiB } from '../base/units.js';
import { sumBytes } from '../core/crc32c.js';
import type { Core } from '../core/instance.js';
import { BAT_ENTRY_SIZE, computeGeometry, type Geometry } from '../format/bat.js';
import type { Crc } from '../format/checksum.js';
import { FILE_IDENTIFIER_SIZE, hasVhdxSignature, readCreator } from '../format/file-identifier.js';
import {
  checkLogPlace,
  HEADER_SECTION_SIZE,
  type Header,
  type Headers,
  isDirty,
  parseHeaders,
} from '../format/header.js';
import { type DiskMetadata, NEEDED_ITEMS, parseMetadata } from '../format/metadata.js';
import { METADATA_TABLE_SIZE, type MetadataEntry, parseMetadataTable } from '../format/metadata-table.js';
import {
  type ParsedRegions,
  parseRegionTables,
  REGION_TABLE_OFFSETS,
  REGION_TABLE_SIZE,
  type Region,
  type Regions,
} from '../format/region-table.js';
import type { RandomAccessSource, ReadOptions } from '../io/random-access.js';
import type { ChangeBudget, ReplayPlan } from '../log/plan.js';
import { type Finding, finding, type Report } from '../rules.js';
import type { TranslatorImage } from './translator.js';

/** How a dirty image is treated: its log replayed in memory, or the image refused. */
export type ReplayMode = 'memory' | 'refuse';

/** Bytes read at the start of the file: the used part of the header section. */
const SECTION_SIZE = (REGION_TABLE_OFFSETS[1] as number) + REGION_TABLE_SIZE;
/** Bytes read at the start of the metadata region: the table, and as a rule all items. */
const METADATA_READ_SIZE = METADATA_TABLE_SIZE + 64 * KiB;

/** Options of an examination. */
export interface ExamineOptions extends ReadOptions {
  /** What the dirty members of a chain share; an image alone has one of its own. */
  readonly changeBudget?: ChangeBudget | undefined;
}

/** What an image says about itself, as far as it can be understood. */
export interface Examination {
  /** Everything that is wrong or worth knowing, fatal findings too. */
  readonly findings: Finding[];
  /** The file as it is after replay; the input itself if there was nothing to replay. */
  source: RandomAccessSource;
  creator?: string;
  /** Both copies, as the file has them. */
  headers?: Headers;
  /** The current one. */
  header?: Header;
  log?: FileRange;
  /** What replay did; undefined if there was nothing to replay. */
  replay?: ReplayPlan;
  regions?: ParsedRegions;
  /** The 64 KiB of the metadata table. */
  metadataTable?: Uint8Array;
  metadataEntries?: readonly MetadataEntry[];
  metadata?: DiskMetadata;
  geometry?: Geometry;
}

/** An examination that found everything that reading needs. */
export type CompleteExamination = Examination &
  Required<Pick<Examination, 'header' | 'metadata' | 'geometry'>> & { readonly regions: Regions };

/** Whether everything that reading needs is there and valid. */
export function isComplete(examination: Examination): examination is CompleteExamination {
  return examination.geometry !== undefined && !examination.findings.some(({ severity }) => severity === 'fatal');
}

/** What translation must know of an image. */
export function translatorImage({ source, geometry, regions, log }: CompleteExamination): TranslatorImage {
  const reserved = [...regions.all, ...(log ? [log] : [])].sort((a, b) => a.offset - b.offset);
  return { source, geometry, batOffset: regions.bat.offset, reserved };
}

/**
 * Reads and checks the structures of an image, from the file identifier to the metadata, and collects what it finds.
 * A fault of the format never rejects: what depends on it stays undefined. Rejects if the input cannot be read.
 */
export async function examine(
  core: Core,
  source: RandomAccessSource,
  replay: ReplayMode,
  options?: ExamineOptions,
): Promise<Examination> {
  const examination: Examination = { findings: [], source };
  const report: Report = (found) => examination.findings.push(found);
  const crc: Crc = (bytes, initial = 0) => sumBytes(core, bytes, initial);
  const section = await readSection(source, options);
  await examineIdentifier(examination, section, report, options);
  if (examination.creator === undefined) return examination;
  if (source.size < HEADER_SECTION_SIZE) {
    const message = `the file has ${source.size} bytes, its header section alone has ${HEADER_SECTION_SIZE}`;
    report(finding('file-too-small', message, { structure: 'header section', offset: 0 }));
    return examination;
  }
  examination.headers = parseHeaders(section, crc, report);
  const header = examination.headers.current;
  if (!header) return examination;
  examination.header = header;
  const log = checkLogPlace(header, source.size, report);
  if (log) examination.log = log;
  if (isDirty(header)) {
    if (!log || !(await replayDirtyLog(examination, core, replay, report, options))) return examination;
    const tables = section.subarray(REGION_TABLE_OFFSETS[0]);
    await examination.source.readInto(tables, REGION_TABLE_OFFSETS[0], options);
  }
  examination.regions = parseRegionTables(section, examination.source.size, log, crc, report);
  const { metadata, bat } = examination.regions;
  if (metadata && isReadable(metadata, examination)) await examineMetadata(examination, metadata, report, options);
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

async function examineIdentifier(
  examination: Examination,
  section: Uint8Array,
  report: Report,
  options?: ReadOptions,
): Promise<void> {
  const { source } = examination;
  const start = section.subarray(0, Math.min(FILE_IDENTIFIER_SIZE, source.size));
  if (hasVhdxSignature(start)) {
    examination.creator = readCreator(start);
    return;
  }
  const { describeForeignFile } = await import('../format/foreign-file.js');
  const end = new Uint8Array(Math.min(512, source.size));
  await source.readInto(end, source.size - end.length, options);
  report(describeForeignFile(start, end));
}

/** Replays the log if that is allowed; false, and a fatal finding, if the image stays as it is on disk. */
async function replayDirtyLog(
  examination: Examination,
  core: Core,
  mode: ReplayMode,
  report: Report,
  options?: ExamineOptions,
): Promise<boolean> {
  const { source, header, log, findings } = examination;
  if (!header || !log || findings.some(({ severity }) => severity === 'fatal')) return false;
  if (mode === 'refuse') {
    report(finding('log-dirty', `the image is dirty: its log (log GUID ${header.logGuid}) must be replayed`, log));
    return false;
  }
  const [{ planReplay }, { overlay }] = await Promise.all([
    import('../log/plan.js'), // few images are dirty
    import('../log/overlay.js'),
  ]);
  const plan = await planReplay(core, source, header, log, report, options?.changeBudget ?? {}, options);
  if (!plan) return false;
  examination.source = overlay(source, plan);
  examination.replay = plan;
  const { entries, dataSectors, zeroedBytes } = plan.summary;
  const count = (number: number, one: string, several: string) => `${number} ${number === 1 ? one : several}`;
  const what = `${count(entries, 'log entry', 'log entries')} replayed in memory: ${count(dataSectors, 'sector', 'sectors')} of 4 KiB written, ${zeroedBytes} bytes zeroed`;
  report(finding('log-replayed', what, log));
  return true;
}

function isReadable(region: Region, { source }: Examination): boolean {
  return region.offset + region.length <= source.size;
}

async function examineMetadata(
  examination: Examination,
  region: Region,
  report: Report,
  options?: ReadOptions,
): Promise<void> {
  const { source } = examination;
  const start = new Uint8Array(Math.min(METADATA_READ_SIZE, region.length));
  await source.readInto(start, region.offset, options);
  examination.metadataTable = start.subarray(0, METADATA_TABLE_SIZE);
  const entries = parseMetadataTable(examination.metadataTable, region, report);
  if (!entries) return;
  examination.metadataEntries = entries;
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
  const metadata = parseMetadata(entries, (entry) => items.get(entry) as Uint8Array, report);
  if (!metadata) return;
  const locator = metadata.hasParent && entries.find(({ name }) => name === 'Parent Locator');
  if (!locator) {
    examination.metadata = metadata;
    return;
  }
  const { parseParentLocator } = await import('../format/parent-locator.js'); // few images have a parent
  const parentLocator = parseParentLocator(items.get(locator) as Uint8Array, locator.offset, report);
  examination.metadata = { ...metadata, ...(parentLocator && { parentLocator }) };
}

function checkBatLength(bat: Region, geometry: Geometry, report: Report): void {
  const needed = geometry.batEntries * BAT_ENTRY_SIZE;
  if (needed <= bat.length) return;
  const message = `has ${hex(bat.length)} bytes, ${geometry.batEntries} entries need ${hex(needed)}`;
  report(finding('bat-too-short', message, bat));
}

import type { FileRange } from '../base/byte-range.js';
import type { Geometry } from '../format/bat.js';
import type { Crc } from '../format/checksum.js';
import type { Header, Headers } from '../format/header.js';
import type { DiskMetadata } from '../format/metadata.js';
import type { MetadataEntry } from '../format/metadata-table.js';
import type { ParsedRegions, Regions } from '../format/region-table.js';
import type { RandomAccessSource, ReadOptions } from '../io/random-access.js';
import type { ChangeBudget, ReplayPlan } from '../log/plan.js';
import type { Finding, Report } from '../rules.js';
import type { TranslatorImage } from './translator.js';

/** How a dirty image is treated: its log replayed in memory, or the image refused. */
export type ReplayMode = 'memory' | 'refuse';

/** Options of an examination. */
export interface ExamineOptions extends ReadOptions {
  /** Reads what the structures still say if the image as a whole is at fault, and reports every assumption. */
  readonly salvage?: 'unverified' | undefined;
  /** Keeps the bytes of the region tables and of the metadata table, which a writer changes in place. */
  readonly keepTables?: boolean | undefined;
  /** What the dirty members of a chain share; an image alone has one of its own. */
  readonly changeBudget?: ChangeBudget | undefined;
  /** Longest log that is replayed, in bytes. */
  readonly maxLogLength?: number | undefined;
}

/** What an image says about itself, as far as it can be understood. */
export interface Examination {
  /** Everything that is wrong or worth knowing, fatal findings too. */
  readonly findings: Finding[];
  /** The file as it is after replay; the input itself if there was nothing to replay. */
  source: RandomAccessSource;
  /** Whether the file has the signature of a VHDX file, or that of a header or region table in its place. */
  isVhdx: boolean;
  creator?: string;
  /** Both copies, as the file has them. */
  headers?: Headers;
  /** The current one. */
  header?: Header;
  log?: FileRange;
  /** Whether its log must be replayed before anything else is read; undefined if it has no header. */
  isDirty?: boolean;
  /** What replay did; undefined if there was nothing to replay. */
  replay?: ReplayPlan;
  regions?: Partial<Regions>;
  /** Both copies of the region table, if they were to be kept. */
  regionTables?: ParsedRegions['copies'];
  /** The 64 KiB of the metadata table, if they were to be kept. */
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
export function translatorImage(examination: CompleteExamination): TranslatorImage {
  const { source, geometry, regions, log, replay } = examination;
  const reserved = [...regions.all, ...(log ? [log] : [])].sort((a, b) => a.offset - b.offset);
  const storedSize = replay?.summary.fileSizeBefore ?? Number.MAX_SAFE_INTEGER;
  return { source, geometry, batOffset: regions.bat.offset, reserved, storedSize };
}

/** What the steps of an examination share. */
export interface Examining {
  readonly examination: Examination;
  readonly crc: Crc;
  readonly report: Report;
  readonly options: ExamineOptions;
  /** What salvage assumes; undefined unless it was asked for. */
  readonly assume: typeof import('./assumptions.js') | undefined;
}

import type { CheckStatus, DiskInfo, ExportFormat, Finding, Progress, RuleCode, Severity } from '../src/index.js';
import type { FileKind, PartitionTable } from '../src/volumes/index.js';

/** What a person opens: a file, or the address of one. */
export type Input = File | string;

/** What went wrong, in words for people. */
export interface Problem {
  /** The library's code if it has one; for programs and for the curious. */
  readonly code: string;
  /** One sentence. */
  readonly sentence: string;
}

/** One of the files that were opened together. */
export interface Candidate {
  readonly name: string;
  /** What the file says about itself; undefined if it does not open. */
  readonly info?: DiskInfo;
}

/** A member of the chain of the disk that is shown: 0 is the disk itself, 1 its parent, and so on. */
export interface ChainMember {
  readonly name: string;
  readonly info: DiskInfo;
}

/** What is missing of a chain. */
export interface MissingParent {
  /** What it is called; undefined if the child does not say. */
  readonly name?: string | undefined;
  /** Why it is not there, and which file to add. */
  readonly sentence: string;
}

/** The result of opening files. */
export interface Opened {
  readonly candidates: readonly Candidate[];
  /** Which of the candidates is shown. */
  readonly subject: number;
  /** Empty if the image does not open. */
  readonly chain: readonly ChainMember[];
  /** Why the image does not open. */
  readonly problem?: Problem;
  /** Whether it opens as unverified, by what its structures still say. */
  readonly canSalvage?: boolean;
  /** The disk in a file that is no VHDX: it can be saved as one. */
  readonly other?: { readonly format: 'raw' | 'vhd'; readonly size: number };
  readonly missing?: MissingParent;
}

/** Findings of one code in one file of the chain. The places themselves stay in the worker until they are shown. */
export interface FindingGroup {
  readonly key: number;
  /** The file; undefined if there is only one. */
  readonly file?: string;
  readonly code: RuleCode;
  readonly severity: Severity;
  readonly spec: string;
  readonly meaning: string;
  /** How many there are, including those that are only counted. */
  readonly count: number;
  /** How many are listed. */
  readonly listed: number;
}

/** The result of a check. */
export interface CheckSummary {
  readonly status: CheckStatus;
  readonly counts: Readonly<Record<Severity, number>>;
  readonly groups: readonly FindingGroup[];
}

/** What the bytes of a disk are, in the order in which {@link MapBins} has them. */
export const KINDS = ['data', 'parent', 'zero', 'unmapped', 'absent', 'damaged'] as const;

/** One of {@link KINDS}: `absent` is what is stored in a parent that is not available. */
export type Kind = (typeof KINDS)[number];

/** A range of the disk cut into bins, and how many bytes of each kind each bin holds. */
export interface MapBins {
  readonly offset: number;
  readonly length: number;
  /** Width of a bin in bytes; the last one may be cut off by the end of the range. */
  readonly binLength: number;
  /** Bin by bin, a number of bytes for each of {@link KINDS}. */
  readonly bytes: Float64Array;
  /** Up to this offset the sums are final. */
  readonly reached: number;
}

/** Bytes to look at, of the disk or of its file. */
export interface BytesView {
  readonly offset: number;
  readonly bytes: Uint8Array;
  /** How many bytes the disk or the file has. */
  readonly size: number;
  /** Where the bytes come from, in a sentence. */
  readonly origin: string;
}

/** The result of a search: where it was found, and how many bytes were not searched because they are damaged. */
export interface Found {
  readonly offset?: number;
  readonly leftOut: number;
}

/** The progress of a long job. */
export interface JobProgress {
  /** Bytes of the disk or file that are done. */
  readonly done: number;
  readonly total: number;
  /** Bytes that were read of those that must be; holes are not read. */
  readonly read: number;
  readonly toRead: number;
}

/** What a disk is saved as. */
export type SaveFormat = ExportFormat | 'vhdx';

/** The part of the disk that is saved; in bytes. */
export interface SavedPart {
  readonly offset: number;
  readonly length: number;
  /** What is added to the name of the disk. */
  readonly suffix: string;
}

/** What was saved: with a blob to download if the browser could not write a file. */
export interface Saved {
  readonly name: string;
  readonly blob?: Blob;
  /** Bytes that could not be read and became zeros. */
  readonly lost: number;
  /** Files and folders that could not be read and are not in the archive, by their names. */
  readonly leftOut?: readonly string[];
}

/** A part of the disk with files. */
export interface VolumeName {
  readonly label: string;
  /** Its file system. */
  readonly kind: string;
}

/** A name in a directory of the disk. */
export interface ListedFile {
  readonly name: string;
  readonly kind: FileKind;
  readonly size: number;
  readonly modified?: Date;
  /** Of a link: where it leads. */
  readonly target?: string;
  /** Why it cannot be read, in a sentence. */
  readonly problem?: string;
}

/** What a file shows of itself: its text, or a picture; neither of what is none of both. */
export interface FilePreview {
  readonly size: number;
  readonly text?: string;
  /** Whether the file has more text than this. */
  readonly isCut?: boolean;
  readonly picture?: Blob;
}

/** What is in a directory of the disk. */
export interface FileListing {
  /** Empty if nothing of the disk has files that can be read here. */
  readonly volumes: readonly VolumeName[];
  /** What is unusual about the file system, in sentences. */
  readonly notes: readonly string[];
  readonly entries: readonly ListedFile[];
  /** How many names are not listed. */
  readonly more: number;
}

/** What a repair would do. */
export interface RepairPlan {
  /** In sentences, in the order in which it is done. */
  readonly repairs: readonly string[];
  /** Whether there is a log that cannot be replayed and may be cleared instead. */
  readonly discardsLog: boolean;
  /** Why nothing can be repaired, in a sentence. */
  readonly refusal?: string;
}

/** What was repaired: with a blob to download if a copy was to be saved and the browser could not write a file. */
export interface Repaired {
  readonly name: string;
  readonly repairs: readonly string[];
  readonly blob?: Blob;
}

/** The methods of the worker that the page can call: their parameters, the progress that they report, and their result. */
export interface Methods {
  open: {
    parameters: { inputs: readonly Input[]; subject?: number; salvage?: boolean };
    progress: never;
    result: Opened;
  };
  check: { parameters: null; progress: Progress; result: CheckSummary };
  /** The report on what is open, as text: what the check found, and the checksums that were computed so far. */
  report: { parameters: null; progress: never; result: string };
  findings: { parameters: { group: number; from: number; to: number }; progress: never; result: readonly Finding[] };
  map: { parameters: { offset: number; length: number; binLength: number }; progress: MapBins; result: MapBins };
  partitions: { parameters: null; progress: never; result: PartitionTable };
  files: { parameters: { volume: number; path: string }; progress: never; result: FileListing };
  previewFile: { parameters: { volume: number; path: string }; progress: never; result: FilePreview };
  saveFiles: {
    parameters: { volume: number; path: string; target: FileSystemFileHandle | null };
    progress: JobProgress;
    result: Saved;
  };
  bytes: { parameters: { of: 'disk' | 'file'; offset: number; length: number }; progress: never; result: BytesView };
  search: {
    parameters: { of: 'disk' | 'file'; patterns: readonly Uint8Array[]; from: number };
    progress: JobProgress;
    result: Found;
  };
  checksum: { parameters: { of: 'disk' | 'file' }; progress: JobProgress; result: number };
  planRepair: { parameters: { discardLog: boolean }; progress: never; result: RepairPlan };
  repair: {
    parameters: {
      target: FileSystemFileHandle;
      asOpened: { size: number; lastModified: number };
      discardLog: boolean;
    };
    progress: never;
    result: Repaired;
  };
  saveRepaired: {
    parameters: { target: FileSystemFileHandle | null; discardLog: boolean };
    progress: JobProgress;
    result: Repaired;
  };
  save: {
    parameters: { format: SaveFormat; part?: SavedPart; target: FileSystemFileHandle | null; salvage: boolean };
    progress: JobProgress;
    result: Saved;
  };
}

/** The name of a method. */
export type Method = keyof Methods;

/** What the page sends. */
export type Request = { readonly id: number } & (
  | { readonly [M in Method]: { readonly method: M; readonly parameters: Methods[M]['parameters'] } }[Method]
  | { readonly cancel: true }
);

/** What the worker sends. */
export type Answer = { readonly id: number } & (
  | { readonly progress: unknown }
  | { readonly result: unknown }
  | { readonly problem: Problem }
);

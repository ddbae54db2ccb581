import type { CheckStatus, DiskInfo, ExportFormat, Finding, Progress, RuleCode, Severity } from '../src/index.js';
import type { Contents } from './contents/table.js';

/** What a person hands over: a file of theirs, or the address of one. */
export type Input = File | string;

/** What went wrong, in words for people. */
export interface Problem {
  /** The library's code where it has one; for programs and for the curious. */
  readonly code: string;
  /** One sentence. */
  readonly sentence: string;
}

/** One of the files that were handed over. */
export interface Candidate {
  readonly name: string;
  /** What the file says about itself; undefined where it does not open. */
  readonly info?: DiskInfo;
}

/** A member of the chain of the disk that is shown: 0 is the disk itself, 1 its parent, and so on. */
export interface ChainMember {
  readonly name: string;
  readonly info: DiskInfo;
}

/** What opening came to. */
export interface Opened {
  readonly candidates: readonly Candidate[];
  /** Which of the candidates is shown. */
  readonly subject: number;
  /** Empty where the image does not open. */
  readonly chain: readonly ChainMember[];
  /** Why the image does not open. */
  readonly problem?: Problem;
  /** What is missing of a chain, and how to come by it. */
  readonly missing?: string;
}

/** Findings of one kind in one file of the chain. The places themselves stay in the worker until they are wanted. */
export interface FindingGroup {
  readonly key: number;
  /** The file; undefined where there is only one. */
  readonly file?: string;
  readonly code: RuleCode;
  readonly severity: Severity;
  readonly spec: string;
  readonly meaning: string;
  /** How many there are, those that are only counted among them. */
  readonly count: number;
  /** How many are listed. */
  readonly listed: number;
}

/** What a check came to. */
export interface CheckSummary {
  readonly status: CheckStatus;
  readonly counts: Readonly<Record<Severity, number>>;
  readonly groups: readonly FindingGroup[];
}

/** What the bytes of a disk are, in the order in which {@link MapBins} has them. */
export const KINDS = ['data', 'parent', 'zero', 'unmapped', 'absent', 'damaged'] as const;

/** One of {@link KINDS}: `absent` is what lies in a parent that is not at hand. */
export type Kind = (typeof KINDS)[number];

/** A range of the disk cut into bins, and how many bytes of each kind each bin holds. */
export interface MapBins {
  readonly offset: number;
  readonly length: number;
  /** Width of a bin in bytes; the last one may be cut off by the end of the range. */
  readonly binLength: number;
  /** Bin by bin, a number of bytes for each of {@link KINDS}. */
  readonly bytes: Float64Array;
  /** Up to where the sums are final; behind it they are still to come. */
  readonly reached: number;
}

/** Bytes to look at, of the disk or of its file. */
export interface BytesView {
  readonly offset: number;
  readonly bytes: Uint8Array;
  /** How many bytes there are of what they belong to. */
  readonly size: number;
  /** Where the bytes come from, in a sentence. */
  readonly origin: string;
}

/** How far some long work has come. */
export interface Work {
  /** Bytes of the disk or file that are behind. */
  readonly done: number;
  readonly total: number;
  /** Bytes that had to be read and are; holes cost nothing. */
  readonly read: number;
  readonly toRead: number;
}

/** What was saved: a blob to download where there was no place to write to. */
export interface Saved {
  readonly name: string;
  readonly blob?: Blob;
}

/** What the page can ask of the worker: what it gives, what it is told meanwhile, and what it gets. */
export interface Methods {
  open: { take: { inputs: readonly Input[]; subject?: number }; tell: never; give: Opened };
  check: { take: null; tell: Progress; give: CheckSummary };
  findings: { take: { group: number; from: number; to: number }; tell: never; give: readonly Finding[] };
  map: { take: { offset: number; length: number; binLength: number }; tell: MapBins; give: MapBins };
  contents: { take: null; tell: never; give: Contents };
  bytes: { take: { of: 'disk' | 'file'; offset: number; length: number }; tell: never; give: BytesView };
  checksum: { take: { of: 'disk' | 'file' }; tell: Work; give: number };
  save: { take: { format: ExportFormat; target: FileSystemFileHandle | null }; tell: Work; give: Saved };
}

/** The name of a method. */
export type Method = keyof Methods;

/** What the page sends. */
export type Request = { readonly id: number } & (
  | { readonly [M in Method]: { readonly method: M; readonly take: Methods[M]['take'] } }[Method]
  | { readonly cancel: true }
);

/** What the worker sends. */
export type Answer = { readonly id: number } & (
  | { readonly tell: unknown }
  | { readonly give: unknown }
  | { readonly problem: Problem }
);

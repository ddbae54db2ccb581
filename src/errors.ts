import { printableText } from './base/printable-text.js';
import type { Facts, Finding, Place, RuleCode } from './rules.js';

/** Codes of errors that are about an operation, and not about a rule of the format. */
const OPERATION_CODES = [
  'read-failed', // the input did not deliver the bytes
  'short-read', // the input ended before the bytes that it said it had
  'source-changed', // the input is not the one that was opened any more
  'closed', // the disk was closed
  'read-only', // the file was opened for reading, or the system does not allow writing
  'exists', // there is a file of that name already
  'no-space', // the device, the quota or the file system has no room for it
  'write-failed', // the output did not take the bytes
  'session-failed', // a write or a flush failed: what was flushed is safe, nothing more is written
  'locked', // another process has the file open for writing
  'has-children', // other images have the file as their parent and would not fit it any more
  'needs-shrink', // the disk would get smaller, which must be asked for
  'limit-exceeded', // the work is more than the caller allows
  'file-system-damaged', // a structure of the file system in a partition is not what it must be
  'file-system-unsupported', // a file system, or a feature of one, that is not read here
  'not-found', // the file system has no file of that path
  'wrong-kind', // the path is that of a folder, a file or a link where it must be another of these
  'unsupported-input', // what was handed over cannot be read here
  'wasm-unavailable', // the core could not be started
] as const;

/** Code of an error that is about an operation, and not about a rule of the format. */
export type OperationCode = (typeof OPERATION_CODES)[number];

/** What went wrong, for programs: the broken rule, or the failed operation. */
export type VhdxErrorCode = RuleCode | OperationCode;

/** A way on that the caller may choose, for programs that name it in words of their own. */
export type Hint =
  | 'input' // hand over something that can be read
  | 'parent' // say where the parent is
  | 'follow-parents' // follow the paths in the image to wherever they lead
  | 'ignore-parent-mismatch' // read a parent that is not known to be the right one
  | 'discard-log' // repair without replaying the log
  | 'force' // merge although other children of the parent will not fit it any more
  | 'shrink' // make the disk smaller, and lose what is past its new end
  | 'salvage' // read what the structures still say, as unverified
  | 'raw' // take the bytes of the file for those of the disk
  | 'pad'; // add zeros up to the next sector

/** Longest reason, in UTF-16 units; longer ones are cut. */
const MAX_REASON = 2000;
/** Longest file name, in UTF-16 units: no path of an operating system is longer. */
const MAX_FILE = 4096;
/** Most attempts that a message lists. */
const MAX_ATTEMPTS = 20;

/** A way on, for programs and in words. Each sentence is where the error is thrown, so that no page loads all of them. */
export interface Advice {
  /** Which way it is. */
  readonly hint: Hint;
  /** What to do, by the options of this library. */
  readonly text: string;
}

/** Details that a {@link VhdxError} carries. */
export interface VhdxErrorDetails {
  /** The structure concerned, by the specification's own name. */
  readonly structure?: string | undefined;
  /** Offset in the file, in bytes. */
  readonly offset?: number | undefined;
  /** What the message says, as numbers. */
  readonly facts?: Facts | undefined;
  /** Name of the file that it is about, where there are several. */
  readonly file?: string | undefined;
  /** Absolute path of that file, where it has one. */
  readonly path?: string | undefined;
  /** Which member of a chain it is about: 0 for the image itself, 1 for its parent, and so on. */
  readonly depth?: number | undefined;
  /** What was tried without success, a line each. */
  readonly attempts?: readonly string[] | undefined;
  /** Ways on that the caller may choose. */
  readonly advice?: readonly Advice[] | undefined;
  /** The finding that the error reports. */
  readonly finding?: Finding | undefined;
  /** The error that caused this one. */
  readonly cause?: unknown;
}

/**
 * The one error class of this library. The message names what is wrong, the structure and the place. It never holds a
 * control character but the line feeds before its attempts, whatever the image or the server says.
 */
export class VhdxError extends Error {
  override readonly name = 'VhdxError';
  /** What went wrong, for programs. */
  readonly code: VhdxErrorCode;
  /** What is wrong, in one sentence: the message without the file, the attempts and the advice. */
  readonly reason: string;
  /** The structure concerned, by the specification's own name, such as `region table 1`. */
  readonly structure?: string;
  /** Offset in the file, in bytes. */
  readonly offset?: number;
  /** What the message says, as numbers, if it concerns a part of the disk. */
  readonly facts?: Facts;
  /** Name of the file that it is about, where that is a parent, or one of two that are compared. */
  readonly file?: string;
  /** Absolute path of that file, where it has one. */
  readonly path?: string;
  /** Which member of a chain it is about, where that is known: 0 for the image itself, 1 for its parent, and so on. */
  readonly depth?: number;
  /** What was tried without success, such as each place where a parent was looked for; several end the message, a line each. */
  readonly attempts?: readonly string[];
  /** Ways on that the caller may choose, as they end the message. */
  readonly advice?: readonly Advice[];
  /** The finding that the error reports, where it is about the format. */
  readonly finding?: Finding;
  /** Whether it may be over a moment later: a server is overloaded, a connection broke. */
  readonly isTransient?: boolean;

  constructor(code: VhdxErrorCode, reason: string, details: VhdxErrorDetails = {}) {
    const { structure, offset, facts, file, path, depth, attempts, advice, finding, cause } = details;
    const lines = (attempts ?? []).slice(0, MAX_ATTEMPTS).map((line) => printableText(line));
    const sentence = printableText(reason, MAX_REASON);
    const whose = file === undefined ? '' : `${printableText(file, MAX_FILE)}: `;
    const ways = (advice ?? []).map(({ text }) => `; ${text}`).join('');
    const tried = lines.length === 1 ? ` (${lines[0]})` : '';
    const list = lines.length > 1 ? lines.map((line) => `\n  ${line}`).join('') : '';
    super(`${whose}${sentence}${tried}${ways}${list}`, cause === undefined ? {} : { cause });
    this.code = code;
    this.reason = sentence;
    const tries = lines.length > 0 ? lines : undefined;
    const own = {
      structure,
      offset,
      facts,
      file,
      path,
      depth,
      attempts: tries,
      advice: advice?.length ? advice : undefined,
      finding,
    };
    for (const [name, value] of Object.entries(own)) if (value !== undefined) Object.assign(this, { [name]: value });
  }

  /** Ways on that the caller may choose, for programs that name them in words of their own. */
  get hints(): readonly Hint[] | undefined {
    return this.advice?.map(({ hint }) => hint);
  }

  /** Whether it is about a rule of the format: the file is malformed there. Otherwise an operation failed, and the file may be sound. */
  get isAboutFormat(): boolean {
    return !(OPERATION_CODES as readonly VhdxErrorCode[]).includes(this.code);
  }

  /** The error that reports a finding. */
  static from(finding: Finding, details: Omit<VhdxErrorDetails, 'finding' | keyof Place> = {}): VhdxError {
    const { code, structure, message, offset, facts } = finding;
    const place = offset === undefined ? '' : ` (at 0x${offset.toString(16)})`;
    return new VhdxError(code, `${structure}: ${message}${place}`, { ...details, structure, offset, facts, finding });
  }
}

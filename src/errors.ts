import type { Facts, Finding, RuleCode } from './rules.js';

/** Codes of errors that are about an operation, and not about a rule of the format. */
const OPERATION_CODES = [
  'read-failed', // the input did not deliver the bytes
  'short-read', // the input ended before the bytes that it said it had
  'source-changed', // the input is not the one that was opened any more
  'closed', // the disk was closed
  'unsupported-input', // what was handed over is nothing that can be read
  'wasm-unavailable', // the core could not be started
] as const;

/** Code of an error that is about an operation, and not about a rule of the format. */
export type OperationCode = (typeof OPERATION_CODES)[number];

/** What went wrong, for programs: the broken rule, or the failed operation. */
export type VhdxErrorCode = RuleCode | OperationCode;

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
  /** The error behind this one. */
  readonly cause?: unknown;
}

/** The one error class of this library. The message names what is wrong, the structure and the place. */
export class VhdxError extends Error {
  override readonly name = 'VhdxError';
  /** What went wrong, for programs. */
  readonly code: VhdxErrorCode;
  /** The structure concerned, by the specification's own name, such as `region table 1`. */
  readonly structure?: string;
  /** Offset in the file, in bytes. */
  readonly offset?: number;
  /** What the message says, as numbers, if it concerns a part of the disk. */
  readonly facts?: Facts;
  /** Name of the file whose format it is about, where that is a parent, or one of two that are compared. */
  readonly file?: string;

  constructor(code: VhdxErrorCode, message: string, details: VhdxErrorDetails = {}) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.code = code;
    if (details.structure !== undefined) this.structure = details.structure;
    if (details.offset !== undefined) this.offset = details.offset;
    if (details.facts !== undefined) this.facts = details.facts;
    if (details.file !== undefined) this.file = details.file;
  }

  /** Whether it is about a rule of the format: the file is malformed there. Otherwise an operation failed, and the file may be sound. */
  get isAboutFormat(): boolean {
    return !(OPERATION_CODES as readonly VhdxErrorCode[]).includes(this.code);
  }

  /** The error that says what a finding says. */
  static from(finding: Finding, cause?: unknown): VhdxError {
    const place = finding.offset === undefined ? '' : ` (at 0x${finding.offset.toString(16)})`;
    return new VhdxError(finding.code, `${finding.structure}: ${finding.message}${place}`, { ...finding, cause });
  }

  /** The same, told of one of several files. */
  inFile(file: string): VhdxError {
    const { code, message, structure, offset, facts } = this;
    return new VhdxError(code, `${file}: ${message}`, { structure, offset, facts, file, cause: this });
  }
}

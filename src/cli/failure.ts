import { writeSync } from 'node:fs';
import { basename, resolve } from 'node:path';
import { getSystemErrorMap } from 'node:util';
import { type Hint, VhdxError } from '../index.js';
import { displayName, isUrl, printable } from './terminal.js';

/** Details of a {@link Failure}. */
interface FailureDetails {
  /** The file that it is about, as the user named it. */
  readonly file?: string | undefined;
  /** Further lines: what was tried, and what the user may do. */
  readonly lines?: readonly string[] | undefined;
  readonly cause?: unknown;
  /** Exit code of the command, instead of its usual one for failures. */
  readonly exitCode?: number;
}

/** An error that the command reports: `FILE: what is wrong (where)`, and for some a few further lines. */
export class Failure extends Error {
  override readonly name = 'Failure';
  /** The file that it is about, as it is shown. */
  readonly file: string | undefined;
  /** What is wrong, without the file. */
  readonly reason: string;
  /** Further lines: what was tried, and what the user may do. */
  readonly lines: readonly string[];
  /** Exit code of the command, if it is not its usual one for failures. */
  readonly exitCode: number | undefined;

  constructor(reason: string, { file, lines = [], cause, exitCode }: FailureDetails = {}) {
    const shown = file === undefined ? undefined : displayName(file);
    super(shown === undefined ? reason : `${shown}: ${reason}`, cause === undefined ? {} : { cause });
    this.file = shown;
    this.reason = reason;
    this.lines = lines;
    this.exitCode = exitCode;
  }
}

/** The reader of standard output has closed it. */
export class BrokenPipe extends Error {
  override readonly name = 'BrokenPipe';
}

const SIGNALS = { SIGINT: 130, SIGTERM: 143, SIGHUP: 129 } as const;

/** The user, or the system, asked the command to end. */
export class Interruption extends Error {
  override readonly name = 'Interruption';
  /** 128 and the number of the signal, as in shells. */
  readonly exitCode: number;

  constructor(signal: keyof typeof SIGNALS) {
    super(`interrupted by ${signal}`);
    this.exitCode = SIGNALS[signal];
  }
}

/**
 * Does work that must clean up before the command ends: the first Ctrl-C aborts it through the signal, with an
 * {@link Interruption} as the reason, and a second one ends the command at once.
 */
export async function interruptible<T>(work: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const controller = new AbortController();
  const names = Object.keys(SIGNALS) as (keyof typeof SIGNALS)[];
  const listeners = names.map((name) => [name, () => controller.abort(new Interruption(name))] as const);
  for (const [name, listener] of listeners) process.once(name, listener);
  try {
    return await work(controller.signal);
  } finally {
    for (const [name, listener] of listeners) process.off(name, listener);
  }
}

/** Does work that concerns a file; an error of it becomes a {@link Failure} about that file, or about its parent. */
export async function about<T>(file: string, work: () => T | Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw failureOf(file, error) ?? error;
  }
}

/** The failure for an error about a file; undefined for an error that is a fault of the program, or a failure already. */
export function failureOf(file: string, error: unknown): Failure | undefined {
  if (error instanceof VhdxError) return fromLibrary(file, error);
  if (isSystemError(error)) return new Failure(systemReason(error), { file, cause: error });
  return error instanceof RangeError ? new Failure(error.message, { file, cause: error }) : undefined;
}

/** What the hints of the library are called in the command. */
const ADVICE: Readonly<Record<Hint, string>> = {
  input: 'name a file or an http(s) URL',
  parent: 'name its file or its folder with --parent',
  'follow-parents': "--follow-parents opens files outside the image's folder",
  'ignore-parent-mismatch': '--ignore-parent-mismatch reads it all the same, and may give garbage',
  'discard-log': 'repair --discard-log clears it without replay, and what it would have changed is lost',
  force: '--force merges all the same, and they will not fit any more',
  raw: '-f raw reads its bytes as they are',
  pad: '--pad adds zeros up to the next sector',
  shrink: '--shrink makes it smaller, and what is past the new end is lost',
  salvage: 'convert --salvage writes what the structures still say, which may be stale or wrong',
};

function fromLibrary(file: string, error: VhdxError): Failure {
  const { reason, attempts = [], hints = [] } = error;
  const tried = attempts.length === 1 ? ` (${attempts[0]})` : '';
  const sentence = `${reason}${tried}${hints.map((hint) => `; ${ADVICE[hint]}`).join('')}`;
  const lines = attempts.length > 1 ? attempts : [];
  const member = error.path ?? error.file;
  return new Failure(sentence, {
    file: member === undefined || (!error.depth && isSame(file, member)) ? file : member,
    lines,
    cause: error,
  });
}

/** Whether the library's name or path of a file is that of the file which the user named. */
function isSame(file: string, member: string): boolean {
  if (isUrl(file)) return displayName(file) === member;
  return resolve(file) === resolve(member) || basename(file) === member;
}

/** Writes an error to standard error: `vhdx: what is wrong`, and its further lines. */
export function complain(what: unknown): void {
  writeIfRead(2, `vhdx: ${what instanceof Failure ? failureText(what) : printable(textOf(what))}\n`);
}

function failureText({ file, reason, lines }: Failure): string {
  // Apart, so that a long path does not cut the reason off.
  const parts = [...(file === undefined ? [] : [file]), reason].map(printable);
  return [parts.join(': '), ...lines.map(printable)].join('\n  ');
}

function textOf(what: unknown): string {
  return (what instanceof Error ? what.message : String(what)).trim().replaceAll('\n', ' ');
}

/** Writes text to standard output (1) or standard error (2), unless its reader has closed it. */
export function writeIfRead(descriptor: 1 | 2, text: string): void {
  try {
    writeSync(descriptor, text);
  } catch {
    // It is closed.
  }
}

/** An error of the operating system. */
export function isSystemError(error: unknown): error is NodeJS.ErrnoException & { readonly code: string } {
  return error instanceof Error && 'code' in error && /^E[A-Z0-9]+$/.test(String(error.code));
}

/** What an error of the operating system means, in the system's own words. */
export function systemReason({ errno, code, message }: NodeJS.ErrnoException): string {
  const all = getSystemErrorMap();
  // Some errors of Deno have no number.
  const known = errno === undefined ? [...all.values()].find(([name]) => name === code) : all.get(errno);
  return known?.[1] ?? code ?? message;
}

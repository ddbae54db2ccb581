import { writeSync } from 'node:fs';
import { resolve } from 'node:path';
import { type Hint, VhdxError } from '../index.js';
import { displayName, printable } from './text.js';

/** Something that went wrong, told in one line: `FILE: what is wrong (where)`. */
export class Failure extends Error {
  override readonly name = 'Failure';
}

/** Whoever read standard output has gone. */
export class BrokenPipe extends Error {
  override readonly name = 'BrokenPipe';
}

const EXIT_CODES = { SIGINT: 130, SIGTERM: 143, SIGHUP: 129 } as const;

/** Somebody pressed Ctrl-C, or asked the command to end in another way. */
export class Interruption extends Error {
  override readonly name = 'Interruption';
  /** 128 and the number of the signal, as shells have it. */
  readonly exitCode: number;

  constructor(signal: keyof typeof EXIT_CODES) {
    super(`interrupted by ${signal}`);
    this.exitCode = EXIT_CODES[signal];
  }
}

/** Does some work that concerns a file, so that what goes wrong in it is told of that file. */
export async function about<T>(file: string, work: () => T | Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof VhdxError || error instanceof RangeError || isSystemError(error))) throw error;
    throw new Failure(textOf(file, error), { cause: error });
  }
}

/** What this command calls the ways on that an error of the library names. */
const ADVICE: Readonly<Record<Hint, string>> = {
  parent: 'name its file or its folder with --parent',
  'follow-parents': "--follow-parents opens files outside the image's folder",
  'ignore-parent-mismatch': '--ignore-parent-mismatch reads it all the same, and may give garbage',
  salvage: '--salvage reads what the structures still say, which may be stale or wrong',
};

/** An error that concerns a file, as text: the file, or the member of its chain that is at fault, and what is wrong. */
export function textOf(file: string, error: Error): string {
  return `${displayName(culprit(file, error))}: ${reasonOf(error)}`;
}

/** What an error says, without the name of a file, in this command's words. */
export function reasonOf(error: Error): string {
  if (isSystemError(error)) return systemReason(error);
  if (!(error instanceof VhdxError)) return error.message;
  const { reason, attempts = [], hints = [] } = error;
  const tried = attempts.length === 1 ? ` (${attempts[0]})` : '';
  const list = attempts.length > 1 ? attempts.map((line) => `\n${line}`).join('') : '';
  return `${reason}${tried}${hints.map((hint) => `; ${ADVICE[hint]}`).join('')}${list}`;
}

/** The file that an error is about, as the user named it, or as the member of a chain is called. */
function culprit(file: string, error: Error): string {
  if (!(error instanceof VhdxError) || error.file === undefined) return file;
  const named = error.path ?? error.file;
  return !error.depth && [resolve(file), displayName(file)].includes(named) ? file : named;
}

/** Writes to standard error: `vhdx: what is wrong`, and further lines indented. */
export function complain(what: unknown): void {
  const text = what instanceof Error ? what.message : String(what);
  // Not split by a regular expression: one that skips blanks before a line feed is quadratic.
  const lines = text.split('\n').map((line) => printable(line.trim()));
  writeIfHeard(2, `vhdx: ${lines.filter((line) => line !== '').join('\n  ')}\n`);
}

/** Writes some lines to standard output (1) or standard error (2), where somebody reads them. */
export function writeIfHeard(descriptor: 1 | 2, text: string): void {
  try {
    writeSync(descriptor, text);
  } catch {
    // Nobody does.
  }
}

/** An error of the operating system. */
export function isSystemError(error: unknown): error is NodeJS.ErrnoException {
  return error instanceof Error && 'code' in error && /^E[A-Z0-9]+$/.test(String(error.code));
}

/** What the operating system says, without the names of its constants and functions. */
export function systemReason({ message }: NodeJS.ErrnoException): string {
  const [reason = ''] = message.replace(/^[A-Z0-9]+: /, '').split(', ', 1);
  return reason;
}

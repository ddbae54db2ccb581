import { writeSync } from 'node:fs';
import { resolve } from 'node:path';
import { VhdxError } from '../index.js';
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
    throw new Failure(`${displayName(file)}: ${reasonFor(file, error)}`, { cause: error });
  }
}

/** What an error says, without the name of the file, which the library puts before some of its messages. */
export function reasonFor(file: string, error: Error): string {
  const message = isSystemError(error) ? systemReason(error) : error.message;
  const names = [displayName(file), resolve(file), file];
  const prefix = names.find((name) => message.startsWith(`${name}: `));
  return prefix === undefined ? message : message.slice(prefix.length + 2);
}

/** Writes a line to standard error: `vhdx: what is wrong`. */
export function complain(what: unknown): void {
  const text = what instanceof Error ? what.message : String(what);
  writeIfHeard(2, `vhdx: ${printable(text.trim().replace(/\s*\n\s*/g, ' '))}\n`);
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
  return message.replace(/^[A-Z0-9]+: /, '').replace(/, \w+( '.*')?$/s, '');
}

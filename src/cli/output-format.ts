import { type Stats, statSync } from 'node:fs';
import { extname } from 'node:path';
import type { ExportFormat } from '../index.js';
import { complain, Failure } from './failure.js';
import type { ProgressFlags } from './progress.js';

/** A format that is written. */
export type OutputFormat = ExportFormat | 'vhdx';

/** What was asked for. */
export interface OutputFlags extends ProgressFlags {
  /** `vpc` is what qemu-img calls a VHD. */
  readonly outputFormat?: 'raw' | 'vpc' | 'vhdx';
}

/** Endings of formats that cannot be written here. */
const NOT_WRITTEN = /^\.(avhd|vhds|qcow2?|vmdk|vdi|qed|hdd|wim|e01|gz|xz|zst|bz2|zip|7z)$/i;

/** What to write: by the option, or by the ending of the name. */
export function outputFormat(out: string, { outputFormat: wanted, quiet }: OutputFlags): OutputFormat {
  if (wanted !== undefined) return wanted === 'vpc' ? 'vhd' : wanted;
  const ending = out === '-' || isSpecial(out) ? '' : extname(out);
  if (/^\.(vhd|vpc)$/i.test(ending)) {
    if (!quiet) complain(`${out}: writing a fixed VHD, as the ending says; -O raw writes raw`);
    return 'vhd';
  }
  if (/^\.a?vhdx$/i.test(ending)) {
    if (!quiet) complain(`${out}: writing a VHDX, as the ending says; -O raw writes raw`);
    return 'vhdx';
  }
  if (NOT_WRITTEN.test(ending)) {
    const message = `${ending} is the ending of a format that cannot be written; -O says what to write`;
    throw new Failure(message, { file: out });
  }
  return 'raw';
}

/** Whether something that is not a file has that name: what it is called says nothing about a format. */
function isSpecial(out: string): boolean {
  return statsOf(out)?.isFile() === false;
}

/** What there is under a name; undefined if there is nothing. */
export function statsOf(path: string): Stats | undefined {
  return statSync(path, { throwIfNoEntry: false });
}

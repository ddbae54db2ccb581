import { VhdxError } from '../index.js';
import { jsonHead, jsonText, kebabKeys } from '../report/dialect.js';
import type { Failure } from './failure.js';
import { writeOut } from './standard-output.js';

/** Writes plain data as JSON, indented as qemu-img does it. */
export function writeJson(data: unknown): Promise<void> {
  return writeOut(`${jsonText(data, 4)}\n`);
}

/** A failure, for programs, in place of what was asked for. */
export function failureJson(failure: Failure): object {
  const { file } = failure;
  return { ...jsonHead(), ...(file !== undefined && { filename: file }), error: errorJson(failure) };
}

/** What is wrong, for programs. */
export function errorJson({ reason, lines, cause }: Failure): { readonly code: string; readonly message: string } {
  const error = cause instanceof VhdxError ? cause : undefined;
  const place = error && {
    structure: error.structure,
    offset: error.offset,
    facts: error.facts && kebabKeys(error.facts),
  };
  return {
    code: error?.code ?? (cause instanceof Error && 'code' in cause ? String(cause.code) : 'failed'),
    message: reason,
    ...Object.fromEntries(Object.entries(place ?? {}).filter(([, value]) => value !== undefined)),
    ...(lines.length > 0 && { details: lines }),
  };
}

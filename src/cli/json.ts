import { VERSION, VhdxError } from '../index.js';
import type { Failure } from './failure.js';
import { writeOut } from './standard-output.js';

/** Version of the dialect: it grows when a key goes away or changes its meaning, not when one is added. */
const SCHEMA = 1;

/** The keys that every object at the top has. */
export function jsonHead(): { readonly schema: number; readonly 'tool-version': string } {
  return { schema: SCHEMA, 'tool-version': VERSION };
}

/** Writes plain data as JSON, indented as qemu-img does it. */
export function writeJson(data: unknown): Promise<void> {
  return writeOut(`${jsonText(data, 4)}\n`);
}

// JSON.stringify escapes the other controls itself.
const UNPRINTABLE = /[\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/g;

/**
 * The border to JSON: plain data as text without a control character, so that text out of an image cannot move the
 * cursor of a terminal. It parses to the same data.
 */
export function jsonText(data: unknown, indent = 0): string {
  const text = JSON.stringify(data, null, indent);
  return text.replace(UNPRINTABLE, (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`);
}

/** A failure, for programs, in place of what was asked for. */
export function failureJson(failure: Failure): object {
  const { file } = failure;
  return { ...jsonHead(), ...(file !== undefined && { filename: file }), error: errorJson(failure) };
}

/** What is wrong, for programs. */
export function errorJson({ reason, lines, cause }: Failure): object {
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

/** Plain data with its keys in the manner of qemu-img: `logicalSectorSize` becomes `logical-sector-size`. */
export function kebabKeys(data: unknown): unknown {
  if (Array.isArray(data)) return data.map(kebabKeys);
  if (typeof data !== 'object' || data === null) return data;
  const kebab = (key: string) => key.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
  return Object.fromEntries(Object.entries(data).map(([key, value]) => [kebab(key), kebabKeys(value)]));
}

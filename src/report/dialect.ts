import { VERSION } from '../index.js';

/** Version of the dialect: it grows when a key goes away or changes its meaning, not when one is added. */
const SCHEMA = 1;

/** The keys that every object at the top has. */
export function jsonHead(): { readonly schema: number; readonly 'tool-version': string } {
  return { schema: SCHEMA, 'tool-version': VERSION };
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

/** Plain data with its keys in the manner of qemu-img: `logicalSectorSize` becomes `logical-sector-size`. */
export function kebabKeys(data: unknown): unknown {
  if (Array.isArray(data)) return data.map(kebabKeys);
  if (typeof data !== 'object' || data === null) return data;
  const kebab = (key: string) => key.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
  return Object.fromEntries(Object.entries(data).map(([key, value]) => [kebab(key), kebabKeys(value)]));
}

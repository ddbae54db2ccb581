/** A name as people want to see it: of a URL neither the password nor the query, which may hold a key. */
export function displayName(file: string): string {
  if (!isUrl(file) || !URL.canParse(file)) return file;
  const { origin, pathname } = new URL(file);
  return `${origin}${pathname}`;
}

/** Whether an argument is a URL and not a path. */
export function isUrl(file: string): boolean {
  return /^https?:/i.test(file);
}

// Controls, which move the cursor of a terminal, and what turns the direction of writing.
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
const UNPRINTABLE = /[\u0000-\u001f\u007f-\u009f\u200e\u200f\u2028-\u202e\u2066-\u2069]/g;

/** A text that came out of a file, safe to be shown on a terminal. */
export function printable(text: string): string {
  return text.replace(UNPRINTABLE, (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`);
}

/** Rows of two columns, the second one aligned: `label  value`. */
export function columns(rows: readonly (readonly [label: string, value: string])[]): string {
  const width = Math.max(0, ...rows.map(([label]) => label.length));
  return rows.map(([label, value]) => `${label.padEnd(width)}  ${printable(value)}\n`).join('');
}

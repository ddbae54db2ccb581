/**
 * A name as people want to see it: of a URL neither the password nor the query, which may hold a key. One that is
 * malformed may have a secret in any place, so only its scheme is shown.
 */
export function displayName(file: string): string {
  if (!isUrl(file)) return file;
  if (!URL.canParse(file)) return `${file.slice(0, file.indexOf(':'))}:…`;
  const { protocol, host, pathname } = new URL(file);
  return `${protocol}//${host}${pathname}`;
}

/** Whether an argument is a URL and not a path; a drive of Windows has one letter. */
export function isUrl(file: string): boolean {
  return /^(https?|file):|^[a-z][a-z\d+.-]+:\/\//i.test(file);
}

/** Longest text out of an image that is shown in one place, in UTF-16 units. */
const LONGEST = 1000;

// Controls, which move the cursor of a terminal, and characters that turn the direction of writing.
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
const UNPRINTABLE = /[\u0000-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/g;

/**
 * The border to the terminal: text from an image, a server or a file system, safe to be shown. On one line, with every
 * control character escaped (`\u001b`), and cut after 1,000 characters.
 */
export function printable(text: string): string {
  const start = text.length > LONGEST ? `${text.slice(0, LONGEST)}…` : text;
  return start.replace(UNPRINTABLE, (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`);
}

/** Rows of two columns, the second one aligned: `label  value`. */
export function columns(rows: readonly (readonly [label: string, value: string])[]): string {
  const labels = rows.map(([label]) => printable(label));
  const width = labels.reduce((widest, label) => Math.max(widest, Math.min(40, label.length)), 0);
  return rows.map(([, value], i) => `${labels[i]?.padEnd(width)}  ${printable(value)}\n`).join('');
}

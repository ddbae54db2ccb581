// Controls, which move the cursor of a terminal or begin a new line, and what turns the direction of writing.
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
const UNPRINTABLE = /[\u0000-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/g;

/**
 * A text that comes from a file or a server, as part of a message: on one line, with every control character
 * escaped as `\u001b`, and cut after `limit` UTF-16 units. Takes time linear in `limit`, whatever the text holds.
 */
export function printableText(text: string, limit = 400): string {
  const start = text.length > limit ? `${text.slice(0, limit)}…` : text;
  return start.replace(UNPRINTABLE, (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`);
}

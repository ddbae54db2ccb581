import type { RandomAccessSource } from '../../src/index.js';
import type { FilePreview } from '../protocol.js';

/** Bytes of a text that are shown. */
const TEXT_BYTES = 64 * 1024;
/** Bytes that a picture may have. */
const PICTURE_BYTES = 16 * 1024 * 1024;

/**
 * Pictures that browsers show, by their first bytes. The type is what these say and never what the file is called; SVG is
 * none of them, because it is a document that may hold scripts.
 */
const PICTURES: readonly { readonly type: string; readonly offset: number; readonly bytes: string }[] = [
  { type: 'image/png', offset: 0, bytes: '\x89PNG\r\n\x1a\n' },
  { type: 'image/jpeg', offset: 0, bytes: '\xff\xd8\xff' },
  { type: 'image/gif', offset: 0, bytes: 'GIF8' },
  { type: 'image/webp', offset: 8, bytes: 'WEBPVP8' },
  { type: 'image/avif', offset: 4, bytes: 'ftypavif' },
];

/** What can be shown of a file: a picture as a whole, or the beginning of a text. */
export async function previewOf(source: RandomAccessSource, signal: AbortSignal): Promise<FilePreview> {
  const { size } = source;
  const start = new Uint8Array(Math.min(TEXT_BYTES, size));
  await source.readInto(start, 0, { signal });
  const type = PICTURES.find(({ offset, bytes }) =>
    [...bytes].every((char, i) => start[offset + i] === char.charCodeAt(0)),
  )?.type;
  if (type !== undefined && size <= PICTURE_BYTES) {
    const bytes = new Uint8Array(size);
    await source.readInto(bytes, 0, { signal });
    return { size, picture: new Blob([bytes], { type }) };
  }
  const text = textOf(start, size > start.length);
  return { size, ...(text !== undefined && { text, isCut: size > start.length }) };
}

/** The text that bytes are, in UTF-8 or UTF-16 with its mark; undefined if they are none. */
function textOf(bytes: Uint8Array, isCut: boolean): string | undefined {
  const mark = ((bytes[0] ?? 0) << 8) | (bytes[1] ?? 0);
  const encoding = mark === 0xfffe ? 'utf-16le' : mark === 0xfeff ? 'utf-16be' : 'utf-8';
  try {
    const text = new TextDecoder(encoding, { fatal: true }).decode(bytes, { stream: isCut });
    // biome-ignore lint/suspicious/noControlCharactersInRegex: which no text has
    return /[\0-\x08\x0e-\x1a\x1c-\x1f]/.test(text) ? undefined : text;
  } catch {
    return undefined; // it is no text of that encoding
  }
}

import { viewOf } from '../base/bytes.js';

/** Length in bytes of what the file identifier holds. */
export const FILE_IDENTIFIER_SIZE = 520;

const SIGNATURE = 'vhdxfile';

/** Whether the bytes, at least eight, begin with the signature of a VHDX file. */
export function hasVhdxSignature(bytes: Uint8Array): boolean {
  return bytes.length >= 8 && [...SIGNATURE].every((char, i) => bytes[i] === char.charCodeAt(0));
}

/**
 * The file type identifier of a new file, {@link FILE_IDENTIFIER_SIZE} bytes; it is never written again. The creator's
 * text is cut to the 256 UTF-16 units that there is room for.
 */
export function encodeFileIdentifier(creator: string): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(FILE_IDENTIFIER_SIZE);
  const view = viewOf(bytes);
  for (let i = 0; i < SIGNATURE.length; i++) view.setUint8(i, SIGNATURE.charCodeAt(i));
  const room = (FILE_IDENTIFIER_SIZE - SIGNATURE.length) / 2;
  for (let i = 0; i < Math.min(creator.length, room); i++) view.setUint16(8 + 2 * i, creator.charCodeAt(i), true);
  return bytes;
}

/** The creator's text in the file type identifier ([MS-VHDX] 2.2.1); it never changes behaviour. */
export function readCreator(start: Uint8Array): string {
  const view = viewOf(start);
  let text = '';
  for (let at = 8; at + 2 <= Math.min(start.length, FILE_IDENTIFIER_SIZE); at += 2) {
    const unit = view.getUint16(at, true);
    if (unit === 0) break;
    text += String.fromCharCode(unit);
  }
  return text;
}

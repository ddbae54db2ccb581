import { viewOf } from '../base/bytes.js';

/** Length in bytes of what the file identifier holds. */
export const FILE_IDENTIFIER_SIZE = 520;

const SIGNATURE = 'vhdxfile';

/** Whether the bytes, at least eight, begin with the signature of a VHDX file. */
export function hasVhdxSignature(bytes: Uint8Array): boolean {
  return bytes.length >= 8 && [...SIGNATURE].every((char, i) => bytes[i] === char.charCodeAt(0));
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

import { finding, type Report } from '../rules.js';
import { recogniseOtherFormat } from './other-formats.js';
import { viewOf } from './sizes.js';

/** Length in bytes of what the file identifier holds. */
export const FILE_IDENTIFIER_SIZE = 520;

const SIGNATURE = 'vhdxfile';

/** Whether the bytes, at least eight, begin with the signature of a VHDX file. */
export function hasVhdxSignature(bytes: Uint8Array): boolean {
  return bytes.length >= 8 && [...SIGNATURE].every((char, i) => bytes[i] === char.charCodeAt(0));
}

/**
 * Parses the file type identifier ([MS-VHDX] 2.2.1) and returns the creator's text, which never changes behaviour.
 * `start` holds the first bytes of the file, `end` its last 512 or fewer: other formats are recognised by them.
 */
export function parseFileIdentifier(start: Uint8Array, end: Uint8Array, report: Report): string | undefined {
  if (!hasVhdxSignature(start)) {
    const other = recogniseOtherFormat(start, end);
    const what =
      start.length === 0 ? 'the file is empty' : other ? `this is ${other}` : 'the file does not begin with "vhdxfile"';
    report(finding('file-signature', `not a VHDX file: ${what}`, { structure: 'file identifier', offset: 0 }));
    return undefined;
  }
  return readCreator(start);
}

function readCreator(start: Uint8Array): string {
  const view = viewOf(start);
  let text = '';
  for (let at = 8; at + 2 <= Math.min(start.length, FILE_IDENTIFIER_SIZE); at += 2) {
    const unit = view.getUint16(at, true);
    if (unit === 0) break;
    text += String.fromCharCode(unit);
  }
  return text;
}

/** The GUID of 16 zero bytes: in a header's LogGuid it says that the log is empty. */
export const ZERO_GUID = '00000000-0000-0000-0000-000000000000';

const byteHex = (byte: number): string => byte.toString(16).padStart(2, '0');

/** Reads a GUID (16 bytes, the first three fields little-endian) as text: lower case, no braces. */
export function readGuid(view: DataView, offset: number): string {
  const dword = view.getUint32(offset, true).toString(16).padStart(8, '0');
  const word = (at: number) => view.getUint16(at, true).toString(16).padStart(4, '0');
  const tail = Array.from({ length: 8 }, (_, i) => byteHex(view.getUint8(offset + 8 + i))).join('');
  return `${dword}-${word(offset + 4)}-${word(offset + 6)}-${tail.slice(0, 4)}-${tail.slice(4)}`;
}

/** A GUID written by people or programs (with or without braces, any case) in this library's form, or undefined. */
export function parseGuid(text: string): string | undefined {
  const match = /^\s*\{?([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})\}?\s*$/i.exec(text);
  return match?.[1]?.toLowerCase();
}

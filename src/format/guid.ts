/** The GUID of 16 zero bytes: in a header's LogGuid it says that the log is empty. */
export const ZERO_GUID = '00000000-0000-0000-0000-000000000000';

/** A GUID, or undefined if it is the zero GUID: that means none wherever the format has a GUID, and equals no other. */
export const givenGuid = (guid: string | undefined): string | undefined => (guid === ZERO_GUID ? undefined : guid);

const byteHex = (byte: number): string => byte.toString(16).padStart(2, '0');

/** Reads a GUID (16 bytes, the first three fields little-endian) as text: lower case, no braces. */
export function readGuid(view: DataView, offset: number): string {
  const dword = view.getUint32(offset, true).toString(16).padStart(8, '0');
  const word = (at: number) => view.getUint16(at, true).toString(16).padStart(4, '0');
  const tail = Array.from({ length: 8 }, (_, i) => byteHex(view.getUint8(offset + 8 + i))).join('');
  return `${dword}-${word(offset + 4)}-${word(offset + 6)}-${tail.slice(0, 4)}-${tail.slice(4)}`;
}

/** Writes a GUID in this library's form as its 16 bytes, the first three fields little-endian. */
export function writeGuid(view: DataView, offset: number, guid: string): void {
  const digits = guid.replaceAll('-', '');
  const field = (from: number, length: number) => Number.parseInt(digits.slice(from, from + length), 16);
  view.setUint32(offset, field(0, 8), true);
  view.setUint16(offset + 4, field(8, 4), true);
  view.setUint16(offset + 6, field(12, 4), true);
  for (let i = 0; i < 8; i++) view.setUint8(offset + 8 + i, field(16 + 2 * i, 2));
}

/** Tells whether the 16 bytes at an offset are one certain GUID, much faster than {@link readGuid}. */
export type GuidMatcher = (view: DataView, offset: number) => boolean;

/** The matcher of a GUID. */
export function guidMatcher(guid: string): GuidMatcher {
  const wanted = new DataView(new ArrayBuffer(16));
  writeGuid(wanted, 0, guid);
  return (view, offset) => {
    for (let i = 0; i < 16; i += 4) if (view.getUint32(offset + i) !== wanted.getUint32(i)) return false;
    return true;
  };
}

/** Fills bytes with random values, as `crypto.getRandomValues` does. Specs pass their own. */
export type FillRandom = (bytes: Uint8Array<ArrayBuffer>) => void;

/** A new random GUID (RFC 9562, version 4), which is never {@link ZERO_GUID}. */
export function randomGuid(fillRandom: FillRandom = (bytes) => void crypto.getRandomValues(bytes)): string {
  const bytes = new Uint8Array(16);
  fillRandom(bytes);
  const view = new DataView(bytes.buffer);
  view.setUint16(6, (view.getUint16(6, true) & 0x0fff) | 0x4000, true); // version 4
  view.setUint8(8, (view.getUint8(8) & 0x3f) | 0x80); // variant 10
  return readGuid(view, 0);
}

/** A GUID written by people or programs (with or without braces, any case) in this library's form, or undefined. */
export function parseGuid(text: string): string | undefined {
  const match = /^\s*\{?([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})\}?\s*$/i.exec(text);
  return match?.[1]?.toLowerCase();
}

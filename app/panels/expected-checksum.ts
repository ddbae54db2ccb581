/** A CRC-32C as eight hexadecimal digits. */
export function hexOfChecksum(crc: number): string {
  return crc.toString(16).padStart(8, '0');
}

/** A CRC-32C as object stores show it: base64 of its four bytes, the most significant first. */
export function base64OfChecksum(crc: number): string {
  return btoa(String.fromCharCode(crc >>> 24, (crc >>> 16) & 0xff, (crc >>> 8) & 0xff, crc & 0xff));
}

/**
 * Reads a CRC-32C that somebody pasted: eight hexadecimal digits, with or without `0x`, or base64, with or without the
 * `crc32c=` that `x-goog-hash` puts before it. Undefined where it is neither.
 */
export function parseChecksum(text: string): number | undefined {
  const bare = text
    .trim()
    .replace(/^crc32c\s*[=:]\s*/i, '')
    .replace(/^["'](.*)["']$/, '$1');
  const [, hex] = /^(?:0x)?([0-9a-f]{8})$/i.exec(bare) ?? [];
  if (hex !== undefined) return Number.parseInt(hex, 16);
  // Four bytes are six characters; the last holds four bits of them only.
  if (!/^[a-z0-9+/]{5}[AQgw](==)?$/i.test(bare) || !/^[AQgw]$/.test(bare.charAt(5))) return undefined;
  const bytes = atob(bare.slice(0, 6));
  return new DataView(Uint8Array.from(bytes, (char) => char.charCodeAt(0)).buffer).getUint32(0);
}

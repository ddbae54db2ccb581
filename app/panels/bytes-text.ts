const UNITS: Readonly<Record<string, number>> = { '': 1, k: 1024, m: 1024 ** 2, g: 1024 ** 3, t: 1024 ** 4 };

/**
 * Reads an offset that was typed, in bytes: a plain number is a sector, `0x1f` a byte offset, `3 GiB` or `3G` a size.
 * Undefined if it is none of these.
 */
export function parseOffset(text: string, sectorSize: number): number | undefined {
  const bare = text.trim().replaceAll(/[,_]/g, '');
  if (/^\d+$/.test(bare)) return Number(bare) * sectorSize;
  if (/^0x[0-9a-f]+$/i.test(bare)) return Number(bare);
  const [, number, unit] = /^(\d+(?:\.\d+)?)\s*([kmgt])(?:i?b)?$/i.exec(bare) ?? [];
  if (number === undefined || unit === undefined) return undefined;
  return Math.floor(Number(number) * (UNITS[unit.toLowerCase()] ?? 1));
}

/**
 * What to look for: a text as UTF-8 and as UTF-16, as Windows has it, or the bytes after `0x`. Undefined if there is
 * nothing, or half a byte.
 */
export function parsePatterns(text: string): readonly Uint8Array[] | undefined {
  const [, hex] = /^0x([0-9a-f\s]*)$/i.exec(text.trim()) ?? [];
  if (hex !== undefined) {
    const digits = hex.replaceAll(/\s/g, '');
    if (digits === '' || digits.length % 2 !== 0) return undefined;
    return [Uint8Array.from(digits.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16))];
  }
  if (text === '') return undefined;
  const utf16 = new Uint8Array(2 * text.length);
  const view = new DataView(utf16.buffer);
  for (let i = 0; i < text.length; i++) view.setUint16(2 * i, text.charCodeAt(i), true);
  return [new TextEncoder().encode(text), utf16];
}

/** Bytes in hexadecimal and as text, in the manner of `hexdump -C`, `perLine` of them in a line. */
export function dumpLines(bytes: Uint8Array, offset: number, perLine: number): string[] {
  const lines: string[] = [];
  const width = Math.max(8, (offset + bytes.length).toString(16).length);
  for (let at = 0; at < bytes.length; at += perLine) {
    const line = bytes.subarray(at, at + perLine);
    const hex = Array.from(
      line,
      (byte, i) => `${i % 8 === 0 && i > 0 ? ' ' : ''}${byte.toString(16).padStart(2, '0')}`,
    ).join(' ');
    const text = Array.from(line, (byte) => (byte >= 0x20 && byte < 0x7f ? String.fromCharCode(byte) : '.')).join('');
    const full = 3 * perLine - 1 + Math.floor((perLine - 1) / 8);
    lines.push(`${(offset + at).toString(16).padStart(width, '0')}  ${hex.padEnd(full)}  ${text}`);
  }
  return lines;
}

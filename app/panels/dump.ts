/** Bytes in hexadecimal and as text, in the manner of `hexdump -C`, so many of them in a line. */
export function dumpText(bytes: Uint8Array, offset: number, perLine: number): string {
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
  return lines.join('\n');
}

/**
 * CRC-32C in JavaScript as good as slicing-by-8 gets there: eight tables in one typed array, eight bytes a step in two
 * aligned words. For little-endian machines. Not type-checked: an element of an array might be undefined, says the
 * compiler, and checking for it would cost what is measured.
 */

const TABLE = new Int32Array(8 * 256);
for (let byte = 0; byte < 256; byte++) {
  let register = byte;
  for (let bit = 0; bit < 8; bit++) register = (register >>> 1) ^ (register & 1 ? 0x82f63b78 : 0);
  TABLE[byte] = register;
}
for (let i = 256; i < TABLE.length; i++) TABLE[i] = (TABLE[i - 256] >>> 8) ^ TABLE[TABLE[i - 256] & 255];

/** The CRC-32C of bytes. @param {Uint8Array} bytes */
export function jsSlicingBy8(bytes) {
  const { length } = bytes;
  let register = -1;
  let at = 0;
  for (; at < length && (bytes.byteOffset + at) % 4 !== 0; at++) {
    register = TABLE[(register ^ bytes[at]) & 255] ^ (register >>> 8);
  }
  const words = new Int32Array(bytes.buffer, bytes.byteOffset + at, ((length - at) >>> 3) * 2);
  for (let i = 0; i < words.length; i += 2) {
    const low = register ^ words[i];
    const high = words[i + 1];
    register =
      TABLE[1792 + (low & 255)] ^
      TABLE[1536 + ((low >>> 8) & 255)] ^
      TABLE[1280 + ((low >>> 16) & 255)] ^
      TABLE[1024 + (low >>> 24)] ^
      TABLE[768 + (high & 255)] ^
      TABLE[512 + ((high >>> 8) & 255)] ^
      TABLE[256 + ((high >>> 16) & 255)] ^
      TABLE[high >>> 24];
  }
  for (at += 4 * words.length; at < length; at++) register = TABLE[(register ^ bytes[at]) & 255] ^ (register >>> 8);
  return ~register >>> 0;
}

import { describe, expect, it } from 'vitest';
import { type Core, instantiateCore } from '../src/core/instantiate.js';

const range = (length: number, byteAt: (index: number) => number): Uint8Array =>
  Uint8Array.from({ length }, (_, index) => byteAt(index));

/** Published checksums: RFC 3720 B.4 and the catalogue of parametrised CRC algorithms; the longer ones by other implementations. */
const VECTORS: readonly (readonly [string, Uint8Array, number])[] = [
  ['nothing', new Uint8Array(0), 0],
  ['"a"', new TextEncoder().encode('a'), 0xc1d04330],
  ['"123456789"', new TextEncoder().encode('123456789'), 0xe3069283],
  ['32 zeros', new Uint8Array(32), 0x8a9136aa],
  ['32 ones', range(32, () => 0xff), 0x62a8ab43],
  ['00 to 1f', range(32, (index) => index), 0x46dd794e],
  ['1f to 00', range(32, (index) => 31 - index), 0x113fdb5c],
  ['4096 zeros', new Uint8Array(4096), 0x98f94189],
  ['4096 ones', range(4096, () => 0xff), 0x25c1fe13],
  ['65536 zeros', new Uint8Array(65536), 0x72c0c4a4],
];

describe.each(['simd', 'scalar', 'javascript'] as const)('the %s core', (kind) => {
  let core: Core;
  it.each(VECTORS)('sums %s', async (_name, bytes, expected) => {
    core ??= await instantiateCore(kind);
    const [buffer] = await core.buffers.acquire();
    if (buffer === undefined) throw new Error('no buffer');
    buffer.bytes.set(bytes);
    expect(core.exports.crc32c(0, buffer.address, bytes.length)).toBe(expected);
    expect(core.exports.crc32cSlicing(0, buffer.address, bytes.length)).toBe(expected);
    core.buffers.release([buffer]);
  });
});

import fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import { COPY_AREA } from '../../src/core/core-memory.generated.js';
import { Crc32c, crc32c, crc32cCombine, lendBytes } from '../../src/core/crc32c.js';
import { type Core, instantiateCore } from '../../src/core/instance.js';
import { loadCore } from '../../src/core/load.js';
import { CORE_KINDS, noise, putIntoBuffers } from '../support/core-memory.js';
import { crc32cReference } from '../support/crc32c-reference.js';
import { CASTAGNOLI, polynomial, powerOfX, product, remainder, reversed } from '../support/gf2.js';

const KiB = 1024;

const bytesOf = (length: number, byteAt: (index: number) => number): Uint8Array =>
  Uint8Array.from({ length }, (_, index) => byteAt(index));

/** Published checksums (RFC 3720 B.4, catalogue of parametrised CRC algorithms); the longer ones by other implementations. */
const VECTORS: readonly (readonly [string, Uint8Array, number])[] = [
  ['nothing', new Uint8Array(0), 0],
  ['"a"', new TextEncoder().encode('a'), 0xc1d04330],
  ['"123456789"', new TextEncoder().encode('123456789'), 0xe3069283],
  ['32 zeros', new Uint8Array(32), 0x8a9136aa],
  ['32 ones', bytesOf(32, () => 0xff), 0x62a8ab43],
  ['00 to 1f', bytesOf(32, (index) => index), 0x46dd794e],
  ['1f to 00', bytesOf(32, (index) => 31 - index), 0x113fdb5c],
  ['4096 zeros', new Uint8Array(4096), 0x98f94189],
  ['4096 ones', bytesOf(4096, () => 0xff), 0x25c1fe13],
  ['65536 zeros', new Uint8Array(64 * KiB), 0x72c0c4a4],
  ['a region table without entries', bytesOf(64 * KiB, (index) => 'regi'.charCodeAt(index) || 0), 0x916e09ef],
];

// Around the lengths at which another way of summing takes over, in either word size.
const TURNING_POINTS = [8, 16, 1 * KiB, 1535 * 8, 1536 * 8, 1535 * 16, 1536 * 16, (502 + 3072) * 8, (502 + 1536) * 16];

describe.each(CORE_KINDS)('the %s core', (kind) => {
  let core: Core;
  beforeAll(async () => {
    core = await instantiateCore(kind);
  });

  it.each(VECTORS)('sums %s', (_name, bytes, expected) => {
    const address = putIntoBuffers(core, bytes);
    expect(core.exports.crc32c(0, address, bytes.length)).toBe(expected);
    expect(core.exports.crc32cSlicing(0, address, bytes.length)).toBe(expected);
  });

  it.each(TURNING_POINTS)('sums %i bytes, a few more and a few less', (length) => {
    const bytes = noise(length + 70);
    const address = putIntoBuffers(core, bytes);
    for (let size = Math.max(0, length - 70); size <= length + 70; size++) {
      expect(core.exports.crc32c(0, address, size), `${size}`).toBe(crc32cReference(bytes.subarray(0, size)));
    }
  });

  it('sums anything, wherever it lies, and carries on from any checksum', () => {
    const length = fc.oneof(fc.nat(3 * KiB), fc.nat(80 * KiB));
    fc.assert(
      fc.property(length, fc.nat(17), fc.nat(0xffffffff), fc.nat(), (size, shift, initial, seed) => {
        const bytes = noise(size, seed);
        const address = putIntoBuffers(core, bytes, shift);
        const expected = crc32cReference(bytes, initial);
        expect(core.exports.crc32c(initial, address, size)).toBe(expected);
        expect(core.exports.crc32cSlicing(initial, address, size)).toBe(expected);
      }),
    );
  });

  it('sums all its buffers in one call', () => {
    const bytes = noise(core.buffers.size * core.buffers.bufferBytes - 5);
    const address = putIntoBuffers(core, bytes, 5);
    expect(core.exports.crc32c(0, address, bytes.length)).toBe(crc32cReference(bytes));
  });

  it('leaves what it sums and everything around it as it was', () => {
    core.bytes.set(noise(core.bytes.length - COPY_AREA), COPY_AREA);
    const before = core.bytes.slice(COPY_AREA);
    core.exports.crc32c(0, COPY_AREA + 3, 100 * KiB);
    core.exports.crc32c(0, COPY_AREA + 3, 10 * KiB);
    expect(crc32cReference(core.bytes.subarray(COPY_AREA))).toBe(crc32cReference(before));
  });

  it('sums the same in any chunks', () => {
    const chunks = fc.array(fc.oneof(fc.nat(100), fc.nat(40 * KiB)), { maxLength: 8 });
    fc.assert(
      fc.property(chunks, fc.nat(), (sizes, seed) => {
        const bytes = noise(
          sizes.reduce((sum, size) => sum + size, 0),
          seed,
        );
        let address = putIntoBuffers(core, bytes);
        let crc = 0;
        for (const size of sizes) {
          crc = core.exports.crc32c(crc, address, size);
          address += size;
        }
        expect(crc).toBe(crc32cReference(bytes));
      }),
    );
  });

  it('joins the checksums of two parts', () => {
    fc.assert(
      fc.property(fc.nat(5000), fc.nat(5000), fc.nat(), (first, second, seed) => {
        const bytes = noise(first + second, seed);
        const a = crc32cReference(bytes.subarray(0, first));
        const b = crc32cReference(bytes.subarray(first));
        expect(core.exports.crc32cCombine(a, b, second)).toBe(crc32cReference(bytes));
      }),
    );
  });

  it('appends zeros without looking at them', () => {
    fc.assert(
      fc.property(fc.nat(5000), fc.nat(5000), fc.nat(), (length, zeros, seed) => {
        const bytes = new Uint8Array(length + zeros);
        bytes.set(noise(length, seed));
        const before = crc32cReference(bytes.subarray(0, length));
        expect(core.exports.crc32cZeros(before, zeros)).toBe(crc32cReference(bytes));
      }),
    );
  });

  it.each([2 ** 32 - 1, 2 ** 32, 2 ** 46, 2 ** 53 - 1])('joins and appends %d bytes', (length) => {
    const shift = powerOfX(8n * BigInt(length));
    const shifted = (register: number): bigint => product(reversed(register), shift);
    const a = 0x12345678;
    const b = 0x9abcdef0;
    expect(reversed(core.exports.crc32cCombine(a, b, length))).toBe(shifted(a) ^ reversed(b));
    expect(reversed(~core.exports.crc32cZeros(a, length))).toBe(shifted(~a));
  });
});

describe('the multiples of the polynomial that the core is built on', () => {
  const multiples = [
    [502, 427, 425, 65, 1, 0],
    [209, 144, 54, 39, 14, 0],
  ];

  it.each(multiples)('x^%i + x^%i + x^%i + x^%i + x^%i + x^%i is one, in units of 1 to 16 bytes', (...exponents) => {
    expect(remainder(polynomial(...exponents), CASTAGNOLI)).toBe(0n);
    for (const unit of [1, 2, 4, 8, 16]) {
      const powers = exponents.map((exponent) => powerOfX(BigInt(exponent * 8 * unit)));
      expect(
        powers.reduce((sum, power) => sum ^ power, 0n),
        `${unit} bytes`,
      ).toBe(0n);
    }
  });

  it('there is none of six terms below degree 209', () => {
    const powers = Array.from({ length: 209 }, (_, exponent) => Number(powerOfX(BigInt(exponent))) | 0);
    const power = (exponent: number): number => powers[exponent] ?? 0;
    const sumsOfThree = new Set<number>();
    for (let a = 1; a < 209; a++) {
      for (let b = 1; b < a; b++) for (let c = 1; c < b; c++) sumsOfThree.add(power(a) ^ power(b) ^ power(c));
    }
    for (let a = 1; a < 209; a++) {
      for (let b = 1; b < a; b++) expect(sumsOfThree.has(1 ^ power(a) ^ power(b))).toBe(false);
    }
  });
});

describe('crc32c', () => {
  it.each(VECTORS)('sums %s', async (_name, bytes, expected) => {
    expect(await crc32c(bytes)).toBe(expected);
  });

  it('takes buffers and views of any kind', async () => {
    const { buffer } = new TextEncoder().encode('..123456789.').slice();
    expect(await crc32c(buffer.slice(2, 11))).toBe(0xe3069283);
    expect(await crc32c(new DataView(buffer, 2, 9))).toBe(0xe3069283);
    expect(await crc32c(new Uint16Array(new Uint8Array(32).buffer))).toBe(0x8a9136aa);
  });

  it('sums more than its copy area holds', async () => {
    const bytes = noise(1024 * KiB + 3);
    expect(await crc32c(bytes)).toBe(crc32cReference(bytes));
  });

  it('carries on from a checksum', async () => {
    const bytes = new TextEncoder().encode('123456789');
    expect(await crc32c(bytes.subarray(4), await crc32c(bytes.subarray(0, 4)))).toBe(0xe3069283);
  });

  it('refuses what is not bytes', async () => {
    // @ts-expect-error Text has no bytes.
    await expect(crc32c('123456789')).rejects.toThrow(TypeError);
    // @ts-expect-error An array of numbers is not bytes.
    await expect(crc32c([1, 2, 3])).rejects.toThrow(TypeError);
  });

  it.each([-1, 1.5, 2 ** 32, Number.NaN])('refuses to carry on from %d', async (initial) => {
    await expect(crc32c(new Uint8Array(1), initial)).rejects.toThrow(RangeError);
    await expect(Crc32c.create(initial)).rejects.toThrow(RangeError);
  });
});

describe('lendBytes', () => {
  const text = new TextEncoder().encode('..123456789.');

  it('lends bytes that are summed where they lie', async () => {
    const { bytes, release } = await lendBytes();
    const { bytes: memory } = await loadCore();
    expect(bytes.buffer === memory.buffer).toBe(true);
    expect(bytes.length).toBe(1024 * KiB);
    bytes.set(text, 5);
    const before = memory.slice(COPY_AREA, COPY_AREA + 64);
    memory.fill(0xaa, COPY_AREA, COPY_AREA + 64);
    expect(await crc32c(bytes.subarray(7, 16))).toBe(0xe3069283);
    expect((await Crc32c.create()).update(bytes.subarray(7, 10)).update(bytes.subarray(10, 16)).digest()).toBe(
      0xe3069283,
    );
    expect(memory.subarray(COPY_AREA, COPY_AREA + 64)).toEqual(new Uint8Array(64).fill(0xaa));
    memory.set(before, COPY_AREA);
    release();
  });

  it('lends bytes of their own when all are lent, and those that came back again', async () => {
    const { bytes: memory } = await loadCore();
    const lent = [];
    for (let i = 0; i < 9; i++) lent.push(await lendBytes());
    expect(new Set(lent.map(({ bytes }) => `${bytes.buffer === memory.buffer} ${bytes.byteOffset}`)).size).toBe(9);
    const own = lent.at(-1)?.bytes ?? new Uint8Array(0);
    expect(own.buffer === memory.buffer).toBe(false);
    own.set(text);
    expect(await crc32c(own.subarray(2, 11))).toBe(0xe3069283);
    for (const { release } of lent) release();
    const again = await lendBytes();
    expect(again.bytes.buffer === memory.buffer).toBe(true);
    again.release();
  });

  it('takes bytes back once', async () => {
    const { bytes, release } = await lendBytes();
    release();
    const other = await lendBytes();
    expect(other.bytes === bytes).toBe(true);
    release();
    const third = await lendBytes();
    expect(third.bytes === bytes).toBe(false);
    other.release();
    third.release();
  });
});

describe('Crc32c', () => {
  it('is the checksum of everything so far', async () => {
    const sum = await Crc32c.create();
    expect(sum.digest()).toBe(0);
    expect(sum.update(new TextEncoder().encode('1234')).digest()).toBe(crc32cReference(bytesOf(4, (i) => 0x31 + i)));
    expect(sum.update(new TextEncoder().encode('56789')).digest()).toBe(0xe3069283);
    expect(sum.digest()).toBe(0xe3069283);
  });

  it('carries on from a checksum', async () => {
    const sum = await Crc32c.create(await crc32c(new TextEncoder().encode('1234')));
    expect(sum.update(new TextEncoder().encode('56789')).digest()).toBe(0xe3069283);
  });

  it('does not mix with others that are under way', async () => {
    const [one, other] = await Promise.all([Crc32c.create(), Crc32c.create()]);
    one.update(new TextEncoder().encode('12345'));
    other.update(new Uint8Array(16));
    one.update(new TextEncoder().encode('6789'));
    other.update(new Uint8Array(16));
    expect([one.digest(), other.digest()]).toEqual([0xe3069283, 0x8a9136aa]);
  });
});

describe('crc32cCombine', () => {
  it('is the checksum of A followed by B', async () => {
    const bytes = new TextEncoder().encode('123456789');
    const [a, b] = await Promise.all([crc32c(bytes.subarray(0, 2)), crc32c(bytes.subarray(2))]);
    expect(await crc32cCombine(a, b, 7)).toBe(0xe3069283);
    expect(await crc32cCombine(a, 0, 0)).toBe(a);
    expect(await crc32cCombine(0, b, 7)).toBe(b);
  });

  it.each([-1, 0.5, 2 ** 53, Number.NaN])('refuses a length of %d', async (length) => {
    await expect(crc32cCombine(0, 0, length)).rejects.toThrow(RangeError);
  });

  it('refuses what is no checksum', async () => {
    await expect(crc32cCombine(-1, 0, 1)).rejects.toThrow('a must be');
    await expect(crc32cCombine(0, 2 ** 32, 1)).rejects.toThrow('b must be');
  });
});

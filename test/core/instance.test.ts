import fc from 'fast-check';
import { afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { PAGE_BYTES } from '../../src/core/bat-calls.js';
import * as map from '../../src/core/core-memory.generated.js';
import { hex as scalarModule } from '../../src/core/core-scalar.generated.js';
import { type Core, instantiateBestCore, instantiateCore } from '../../src/core/instance.js';
import { VhdxError } from '../../src/errors.js';
import { CORE_KINDS, putIntoBuffers } from '../support/core-memory.js';

const KiB = 1024;
const MiB = 1024 * KiB;

/** Zeros, and a one wherever an index says so. */
function zerosExcept(length: number, ones: readonly number[]): Uint8Array {
  const bytes = new Uint8Array(length);
  for (const index of ones) if (index < length) bytes[index] = 1;
  return bytes;
}

describe.each(CORE_KINDS)('the %s core', (kind) => {
  let core: Core;
  beforeAll(async () => {
    core = await instantiateCore(kind);
  });

  it('says which it is', () => {
    expect(core.kind).toBe(kind);
  });

  it('has a memory of less than 13 MiB, zeroed, in which its areas lie apart', () => {
    expect(core.bytes.length).toBeLessThan(13 * MiB);
    for (const { buffer } of [core.header, core.extents, core.counts]) expect(buffer).toBe(core.bytes.buffer);
    const { buffers, scratch } = core;
    const areas = [
      { start: map.EXTENTS_HEADER, end: map.EXTENTS_HEADER + 4 * 8 },
      { start: map.EXTENTS, end: map.EXTENTS + map.EXTENTS_CAPACITY * 4 * 8 },
      { start: map.SCAN_COUNTS, end: map.SCAN_COUNTS + map.SCAN_COUNTS_CAPACITY * 8 },
      { start: map.COPY_AREA, end: map.COPY_AREA + map.COPY_BYTES },
      { start: map.PAGES, end: map.PAGES + map.PAGE_SLOTS * PAGE_BYTES },
      { start: map.BUFFERS, end: map.BUFFERS + buffers.size * buffers.bufferBytes },
      { start: scratch.address, end: scratch.address + scratch.bytes.length },
    ];
    for (const [index, { start, end }] of areas.entries()) {
      expect(start % 8).toBe(0);
      expect(end).toBeLessThanOrEqual(areas[index + 1]?.start ?? map.MEMORY_END);
      expect(core.bytes.subarray(start, end).every((byte) => byte === 0)).toBe(true);
    }
    expect(map.MEMORY_END).toBeLessThanOrEqual(core.bytes.length);
    expect(map.PAGES % PAGE_BYTES).toBe(0);
  });

  it('finds where zeros end, to 16 bytes', () => {
    const ones = fc.array(fc.nat(600), { maxLength: 3 });
    fc.assert(
      fc.property(fc.nat(600), fc.nat(20), ones, (length, shift, indices) => {
        const bytes = zerosExcept(length, indices);
        const address = putIntoBuffers(core, bytes, shift);
        const first = bytes.findIndex((byte) => byte !== 0);
        expect(core.exports.zeroPrefix(address, length)).toBe(first < 0 ? length : first - (first % 16));
      }),
    );
  });

  it('looks at no byte outside when it looks for zeros', () => {
    const address = putIntoBuffers(core, zerosExcept(301, [0, 300]));
    for (let length = 0; length < 300; length++) expect(core.exports.zeroPrefix(address + 1, length)).toBe(length);
  });

  it('finds the granules in front that all have something in them', () => {
    const ones = fc.array(fc.nat(400), { maxLength: 12 });
    fc.assert(
      fc.property(fc.nat(400), fc.constantFrom(16, 32, 64), ones, (length, granule, indices) => {
        const bytes = zerosExcept(length, indices);
        const address = putIntoBuffers(core, bytes);
        let expected = 0;
        while (expected < length && bytes.subarray(expected, expected + granule).some((byte) => byte !== 0)) {
          expected = Math.min(expected + granule, length);
        }
        expect(core.exports.nonzeroPrefix(address, length, granule)).toBe(expected);
      }),
    );
  });

  it('gives its functions numbers from 0 up', () => {
    const address = putIntoBuffers(core, new TextEncoder().encode('123456789'));
    expect(core.exports.crc32c(0, address, 9)).toBe(0xe3069283);
  });
});

describe('the best core', () => {
  afterEach(() => {
    vi.restoreAllMocks();
    vi.unstubAllGlobals();
  });

  /** Sums the check value of the catalogue: the core is not only there, it works. */
  const worksAs = async (kind: string): Promise<void> => {
    const core = await instantiateBestCore();
    expect(core.kind).toBe(kind);
    const address = putIntoBuffers(core, new TextEncoder().encode('123456789'));
    expect(core.exports.crc32c(0, address, 9)).toBe(0xe3069283);
  };

  it('is the one with SIMD', () => worksAs('simd'));

  it('is the scalar one where there is no SIMD', async () => {
    const { compile } = WebAssembly;
    const scalarLength = scalarModule.length / 2;
    vi.spyOn(WebAssembly, 'compile').mockImplementation((bytes) =>
      bytes.byteLength === scalarLength ? compile(bytes) : Promise.reject(new WebAssembly.CompileError('no SIMD')),
    );
    await worksAs('scalar');
  });

  it('is plain JavaScript where compiling is forbidden', async () => {
    vi.spyOn(WebAssembly, 'compile').mockRejectedValue(new WebAssembly.CompileError('forbidden by a policy'));
    await worksAs('javascript');
  });

  it('is plain JavaScript where there is no WebAssembly', async () => {
    vi.stubGlobal('WebAssembly', undefined);
    await worksAs('javascript');
  });

  it('is an error that lists what went wrong where none runs', async () => {
    vi.stubGlobal('WebAssembly', undefined);
    vi.stubGlobal('Float64Array', undefined);
    const error = await instantiateBestCore().catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(VhdxError);
    expect(error).toMatchObject({ code: 'wasm-unavailable', cause: { errors: { length: 3 } } });
  });
});

import fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import { equalBytes, nonzeroBytes, sumBuffer, zeroBytes } from '../../src/core/buffer-bytes.js';
import { BufferPool, type LeasedBuffer } from '../../src/core/buffers.js';
import { type Core, instantiateCore } from '../../src/core/instance.js';
import { CORE_KINDS, noise } from '../support/core-memory.js';
import { crc32cReference } from '../support/crc32c-reference.js';
import { propertyRuns } from '../support/property-runs.js';

const ADDRESS = 64;
const pool = (): BufferPool => new BufferPool(new Uint8Array(1024), ADDRESS, 4, 128);

describe('the pool of buffers', () => {
  it('lends buffers that are side by side in the memory', () => {
    const memory = new Uint8Array(1024);
    const buffers = new BufferPool(memory, ADDRESS, 4, 128).take(4) ?? [];
    expect(buffers.map(({ address }) => address)).toEqual([64, 192, 320, 448]);
    for (const { address, bytes } of buffers) {
      expect(bytes).toHaveLength(128);
      bytes[0] = 1;
      expect(memory[address as number]).toBe(1);
    }
  });

  it('lends one unless asked for more', () => {
    expect(pool().take()).toHaveLength(1);
  });

  it('lends all that are asked for or none, and those that were given back again', () => {
    const buffers = pool();
    const first = buffers.take(3) ?? [];
    expect(buffers.take(2)).toBeUndefined();
    expect(buffers.take(1)).toHaveLength(1);
    buffers.release(first.slice(0, 2));
    expect(buffers.take(2)).toHaveLength(2);
    expect(buffers.take()).toBeUndefined();
  });

  it('makes buffers in memory of their own, which are no part of it', () => {
    const buffers = pool();
    const own = buffers.makePrivate(2);
    expect(own.map(({ address, bytes }) => [address, bytes.length])).toEqual([
      [undefined, 128],
      [undefined, 128],
    ]);
    buffers.release(own);
    expect(buffers.take(4)).toHaveLength(4);
    expect(buffers.take()).toBeUndefined();
  });

  it('notices that a buffer is given back twice', () => {
    const buffers = pool();
    const lent = buffers.take(1) ?? [];
    buffers.release(lent);
    expect(() => buffers.release(lent)).toThrow('twice');
  });
});

describe.each(CORE_KINDS)('what the %s core finds in a buffer', (kind) => {
  let core: Core;
  let pairs: readonly (readonly LeasedBuffer[])[];
  beforeAll(async () => {
    core = await instantiateCore(kind);
    pairs = [core.buffers.take(2) ?? [], core.buffers.makePrivate(2)];
  });

  /** Fills the first two buffers of each kind, and returns what a function finds in them. */
  const found = <T>(a: Uint8Array, b: Uint8Array, find: (a: LeasedBuffer, b: LeasedBuffer) => T): T[] =>
    pairs.map((pair) => {
      const [first, second] = pair as [LeasedBuffer, LeasedBuffer];
      first.bytes.set(a);
      second.bytes.set(b);
      return find(first, second);
    });

  it('does not depend on whose memory it is: checksums', () => {
    const bytes = noise(700_001);
    const expected = crc32cReference(bytes);
    expect(found(bytes, bytes, (a) => sumBuffer(core, a, bytes.length, 0))).toEqual([expected, expected]);
  });

  it('nor do equal bytes, zeros and granules, across the pieces that are copied', () => {
    const length = fc.integer({ min: 0, max: 1 << 20 });
    fc.assert(
      fc.property(length, length, (size, place) => {
        const bytes = new Uint8Array(size);
        const other = bytes.slice();
        if (place < size) other[place] = 1;
        const first = Math.min(place, size);
        expect(found(bytes, other, (a, b) => equalBytes(core, a, b, size))).toEqual([first, first]);
        const zeros = first === size ? size : first - (first % 16);
        expect(found(other, bytes, (a) => zeroBytes(core, a, 0, size))).toEqual([zeros, zeros]);
        const full = new Uint8Array(size).fill(1);
        full.fill(0, first - (first % 32768), first - (first % 32768) + 32768);
        const granules = Math.min(size, first - (first % 32768));
        expect(found(full, bytes, (a) => nonzeroBytes(core, a, 0, size, 32768))).toEqual([granules, granules]);
      }),
      propertyRuns(20),
    );
  });
});

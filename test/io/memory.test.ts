import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { memoryFile } from '../../src/io/memory.js';
import { propertyRuns } from '../support/property-runs.js';
import { expectSameBytes } from '../support/same-bytes.js';
import { rejection } from '../support/scripted-source.js';

const KiB = 1024;
const TiB = 1024 ** 4;

describe('a file in memory', () => {
  test('is empty, grows, and has zeros in its gaps', async () => {
    const file = memoryFile();
    expect(file.size).toBe(0);
    await file.write(Uint8Array.of(1, 2, 3), 200 * KiB - 1);
    expect(file.size).toBe(200 * KiB + 2);
    const bytes = new Uint8Array(file.size).fill(9);
    await file.readInto(bytes, 0);
    const expected = new Uint8Array(200 * KiB + 2);
    expected.set([1, 2, 3], 200 * KiB - 1);
    expectSameBytes(bytes, expected);
  });

  test('can be as long as a disk without taking memory', async () => {
    const file = memoryFile();
    await file.truncate(64 * TiB);
    await file.write(Uint8Array.of(7), 64 * TiB - 1);
    const bytes = new Uint8Array(2);
    await file.readInto(bytes, 64 * TiB - 2);
    expect(bytes).toEqual(Uint8Array.of(0, 7));
  });

  test('does what an array does', async () => {
    const length = fc.integer({ min: 0, max: 200 * KiB });
    const operation = fc.oneof(
      fc.record({
        kind: fc.constant('write' as const),
        offset: length,
        length,
        value: fc.integer({ min: 1, max: 255 }),
      }),
      fc.record({
        kind: fc.constant('truncate' as const),
        offset: length,
        length: fc.constant(0),
        value: fc.constant(0),
      }),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(operation, { maxLength: 12 }), async (operations) => {
        const file = memoryFile();
        let model = new Uint8Array(0);
        for (const { kind, offset, length: count, value } of operations) {
          const end =
            kind === 'truncate' ? offset : count === 0 ? model.length : Math.max(model.length, offset + count);
          const next = new Uint8Array(end);
          next.set(model.subarray(0, end));
          model = next;
          if (kind === 'truncate') await file.truncate(offset);
          else {
            if (count > 0) model.fill(value, offset, offset + count);
            await file.write(new Uint8Array(count).fill(value), offset);
          }
        }
        expect(file.size).toBe(model.length);
        const bytes = new Uint8Array(model.length).fill(3);
        await file.readInto(bytes, 0);
        expect(bytes.findIndex((byte, index) => byte !== model[index])).toBe(-1);
      }),
      propertyRuns(60),
    );
  });

  test('refuses odd values, ranges past the end, and everything once it is closed', async () => {
    const file = memoryFile();
    await file.write(new Uint8Array(10), 0);
    expect(await rejection(file.readInto(new Uint8Array(1), 10))).toBeInstanceOf(RangeError);
    expect(await rejection(file.truncate(-1))).toBeInstanceOf(RangeError);
    expect(await rejection(file.write(new Uint8Array(1), 2 ** 53))).toBeInstanceOf(RangeError);
    expect(await rejection(file.write([1] as unknown as Uint8Array, 0))).toBeInstanceOf(TypeError);
    await file.flush();
    await file.close?.();
    for (const late of [
      file.readInto(new Uint8Array(1), 0),
      file.write(new Uint8Array(1), 0),
      file.truncate(0),
      file.flush(),
    ]) {
      expect(await rejection(late)).toMatchObject({ code: 'closed' });
    }
  });
});

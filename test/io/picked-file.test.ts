import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { pickedFile } from '../../src/io/picked-file.js';
import { FakePickedFile } from '../support/fake-handles.js';
import { propertyRuns } from '../support/property-runs.js';
import { rejection, sourceBytes } from '../support/scripted-source.js';

const KiB = 1024;
const MiB = 1024 * KiB;

describe('a picked file', () => {
  test('keeps its changes to itself, and has them all at once when it is closed', async () => {
    const handle = new FakePickedFile(MiB);
    const file = await pickedFile(handle);
    expect(file).toMatchObject({ size: MiB, name: 'disk.vhdx' });
    await file.write(new Uint8Array(10).fill(1), 64 * KiB - 5);
    await file.flush();
    const seen = new Uint8Array(20);
    await file.readInto(seen, 64 * KiB - 10);
    const expected = sourceBytes(0, MiB).slice();
    expected.fill(1, 64 * KiB - 5, 64 * KiB + 5);
    expect(seen).toEqual(expected.subarray(64 * KiB - 10, 64 * KiB + 10));
    expect(handle.swaps).toEqual([]);
    await file.close();
    expect(handle.bytes.findIndex((byte, index) => byte !== expected[index])).toBe(-1);
    expect(handle.bytes.length).toBe(MiB);
    expect(handle.swaps).toEqual(['closed']);
  });

  test('that was cut and grown to its old length is zeros from there on', async () => {
    const handle = new FakePickedFile(1000);
    const file = await pickedFile(handle);
    await file.truncate(10);
    await file.truncate(1000);
    await file.close();
    expect(handle.bytes.length).toBe(1000);
    expect(handle.bytes.subarray(10).every((byte) => byte === 0)).toBe(true);
    expect(handle.bytes.subarray(0, 10)).toEqual(sourceBytes(0, 10));
  });

  test('does what an array does', async () => {
    const place = fc.integer({ min: 0, max: 300 * KiB });
    const change = fc.record({
      truncates: fc.boolean(),
      offset: place,
      length: place,
      value: fc.integer({ min: 1, max: 255 }),
    });
    await fc.assert(
      fc.asyncProperty(place, fc.array(change, { maxLength: 8 }), async (size, changes) => {
        const handle = new FakePickedFile(size);
        const file = await pickedFile(handle);
        let model = handle.bytes.slice();
        const resize = (to: number): void => {
          const next = new Uint8Array(to);
          next.set(model.subarray(0, to));
          model = next;
        };
        const done: Promise<void>[] = []; // not awaited: they go one after the other
        for (const { truncates, offset, length, value } of changes) {
          if (truncates) {
            resize(offset);
            done.push(file.truncate(offset));
          } else if (length > 0) {
            resize(Math.max(model.length, offset + length));
            model.fill(value, offset, offset + length);
            done.push(file.write(new Uint8Array(length).fill(value), offset));
          }
        }
        await Promise.all(done);
        const seen = new Uint8Array(file.size).fill(3);
        await file.readInto(seen, 0);
        await file.close();
        for (const bytes of [seen, handle.bytes]) {
          expect(bytes.length).toBe(model.length);
          expect(bytes.findIndex((byte, index) => byte !== model[index])).toBe(-1);
        }
      }),
      propertyRuns(40),
    );
  });

  test('stays as it was when the changes are dropped, and is not touched when there are none', async () => {
    const handle = new FakePickedFile(1000);
    const file = await pickedFile(handle);
    await file.write(new Uint8Array(10), 0);
    await file.discard();
    await file.close();
    await (await pickedFile(handle)).close();
    expect(handle.bytes).toEqual(sourceBytes(0, 1000));
    expect(handle.swaps).toEqual([]);
  });

  test('keeps changes of 64 MiB at most, and none of the write that is too much', async () => {
    const handle = new FakePickedFile(1000);
    const file = await pickedFile(handle);
    await file.write(new Uint8Array(64 * MiB), 0);
    await file.write(new Uint8Array(64 * MiB).fill(2), 0);
    expect(await rejection(file.write(new Uint8Array(2), 64 * MiB - 1))).toMatchObject({
      code: 'no-space',
      message: 'disk.vhdx: changes of more than 64 MiB cannot be kept until the file is closed',
    });
    expect(file.size).toBe(64 * MiB);
    const seen = new Uint8Array(1);
    await file.readInto(seen, 64 * MiB - 1);
    expect(seen[0]).toBe(2);
    await file.discard();
  });

  test.each([
    ['QuotaExceededError', 'no-space'],
    ['NotAllowedError', 'read-only'],
    ['NoModificationAllowedError', 'locked'],
    ['UnknownError', 'write-failed'],
  ])('that meets a %s when it is swapped in stays as it was', async (name, code) => {
    const handle = new FakePickedFile(1000);
    const file = await pickedFile(handle);
    await file.write(new Uint8Array(10), 0);
    handle.failure = new DOMException('no', name);
    expect(await rejection(file.close())).toMatchObject({ code, file: 'disk.vhdx' });
    expect(handle.bytes).toEqual(sourceBytes(0, 1000));
    expect(handle.swaps).toEqual(['aborted']);
  });

  test('that another program changed meanwhile is not overwritten', async () => {
    const handle = new FakePickedFile(1000);
    const file = await pickedFile(handle);
    await file.write(new Uint8Array(10), 0);
    handle.lastModified++;
    expect(await rejection(file.close())).toMatchObject({ code: 'source-changed' });
    expect(handle.swaps).toEqual(['aborted']);
  });

  test('refuses odd values, and everything once it is closed', async () => {
    const file = await pickedFile(new FakePickedFile(1000));
    expect(await rejection(file.write([1] as unknown as Uint8Array, 0))).toBeInstanceOf(TypeError);
    expect(await rejection(file.write(new Uint8Array(1), -1))).toBeInstanceOf(RangeError);
    expect(await rejection(file.truncate(0.5))).toBeInstanceOf(RangeError);
    expect(await rejection(file.readInto(new Uint8Array(1), 1000))).toBeInstanceOf(RangeError);
    await file.close();
    for (const late of [() => file.readInto(new Uint8Array(0), 0), () => file.truncate(0), () => file.flush()]) {
      expect(await rejection(late())).toMatchObject({ code: 'closed' });
    }
  });

  test('that the browser cannot write', async () => {
    const handle = { name: 'disk.vhdx', getFile: async () => new File([], 'disk.vhdx') };
    expect(await rejection(pickedFile(handle))).toMatchObject({ code: 'unsupported-input' });
  });
});

import { describe, expect, test } from 'vitest';
import { bufferSource } from '../../src/io/buffer.js';
import { slice } from '../../src/io/slice.js';
import { rejection, ScriptedSource, sourceBytes } from '../support/scripted-source.js';

const bytes = Uint8Array.from({ length: 256 }, (_, index) => index);

describe('a source over a buffer', () => {
  test('reads an ArrayBuffer', async () => {
    const source = bufferSource(bytes.buffer);
    const target = new Uint8Array(3);
    await source.readInto(target, 250);
    expect(source.size).toBe(256);
    expect([...target]).toEqual([250, 251, 252]);
  });

  test.each([
    ['Uint8Array', new Uint8Array(bytes.buffer, 16, 32)],
    ['DataView', new DataView(bytes.buffer, 16, 32)],
    ['Float64Array', new Float64Array(bytes.buffer, 16, 4)],
  ])('reads the part of a buffer that a %s shows', async (_name, view) => {
    const source = bufferSource(view);
    const target = new Uint8Array(32);
    await source.readInto(target, 0);
    expect(source.size).toBe(32);
    expect([...target]).toEqual([...bytes.subarray(16, 48)]);
  });

  test('fills a view on WebAssembly memory in place', async () => {
    const memory = new WebAssembly.Memory({ initial: 1 });
    await bufferSource(bytes).readInto(new Uint8Array(memory.buffer, 100, 4), 8);
    expect([...new Uint8Array(memory.buffer, 99, 6)]).toEqual([0, 8, 9, 10, 11, 0]);
  });

  test.each([
    [256, 1],
    [255, 2],
    [-1, 1],
    [0.5, 1],
    [Number.NaN, 1],
    [257, 0],
    [2 ** 53, 1],
  ])('refuses to read at %d, %d bytes, with a RangeError', async (offset, length) => {
    expect(await rejection(bufferSource(bytes).readInto(new Uint8Array(length), offset))).toBeInstanceOf(RangeError);
  });

  test('reads nothing at its very end', async () => {
    await bufferSource(bytes).readInto(new Uint8Array(0), 256);
  });

  test('rejects with the reason of a signal that has aborted', async () => {
    const reason = new Error('enough');
    const reading = bufferSource(bytes).readInto(new Uint8Array(1), 0, { signal: AbortSignal.abort(reason) });
    expect(await rejection(reading)).toBe(reason);
  });

  test('rejects once the buffer has gone elsewhere', async () => {
    const buffer = bytes.slice().buffer;
    const source = bufferSource(buffer);
    structuredClone(buffer, { transfer: [buffer] });
    expect(await rejection(source.readInto(new Uint8Array(1), 0))).toMatchObject({ code: 'source-changed' });
  });

  test('rejects once it is closed, and may be closed twice', async () => {
    const source = bufferSource(bytes);
    await source.close?.();
    await source.close?.();
    expect(await rejection(source.readInto(new Uint8Array(1), 0))).toMatchObject({ code: 'closed' });
  });
});

describe('a slice', () => {
  test('reads its part of the source, and carries its name', async () => {
    const source = new ScriptedSource(10_000);
    const part = slice(source, 1000, 500);
    const target = new Uint8Array(100);
    await part.readInto(target, 400);
    expect(part.size).toBe(500);
    expect(part.name).toBe('scripted');
    expect(target).toEqual(sourceBytes(1400, 100));
    expect(source.call(0).target).toBe(target);
  });

  test('goes up to the end when no length is given', () => {
    expect(slice(bufferSource(bytes), 200).size).toBe(56);
  });

  test('of a slice is a slice', async () => {
    const target = new Uint8Array(2);
    await slice(slice(bufferSource(bytes), 100, 50), 10, 5).readInto(target, 3);
    expect([...target]).toEqual([113, 114]);
  });

  test.each([
    [0, 257],
    [257, 0],
    [-1, 5],
    [10, -1],
    [0.5, 1],
    [0, 0.5],
    [0, Number.NaN],
    [2 ** 53, undefined],
  ])('from %d on with length %d is a RangeError', (offset, length) => {
    expect(() => slice(bufferSource(bytes), offset, length)).toThrow(RangeError);
  });

  test('shows nothing beyond its ends', async () => {
    const source = new ScriptedSource(10_000);
    const part = slice(source, 1000, 500);
    expect(await rejection(part.readInto(new Uint8Array(101), 400))).toBeInstanceOf(RangeError);
    expect(await rejection(part.readInto(new Uint8Array(1), -1))).toBeInstanceOf(RangeError);
    expect(source.calls).toEqual([]);
  });

  test('hands the signal on', async () => {
    const source = new ScriptedSource(100);
    const { signal } = new AbortController();
    await slice(source, 0, 100).readInto(new Uint8Array(1), 0, { signal });
    expect(source.call(0).signal).toBe(signal);
  });

  test('closes itself and not the source', async () => {
    const source = new ScriptedSource(100);
    const part = slice(source, 0, 100);
    await part.close?.();
    expect(source.closed).toBe(0);
    expect(await rejection(part.readInto(new Uint8Array(1), 0))).toMatchObject({ code: 'closed' });
  });
});

import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { propertyRuns } from './property-runs.js';
import { expectSameBytes } from './same-bytes.js';
import { SparseFile } from './sparse-file.js';

const PAGE = 16 * 1024;
const LENGTH = 6 * PAGE;

/** One change, made to the sparse file and to a plain array alike. */
type Change = (file: SparseFile, plain: Uint8Array) => void;

const span = fc.tuple(fc.integer({ min: 0, max: LENGTH }), fc.integer({ min: 0, max: LENGTH })).map(([a, b]) => ({
  offset: Math.min(a, b),
  length: Math.abs(a - b),
}));
const byte = fc.integer({ min: 0, max: 255 });

const write = fc.tuple(span, byte).map(
  ([{ offset, length }, value]): Change =>
    (file, plain) => {
      file.write(offset, new Uint8Array(length).fill(value));
      plain.fill(value, offset, offset + length);
    },
);
const clear = span.map(
  ({ offset, length }): Change =>
    (file, plain) => {
      file.clear(offset, length);
      plain.fill(0, offset, offset + length);
    },
);
const promise = fc
  .tuple(fc.integer({ min: 0, max: 5 }), fc.integer({ min: 0, max: 6 }), byte)
  .map(([page, pages, value]): Change => {
    const offset = page * PAGE;
    const length = Math.min(LENGTH - offset, pages * PAGE);
    return (file, plain) => {
      file.promise(offset, length, (at, count) =>
        Uint8Array.from({ length: count }, (_, i) => value + ((at + i) >> 9)),
      );
      for (let i = 0; i < length; i++) plain[offset + i] = value + (i >> 9);
    };
  });
const cutAndGrow = fc.integer({ min: 0, max: LENGTH }).map(
  (size): Change =>
    (file, plain) => {
      file.truncate(size).truncate(LENGTH);
      plain.fill(0, size);
    },
);
const change = fc.oneof(write, clear, promise, cutAndGrow);

describe('a sparse file', () => {
  test('holds what a plain array holds, after any changes', () => {
    const changes = fc.array(change, { maxLength: 12 });
    return fc.assert(
      fc.property(changes, changes, (before, after) => {
        const file = new SparseFile(LENGTH);
        const plain = new Uint8Array(LENGTH);
        for (const apply of before) apply(file, plain);
        const copy = file.clone();
        const plainCopy = plain.slice();
        for (const apply of after) apply(file, plain);
        expectSameBytes(file.toUint8Array(), plain);
        expectSameBytes(copy.toUint8Array(), plainCopy);
        const pieces = new Uint8Array(LENGTH);
        for (const { offset, bytes } of file.pieces()) pieces.set(bytes, offset);
        expectSameBytes(pieces, plain);
      }),
      propertyRuns(200),
    );
  });

  test('its source rejects reads past the end and remembers the others', async () => {
    const source = new SparseFile(100).write(90, Uint8Array.of(1, 2, 3)).source();
    const target = new Uint8Array(10);
    await source.readInto(target, 90);
    expect(target).toEqual(Uint8Array.of(1, 2, 3, 0, 0, 0, 0, 0, 0, 0));
    await expect(source.readInto(target, 91)).rejects.toBeInstanceOf(RangeError);
    expect(source.reads).toEqual([
      { offset: 90, length: 10 },
      { offset: 91, length: 10 },
    ]);
    expect(source.bytesRead).toBe(20);
  });

  test('its source fails and waits when it is told to', async () => {
    const fail = (offset: number) => (offset === 7 ? new Error('bad sector') : undefined);
    const source = new SparseFile(100).source({ fail, latency: 60_000 });
    const leaving = new AbortController();
    const read = source.readInto(new Uint8Array(1), 3, { signal: leaving.signal });
    leaving.abort(new Error('no patience'));
    await expect(read).rejects.toThrow('no patience');
    await expect(new SparseFile(100).source({ fail }).readInto(new Uint8Array(1), 7)).rejects.toThrow('bad sector');
  });
});

import { describe, expect, test } from 'vitest';
import { blobSource } from '../../src/io/blob.js';
import { bufferSource } from '../../src/io/buffer.js';
import { CachedSource } from '../../src/io/cached.js';
import { httpSource } from '../../src/io/http/source.js';
import { memoryFile } from '../../src/io/memory.js';
import { openSource } from '../../src/io/open.js';
import type { Extent, RandomAccessSource } from '../../src/io/random-access.js';
import { slice } from '../../src/io/slice.js';
import { FakeServer } from '../support/fake-server.js';
import { rejection, ScriptedSource, sourceBytes, wrongAt } from '../support/scripted-source.js';

const SIZE = 1000;
const bytes = (): Uint8Array<ArrayBuffer> => sourceBytes(0, SIZE).slice();

async function memory(): Promise<RandomAccessSource> {
  const file = memoryFile();
  await file.write(bytes(), 0);
  return file;
}

/** One of every kind of source that needs no file system, with the same bytes. */
const SOURCES: Readonly<Record<string, () => RandomAccessSource | Promise<RandomAccessSource>>> = {
  buffer: () => bufferSource(bytes()),
  blob: () => blobSource(new Blob([bytes()])),
  slice: () => slice(bufferSource(bytes()), 0),
  cached: () => new CachedSource(new ScriptedSource(SIZE), { cacheSize: 1e6, loads: 1, direct: 1e6, readAhead: 0 }),
  http: () => httpSource('https://images.example/x', { fetch: new FakeServer(SIZE).fetch as typeof fetch }),
  memory,
  'one that was handed over': async () => openSource(new ScriptedSource(SIZE)),
};

describe.each(Object.entries(SOURCES))('a source of the kind %s', (_kind, make) => {
  test.each([
    ['Uint8ClampedArray', new Uint8ClampedArray(8)],
    ['Uint16Array', new Uint16Array(4)],
    ['Float64Array', new Float64Array(1)],
    ['DataView', new DataView(new ArrayBuffer(8))],
    ['ArrayBuffer', new ArrayBuffer(8)],
    ['Array', [0, 0, 0]],
    ['Object', { byteLength: 8, set: () => {} }],
    ['String', '12345678'],
    ['Null', null],
    ['Undefined', undefined],
  ])('does not read into a %s', async (kind, target) => {
    const source = await make();
    const error = await rejection(source.readInto(target as unknown as Uint8Array, 0));
    expect(error).toBeInstanceOf(TypeError);
    expect((error as Error).message).toBe(`the bytes must be a Uint8Array, not ${kind}`);
    await source.close?.();
  });

  test.each([-1, -0.5, 0.5, SIZE, 2 ** 53, Number.NaN, Number.POSITIVE_INFINITY, '0', null, undefined, 0n])(
    'does not read at %s',
    async (offset) => {
      const source = await make();
      expect(await rejection(source.readInto(new Uint8Array(1), offset as number))).toBeInstanceOf(RangeError);
      await source.close?.();
    },
  );

  test('reads what it has, into a view of any buffer', async () => {
    const source = await make();
    const target = new Uint8Array(new WebAssembly.Memory({ initial: 1 }).buffer, 100, 500);
    await source.readInto(target, SIZE - 500);
    expect(wrongAt(target, SIZE - 500)).toBe(-1);
    await source.readInto(new Uint8Array(0), SIZE);
    await source.close?.();
  });
});

describe('slice', () => {
  test.each([
    [-1, 1],
    [0.5, 1],
    [Number.NaN, 1],
    ['0', 1],
    [null, 1],
    [0, -1],
    [0, 0.5],
    [0, Number.NaN],
    [0, '1'],
    [0, SIZE + 1],
    [SIZE, 1],
    [SIZE + 1, undefined],
    [2 ** 53, 0],
  ])('does not take a part at %s of length %s', (offset, length) => {
    expect(() => slice(bufferSource(bytes()), offset as number, length as number)).toThrow(RangeError);
  });

  test('knows the holes of its part', async () => {
    const extents: Extent[] = [{ offset: 300, length: 200, kind: 'zero', depth: 0 }];
    const asked: unknown[] = [];
    const source: RandomAccessSource = Object.assign(new ScriptedSource(SIZE), {
      async *extents(range?: object) {
        asked.push(range);
        yield* extents;
      },
    });
    const part = slice(source, 250, 500);
    const seen: Extent[] = [];
    for await (const extent of part.extents?.({ offset: 50, length: 200 }) ?? []) seen.push(extent);
    expect(asked).toEqual([{ offset: 300, length: 200 }]);
    expect(seen).toEqual([{ offset: 50, length: 200, kind: 'zero', depth: 0 }]);
    expect(() => part.extents?.({ offset: 0, length: 501 })).toThrow(RangeError);
    expect(slice(bufferSource(bytes()), 0).extents).toBeUndefined();
  });
});

describe('a source that was handed over', () => {
  test('keeps its path and its extents', async () => {
    const inner = Object.assign(new ScriptedSource(SIZE), {
      path: '/folder/disk.vhdx',
      own: { offset: 0, length: SIZE, kind: 'data', depth: 0 } as const,
      async *extents(): AsyncGenerator<Extent> {
        yield this.own;
      },
    });
    const source = await openSource(inner);
    expect(source.path).toBe('/folder/disk.vhdx');
    const seen: Extent[] = [];
    for await (const extent of source.extents?.() ?? []) seen.push(extent);
    expect(seen).toEqual([inner.own]);
    expect((await openSource(new ScriptedSource(SIZE))).extents).toBeUndefined();
  });
});

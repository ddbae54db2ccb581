import { describe, expect, onTestFinished, test, vi } from 'vitest';
import { createVhdx, editVhdx, repairVhdx } from '../../src/index.js';
import { openFile, openSource, type VhdxInput } from '../../src/io/open.js';
import type { RandomAccessSource } from '../../src/io/random-access.js';
import { hasSettled, rejection, ScriptedSource, sourceBytes, wrongAt } from '../support/scripted-source.js';

const bytes = sourceBytes(0, 1000) as Uint8Array<ArrayBuffer>;

async function first(source: RandomAccessSource, length: number): Promise<Uint8Array> {
  const target = new Uint8Array(length);
  await source.readInto(target, 0);
  return target;
}

describe('what can be handed over', () => {
  const inputs: [string, () => VhdxInput][] = [
    ['an ArrayBuffer', () => bytes.slice().buffer],
    ['a Uint8Array', () => bytes],
    ['a DataView', () => new DataView(bytes.buffer, 0, 1000)],
    ['a Blob', () => new Blob([bytes])],
    ['a File', () => new File([bytes], 'disk.vhdx')],
    ['a source', () => new ScriptedSource(1000)],
    [
      'a plain object that is a source',
      () => ({
        size: 1000,
        readInto: async (target: Uint8Array, offset: number) => target.set(sourceBytes(offset, target.byteLength)),
      }),
    ],
    [
      'something like a Blob from another realm',
      () => {
        const blob = new Blob([bytes]);
        const twin = { size: blob.size, slice: blob.slice.bind(blob), arrayBuffer: blob.arrayBuffer.bind(blob) };
        return twin as unknown as Blob;
      },
    ],
  ];

  test.each(inputs)('%s', async (_name, input) => {
    const source = await openSource(input());
    expect(source.size).toBe(1000);
    expect(wrongAt(await first(source, 1000), 0)).toBe(-1);
  });

  test.each([
    ['null', null],
    ['undefined', undefined],
    ['number', 5],
    ['function', () => {}],
    ['Object', {}],
    ['Array', [1, 2]],
    ['Object', { size: 5 }],
    ['Object', { fd: 5 }],
    ['Response', new Response('x')],
  ])('not %s', async (kind, input) => {
    expect(await rejection(openSource(input as unknown as VhdxInput))).toMatchObject({
      name: 'VhdxError',
      code: 'unsupported-input',
      message: expect.stringMatching(new RegExp(`^${kind} cannot be read; hand over a File`)),
    });
  });

  test.each(['ftp://host/disk.vhdx', 'data:,disk', 'about:blank'])('not the URL %s', async (url) => {
    expect(await rejection(openSource(new URL(url)))).toMatchObject({
      code: 'unsupported-input',
      message: expect.stringContaining('a URL that begins with'),
    });
  });

  test.each(['ftp://user:secret@host/disk', 's3://bucket/disk', 'blob://x', 'git+ssh://host/x'])(
    'not %s, which is a URL and no path',
    async (url) => {
      const error = await rejection(openSource(url));
      expect(error).toMatchObject({
        code: 'unsupported-input',
        message: expect.stringContaining('a URL that begins with'),
        hints: ['input'],
      });
      expect(String(error)).not.toContain('secret');
      for (const work of [openFile, editVhdx, repairVhdx, (path: string) => createVhdx(path, { size: 512 })]) {
        const refused = await rejection(work(url));
        expect(refused).toMatchObject({
          code: 'unsupported-input',
          message: expect.stringContaining('is no path of a file'),
        });
        expect(String(refused)).not.toContain('secret');
      }
    },
  );

  test.each(['http://', 'https://[', 'HTTP://:1'])('not %s, which is no valid URL', async (url) => {
    expect(await rejection(openSource(url))).toMatchObject({
      code: 'unsupported-input',
      message: expect.stringContaining('is not a valid URL'),
    });
  });

  test('not an empty path', async () => {
    expect(await rejection(openSource(''))).toMatchObject({ code: 'unsupported-input' });
  });

  test.each(['disk.vhdx', '/disk.vhdx', 'C:\\disk.vhdx'])(
    'not the path %s where there is no file system, which says what to hand over instead',
    async (path) => {
      const runtime: Partial<NodeJS.Process> | undefined = globalThis.process;
      if (runtime?.getBuiltinModule !== undefined) {
        vi.spyOn(process, 'getBuiltinModule').mockReturnValue(undefined);
        onTestFinished(() => void vi.restoreAllMocks());
      }
      const way = 'location' in globalThis ? "; if it is an address, new URL('…', location.href) makes it whole" : '';
      expect(await rejection(openSource(path))).toMatchObject({
        code: 'unsupported-input',
        message: expect.stringContaining(
          `is a path, and there is no file system here${way}; hand over a File, an http`,
        ),
      });
      expect(await rejection(openSource(new URL('file:///disk.vhdx')))).toMatchObject({ code: 'unsupported-input' });
    },
  );

  test('nothing, when it was aborted before', async () => {
    expect(await rejection(openSource(bytes, { signal: AbortSignal.abort('enough') }))).toBe('enough');
  });
});

describe('a source that was handed over', () => {
  test.each([-1, 1.5, Number.NaN, Infinity, 2 ** 53, '1000', undefined, 10n])(
    'has no size if it says %s',
    async (size) => {
      const source = { size, readInto: async () => {} } as unknown as RandomAccessSource;
      expect(await rejection(openSource(source))).toMatchObject({ code: 'unsupported-input' });
    },
  );

  test('is never asked for what it does not have', async () => {
    const inner = new ScriptedSource(1000);
    const source = await openSource(inner);
    for (const [offset, length] of [
      [1000, 1],
      [999, 2],
      [-1, 1],
      [0.5, 1],
    ] as const) {
      expect(await rejection(source.readInto(new Uint8Array(length), offset))).toBeInstanceOf(RangeError);
    }
    expect(inner.calls).toEqual([]);
  });

  test('must not change its size', async () => {
    const inner = { size: 1000, readInto: async () => {} };
    const source = await openSource(inner);
    inner.size = 999;
    expect(source.size).toBe(1000);
    expect(await rejection(source.readInto(new Uint8Array(1), 0))).toMatchObject({ code: 'source-changed' });
  });

  test('rejects when it throws, with its own error', async () => {
    const own = new TypeError('mine');
    const source = await openSource({
      size: 1000,
      readInto: () => {
        throw own;
      },
    });
    expect(await rejection(source.readInto(new Uint8Array(1), 0))).toBe(own);
  });

  test('gets the signal, and rejects for it once it has left the target alone', async () => {
    const inner = new ScriptedSource(1000, { manual: true });
    const source = await openSource(inner);
    const controller = new AbortController();
    const reading = rejection(source.readInto(new Uint8Array(10), 0, { signal: controller.signal }));
    controller.abort('enough');
    expect(inner.call(0).signal).toBe(controller.signal);
    expect(await hasSettled(reading)).toBe(false);
    inner.call(0).answer(); // it knows nothing of signals
    expect(await reading).toBe('enough');
  });

  test('stays open when what was made of it is closed', async () => {
    const inner = new ScriptedSource(1000);
    const source = await openSource(inner);
    await source.close?.();
    expect(inner.closed).toBe(0);
    expect(await rejection(source.readInto(new Uint8Array(1), 0))).toMatchObject({ code: 'closed' });
  });
});

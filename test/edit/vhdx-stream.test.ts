import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  type DamagedRange,
  memoryFile,
  openVhdx,
  type RandomAccessSource,
  type StreamOptions,
  slice,
  VhdxError,
  vhdxStream,
  writeVhdx,
} from '../../src/index.js';
import { contentBytes, pattern } from '../support/block-content.js';
import { buildImage } from '../support/build-image.js';
import { modelOf } from '../support/disk-model.js';
import { bytesOf, expectImage, viewOf } from '../support/edit/judged-image.js';
import { KiB, MiB, TiB } from '../support/encode-primitives.js';
import { STATE } from '../support/image-spec.js';
import { propertyRuns } from '../support/property-runs.js';
import { expectSameBytes } from '../support/same-bytes.js';

/** A raw disk of which blocks of 1 MiB 0, 3, 5 to 8 and the cut one at the end hold something. */
const raw = new Uint8Array(10 * MiB + 512);
raw.set(contentBytes(pattern(1), 0, 700 * KiB));
raw.set([1, 2, 3], 4 * MiB - 3);
raw.set(contentBytes(pattern(2), 0, 3 * MiB), 5 * MiB + 512 * KiB);
raw.set([7], 10 * MiB + 511);

async function streamed(source: Parameters<typeof vhdxStream>[0], options: StreamOptions = {}, longest = MiB) {
  const { size, stream } = await vhdxStream(source, options);
  const file = memoryFile();
  const reader = stream.getReader();
  let most = 0;
  for (let part = await reader.read(); !part.done; part = await reader.read()) {
    most = Math.max(most, part.value.length);
    await file.write(part.value, file.size);
  }
  expect(most).toBe(longest);
  expect(file.size).toBe(size);
  return file;
}

/** A source that knows no holes and tells what was read. */
function watched(bytes: Uint8Array) {
  const reads: [number, number][] = [];
  const source: RandomAccessSource = {
    size: bytes.length,
    async readInto(target, offset) {
      reads.push([offset, target.length]);
      target.set(bytes.subarray(offset, offset + target.length));
    },
  };
  return { source, reads };
}

describe('a stream', () => {
  test.each([1, 2, 32])('of blocks of %d MiB is the image, of the length that it said', async (blocks) => {
    for (const type of ['dynamic', 'fixed'] as const) {
      await expectImage(await streamed(raw, { type, blockSize: blocks * MiB }), raw);
    }
  });

  test.each([
    [1, 'dynamic'],
    [2, 'fixed'],
    [16, 'dynamic'],
  ] as const)('of a chosen file, in blocks of %d MiB, %s, is the image', async (blocks, type) => {
    // Runs of stored blocks of which one is longer than a chunk, and blocks by themselves.
    const content = new Uint8Array(18 * MiB + 512);
    content.set(contentBytes(pattern(3), 0, 6 * MiB), MiB);
    for (let at = 8; at < 18; at += 3) content.set([at], at * MiB + 5);
    content.set([9], 18 * MiB);
    const options = { type, blockSize: blocks * MiB, format: 'raw' } as const;
    const image = await streamed(new File([content], 'disk.raw'), options, 4 * MiB);
    await expectImage(image, content);
    const again = new File([await bytesOf(image)], 'disk.vhdx');
    await expectImage(await streamed(again, { type: 'dynamic' }, 4 * MiB), content);
  });

  test('of a chosen file that is left, or cannot be read to its end', async () => {
    const content = contentBytes(pattern(3), 0, 10 * MiB) as Uint8Array<ArrayBuffer>;
    let isGone = false;
    class Going extends File {
      override slice(start?: number, end?: number): Blob {
        const part = super.slice(start, end);
        if (isGone) part.arrayBuffer = () => Promise.reject(new DOMException('gone', 'NotReadableError'));
        return part;
      }
    }
    const options = { blockSize: MiB, format: 'raw' } as const;
    const left = (await vhdxStream(new Going([content], 'disk.raw'), options)).stream.getReader();
    await left.read();
    await left.cancel();
    const failing = (await vhdxStream(new Going([content], 'disk.raw'), options)).stream.getReader();
    isGone = true;
    const all = async () => {
      while (!(await failing.read()).done);
    };
    await expect(all()).rejects.toMatchObject({ code: 'source-changed' });
  });

  test('has the same content, sizes and identity as a file of the same source', async () => {
    const id = '33333333-3333-3333-3333-333333333333';
    const options = { id, blockSize: MiB, logSize: 2 * MiB, physicalSectorSize: 512 } as const;
    const file = memoryFile();
    await writeVhdx(raw, file, options);
    const [a, b] = [await bytesOf(await streamed(raw, options)), await bytesOf(file)];
    // All but the headers, which have GUIDs of their own.
    for (const bytes of [a, b]) bytes.fill(0, 64 * KiB, 192 * KiB);
    expectSameBytes(a, b);
  });

  test('pads a disk that ends inside a sector, if that is asked for', async () => {
    const odd = raw.subarray(0, 5 * MiB + 1);
    await expect(vhdxStream(odd)).rejects.toMatchObject({ code: 'virtual-disk-size-alignment', hints: ['pad'] });
    const padded = new Uint8Array(5 * MiB + 512);
    padded.set(odd);
    await expectImage(await streamed(odd, { pad: true }), padded);
  });

  test('reads a block up to its first byte that is not zero, and again only what it stores', async () => {
    const { source, reads } = watched(raw);
    const { stream } = await vhdxStream(source, { blockSize: MiB, format: 'raw' });
    const first = reads.splice(0);
    const readOf = (block: number) =>
      first.filter(([at]) => Math.floor(at / MiB) === block).reduce((sum, [, length]) => sum + length, 0);
    expect(readOf(0)).toBe(64 * KiB);
    expect(readOf(1)).toBe(MiB);
    expect(readOf(6)).toBe(64 * KiB);
    await new Response(stream).arrayBuffer();
    const blocks = new Set(reads.map(([at]) => Math.floor(at / MiB)));
    expect([...blocks].sort((a, b) => a - b)).toEqual([0, 3, 5, 6, 7, 8, 10]);
  });

  test('of a source that knows its holes reads nothing before the stream is read, and no hole', async () => {
    const image = buildImage({
      virtualSize: 9 * MiB,
      blocks: { 1: { state: STATE.fullyPresent, data: pattern(1) }, 4: { state: STATE.zero } },
    });
    const disk = await openVhdx(image.source());
    const { reads, source } = watched(modelOf(image).expected(0, 9 * MiB));
    const holed = { ...source, extents: disk.extents.bind(disk) };
    const { size, stream } = await vhdxStream(holed, { blockSize: 2 * MiB });
    expect(reads).toEqual([]);
    expect(size).toBe(4 * MiB + 2 * MiB);
    await new Response(stream).arrayBuffer();
    expect(reads.reduce((sum, [, length]) => sum + length, 0)).toBe(MiB);
    await expectImage(await streamed(disk), modelOf(image).expected(0, 9 * MiB));
    const part = slice(disk, MiB + 512, 4 * MiB);
    await expectImage(await streamed(part), modelOf(image).expected(MiB + 512, 4 * MiB));
  });

  test('of a large disk takes memory for what is stored alone', async () => {
    const huge: RandomAccessSource = {
      size: 16 * TiB,
      readInto: async (target) => void target.fill(7),
      async *extents() {
        yield { offset: 0, length: 8 * TiB, kind: 'unmapped', depth: 0 };
        yield { offset: 8 * TiB, length: MiB, kind: 'data', depth: 0 };
        yield { offset: 8 * TiB + MiB, length: 8 * TiB - MiB, kind: 'unmapped', depth: 0 };
      },
    };
    const { size, stream } = await vhdxStream({ ...huge }, { blockSize: 32 * MiB });
    expect(size).toBe(3 * MiB + 5 * MiB + 32 * MiB);
    await stream.cancel();
  });

  test('of a damaged image fails before its first byte', async () => {
    const image = buildImage({ virtualSize: 4 * MiB, blocks: {}, bat: { 2: 4n } });
    await expect(vhdxStream(image.source())).rejects.toMatchObject({ code: 'bat-reserved-state' });
  });

  test('that is cancelled, before or after its first chunk, leaves open a disk that was handed over', async () => {
    const image = buildImage({ virtualSize: 4 * MiB });
    const opened: RandomAccessSource[] = [];
    const open = async (): Promise<ReadableStream<Uint8Array>> => {
      const source = await openVhdx(image.source());
      opened.push(source);
      return (await vhdxStream(source)).stream;
    };
    await (await open()).cancel();
    const reader = (await open()).getReader();
    await reader.read();
    await reader.cancel();
    // A disk that was handed over stays open.
    for (const disk of opened) await disk.readInto(new Uint8Array(1), 0);
  });

  test('ends when it is aborted, before and during the stream', async () => {
    const aborted = AbortSignal.abort(new Error('enough'));
    await expect(vhdxStream(raw, { signal: aborted })).rejects.toThrow('enough');
    const controller = new AbortController();
    const { stream } = await vhdxStream(raw, { signal: controller.signal, blockSize: MiB });
    const reader = stream.getReader();
    await reader.read();
    controller.abort(new Error('enough'));
    const rest = async () => {
      while (!(await reader.read()).done);
    };
    await expect(rest()).rejects.toThrow('enough');
  });

  test('reports how far it has looked', async () => {
    const seen: number[] = [];
    await streamed(raw, { onProgress: ({ done, total }) => seen.push(done / total) });
    expect(seen.at(-1)).toBe(1);
    expect(seen).toEqual([...seen].sort((a, b) => a - b));
  });
});

describe('a stream of a damaged image', () => {
  const spec = {
    virtualSize: 5 * MiB,
    blocks: { 0: { state: STATE.fullyPresent, data: pattern(1) }, 3: { state: STATE.fullyPresent, data: pattern(3) } },
    bat: { 2: 4n },
  };

  test.each(['dynamic', 'fixed'] as const)('has zeros for what is lost, and reports it once: %s', async (type) => {
    const ranges: DamagedRange[] = [];
    const onDamage = (range: DamagedRange): unknown => ranges.push(range);
    const file = await streamed(buildImage(spec).source(), { type, onDamage, blockSize: MiB });
    expect(ranges).toEqual([{ offset: 2 * MiB, length: MiB, code: 'bat-reserved-state' }]);
    await expectImage(
      file,
      modelOf(buildImage({ ...spec, bat: {} }))
        .expected(0, 5 * MiB)
        .fill(0, 2 * MiB, 3 * MiB),
    );
  });

  test('of a source with a bad place too', async () => {
    const bytes = raw.subarray(0, 4 * MiB);
    const source: RandomAccessSource = {
      size: bytes.length,
      async readInto(target, offset) {
        if (offset < MiB + 4096 && offset + target.length > MiB) throw new VhdxError('read-failed', 'a bad sector');
        target.set(bytes.subarray(offset, offset + target.length));
      },
    };
    const ranges: DamagedRange[] = [];
    const onDamage = (range: DamagedRange): unknown => ranges.push(range);
    const file = await streamed(source, { format: 'raw', onDamage, blockSize: MiB });
    expect(ranges).toMatchObject([{ offset: MiB, code: 'read-failed' }]);
    await expectImage(file, bytes.slice().fill(0, MiB, MiB + (ranges[0]?.length ?? 0)));
  });
});

describe('a stream of a child', () => {
  const blocks = Object.fromEntries(
    [0, 1, 2, 3, 4, 6].map((i) => [i, { state: STATE.fullyPresent, data: pattern(i) }] as const),
  );
  const base = buildImage({ virtualSize: 8 * MiB, blocks });
  const parent = base.toUint8Array();
  const below = modelOf(base).expected(0, 8 * MiB);
  const options = { parent, parentPath: '.\\base.vhdx', blockSize: MiB };

  /** The content of the parent with some sectors changed, or made zeros. */
  const changes = fc.array(
    fc.record({
      sector: fc.integer({ min: 0, max: 16_383 }),
      count: fc.integer({ min: 1, max: 4096 }),
      fill: fc.nat(2),
    }),
    { maxLength: 6 },
  );

  test('is the image that writeVhdx writes', async () => {
    await fc.assert(
      fc.asyncProperty(changes, async (list) => {
        const content = below.slice();
        for (const { sector, count, fill } of list) content.fill(fill, sector * 512, (sector + count) * 512);
        const file = memoryFile();
        await writeVhdx(content, file, options);
        const stream = await streamed(content, options);
        await expectImage(stream, content, { bytes: parent, view: viewOf(parent) });
        const [a, b] = [await bytesOf(stream), await bytesOf(file)];
        for (const bytes of [a, b]) bytes.fill(0, 64 * KiB, 192 * KiB).fill(0, 2 * MiB, 3 * MiB); // GUIDs of their own
        expectSameBytes(a, b);
      }),
      propertyRuns(20),
    );
  });

  test('needs the path of the parent, because it has no folder', async () => {
    await expect(vhdxStream(below, { parent, blockSize: MiB })).rejects.toThrow(/parentPath/);
  });

  test('reports what is damaged once', async () => {
    const damaged = buildImage({ virtualSize: 8 * MiB, blocks, bat: { 3: 4n } });
    const ranges: DamagedRange[] = [];
    const file = await streamed(damaged.source(), { ...options, onDamage: (range) => ranges.push(range) });
    expect(ranges).toEqual([{ offset: 3 * MiB, length: MiB, code: 'bat-reserved-state' }]);
    await expectImage(file, below.slice().fill(0, 3 * MiB, 4 * MiB), { bytes: parent, view: viewOf(parent) });
  });

  test('can be cancelled and aborted at any chunk', async () => {
    const content = below.slice();
    for (let block = 0; block < 8; block++) content.fill(9, block * MiB, block * MiB + 700 * KiB);
    for (let chunks = 0; chunks < 12; chunks++) {
      const controller = new AbortController();
      for (const end of ['cancel', 'abort'] as const) {
        const { stream } = await vhdxStream(content, { ...options, signal: controller.signal });
        const reader = stream.getReader();
        for (let i = 0; i < chunks; i++) await reader.read();
        if (end === 'cancel') await reader.cancel();
        else {
          controller.abort(new Error('enough'));
          const rest = async () => {
            while (!(await reader.read()).done);
          };
          if (chunks < 8) await expect(rest()).rejects.toThrow('enough');
          else await rest().catch(() => undefined);
        }
      }
    }
  });

  test('fails if something else would have to be stored the second time', async () => {
    const content = below
      .slice()
      .fill(5, 0, MiB)
      .fill(6, 5 * MiB, 5 * MiB + 512);
    for (const change of [
      (bytes: Uint8Array) => bytes.fill(0, MiB, 2 * MiB),
      (bytes: Uint8Array) => bytes.set([1], 6 * MiB),
      (bytes: Uint8Array) => bytes.set(below.subarray(0, MiB)),
    ]) {
      const { source } = watched(content.slice());
      const bytes = content.slice();
      const changing = {
        ...source,
        readInto: async (target: Uint8Array, at: number) => target.set(bytes.subarray(at, at + target.length)),
      };
      const { stream } = await vhdxStream(changing as RandomAccessSource, { ...options, format: 'raw' });
      change(bytes);
      const reader = stream.getReader();
      const rest = async () => {
        while (!(await reader.read()).done);
      };
      await expect(rest()).rejects.toMatchObject({ code: 'source-changed' });
    }
  });
});

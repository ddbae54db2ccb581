import { describe, expect, test } from 'vitest';
import {
  compareDisks,
  crc32c,
  type DamagedRange,
  exportDisk,
  exportSize,
  exportStream,
  openVhdx,
  type Progress,
  type RandomAccessSink,
} from '../../src/index.js';
import { pattern } from '../support/block-content.js';
import { buildImage } from '../support/build-image.js';
import { modelOf } from '../support/disk-model.js';
import { KiB, MiB } from '../support/encode-primitives.js';
import { type ImageSpec, STATE } from '../support/image-spec.js';
import { expectSameBytes } from '../support/same-bytes.js';

/** A sink in memory that knows what was written where, and refuses to be written past its end. */
function memorySink() {
  let bytes = new Uint8Array(0);
  const writes: { offset: number; length: number }[] = [];
  const sink: RandomAccessSink = {
    async truncate(size) {
      bytes = new Uint8Array(size);
    },
    async write(part, offset) {
      if (offset + part.length > bytes.length) throw new RangeError('written past the end');
      await Promise.resolve();
      bytes.set(part, offset);
      writes.push({ offset, length: part.length });
    },
  };
  return { sink, writes, content: () => bytes };
}

/** Two blocks of data far apart, one of them mostly zeros, and a last block that the disk's end cuts. */
const SPEC: ImageSpec = {
  virtualSize: 9 * MiB + 512 * KiB,
  blocks: {
    1: { state: STATE.fullyPresent, data: pattern(1) },
    4: { state: STATE.fullyPresent, data: new Uint8Array(64 * KiB).fill(7) },
    6: { state: STATE.zero },
    9: { state: STATE.fullyPresent, data: pattern(9) },
  },
};

async function bytesOf(stream: ReadableStream<Uint8Array>): Promise<Uint8Array> {
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

describe('an export to raw', () => {
  test('holds the bytes of the disk, and writes nothing where there is nothing', async () => {
    const image = buildImage(SPEC);
    const disk = await openVhdx(image.source());
    const { sink, writes, content } = memorySink();
    await exportDisk(disk, sink);
    expectSameBytes(content(), modelOf(image).expected(0, disk.size));
    expect(exportSize(disk)).toBe(disk.size);
    const written = writes.reduce((sum, { length }) => sum + length, 0);
    expect(written).toBeLessThanOrEqual(1 * MiB + 64 * KiB + 512 * KiB);
  });

  test('leaves out zeros inside a block of data', async () => {
    const data = (offset: number, length: number) => {
      const bytes = new Uint8Array(length);
      for (let i = 0; i < length; i++) if (offset + i >= 512 * KiB && offset + i < 512 * KiB + 5) bytes[i] = 9;
      return bytes;
    };
    const image = buildImage({ virtualSize: 1 * MiB, blocks: { 0: { state: STATE.fullyPresent, data } } });
    const disk = await openVhdx(image.source());
    const { sink, writes, content } = memorySink();
    await exportDisk(disk, sink);
    expectSameBytes(content(), modelOf(image).expected(0, disk.size));
    expect(writes).toEqual([{ offset: 512 * KiB, length: 32 * KiB }]);
  });

  test('tells how far it is', async () => {
    const disk = await openVhdx(buildImage(SPEC).source());
    const told: number[] = [];
    await exportDisk(disk, memorySink().sink, { onProgress: ({ done }) => told.push(done) });
    expect(told).toEqual([...told].sort((a, b) => a - b));
    expect(told.at(-1)).toBe(disk.size);
  });

  test('stops when it is aborted, and when the sink fails', async () => {
    const disk = await openVhdx(buildImage(SPEC).source());
    const aborted = exportDisk(disk, memorySink().sink, { signal: AbortSignal.abort(new Error('enough')) });
    await expect(aborted).rejects.toThrow('enough');
    const full = { truncate: async () => undefined, write: async () => Promise.reject(new Error('disk full')) };
    await expect(exportDisk(disk, full)).rejects.toThrow('disk full');
    // What the failures lent was given back: the core's buffers are all there for the next one.
    const { sink, content } = memorySink();
    await exportDisk(disk, sink);
    expect(await crc32c(content())).toBe(await disk.checksum());
  });

  test('begins the writes in the order of the disk and several at a time, whatever order the source answers in', async () => {
    const blocks = Object.fromEntries(
      Array.from({ length: 24 }, (_, i) => [i, { state: STATE.fullyPresent, data: pattern(i) }]),
    );
    const image = buildImage({ virtualSize: 24 * MiB, blocks });
    const source = image.source();
    let reads = 0;
    const uneven = {
      size: source.size,
      async readInto(target: Uint8Array, offset: number) {
        const wait = (reads++ * 7) % 5;
        await source.readInto(target, offset);
        await new Promise((resolve) => setTimeout(resolve, wait));
      },
    };
    const disk = await openVhdx(uneven);
    const { sink, content } = memorySink();
    const offsets: number[] = [];
    let running = 0;
    let most = 0;
    await exportDisk(disk, {
      truncate: (size) => sink.truncate(size),
      async write(bytes, offset) {
        offsets.push(offset);
        most = Math.max(most, ++running);
        // The bytes are lent until the write is done, however late that is.
        await new Promise((resolve) => setTimeout(resolve, 5));
        await sink.write(bytes, offset);
        running--;
      },
    });
    expect(offsets).toEqual([...offsets].sort((a, b) => a - b));
    expect(most).toBeGreaterThan(1);
    expect(running).toBe(0);
    expectSameBytes(content(), modelOf(image).expected(0, disk.size));
  });

  test('rejects with the write that fails when no other is under way, and writes nothing that comes after a bad block', async () => {
    const data = { state: STATE.fullyPresent, data: pattern(3) };
    const blocks = Object.fromEntries(Array.from({ length: 12 }, (_, i) => [i, data]));
    const sound = await openVhdx(buildImage({ virtualSize: 12 * MiB, blocks }).source());
    let running = 0;
    const slow = async (offset: number) => {
      running++;
      await new Promise((resolve) => setTimeout(resolve, offset === 2 * MiB ? 1 : 20));
      running--;
      if (offset === 2 * MiB) throw new Error('disk full');
    };
    const full = { truncate: async () => undefined, write: (_: Uint8Array, offset: number) => slow(offset) };
    await expect(exportDisk(sound, full)).rejects.toThrow('disk full');
    expect(running).toBe(0);

    const broken = await openVhdx(buildImage({ virtualSize: 12 * MiB, blocks, bat: { 4: 4n } }).source());
    const { sink, writes } = memorySink();
    await expect(exportDisk(broken, sink)).rejects.toMatchObject({ code: 'bat-reserved-state' });
    expect(Math.max(...writes.map(({ offset, length }) => offset + length))).toBeLessThanOrEqual(4 * MiB);
  });

  test('takes sinks and sources of plain JavaScript, which give back no promise', async () => {
    const image = buildImage(SPEC);
    const disk = await openVhdx(image.source());
    let bytes = new Uint8Array(0);
    const sink = {
      truncate: (size: number) => {
        bytes = new Uint8Array(size);
      },
      write: (part: Uint8Array, offset: number) => bytes.set(part, offset),
    };
    await exportDisk(disk, sink as unknown as RandomAccessSink);
    expectSameBytes(bytes, modelOf(image).expected(0, disk.size));
    const raw = {
      size: bytes.length,
      readInto: (target: Uint8Array, offset: number) =>
        target.set(bytes.subarray(offset, offset + target.length)) as unknown as Promise<void>,
    };
    expect(await compareDisks(disk, raw)).toBeUndefined();
  });

  test('is the same as a stream', async () => {
    const image = buildImage(SPEC);
    const disk = await openVhdx(image.source());
    const reports: Progress[] = [];
    const stream = exportStream(disk, { onProgress: (progress) => reports.push(progress) });
    expectSameBytes(await bytesOf(stream), modelOf(image).expected(0, disk.size));
    expect(reports.at(-1)).toEqual({ done: disk.size, total: disk.size });
    expect(reports.map(({ done }) => done)).toEqual(reports.map(({ done }) => done).sort((a, b) => a - b));
    expect(reports.length).toBeGreaterThan(3);
  });

  test('as a stream has zeros where the image is damaged, and says where, if that is asked for', async () => {
    const blocks = { 0: { state: 6, data: pattern(0) }, 1: { state: 4 }, 2: { state: 6, data: pattern(2) } };
    const image = buildImage({ virtualSize: 4 * MiB, blockSize: MiB, blocks });
    const disk = await openVhdx(image.source());
    const reader = exportStream(disk).getReader();
    const drain = async () => {
      while (!(await reader.read()).done);
    };
    await expect(drain()).rejects.toMatchObject({ code: 'bat-reserved-state' });
    for (const format of ['raw', 'vhd'] as const) {
      const ranges: DamagedRange[] = [];
      const bytes = await bytesOf(exportStream(disk, { format, onDamage: (range) => ranges.push(range) }));
      expect(ranges).toEqual([{ offset: MiB, length: MiB, code: 'bat-reserved-state' }]);
      const sound = buildImage({ virtualSize: 4 * MiB, blockSize: MiB, blocks: { 0: blocks[0], 2: blocks[2] } });
      expectSameBytes(bytes.subarray(0, 4 * MiB), modelOf(sound).expected(0, 4 * MiB));
    }
  });

  test('takes any source, and reads no hole that it reports', async () => {
    const holed = {
      size: 3 * MiB,
      async readInto(target: Uint8Array, offset: number) {
        if (offset < MiB || offset + target.length > 2 * MiB) throw new Error(`read at ${offset}`);
        target.fill(5);
      },
      async *extents() {
        for (const kind of ['unmapped', 'data', 'zero'] as const) {
          const offset = ['unmapped', 'data', 'zero'].indexOf(kind) * MiB;
          yield { offset, length: MiB, kind, depth: 0 };
        }
      },
    };
    const expected = new Uint8Array(3 * MiB).fill(5, MiB, 2 * MiB);
    const { sink, content } = memorySink();
    await exportDisk(holed, sink);
    expectSameBytes(content(), expected);
    expectSameBytes(await bytesOf(exportStream(holed)), expected);
    expectSameBytes((await bytesOf(exportStream(holed, { format: 'vhd' }))).subarray(0, 3 * MiB), expected);
  });
});

describe('an export of a damaged disk', () => {
  const damaged = { ...SPEC, bat: { 1: 4n, 4: 0x7ff00006n } };

  test('rejects with the first damage', async () => {
    const disk = await openVhdx(buildImage(damaged).source());
    await expect(exportDisk(disk, memorySink().sink)).rejects.toMatchObject({ code: 'bat-reserved-state' });
  });

  test('salvages what is sound and lists what is not', async () => {
    const image = buildImage(damaged);
    const disk = await openVhdx(image.source());
    const ranges: DamagedRange[] = [];
    const { sink, content } = memorySink();
    await exportDisk(disk, sink, { onDamage: (range) => ranges.push(range) });
    expect(ranges).toEqual([
      { offset: 1 * MiB, length: 1 * MiB, code: 'bat-reserved-state' },
      { offset: 4 * MiB, length: 1 * MiB, code: 'bat-past-end' },
    ]);
    const expected = modelOf(buildImage(SPEC)).expected(0, disk.size);
    expected.fill(0, 1 * MiB, 2 * MiB);
    expected.fill(0, 4 * MiB, 5 * MiB);
    expectSameBytes(content(), expected);
  });

  test('salvages around places where the file itself cannot be read', async () => {
    const image = buildImage(SPEC);
    const source = image.source();
    const bad = image.layout.blockOffset(1) + 300 * KiB;
    const failing = {
      size: source.size,
      async readInto(target: Uint8Array, offset: number) {
        const { VhdxError } = await import('../../src/index.js');
        if (offset < bad + 100 && bad < offset + target.length) throw new VhdxError('read-failed', 'a bad sector');
        await source.readInto(target, offset);
      },
    };
    const disk = await openVhdx(failing);
    const ranges: DamagedRange[] = [];
    const { sink, content } = memorySink();
    await exportDisk(disk, sink, { onDamage: (range) => ranges.push(range) });
    expect(ranges).toEqual([{ offset: 1 * MiB + 300 * KiB, length: 4 * KiB, code: 'read-failed' }]);
    const expected = modelOf(image).expected(0, disk.size);
    expected.fill(0, 1 * MiB + 300 * KiB, 1 * MiB + 304 * KiB);
    expectSameBytes(content(), expected);
  });
});

describe('an export to a fixed VHD', () => {
  test('is a whole number of MiB with the footer of [VHD 1.0] behind it', async () => {
    const image = buildImage(SPEC);
    const disk = await openVhdx(image.source());
    const { sink, content } = memorySink();
    await exportDisk(disk, sink, { format: 'vhd' });
    const bytes = content();
    expect(bytes.length).toBe(10 * MiB + 512);
    expect(exportSize(disk, 'vhd')).toBe(bytes.length);
    expectSameBytes(bytes.subarray(0, disk.size), modelOf(image).expected(0, disk.size));
    const view = new DataView(bytes.buffer, 10 * MiB);
    expect(new TextDecoder().decode(bytes.subarray(10 * MiB, 10 * MiB + 8))).toBe('conectix');
    expect(view.getUint32(8)).toBe(2);
    expect(view.getUint32(12)).toBe(0x10000);
    expect(view.getBigUint64(16)).toBe(0xffffffffffffffffn);
    expect(view.getBigUint64(40)).toBe(10n * 1024n * 1024n);
    expect(view.getBigUint64(48)).toBe(10n * 1024n * 1024n);
    expect(view.getUint32(60)).toBe(2);
    let sum = 0;
    for (let i = 0; i < 512; i++) sum += i >= 64 && i < 68 ? 0 : view.getUint8(i);
    expect(view.getUint32(64)).toBe(~sum >>> 0);
  });

  // The appendix of the VHD specification, worked out by hand: 20,480 sectors are 1,204 tracks of 17, four heads are
  // too few for 1,024 cylinders only from 4,096 tracks on, and 1,204 / 4 = 301 cylinders.
  test.each([
    [10 * MiB, 301, 4, 17],
    [1024 * MiB, 2080, 16, 63],
  ])('of %i bytes has the geometry of the specification', async (virtualSize, cylinders, heads, sectors) => {
    const disk = await openVhdx(buildImage({ virtualSize, blocks: {} }).source());
    const stream = await exportStream(disk, { format: 'vhd' });
    let last = new Uint8Array(0);
    const reader = stream.getReader();
    for (let part = await reader.read(); !part.done; part = await reader.read()) last = new Uint8Array(part.value);
    const footer = new DataView(last.buffer, last.length - 512);
    expect([footer.getUint16(56), footer.getUint8(58), footer.getUint8(59)]).toEqual([cylinders, heads, sectors]);
  });

  test('is the same each time, and the same as a stream', async () => {
    const disk = await openVhdx(buildImage(SPEC).source());
    const { sink, content } = memorySink();
    await exportDisk(disk, sink, { format: 'vhd' });
    expectSameBytes(await bytesOf(exportStream(disk, { format: 'vhd' })), content());
  });

  test('of a disk with sectors of 4,096 bytes is refused', async () => {
    const disk = await openVhdx(buildImage({ logicalSectorSize: 4096 }).source());
    await expect(exportDisk(disk, memorySink().sink, { format: 'vhd' })).rejects.toMatchObject({
      code: 'logical-sector-size',
    });
    expect(() => exportStream(disk, { format: 'vhd' })).toThrow('4096');
    expect(() => exportSize(disk, 'vhd')).toThrow('4096');
  });

  test('or to anything else but raw is refused', async () => {
    const disk = await openVhdx(buildImage().source());
    await expect(exportDisk(disk, memorySink().sink, { format: 'qcow2' as 'raw' })).rejects.toThrow(RangeError);
  });

  // The limit of Hyper-V and of QEMU's vpc driver, whose largest image is `qemu-img create -f vpc -o force_size=on x 2040G`.
  test('of a disk above 2,040 GiB is refused before anything is written', async () => {
    const GiB = 1024 * MiB;
    const largest = await openVhdx(buildImage({ virtualSize: 2040 * GiB, blocks: {} }).source());
    expect(exportSize(largest, 'vhd')).toBe(2040 * GiB + 512);
    const disk = await openVhdx(buildImage({ virtualSize: 2040 * GiB + MiB, blocks: {} }).source());
    const { sink, content } = memorySink();
    const refusal = { code: 'virtual-disk-size', message: expect.stringContaining('at most 2040 GiB') };
    await expect(exportDisk(disk, sink, { format: 'vhd' })).rejects.toMatchObject(refusal);
    expect(content()).toHaveLength(0);
    expect(() => exportSize(disk, 'vhd')).toThrow(expect.objectContaining(refusal));
    expect(() => exportStream(disk, { format: 'vhd' })).toThrow(expect.objectContaining(refusal));
    expect(exportSize(disk)).toBe(disk.size);
  });

  test('knows no other format', async () => {
    const disk = await openVhdx(buildImage().source());
    for (const format of ['x', 'vpc', '', null] as never[]) {
      expect(() => exportSize(disk, format)).toThrow(RangeError);
      expect(() => exportStream(disk, { format })).toThrow(RangeError);
      await expect(exportDisk(disk, memorySink().sink, { format })).rejects.toThrow(RangeError);
    }
  });
});

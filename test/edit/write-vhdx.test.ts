import { describe, expect, test } from 'vitest';
import {
  type DamagedRange,
  memoryFile,
  openVhdx,
  type RandomAccessSource,
  slice,
  VhdxError,
  type WriteVhdxOptions,
  writeVhdx,
} from '../../src/index.js';
import { contentBytes, pattern } from '../support/block-content.js';
import { buildImage } from '../support/build-image.js';
import { dirtied, structureSectors } from '../support/dirty-images.js';
import { modelOf } from '../support/disk-model.js';
import { bytesOf, expectImage, viewOf } from '../support/edit/judged-image.js';
import { concatBytes, KiB, MiB, TiB } from '../support/encode-primitives.js';
import { IS_USER, IS_VIRTUAL_DISK } from '../support/encode-structures.js';
import { BASE_DATA_WRITE_GUID, locatorEntries, STATE } from '../support/image-spec.js';
import { expectSameBytes } from '../support/same-bytes.js';
import { SLOW } from '../support/time-limits.js';

const ID = '33333333-3333-3333-3333-333333333333';

/** A raw disk: data at the start, a few bytes far from it, data over a border of blocks, and zeros at the end. */
function rawDisk(size = 11 * MiB): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(11 * MiB);
  bytes.set(contentBytes(pattern(1), 0, 700 * KiB));
  bytes.set([1, 2, 3], 3 * MiB + 77);
  bytes.set(contentBytes(pattern(2), 0, 3 * MiB), 5 * MiB + 512 * KiB);
  return bytes.slice(0, size);
}

async function written(
  source: Parameters<typeof writeVhdx>[0],
  options: WriteVhdxOptions = {},
): Promise<ReturnType<typeof memoryFile>> {
  const file = memoryFile();
  await writeVhdx(source, file, options);
  return file;
}

describe('a raw disk', () => {
  test('becomes a dynamic image that stores the blocks that are not zero, in the order of the disk', async () => {
    const raw = rawDisk();
    const { metadata, bat } = await expectImage(await written(raw, { blockSize: MiB }), raw);
    expect(metadata).toMatchObject({ size: 11 * MiB, logicalSectorSize: 512, physicalSectorSize: 4096 });
    const blocks = Array.from({ length: 11 }, (_, i) => bat.block(i));
    const stored = [0, 3, 5, 6, 7, 8];
    expect(blocks).toEqual(
      blocks.map((_, i) =>
        stored.includes(i)
          ? { state: STATE.fullyPresent, offset: (4 + stored.indexOf(i)) * MiB }
          : { state: STATE.zero, offset: 0 },
      ),
    );
  });

  test.each(['dynamic', 'fixed'] as const)(
    'becomes a %s image with any block and sector size',
    SLOW.properties,
    async (type) => {
      const raw = rawDisk();
      for (const blockSize of [1, 2, 8, 32, 256]) {
        for (const logicalSectorSize of [512, 4096] as const) {
          for (const physicalSectorSize of [512, 4096] as const) {
            const options = { type, blockSize: blockSize * MiB, logicalSectorSize, physicalSectorSize };
            if (blockSize === 256 && logicalSectorSize !== physicalSectorSize) continue;
            const { metadata } = await expectImage(await written(raw, options), raw);
            expect(metadata).toMatchObject({
              blockSize: blockSize * MiB,
              logicalSectorSize,
              physicalSectorSize,
              leaveBlocksAllocated: type === 'fixed',
            });
          }
        }
      }
    },
  );

  test('of no whole sector is refused with the way out, or padded', async () => {
    const raw = rawDisk(9 * MiB + 700);
    raw.fill(9, 9 * MiB);
    const refused = { code: 'virtual-disk-size-alignment', hints: ['pad'] };
    const file = memoryFile();
    await expect(writeVhdx(raw, file)).rejects.toMatchObject(refused);
    expect(file.size).toBe(0);
    await expectImage(await written(raw, { pad: true }), concatBytes(raw, new Uint8Array(1024 - 700)));
    const sectors = { pad: true, logicalSectorSize: 4096 } as const;
    await expectImage(await written(raw, sectors), concatBytes(raw, new Uint8Array(4096 - 700)));
    await expect(written(rawDisk(MiB + 512), { logicalSectorSize: 4096 })).rejects.toMatchObject(refused);
  });

  test('that is empty, or too large, is refused', async () => {
    await expect(written(new Uint8Array(0))).rejects.toMatchObject({ code: 'virtual-disk-size' });
    const huge = { size: 64 * TiB + 512, readInto: async () => {} };
    await expect(written(huge, { format: 'raw' })).rejects.toMatchObject({ code: 'virtual-disk-size' });
  });

  test('is taken as it is if the caller says so, whatever it begins with', async () => {
    const nested = buildImage({ virtualSize: MiB }).toUint8Array();
    const raw = nested.slice(0, Math.floor(nested.length / 512) * 512);
    await expectImage(await written(raw, { format: 'raw' }), raw);
    const qcow = rawDisk();
    qcow.set([0x51, 0x46, 0x49, 0xfb]);
    await expect(written(qcow)).rejects.toMatchObject({ code: 'unsupported-input', hints: ['raw'] });
    await expectImage(await written(qcow, { format: 'raw' }), qcow);
  });

  test('that knows its holes is read where it has something, and nowhere else', async () => {
    const data = rawDisk();
    const reads: [number, number][] = [];
    const holed: RandomAccessSource = {
      size: 1024 * MiB,
      async readInto(target, offset) {
        reads.push([offset, offset + target.length]);
        target.set(data.subarray(offset - 512 * MiB, offset - 512 * MiB + target.length));
      },
      async *extents() {
        yield { offset: 0, length: 512 * MiB, kind: 'unmapped', depth: 0 };
        yield { offset: 512 * MiB, length: data.length, kind: 'data', depth: 0 };
        const end = 512 * MiB + data.length;
        yield { offset: end, length: 1024 * MiB - end, kind: 'zero', depth: 0 };
      },
    };
    const file = await written(holed);
    expect(reads.every(([from, to]) => from >= 512 * MiB && to <= 512 * MiB + data.length)).toBe(true);
    expect(file.size).toBe(4 * MiB + 6 * 2 * MiB - 2 * MiB);
    const disk = await openVhdx(file, { strict: true });
    expectSameBytes(await disk.read(512 * MiB, data.length), data);
  });

  test('reports how far it is', async () => {
    const seen: number[] = [];
    await written(rawDisk(), {
      onProgress: ({ done, total }) => {
        expect(total).toBe(11 * MiB);
        seen.push(done);
      },
    });
    expect(seen).toEqual([...seen].sort((a, b) => a - b));
    expect(seen.at(-1)).toBe(11 * MiB);
  });
});

describe('a stream', () => {
  const chunked = async function* (bytes: Uint8Array, length: number) {
    for (let at = 0; at < bytes.length; at += length) yield bytes.subarray(at, at + length);
  };

  test.each([
    ['of small chunks', 1000],
    ['of chunks of a buffer', MiB],
    ['of large chunks', 5 * MiB + 1],
  ])('%s becomes an image with its BAT after the payload', async (_, length) => {
    const raw = rawDisk();
    const view = await expectImage(await written(chunked(raw, length), { blockSize: MiB }), raw);
    const [bat] = [...view.regions].sort((a, b) => b.offset - a.offset);
    expect(bat?.offset).toBe(3 * MiB + 6 * MiB);
    await expectImage(await written(chunked(raw, length), { type: 'fixed' }), raw);
    await expectImage(await written(new Blob([raw]).stream(), { logicalSectorSize: 4096 }), raw);
  });

  test('of a length that ends with a buffer, of zeros, or of less than a sector', async () => {
    await expectImage(await written(chunked(rawDisk(8 * MiB), MiB)), rawDisk(8 * MiB));
    await expectImage(await written(chunked(new Uint8Array(5 * MiB), MiB)), new Uint8Array(5 * MiB));
    await expect(written(chunked(rawDisk(MiB + 1), MiB))).rejects.toMatchObject({ hints: ['pad'] });
    const padded = await written(chunked(Uint8Array.of(7), 1), { pad: true });
    await expectImage(padded, concatBytes(Uint8Array.of(7), new Uint8Array(511)));
    await expect(written(chunked(new Uint8Array(0), 1))).rejects.toMatchObject({ code: 'virtual-disk-size' });
  });

  test('that is an image itself is refused, unless it is to be taken as raw', async () => {
    const image = buildImage({ virtualSize: MiB }).toUint8Array();
    const file = memoryFile();
    await expect(writeVhdx(chunked(image, 100), file)).rejects.toMatchObject({ code: 'unsupported-input' });
    expect(file.size).toBe(0);
    const raw = image.subarray(0, Math.floor(image.length / 512) * 512);
    await expectImage(await written(chunked(raw, 100), { format: 'raw' }), raw);
    await expect(written(chunked(raw, 100), { format: 'vhdx' })).rejects.toThrow(RangeError);
    const options = { parent: image, parentPath: '.\\a.vhdx' };
    await expect(written(chunked(raw, 100), options)).rejects.toThrow(RangeError);
  });

  test('that fails, or hangs until it is aborted, leaves nothing', async () => {
    const failing = async function* () {
      yield rawDisk(3 * MiB);
      throw new Error('the line was cut');
    };
    const file = memoryFile();
    await expect(writeVhdx(failing(), file)).rejects.toThrow('the line was cut');
    expect(file.size).toBe(0);
    const hanging = async function* () {
      yield rawDisk(3 * MiB);
      await new Promise(() => {});
    };
    const signal = AbortSignal.timeout(50);
    await expect(writeVhdx(hanging(), file, { signal })).rejects.toMatchObject({ name: 'TimeoutError' });
    expect(file.size).toBe(0);
  });
});

describe('a VHDX', () => {
  const spec = {
    virtualSize: 9 * MiB + 512 * KiB,
    blockSize: MiB,
    virtualDiskId: ID,
    blocks: {
      1: { state: STATE.fullyPresent, data: pattern(1) },
      4: { state: STATE.fullyPresent, data: new Uint8Array(64 * KiB).fill(7) },
      5: { state: STATE.fullyPresent, data: 0 },
      6: { state: STATE.zero },
      9: { state: STATE.fullyPresent, data: pattern(9) },
    },
  };

  test('gives its type, sizes, identity and the items of the disk to the copy, and no block of zeros', async () => {
    const id = '76c39310-d201-4e90-92ec-59d85640b187';
    const item = { id, flags: IS_USER | IS_VIRTUAL_DISK, data: Uint8Array.of(1, 2, 3) };
    const items = (plain: object[]) => [...plain, item];
    for (const type of ['dynamic', 'fixed'] as const) {
      const size = { ...spec, virtualSize: 9 * MiB, logicalSectorSize: 4096, physicalSectorSize: 4096 };
      const image = buildImage({ ...size, type, items: items as never });
      const view = await expectImage(await written(image.source()), modelOf(image).expected(0, 9 * MiB));
      expect(view.metadata).toMatchObject({
        blockSize: MiB,
        id: ID,
        logicalSectorSize: 4096,
        leaveBlocksAllocated: type === 'fixed',
      });
      expect(view.items.get(`user ${id}`)).toMatchObject({ flags: 3, bytes: Uint8Array.of(1, 2, 3) });
      if (type === 'dynamic') expect([1, 4, 5, 6].map((i) => view.bat.block(i).state)).toEqual([6, 6, 2, 2]);
    }
    const image = buildImage(spec);
    const other = '44444444-4444-4444-4444-444444444444';
    const { metadata } = await expectImage(
      await written(image.source(), { id: other, type: 'fixed', blockSize: 4 * MiB }),
      modelOf(image).expected(0, spec.virtualSize),
    );
    expect(metadata).toMatchObject({ id: other, blockSize: 4 * MiB, leaveBlocksAllocated: true });
  });

  test('that is dirty is copied as it is after replay', async () => {
    const image = buildImage(spec);
    const dirty = dirtied(image, structureSectors(image));
    await expectImage(await written(dirty.source()), modelOf(image).expected(0, spec.virtualSize));
  });

  test('with parents becomes one dynamic image', async () => {
    const base = buildImage(spec);
    const entries = locatorEntries({ linkage: BASE_DATA_WRITE_GUID, relativePath: '.\\base.vhdx' });
    const child = buildImage({
      ...spec,
      type: 'differencing',
      blocks: { 0: { state: STATE.fullyPresent, data: pattern(50) }, 1: { state: STATE.zero } },
      parentLocator: { entries },
    });
    const expected = modelOf(child, modelOf(base)).expected(0, spec.virtualSize);
    const file = await written(child.source(), { sourceOptions: { parent: base.source() } });
    const { metadata } = await expectImage(file, expected);
    expect(metadata).toMatchObject({ hasParent: false, leaveBlocksAllocated: false, id: ID });
    await expect(written(child.source())).rejects.toMatchObject({ code: 'parent-missing' });
    const disk = await openVhdx(child.source(), { parent: base.source() });
    await expectImage(await written(disk), expected);
    expectSameBytes(await disk.read(0, MiB), expected.subarray(0, MiB));
  });

  test('of which a part is taken is a raw disk', async () => {
    const image = buildImage(spec);
    const disk = await openVhdx(image.source());
    const part = slice(disk, MiB + 512, 4 * MiB);
    await expectImage(await written(part), modelOf(image).expected(MiB + 512, 4 * MiB));
  });

  test('that is damaged is refused, or copied as far as it can be read', async () => {
    const image = buildImage({ ...spec, bat: { 1: 4n } });
    const file = memoryFile();
    await expect(writeVhdx(image.source(), file)).rejects.toMatchObject({ code: 'bat-reserved-state' });
    expect(file.size).toBe(0);
    const ranges: DamagedRange[] = [];
    await writeVhdx(image.source(), file, { onDamage: (range) => ranges.push(range) });
    expect(ranges).toEqual([{ offset: MiB, length: MiB, code: 'bat-reserved-state' }]);
    const expected = modelOf(buildImage(spec))
      .expected(0, spec.virtualSize)
      .fill(0, MiB, 2 * MiB);
    await expectImage(file, expected);
  });
});

describe('a disk with a parent', () => {
  const blocks = Object.fromEntries(
    [0, 1, 2, 3, 4, 6].map((i) => [i, { state: STATE.fullyPresent, data: pattern(i) }] as const),
  );
  const base = buildImage({ virtualSize: 8 * MiB, blockSize: MiB, virtualDiskId: ID, blocks });
  const bytes = base.toUint8Array();
  const below = modelOf(base).expected(0, 8 * MiB);
  const options = { parent: bytes, parentPath: '.\\base.vhdx', blockSize: MiB };

  async function child(content: Uint8Array, more: WriteVhdxOptions = {}) {
    const file = await written(content, { ...options, ...more });
    return expectImage(file, content, { bytes, view: viewOf(bytes) });
  }

  test('becomes a child that stores the sectors that differ and no others', async () => {
    const content = below.slice();
    content.fill(0, MiB, 2 * MiB); // all zeros, and the parent is not
    content.set(contentBytes(pattern(99), 0, MiB), 2 * MiB); // every sector differs
    content.fill(0, 3 * MiB, 3 * MiB + 512); // one sector of zeros
    content.set([255], 4 * MiB + 5 * 512 - 1); // one byte
    content.set([1], 5 * MiB); // the parent is zeros
    const { bat, metadata, inFile } = await child(content);
    expect(metadata).toMatchObject({ hasParent: true, id: ID });
    expect([0, 1, 2, 3, 4, 5, 6, 7].map((i) => bat.block(i).state)).toEqual([0, 2, 6, 7, 7, 7, 0, 0]);
    expect(inFile(3 * 2048, 8)).toBe(1);
    expect(inFile(4 * 2048, 8)).toBe(0b10000);
    expect(inFile(5 * 2048, 8)).toBe(1);
    // Four blocks and a sector bitmap block.
    expect(bat.owned.reduce((sum, { length }) => sum + length, 0)).toBe(5 * MiB);
  });

  test('that is the same is an empty child, of whatever block size', async () => {
    for (const blockSize of [1, 2, 32]) {
      const { bat } = await child(below, { blockSize: blockSize * MiB });
      expect(bat.owned).toEqual([]);
    }
  });

  test('may be larger, and is not smaller', async () => {
    const content = concatBytes(below, new Uint8Array(MiB), contentBytes(pattern(5), 0, MiB + 512));
    const { bat } = await child(content, { blockSize: 2 * MiB });
    expect(Array.from({ length: 6 }, (_, i) => bat.block(i).state)).toEqual([0, 0, 0, 0, 7, 6]);
    const file = memoryFile();
    await expect(writeVhdx(below.subarray(0, 7 * MiB), file, options)).rejects.toThrow('a child is not smaller');
    expect(file.size).toBe(0);
  });

  test('has a bitmap block for each chunk that needs one, over several chunks', async () => {
    // 16 blocks of 256 MiB to a chunk; both disks have something in blocks 0, 17 and 40.
    const [size, blockSize] = [41 * 256 * MiB, 256 * MiB];
    const disk = (places: Readonly<Record<number, number>>): RandomAccessSource => ({
      size,
      async readInto(target, offset) {
        target.fill(0);
        for (const [at, value] of Object.entries(places)) {
          if (Number(at) >= offset && Number(at) < offset + target.length) target[Number(at) - offset] = value;
        }
      },
      async *extents() {
        let end = 0;
        for (const at of Object.keys(places).map(Number)) {
          const start = at - (at % MiB) - 512;
          if (start > end) yield { offset: end, length: start - end, kind: 'unmapped', depth: 0 };
          yield { offset: Math.max(start, end), length: 2 * MiB, kind: 'data', depth: 0 };
          end = Math.max(start, end) + 2 * MiB;
        }
        yield { offset: end, length: size - end, kind: 'zero', depth: 0 };
      },
    });
    const places = { 4096: 1, [17 * blockSize]: 2, [40 * blockSize + 999]: 3 };
    const parentFile = await written(disk(places), { blockSize: MiB });
    const changed = disk({ ...places, [17 * blockSize]: 7, [40 * blockSize + 999]: 0, [5 * blockSize]: 1 });
    const file = await written(changed, { parent: parentFile, parentPath: '.\\a.vhdx', blockSize });
    const opened = await openVhdx(file, { parent: parentFile, strict: true });
    expect(opened.info.blocks).toMatchObject({ partiallyPresent: 2, zero: 1 });
    expect([...(await opened.read(17 * blockSize, 2))]).toEqual([7, 0]);
    expect([...(await opened.read(40 * blockSize + 999, 1))]).toEqual([0]);
    expect([...(await opened.read(4096, 1))]).toEqual([1]);
    expect([...(await opened.read(5 * blockSize, 1))]).toEqual([1]);
    expect(opened.info.fileSize).toBe(4 * MiB + 2 * blockSize + 2 * MiB);
  });

  test('with sectors of 4,096 bytes differs in units of them', async () => {
    const parent = buildImage({ virtualSize: 4 * MiB, logicalSectorSize: 4096, blocks: { 0: blocks[0] as never } });
    const content = modelOf(parent).expected(0, 4 * MiB);
    content.set([1, 2], 4095);
    const file = await written(content, { ...options, parent: parent.toUint8Array() });
    const view = await expectImage(file, content, {
      bytes: parent.toUint8Array(),
      view: viewOf(parent.toUint8Array()),
    });
    expect(view.inFile(0, 8)).toBe(0b11);
  });

  test('that is damaged stores zeros where the damage is', async () => {
    const damaged = buildImage({ virtualSize: 8 * MiB, blockSize: MiB, blocks, bat: { 3: 4n } });
    const ranges: DamagedRange[] = [];
    const file = await written(damaged.source(), { ...options, onDamage: (range) => ranges.push(range) });
    expect(ranges).toEqual([{ offset: 3 * MiB, length: MiB, code: 'bat-reserved-state' }]);
    await expectImage(file, below.slice().fill(0, 3 * MiB, 4 * MiB), { bytes, view: viewOf(bytes) });
  });

  test('names the parent if that cannot be read', async () => {
    const source: RandomAccessSource = {
      size: bytes.length,
      name: 'base.vhdx',
      async readInto(target, offset) {
        if (offset >= base.layout.blockOffset(2)) throw new VhdxError('read-failed', 'a bad sector');
        target.set(bytes.subarray(offset, offset + target.length));
      },
    };
    const failure = written(below, { ...options, parent: source });
    await expect(failure).rejects.toMatchObject({ code: 'read-failed', file: 'base.vhdx' });
  });
});

describe('the target', () => {
  test('is not replaced unless that is allowed', async () => {
    const file = memoryFile();
    await file.write(new Uint8Array(10 * MiB).fill(7), 0);
    await expect(writeVhdx(rawDisk(), file)).rejects.toMatchObject({ code: 'exists' });
    expect(file.size).toBe(10 * MiB);
    await writeVhdx(rawDisk(), file, { overwrite: true });
    await expectImage(file, rawDisk());
  });

  test('is not what is read', async () => {
    const file = memoryFile();
    await file.write(rawDisk(), 0);
    const before = await bytesOf(file);
    await expect(writeVhdx(file, file, { overwrite: true })).rejects.toMatchObject({ code: 'exists' });
    expectSameBytes(await bytesOf(file), before);
  });

  test('without room at any of its writes is left with nothing that looks like an image', SLOW.properties, async () => {
    for (let nth = 0; ; nth++) {
      const file = memoryFile();
      const write = file.write.bind(file);
      let writes = 0;
      file.write = (bytes, offset) =>
        writes++ === nth ? Promise.reject(new VhdxError('no-space', 'full')) : write(bytes, offset);
      const error = await writeVhdx(rawDisk(), file).then(
        () => undefined,
        (reason: unknown) => reason,
      );
      if (error === undefined) break;
      expect(error).toMatchObject({ code: 'no-space' });
      expect(file.size).toBe(0);
      expect(nth).toBeLessThan(40);
    }
  });

  test('gets several writes at a time, its BAT after the payload and its signature last', async () => {
    const file = memoryFile();
    const order: (number | 'flush')[] = [];
    const [write, flush] = [file.write.bind(file), file.flush.bind(file)];
    let running = 0;
    let most = 0;
    file.write = async (bytes, offset) => {
      order.push(offset);
      most = Math.max(most, ++running);
      await new Promise((resolve) => setTimeout(resolve, 2));
      await write(bytes, offset);
      running--;
    };
    file.flush = async () => {
      expect(running).toBe(0);
      order.push('flush');
      await flush();
    };
    const raw = new Uint8Array(12 * MiB).fill(1);
    await writeVhdx(raw, file, { blockSize: MiB });
    expect(most).toBeGreaterThan(1);
    expect(order.slice(-3)).toEqual(['flush', 0, 'flush']);
    const bat = order.indexOf(3 * MiB);
    const payload = order.filter((offset): offset is number => offset !== 'flush' && offset >= 4 * MiB);
    expect(payload).toEqual([...payload].sort((a, b) => a - b));
    expect(order.indexOf(payload.at(-1) as number)).toBeLessThan(bat);
    await expectImage(file, raw);
  });

  test('has nothing if the work is aborted', async () => {
    const file = memoryFile();
    const controller = new AbortController();
    const onProgress = () => controller.abort(new Error('enough'));
    await expect(writeVhdx(rawDisk(), file, { onProgress, signal: controller.signal })).rejects.toThrow('enough');
    expect(file.size).toBe(0);
  });
});

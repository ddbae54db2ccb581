import { describe, expect, test } from 'vitest';
import { createImage } from '../../src/edit/create/create-image.js';
import {
  type CreateOptions,
  createVhdx,
  memoryFile,
  openSource,
  openVhdx,
  type RandomAccessFile,
  VhdxError,
} from '../../src/index.js';
import { buildImage } from '../support/build-image.js';
import { PageImage } from '../support/crash/page-image.js';
import { readState } from '../support/crash/state-reader.js';
import { crc32cReference } from '../support/crc32c-reference.js';
import { concatBytes, GiB, KiB, MiB, TiB, u64Bytes, ZERO_GUID } from '../support/encode-primitives.js';
import { GUID, IS_USER, IS_VIRTUAL_DISK } from '../support/encode-structures.js';
import { BASE_DATA_WRITE_GUID } from '../support/image-spec.js';
import { expectSameBytes } from '../support/same-bytes.js';

const IDENTITY = {
  fileWriteGuid: '11111111-1111-1111-1111-111111111111',
  dataWriteGuid: '22222222-2222-2222-2222-222222222222',
  creator: 'vhdx test',
  sequenceNumber: 0n,
};
const ID = '33333333-3333-3333-3333-333333333333';

async function bytesOf(file: RandomAccessFile): Promise<Uint8Array> {
  const bytes = new Uint8Array(file.size);
  await file.readInto(bytes, 0);
  return bytes;
}

async function created(options: CreateOptions): Promise<Uint8Array> {
  const file = memoryFile();
  await createVhdx(file, options);
  return bytesOf(file);
}

/** What the strict reader of states makes of a new image. */
async function viewOf(options: CreateOptions) {
  return readState(PageImage.of(await created(options)));
}

describe('a new image', () => {
  test('is, byte for byte, the one that was built by hand', async () => {
    const file = memoryFile();
    const options = { size: 64 * MiB, blockSize: MiB, id: ID };
    await createImage(file, options, IDENTITY);
    const bytes = await bytesOf(file);
    const part = (offset: number, length: number) => crc32cReference(bytes.subarray(offset, offset + length));
    const stored = (offset: number) => new DataView(bytes.buffer).getUint32(offset + 4, true);
    expect(stored(64 * KiB)).toBe(0xfc716c55);
    expect(stored(128 * KiB)).toBe(0x7e89f022);
    expect([stored(192 * KiB), stored(256 * KiB)]).toEqual([0xc66b8cae, 0xc66b8cae]);
    expect(part(2 * MiB, 64 * KiB)).toBe(0x335f5972);
    expect(part(2 * MiB + 64 * KiB, 40)).toBe(0x757583fd);
    // That one has a block of 0x5A, and its other entries are 0.
    bytes.fill(0, 3 * MiB, 4 * MiB).set(u64Bytes(0x400006n), 3 * MiB);
    expect(crc32cReference(concatBytes(bytes, new Uint8Array(MiB).fill(0x5a)))).toBe(0x5fde72e0);
  });

  test('has headers with the numbers 1 and 2, random GUIDs, a clean log and the name of its creator', async () => {
    const [a, b] = [await viewOf({ size: MiB }), await viewOf({ size: MiB })];
    expect(a.headers.map(({ sequenceNumber }) => sequenceNumber)).toEqual([2n, 1n]);
    expect(a.headers[0]?.dataWriteGuid).toBe(a.headers[1]?.dataWriteGuid);
    expect(a.headers[0]?.fileWriteGuid).toBe(a.headers[1]?.fileWriteGuid);
    const guids = [a, b].flatMap(({ header, metadata }) => [header.fileWriteGuid, header.dataWriteGuid, metadata.id]);
    expect(new Set(guids).size).toBe(6);
    expect(guids).not.toContain(ZERO_GUID);
    expect(a.dirty).toBe(false);
    const disk = await openVhdx(await created({ size: MiB }));
    expect(disk.info.creator).toMatch(/^vhdx \d+\.\d+\.\d+$/);
    expect(disk.findings).toEqual([]);
  });

  const sizes = [1, 2, 4, 8, 16, 32, 64, 128, 256].map((size) => size * MiB);
  test.each(sizes)('has blocks of %d bytes, of every type and with every sector size', async (blockSize) => {
    for (const type of ['dynamic', 'fixed'] as const) {
      for (const logicalSectorSize of [512, 4096] as const) {
        for (const physicalSectorSize of [512, 4096] as const) {
          const size = blockSize + logicalSectorSize;
          const file = memoryFile();
          await createVhdx(file, { type, size, blockSize, logicalSectorSize, physicalSectorSize });
          const head = new Uint8Array(4 * MiB);
          await file.readInto(head, 0);
          const image = PageImage.of(head);
          image.truncate(file.size);
          const { metadata, bat, end } = readState(image);
          expect(metadata).toMatchObject({ blockSize, size, logicalSectorSize, physicalSectorSize, hasParent: false });
          expect(metadata.leaveBlocksAllocated).toBe(type === 'fixed');
          const states = [0, 1].map((block) => bat.block(block));
          if (type === 'dynamic')
            expect(states).toEqual([
              { state: 2, offset: 0 },
              { state: 2, offset: 0 },
            ]);
          else expect(states).toEqual([0, 1].map((block) => ({ state: 6, offset: 4 * MiB + block * blockSize })));
          expect(file.size).toBe(end);
        }
      }
    }
  });

  test('has its blocks between the entries of bitmaps, over many chunks', async () => {
    // 16 blocks of 256 MiB to a chunk.
    const file = memoryFile();
    await createVhdx(file, { type: 'fixed', size: 50 * 256 * MiB, blockSize: 256 * MiB });
    const bat = new Uint8Array(MiB);
    await file.readInto(bat, 3 * MiB);
    const entries = new BigUint64Array(bat.buffer);
    for (let i = 0, block = 0; i < entries.length; i++) {
      const isBlock = i % 17 !== 16 && block < 50;
      const expected = isBlock ? BigInt(4 * MiB + block * 256 * MiB) | 6n : 0n;
      if (entries[i] !== expected) expect(`entry ${i}: ${entries[i]}`).toBe(String(expected));
      if (isBlock) block += 1;
    }
    expect((await openVhdx(file, { strict: true })).findings).toEqual([]);
  });

  test('has entries that name places beyond 4 GiB, across pieces of the BAT that are written apart', async () => {
    const file = memoryFile();
    await createVhdx(file, { type: 'fixed', size: 200 * GiB, blockSize: MiB });
    const bat = new Uint8Array(2 * MiB);
    await file.readInto(bat, 3 * MiB);
    const entries = new BigUint64Array(bat.buffer);
    for (let block = 0; block < 200 * 1024; block += 1) {
      const entry = entries[block + Math.floor(block / 4096)];
      if (entry !== (BigInt(5 * MiB + block * MiB) | 6n)) expect(`${block}: ${entry}`).toBe('right');
    }
    for (let chunk = 0; chunk < 49; chunk++) expect(entries[chunk * 4097 + 4096]).toBe(0n);
    expect(entries.subarray(200 * 1024 + 49).every((entry) => entry === 0n)).toBe(true);
    expect((await (await openVhdx(file)).check()).status).toBe('sound');
  });

  test('has a longer log if it is asked for, and its bytes are written, not left out', async () => {
    const writes: [number, number][] = [];
    const file = memoryFile();
    const write = file.write.bind(file);
    file.write = (bytes, offset) => {
      writes.push([offset, bytes.length]);
      return write(bytes, offset);
    };
    await createVhdx(file, { size: MiB, logSize: 3 * MiB });
    const written = writes
      .filter(([offset]) => offset >= MiB && offset < 4 * MiB)
      .reduce((sum, [, length]) => sum + length, 0);
    expect(written).toBe(3 * MiB);
    expect(readState(PageImage.of(await bytesOf(file))).header).toMatchObject({ logOffset: MiB, logLength: 3 * MiB });
  });

  test('reads as zeros, and can be as large as 64 TiB', async () => {
    const file = memoryFile();
    await createVhdx(file, { size: 64 * TiB, blockSize: 256 * MiB });
    const disk = await openVhdx(file, { strict: true });
    expect(disk.size).toBe(64 * TiB);
    expect(await disk.read(64 * TiB - 4096, 4096)).toEqual(new Uint8Array(4096));
    expect(file.size).toBe(6 * MiB);
  });

  test('reports its progress, and leaves nothing if it is aborted', async () => {
    const seen: number[] = [];
    const file = memoryFile();
    const controller = new AbortController();
    const onProgress = ({ done, total }: { done: number; total: number }) => {
      expect(total).toBe(1_048_831);
      seen.push(done);
      if (seen.length === 3) controller.abort(new Error('enough'));
    };
    const creating = createVhdx(file, { size: TiB, blockSize: MiB, onProgress, signal: controller.signal });
    await expect(creating).rejects.toThrow('enough');
    expect(seen).toEqual([131_072, 262_144, 393_216]);
    expect(file.size).toBe(0);
  });
});

describe('a new child', () => {
  const base = (spec = {}) => buildImage({ virtualSize: 8 * MiB, ...spec }).toUint8Array();

  test('shows what its parent holds, and is the same disk to a guest', async () => {
    const parent = base({ virtualDiskId: ID, physicalSectorSize: 512 });
    const child = await created({ parent, parentPath: '.\\base.vhdx' });
    const view = readState(PageImage.of(child), readState(PageImage.of(parent)));
    expect(view.metadata).toMatchObject({
      hasParent: true,
      leaveBlocksAllocated: false,
      size: 8 * MiB,
      id: ID,
      logicalSectorSize: 512,
      physicalSectorSize: 512,
      blockSize: 2 * MiB,
      locator: { parent_linkage: `{${BASE_DATA_WRITE_GUID}}`, relative_path: '.\\base.vhdx' },
    });
    expect(Object.keys(view.metadata.locator ?? {})).toEqual(['parent_linkage', 'relative_path']);
    expect(view.bat.owned).toEqual([]);
    const [disk, below] = [await openVhdx(child, { parent, strict: true }), await openVhdx(parent)];
    expect(await disk.checksum()).toBe(await below.checksum());
  });

  test('takes over the items that belong to the virtual disk, and no others', async () => {
    const items = [
      { id: '76c39310-d201-4e90-92ec-59d85640b187', flags: IS_USER | IS_VIRTUAL_DISK, data: Uint8Array.of(1, 2, 3) },
      { id: '76c39310-d201-4e90-92ec-59d85640b188', flags: IS_USER, data: Uint8Array.of(4) },
    ];
    const parent = base({ items: (plain: object[]) => [...plain, ...items] });
    const { items: own } = readState(PageImage.of(await created({ parent, parentPath: '.\\base.vhdx' })));
    expect(own.get(`user ${items[0]?.id}`)).toMatchObject({ flags: 3, bytes: Uint8Array.of(1, 2, 3) });
    expect(own.size).toBe(7);
  });

  test('does not multiply what its parent has: items that overlap, or are far too many, are refused', async () => {
    const user = (i: number, length: number) => ({
      id: `76c39310-d201-4e90-92ec-${String(i).padStart(12, '0')}`,
      flags: IS_USER | IS_VIRTUAL_DISK,
      data: new Uint8Array(length),
    });
    const items =
      (count: number, length: number, change = {}) =>
      (plain: object[]) => [...plain, ...Array.from({ length: count }, (_, i) => ({ ...user(i, length), ...change }))];
    const places = (length: number) => ({ metadata: { length } });
    const overlapping = base({ places: places(2 * MiB), items: items(60, 16, { offset: 66 * KiB, length: MiB }) });
    const file = memoryFile();
    await expect(createVhdx(file, { parent: overlapping, parentPath: 'x' })).rejects.toMatchObject({
      code: 'metadata-item-overlap',
    });
    const many = base({ places: places(43 * MiB), items: items(41, MiB) });
    await expect(createVhdx(file, { parent: many, parentPath: 'x' })).rejects.toMatchObject({ code: 'limit-exceeded' });
    expect(file.size).toBe(0);
    const allowed = base({ places: places(43 * MiB), items: items(40, MiB) });
    expect((await created({ parent: allowed, parentPath: 'x' })).length).toBe(44 * MiB);
  });

  test('names the member at fault, wherever it is in the chain of its parent', async () => {
    const damaged = base({ bat: { 0: 4n } });
    const child = await created({ parent: base(), parentPath: '.\\base.vhdx' });
    const grandchild = createVhdx(memoryFile(), {
      parent: child,
      parentPath: 'x',
      parentOptions: { parent: Object.assign(await openSource(damaged), { name: 'damaged.vhdx' }) },
    });
    await expect(grandchild).rejects.toMatchObject({
      code: 'parent-damaged',
      message: expect.stringContaining('its parent damaged.vhdx: BAT entry 0'),
    });
    const lost = createVhdx(memoryFile(), { parent: new Blob([Uint8Array.from(child)]), parentPath: 'x' });
    await expect(lost).rejects.toMatchObject({ code: 'parent-missing', file: 'the parent' });
  });

  test('may be larger, with another physical sector size and block size, and may have a child itself', async () => {
    const parent = base({ logicalSectorSize: 4096 });
    const options = { size: 9 * MiB, physicalSectorSize: 512, blockSize: 4 * MiB, parentPath: '.\\a.vhdx' } as const;
    const child = await created({ parent, ...options });
    const grandchild = await created({ parent: child, parentPath: '..\\b.vhdx', parentOptions: { parent } });
    const disk = await openVhdx(grandchild, { parent: [child, parent] });
    expect([disk.size, disk.logicalSectorSize, disk.physicalSectorSize]).toEqual([9 * MiB, 4096, 512]);
    expect((await disk.check()).status).toBe('sound');
    expectSameBytes(await disk.read(0, MiB), await (await openVhdx(parent)).read(0, MiB));
    expectSameBytes(await disk.read(8 * MiB, MiB), new Uint8Array(MiB));
  });

  test('of a large parent has room in its BAT for all bitmaps', async () => {
    const parent = memoryFile();
    await createVhdx(parent, { size: 125 * GiB, blockSize: MiB });
    const child = memoryFile();
    await createVhdx(child, { parent, blockSize: MiB, parentPath: '.\\a.vhdx' });
    // 32 chunks of 4097 entries are more than 1 MiB, where the parent has 128,031.
    const { regions } = (await openVhdx(child, { parent })).info;
    expect(regions.find(({ guid }) => guid === GUID.bat.toLowerCase())?.length).toBe(2 * MiB);
  });

  test.each<[string, Omit<CreateOptions, 'parent'> & { parent: Uint8Array }, string | RegExp]>([
    ['whose place is not known', { parent: base() }, 'parent-missing'],
    ['without a DataWriteGuid', { parent: base({ dataWriteGuid: ZERO_GUID }), parentPath: 'x' }, 'parent-mismatch'],
    ['that is damaged', { parent: base({ bat: { 0: 6n } }), parentPath: 'x' }, 'parent-damaged'],
    ['that is no VHDX', { parent: new Uint8Array(2 * MiB), parentPath: 'x' }, 'file-signature'],
    ['that is larger', { parent: base(), parentPath: 'x', size: 7 * MiB }, /a child is not smaller/],
    ['with other sectors', { parent: base(), parentPath: 'x', logicalSectorSize: 4096 }, /must be the same/],
    ['of another disk', { parent: base(), parentPath: 'x', id: ID }, /a child is the same disk/],
    ['though it is to be fixed', { parent: base(), parentPath: 'x', type: 'fixed' }, /a fixed image has no parent/],
  ])('is refused for a parent %s', async (_, options, expected) => {
    const before = options.parent.slice();
    const file = memoryFile();
    const error: unknown = await createVhdx(file, options).catch((reason: unknown) => reason);
    if (typeof expected === 'string') expect(error).toMatchObject({ name: 'VhdxError', code: expected });
    else
      expect(error).toEqual(expect.objectContaining({ name: 'RangeError', message: expect.stringMatching(expected) }));
    expect(file.size).toBe(0);
    expectSameBytes(options.parent, before);
  });
});

describe('an image is refused', () => {
  test.each<[string, CreateOptions]>([
    ['a size of 0', { size: 0 }],
    ['no size', {}],
    ['more than 64 TiB', { size: 64 * TiB + 512 }],
    ['a size of no whole sectors', { size: MiB + 1 }],
    ['a size of no whole sectors of 4096 bytes', { size: MiB + 512, logicalSectorSize: 4096 }],
    ['a size that is no number', { size: Number.NaN }],
    ['a negative size', { size: -MiB }],
    ['a block size that is no power of two', { size: MiB, blockSize: 3 * MiB }],
    ['a block size below 1 MiB', { size: MiB, blockSize: 512 * KiB }],
    ['a block size above 256 MiB', { size: MiB, blockSize: 512 * MiB }],
    ['sectors of 1024 bytes', { size: MiB, logicalSectorSize: 1024 as 512 }],
    ['physical sectors of 8192 bytes', { size: MiB, physicalSectorSize: 8192 as 512 }],
    ['no log', { size: MiB, logSize: 0 }],
    ['a log of no whole MiB', { size: MiB, logSize: MiB + 4096 }],
    ['a log of 4 GiB', { size: MiB, logSize: 4 * GiB }],
    ['an id that is no GUID', { size: MiB, id: 'disk' }],
    ['an id of zeros', { size: MiB, id: ZERO_GUID }],
    ['an unknown type', { size: MiB, type: 'sparse' as 'fixed' }],
    ['a differencing one without a parent', { size: MiB, type: 'differencing' }],
  ])('with %s, and nothing is written', async (_, options) => {
    const file = memoryFile();
    await expect(createVhdx(file, options)).rejects.toThrow(RangeError);
    expect(file.size).toBe(0);
  });

  test('if there are bytes already, unless they may be overwritten', async () => {
    const file = memoryFile();
    await file.write(new Uint8Array(10 * MiB).fill(7), 0);
    await expect(createVhdx(file, { size: MiB })).rejects.toMatchObject({ code: 'exists' });
    expect(file.size).toBe(10 * MiB);
    await createVhdx(file, { size: MiB, overwrite: true });
    expect(file.size).toBe(4 * MiB);
    expect(readState(PageImage.of(await bytesOf(file))).metadata.size).toBe(MiB);
  });

  test('by a device without room at any of its writes, and nothing is left that looks like one', async () => {
    for (let nth = 0; ; nth++) {
      const file = memoryFile();
      const write = file.write.bind(file);
      let writes = 0;
      file.write = (bytes, offset) => {
        return writes++ === nth ? Promise.reject(new VhdxError('no-space', 'full')) : write(bytes, offset);
      };
      const done = await createVhdx(file, { size: 400 * GiB, blockSize: MiB }).then(
        () => true,
        (error: unknown) => {
          expect(error).toMatchObject({ code: 'no-space' });
          return false;
        },
      );
      if (done) break;
      expect(file.size).toBe(0);
      expect(nth).toBeLessThan(20);
    }
  });
});

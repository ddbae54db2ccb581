import { describe, expect, test } from 'vitest';
import {
  compareDisks,
  detectFormat,
  exportStream,
  memoryFile,
  type OpenDiskOptions,
  openDisk,
  openVhdx,
  type VhdDisk,
  type VhdxInput,
  vhdxStream,
  writeVhdx,
} from '../../src/index.js';
import { contentBytes, pattern } from '../support/block-content.js';
import { buildImage } from '../support/build-image.js';
import { buildVhd, VHD_CHILD_ID, VHD_ID, vhdFooter } from '../support/build-vhd.js';
import { crc32cReference } from '../support/crc32c-reference.js';
import { expectImage } from '../support/edit/judged-image.js';
import { concatBytes, KiB, MiB } from '../support/encode-primitives.js';
import { BASE_DATA_WRITE_GUID, locatorEntries } from '../support/image-spec.js';
import { expectSameBytes } from '../support/same-bytes.js';

const ID = '01020304-0506-0708-090a-0b0c0d0e0f10';
const data = (seed: number, length = 2 * MiB) => contentBytes(pattern(seed), 0, length);

async function vhd(input: VhdxInput, options: OpenDiskOptions = {}): Promise<VhdDisk> {
  const opened = await openDisk(input, options);
  expect(opened.format).toBe('vhd');
  return opened.vhd as VhdDisk;
}

async function bytesOf(disk: VhdDisk): Promise<Uint8Array<ArrayBuffer>> {
  return disk.read(0, disk.size);
}

/** A dynamic disk of 7 MiB: block 1 whole, 3 cut by the end of the disk. */
const dynamic = buildVhd({ size: 7 * MiB, blocks: { 1: { data: data(1) }, 3: { data: data(3) } } });
const dynamicBytes = new Uint8Array(7 * MiB);
dynamicBytes.set(data(1), 2 * MiB);
dynamicBytes.set(data(3, MiB), 6 * MiB);

describe('a VHD', () => {
  test('that is fixed is read as far as its footer says', async () => {
    const content = data(7, MiB + 512);
    const disk = await vhd(buildVhd({ type: 2, size: MiB + 512, content }));
    expectSameBytes(await bytesOf(disk), content);
    expect(disk).toMatchObject({ type: 'fixed', id: ID, logicalSectorSize: 512, findings: [] });
    expect(disk.info).toMatchObject({ creator: 'win ', created: '2000-01-02T00:00:00.000Z', fileSize: MiB + 1024 });
    // As it was written before 2004: the footer has 511 bytes.
    const old = buildVhd({ type: 2, size: MiB + 512, content }).subarray(0, -1);
    expectSameBytes(await bytesOf(await vhd(old, { format: 'vhd' })), content);
  });

  test('that is dynamic is read through its blocks, and zeros are where there is none', async () => {
    const disk = await vhd(dynamic);
    expectSameBytes(await bytesOf(disk), dynamicBytes);
    expect(disk.info).toMatchObject({ blockSize: 2 * MiB, storedBlocks: 2 });
    const extents = [];
    for await (const { offset, length, kind } of disk.extents()) extents.push([offset / MiB, length / MiB, kind]);
    expect(extents).toEqual([
      [0, 2, 'unmapped'],
      [2, 2, 'data'],
      [4, 2, 'unmapped'],
      [6, 1, 'data'],
    ]);
    expect(await disk.checksum()).toBe(crc32cReference(dynamicBytes));
    expect(await disk.checksum({ offset: 1000, length: 3 * MiB })).toBe(
      crc32cReference(dynamicBytes.subarray(1000, 1000 + 3 * MiB)),
    );
    for (const [offset, length] of [
      [2 * MiB - 3, 700],
      [4 * MiB - 513, 1026],
      [7 * MiB - 1, 1],
      [5, 0],
    ] as const) {
      expectSameBytes(await disk.read(offset, length), dynamicBytes.subarray(offset, offset + length));
    }
    await expect(disk.read(7 * MiB, 1)).rejects.toThrow(RangeError);
    expect((await disk.check()).status).toBe('sound');
    await disk.close();
    await expect(disk.read(0, 1)).rejects.toMatchObject({ code: 'closed' });
  });

  test.each([512 * KiB, 1 * MiB, 4 * MiB, 16 * MiB])(
    'has blocks of %d bytes, with bitmaps as long',
    async (blockSize) => {
      const block = { data: data(2, blockSize) };
      const disk = await vhd(buildVhd({ size: 20 * MiB, blockSize, blocks: { 1: block } }));
      const expected = new Uint8Array(20 * MiB);
      expected.set(block.data.subarray(0, 20 * MiB - blockSize), blockSize);
      expectSameBytes(await bytesOf(disk), expected);
    },
  );

  test('is found out by its footer, and is a source of everything', async () => {
    expect(await detectFormat(dynamic)).toMatchObject({ format: 'vpc' });
    const disk = await vhd(dynamic);
    expect(await compareDisks(disk, (await openDisk(dynamicBytes, { format: 'raw' })).source)).toBeUndefined();
    const fixed = await new Response(exportStream(disk, { format: 'vhd' })).blob();
    const again = await vhd(fixed);
    expect(again).toMatchObject({ type: 'fixed', id: ID, size: 7 * MiB });
    expectSameBytes(await bytesOf(again), dynamicBytes);
  });

  test('becomes a VHDX of the same type, size and identity, as a file and as a stream', async () => {
    for (const [bytes, type] of [
      [dynamic, 'dynamic'],
      [buildVhd({ type: 2, size: 7 * MiB, content: dynamicBytes }), 'fixed'],
    ] as const) {
      const file = memoryFile();
      await writeVhdx(bytes, file);
      const view = await expectImage(file, dynamicBytes);
      expect(view.metadata).toMatchObject({ id: ID, logicalSectorSize: 512, leaveBlocksAllocated: type === 'fixed' });
      if (type === 'dynamic') expect([0, 1, 2, 3].map((i) => view.bat.block(i).state)).toEqual([2, 6, 2, 6]);
      const { size, stream } = await vhdxStream(bytes);
      const streamed = new Uint8Array(await new Response(stream).arrayBuffer());
      expect(streamed.length).toBe(size);
      const disk = await openVhdx(streamed, { strict: true });
      expect(disk).toMatchObject({ type, id: ID });
      expectSameBytes(await disk.read(0, disk.size), dynamicBytes);
    }
    const large = memoryFile();
    const refused = { code: 'virtual-disk-size-alignment' };
    await expect(writeVhdx(buildVhd({ size: 512 }), large, { logicalSectorSize: 4096 })).rejects.toMatchObject(refused);
  });
});

describe('what is wrong with a VHD', () => {
  const broken = (...places: readonly number[]) => {
    const copy = dynamic.slice();
    for (const at of places) copy[at] = 1;
    return copy;
  };
  const codes = (disk: VhdDisk) => disk.findings.map(({ code, severity }) => `${code} ${severity}`);

  test('rule V1: no valid footer', async () => {
    const both = broken(20, dynamic.length - 500);
    await expect(openDisk(both)).rejects.toMatchObject({ code: 'vhd-footer', isAboutFormat: true });
    await expect(openDisk(new Uint8Array(2 * MiB), { format: 'vhd' })).rejects.toMatchObject({ code: 'vhd-footer' });
    await expect(openDisk(new Uint8Array(5), { format: 'vhd' })).rejects.toMatchObject({ code: 'vhd-footer' });
  });

  test('rule V2: one footer that is not valid', async () => {
    const expected = ['vhd-footer-copy warning'];
    for (const at of [20, dynamic.length - 500]) {
      const disk = await vhd(broken(at));
      expect(codes(disk)).toEqual(expected);
      expectSameBytes(await bytesOf(disk), dynamicBytes);
      expect((await disk.check()).status).toBe('repairable');
      const strict = openDisk(broken(at), { strict: true });
      await expect(strict).rejects.toMatchObject({ code: 'vhd-footer-copy' });
    }
    const cut = await vhd(dynamic.subarray(0, -512));
    expect(codes(cut)).toEqual(expected);
    expectSameBytes(await bytesOf(cut), dynamicBytes);
  });

  test('rule V3: a type or version that is not supported', async () => {
    for (const spec of [{ type: 5 }, { type: 2, version: 0x20000 }]) {
      const bytes = buildVhd({ ...spec, size: 2 * MiB });
      await expect(openDisk(bytes)).rejects.toMatchObject({ code: 'vhd-type' });
    }
  });

  test('rule V4: a size of no whole sectors', async () => {
    for (const size of [0, 1000]) {
      const bytes = concatBytes(new Uint8Array(4096), vhdFooter({ type: 2, size }, 0xffffffffffffffffn));
      await expect(openDisk(bytes)).rejects.toMatchObject({ code: 'vhd-size' });
    }
  });

  test('rule V5: a fixed disk that is longer than its file', async () => {
    const bytes = buildVhd({ type: 2, size: 2 * MiB, content: new Uint8Array(2 * MiB - 512) });
    await expect(openDisk(bytes)).rejects.toMatchObject({ code: 'vhd-truncated' });
  });

  test('rule V6: a geometry of another size, which is not used', async () => {
    for (const [creator, expected] of [
      ['vpc ', ['vhd-geometry info']],
      ['qemu', ['vhd-geometry info']],
      ['win ', []],
    ] as const) {
      const disk = await vhd(buildVhd({ size: 7 * MiB, creator, geometry: [100, 4, 17] }));
      expect(codes(disk)).toEqual(expected);
      expect(disk.size).toBe(7 * MiB);
    }
    const same = await vhd(buildVhd({ size: 100 * 4 * 17 * 512, creator: 'qemu', geometry: [100, 4, 17] }));
    expect(codes(same)).toEqual([]);
  });

  test('rule V7: a header that is damaged', async () => {
    const wrong = [broken(512 + 100), buildVhd({ blockSize: 3 * MiB }), dynamic.subarray(0, 600)];
    for (const bytes of wrong.slice(0, 2)) await expect(openDisk(bytes)).rejects.toMatchObject({ code: 'vhd-header' });
    await expect(openDisk(concatBytes(wrong[2] as Uint8Array, dynamic.subarray(-512)))).rejects.toMatchObject({
      code: 'vhd-header',
    });
  });

  test('rule V8: a BAT that is too short', async () => {
    await expect(openDisk(buildVhd({ size: 8 * MiB, batEntries: 3 }))).rejects.toMatchObject({ code: 'vhd-bat' });
    // One entry more than needed is what some writers make.
    expect(codes(await vhd(buildVhd({ size: 8 * MiB, batEntries: 5 })))).toEqual([]);
  });

  test('rule V9: a block outside the file, over a structure or over another block', async () => {
    const blocks = { 1: { data: data(1) } };
    for (const [sector, block] of [
      [dynamic.length, 0],
      [1, 0],
      [13, 0],
    ] as const) {
      const disk = await vhd(buildVhd({ blocks, bat: { [block]: sector } }));
      expect(disk.findings.filter(({ facts }) => facts?.block === block).map(({ code }) => code)).toEqual([
        'vhd-block',
      ]);
      await expect(disk.read(0, 512)).rejects.toMatchObject({ code: 'vhd-block', facts: { block: 0 } });
      expect((await disk.check()).status).toBe('corrupt');
      const kinds = [];
      for await (const { kind, code } of disk.extents({ length: 2 * MiB })) kinds.push([kind, code]);
      expect(kinds).toEqual([['damaged', 'vhd-block']]);
    }
    const sound = buildVhd({ blocks: { 0: { data: data(0) } } });
    const disk = await vhd(buildVhd({ blocks: { 0: { data: data(0) }, 2: { data: data(2) } }, bat: { 1: 12 } }));
    expect(codes(disk)).toEqual(['vhd-block block', 'vhd-block block']);
    await expect(disk.read(0, 1)).rejects.toMatchObject({ code: 'vhd-block' });
    expectSameBytes(await disk.read(4 * MiB, 2 * MiB), data(2));
    expect(codes(await vhd(sound))).toEqual([]);
  });

  test('rule V10: sectors that were never written read as zeros, whatever is there', async () => {
    const sectors = (sector: number) => sector % 3 !== 0;
    const expected = data(5);
    for (let sector = 0; sector < 4096; sector += 3) expected.fill(0, sector * 512, sector * 512 + 512);
    const disk = await vhd(buildVhd({ size: 2 * MiB, blocks: { 0: { data: data(5), sectors } } }));
    expectSameBytes(await bytesOf(disk), expected);
    expectSameBytes(await disk.read(700, 2000), expected.subarray(700, 2700));
    const report = await disk.check();
    expect(report).toMatchObject({ status: 'repairable', findings: [{ code: 'vhd-stray-bytes' }] });
    const clean = await vhd(buildVhd({ size: 2 * MiB, blocks: { 0: { data: expected, sectors } } }));
    expect(await clean.check()).toMatchObject({ status: 'sound', findings: [] });
  });
});

describe('a differencing VHD', () => {
  const spec = { type: 4, size: 7 * MiB, uniqueId: VHD_CHILD_ID, parentId: VHD_ID, parentName: 'base.vhd' } as const;
  const sectors = (sector: number) => sector < 5 || sector === 100;
  const child = buildVhd({ ...spec, blocks: { 1: { data: data(11), sectors }, 2: { data: data(12) } } });
  const expected = dynamicBytes.slice();
  expected.set(data(11).subarray(0, 5 * 512), 2 * MiB);
  expected.set(data(11).subarray(100 * 512, 101 * 512), 2 * MiB + 100 * 512);
  expected.set(data(12), 4 * MiB);

  test('shows its parent where it has nothing, sector by sector', async () => {
    const disk = await vhd(child, { parent: dynamic });
    expectSameBytes(await bytesOf(disk), expected);
    expect(disk).toMatchObject({ type: 'differencing', findings: [], parent: { id: ID } });
    expect(disk.info).toMatchObject({ parentId: ID, parentName: 'base.vhd' });
    const depths = new Set<number>();
    for await (const { depth } of disk.extents()) depths.add(depth);
    expect(depths).toEqual(new Set([0, 1]));
    expect(await disk.checksum()).toBe(crc32cReference(expected));
    const file = memoryFile();
    await writeVhdx(child, file, { sourceOptions: { parent: dynamic } });
    const { metadata } = await expectImage(file, expected);
    expect(metadata).toMatchObject({ hasParent: false, leaveBlocksAllocated: false });
    const grandchild = buildVhd({ ...spec, uniqueId: VHD_ID.map((byte) => byte + 50), parentId: VHD_CHILD_ID });
    expectSameBytes(await bytesOf(await vhd(grandchild, { parent: [dynamic, child] })), expected);
  });

  test('takes no parent but the one that it names', async () => {
    const other = buildVhd({ size: 7 * MiB, uniqueId: VHD_ID.map((byte) => byte ^ 1) });
    const mismatch = { code: 'parent-mismatch', hints: ['ignore-parent-mismatch'] };
    await expect(openDisk(child, { parent: other })).rejects.toMatchObject(mismatch);
    const forced = await vhd(child, { parent: other, ignoreParentMismatch: true });
    expect(forced.findings).toMatchObject([{ code: 'parent-mismatch' }]);
    await expect(openDisk(child)).rejects.toMatchObject({ code: 'parent-missing', hints: ['parent'] });
    await expect(openDisk(child, { parent: () => undefined })).rejects.toMatchObject({ code: 'parent-missing' });
    const unnamed = buildVhd({ ...spec, parentId: new Uint8Array(16) });
    await expect(openDisk(unnamed, { parent: dynamic })).rejects.toMatchObject({ code: 'parent-unverified' });
    const unknown = buildVhd({ size: 7 * MiB, uniqueId: new Uint8Array(16) });
    await expect(openDisk(unnamed, { parent: unknown })).rejects.toMatchObject({ code: 'parent-unverified' });
  });

  test('opens alone if that is asked for, and says what is missing', async () => {
    for (const options of [{ parent: false }, { incompleteChain: 'open' }] as const) {
      const disk = await vhd(child, options);
      expect(disk.findings).toMatchObject([{ code: 'parent-missing', severity: 'block' }]);
      expectSameBytes(await disk.read(4 * MiB, 2 * MiB), data(12));
      await expect(disk.read(0, 1)).rejects.toMatchObject({ code: 'parent-missing' });
      expect((await disk.check()).status).toBe('incomplete');
    }
  });

  test('rule V11: a parent of another size', async () => {
    const larger = buildVhd({ size: 8 * MiB });
    await expect(openDisk(child, { parent: larger })).rejects.toMatchObject({ code: 'vhd-parent-size', depth: 1 });
  });

  test('is no member of a circle', async () => {
    const own = buildVhd({ ...spec, parentId: VHD_CHILD_ID });
    await expect(openDisk(own, { parent: own.slice() })).rejects.toMatchObject({ code: 'parent-cycle' });
  });

  test('has a VHD as its parent, and is the parent of a VHD alone', async () => {
    const vhdx = buildImage({ virtualSize: 7 * MiB }).toUint8Array();
    await expect(openDisk(child, { parent: vhdx })).rejects.toMatchObject({ code: 'parent-mismatch' });
    const entries = locatorEntries({ linkage: BASE_DATA_WRITE_GUID, relativePath: '.\\base.vhd' });
    const overVhd = buildImage({ type: 'differencing', blocks: {}, parentLocator: { entries } });
    await expect(openVhdx(overVhd.source(), { parent: dynamic })).rejects.toMatchObject({
      code: expect.stringMatching(/^parent-/),
    });
  });

  test('reads any part of the disk as the whole', async () => {
    const disk = await vhd(child, { parent: dynamic });
    for (let i = 0; i < 200; i++) {
      const offset = (i * 7919 * 331) % (7 * MiB - 5000);
      const length = (i * 379) % 5000;
      expectSameBytes(await disk.read(offset, length), expected.subarray(offset, offset + length));
    }
  });
});

import { describe, expect, test } from 'vitest';
import { checkVhdx, editVhdx, openVhdx, VhdxError } from '../../src/index.js';
import { memoryFile } from '../../src/io/memory.js';
import type { RandomAccessFile } from '../../src/io/random-access.js';
import { sectorBits } from '../support/block-content.js';
import { buildImage } from '../support/build-image.js';
import { KiB, MiB } from '../support/encode-primitives.js';
import type { HeaderFields } from '../support/encode-structures.js';
import { type ImageSpec, type PerCopy, STATE } from '../support/image-spec.js';
import { expectSameBytes } from '../support/same-bytes.js';

async function fileOf(spec: ImageSpec): Promise<RandomAccessFile> {
  const file = memoryFile();
  await file.write(buildImage(spec).toUint8Array(), 0);
  return file;
}

async function bytesOf(file: RandomAccessFile): Promise<Uint8Array> {
  const bytes = new Uint8Array(file.size);
  await file.readInto(bytes, 0);
  return bytes;
}

/** A region that a reader may ignore. */
const UNKNOWN_REGION = { id: 'c0ffee00-1234-4abc-8def-0123456789ab', flags: 0 };

const stored = (byte: number) => ({ state: STATE.fullyPresent, data: byte });

describe('an image that is opened for writing', () => {
  test('is not written by that, nor by reading, flushing and closing it', async () => {
    const file = await fileOf({});
    const before = await bytesOf(file);
    const disk = await editVhdx(file);
    await disk.read(0, 4096);
    await disk.trim(1, 100);
    await disk.flush();
    await disk.close();
    expectSameBytes(await bytesOf(file), before);
  });

  test('is written by the first change, and read by anything that reads VHDX', async () => {
    const file = await fileOf({ virtualSize: 4 * MiB, blocks: {} });
    const disk = await editVhdx(file);
    await disk.write(new Uint8Array([1, 2, 3]), 3 * MiB - 1);
    expect([...(await disk.read(3 * MiB - 2, 5))]).toEqual([0, 1, 2, 3, 0]);
    await disk.close();
    const read = await openVhdx(file);
    expect(read.info.log.dirty).toBe(false);
    expect([...(await read.read(3 * MiB - 2, 5))]).toEqual([0, 1, 2, 3, 0]);
  });

  test('that is dirty gets its log replayed in place, and what was flushed is there', async () => {
    const file = await fileOf({ virtualSize: 4 * MiB, blocks: {} });
    const disk = await editVhdx(file);
    await disk.write(new Uint8Array([1, 2, 3]), 1000);
    await disk.flush();
    const copy = memoryFile(); // as if the process had ended here
    await copy.write(await bytesOf(file), 0);
    await disk.close();
    expect((await openVhdx(copy)).info.log.dirty).toBe(true);
    const again = await editVhdx(copy);
    expect((await openVhdx(copy)).info.log.dirty).toBe(false);
    expect([...(await again.read(999, 5))]).toEqual([0, 1, 2, 3, 0]);
    await again.write(new Uint8Array([4]), 1003);
    await again.close();
    expect([...(await (await openVhdx(copy)).read(999, 6))]).toEqual([0, 1, 2, 3, 4, 0]);
  });

  test('checks what it holds now', async () => {
    const file = await fileOf({ virtualSize: 4 * MiB, blocks: {} });
    const disk = await editVhdx(file);
    expect((await disk.check()).blocks?.fullyPresent).toBe(0);
    await disk.write(new Uint8Array(2 * MiB), 0);
    expect(await disk.check()).toMatchObject({ status: 'sound', blocks: { fullyPresent: 2, damaged: 0 } });
    await disk.close();
  });

  test('of a child keeps the parent as it is and reads what that holds', async () => {
    const parentFile = await fileOf({ virtualSize: 2 * MiB, blocks: { 0: stored(0xaa), 1: stored(0xbb) } });
    const before = await bytesOf(parentFile);
    const file = await fileOf({ type: 'differencing', virtualSize: 2 * MiB, blocks: {} });
    const disk = await editVhdx(file, { parent: parentFile });
    await disk.write(new Uint8Array([1]), 700); // in the middle of a sector, which comes from the parent
    await disk.close();
    const read = await openVhdx(file, { parent: parentFile });
    const expected = new Uint8Array(2 * MiB).fill(0xaa, 0, MiB).fill(0xbb, MiB);
    expected[700] = 1;
    expectSameBytes(await read.read(0, 2 * MiB), expected);
    expectSameBytes(await bytesOf(parentFile), before);
  });

  test('may be a child without its parent, of which whole sectors can be written', async () => {
    const file = await fileOf({ type: 'differencing', virtualSize: 2 * MiB, blocks: {} });
    const disk = await editVhdx(file, { parent: false });
    await disk.write(new Uint8Array(512).fill(7), 1024);
    await expect(disk.write(new Uint8Array([1]), 700)).rejects.toMatchObject({ code: 'parent-missing' });
    await disk.close();
  });

  test.each<[string, ImageSpec, string]>([
    ['two blocks share a place', { bat: { 5: BigInt(buildImage().layout.blockOffset(0)) | 6n } }, 'bat-block-overlap'],
    [
      'an unmapped block keeps the place of another',
      { bat: { 5: BigInt(buildImage().layout.blockOffset(0)) | 3n } },
      'bat-unused-place',
    ],
    ['an entry has reserved bits', { bat: { 5: 8n } }, 'bat-reserved-bits'],
    [
      'a disk without a parent has a sector bitmap',
      { virtualSize: 5 * 1024 * MiB, bat: { 4096: 6n } },
      'bitmap-unexpected',
    ],
    ['a block has a reserved state', { bat: { 5: 4n } }, 'bat-reserved-state'],
    ['a block is past the end', { bat: { 5: (1n << 40n) | 6n } }, 'bat-past-end'],
    ['a block is unmapped as in the draft', { bat: { 5: 5n } }, 'bat-draft-unmapped'],
    ['there is no log', { headers: { logLength: 0 } }, 'log-length'],
    ['the log is not aligned', { headers: { logOffset: MiB + 4096 } }, 'log-offset'],
    ['the log is past the end', { headers: { logOffset: 1024 * MiB } }, 'log-outside-file'],
    [
      'the sequence numbers of the headers are used up',
      { headers: [{ sequenceNumber: 2n ** 64n - 16n }, { sequenceNumber: 2n ** 64n - 15n }] },
      'read-only',
    ],
    ['the log has another version', { headers: { logVersion: 1 } }, 'log-version'],
    ['the log is over the BAT', { headers: { logOffset: buildImage().layout.bat.offset } }, 'log-overlap'],
    [
      'an unknown region is past the end',
      { regions: (plain) => [...plain, { ...UNKNOWN_REGION, offset: 1024 * MiB, length: MiB }] },
      'region-outside-file',
    ],
    [
      'an unknown region is over the BAT',
      { regions: (plain) => [...plain, { ...UNKNOWN_REGION, offset: buildImage().layout.bat.offset, length: MiB }] },
      'region-overlap',
    ],
  ])('is refused if %s', async (_, spec, code) => {
    const file = await fileOf(spec);
    const before = await bytesOf(file);
    await expect(editVhdx(file)).rejects.toMatchObject({ code });
    expectSameBytes(await bytesOf(file), before);
  });

  test('is refused for the reasons for which it cannot be read', async () => {
    await expect(editVhdx(memoryFile())).rejects.toMatchObject({ code: 'file-signature' });
    const child = await fileOf({
      type: 'differencing',
      virtualSize: 2 * MiB,
      blocks: { 0: { state: STATE.partiallyPresent, data: 1, bitmap: sectorBits(2048, [0, 8]) } },
    });
    const other = await fileOf({ virtualSize: 2 * MiB, dataWriteGuid: '12345678-1234-1234-1234-123456789abc' });
    await expect(editVhdx(child, { parent: other })).rejects.toMatchObject({ code: 'parent-mismatch' });
  });

  test.each<[string, PerCopy<Partial<HeaderFields>>, number]>([
    ['header 1, which is damaged', [{ checksum: 1 }, {}], 64 * KiB],
    ['header 2, which is damaged', [{}, { checksum: 1 }], 128 * KiB],
    ['header 2, which is as new as the other', { sequenceNumber: 7n }, 128 * KiB],
    ['the older header', [{ sequenceNumber: 9n }, { sequenceNumber: 7n }], 128 * KiB],
  ])('writes first to %s, and afterwards both are sound and say where the log is', async (_, headers, offset) => {
    const file = await fileOf({ headers });
    const written: number[] = [];
    const write = file.write.bind(file);
    file.write = async (bytes, at) => {
      written.push(at);
      await write(bytes, at);
    };
    const disk = await editVhdx(file);
    await disk.write(new Uint8Array([1]), 0);
    await disk.close();
    expect(written[0]).toBe(offset);
    const { layout } = buildImage();
    const view = new DataView((await bytesOf(file)).buffer);
    for (const at of [64 * KiB, 128 * KiB]) {
      expect(view.getUint16(at + 64, true), 'LogVersion').toBe(0);
      expect(view.getUint16(at + 66, true), 'Version').toBe(1);
      expect(view.getUint32(at + 68, true), 'LogLength').toBe(layout.log.length);
      expect(view.getBigUint64(at + 72, true), 'LogOffset').toBe(BigInt(layout.log.offset));
    }
    expect(await checkVhdx(file)).toMatchObject({ status: 'sound', findings: [] });
  });

  test('that another program changes meanwhile is not written', async () => {
    const file = await fileOf({});
    const disk = await editVhdx(file);
    const other = await editVhdx(file);
    await other.write(new Uint8Array([1]), 0);
    await other.close();
    const before = await bytesOf(file);
    await expect(disk.write(new Uint8Array([2]), 0)).rejects.toMatchObject({ code: 'source-changed' });
    await expect(disk.write(new Uint8Array([2]), 0)).rejects.toBeInstanceOf(VhdxError);
    await expect(disk.close()).rejects.toMatchObject({ code: 'source-changed' });
    expectSameBytes(await bytesOf(file), before);
  });

  test('takes no ranges outside the disk and nothing but bytes, and nothing after it was closed', async () => {
    const disk = await editVhdx(await fileOf({ virtualSize: 2 * MiB }));
    await expect(disk.write(new Uint8Array(2), 2 * MiB - 1)).rejects.toBeInstanceOf(RangeError);
    await expect(disk.write(new Uint8Array(1), -1)).rejects.toBeInstanceOf(RangeError);
    await expect(disk.zero(0.5, 1)).rejects.toBeInstanceOf(RangeError);
    await expect(disk.trim(0, Number.NaN)).rejects.toBeInstanceOf(RangeError);
    await expect(disk.write(new Uint16Array(1) as unknown as Uint8Array, 0)).rejects.toBeInstanceOf(TypeError);
    await disk.close();
    await expect(disk.write(new Uint8Array(1), 0)).rejects.toMatchObject({ code: 'closed' });
    await expect(disk.flush()).rejects.toMatchObject({ code: 'closed' });
    await disk.close();
  });
});

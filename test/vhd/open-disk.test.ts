import { describe, expect, test } from 'vitest';
import { exportStream, openDisk, openVhdx, type RandomAccessSource, slice } from '../../src/index.js';
import { pattern } from '../support/block-content.js';
import { buildImage } from '../support/build-image.js';
import { modelOf } from '../support/disk-model.js';
import { MiB } from '../support/encode-primitives.js';
import { expectSameBytes } from '../support/same-bytes.js';

const image = buildImage({ virtualSize: 2 * MiB, blocks: { 0: { state: 6, data: pattern(3) } } });
const content = modelOf(image).expected(0, 2 * MiB);

async function opened(input: Parameters<typeof openDisk>[0], options: Parameters<typeof openDisk>[1] = {}) {
  const { format, source, vhdx, close } = await openDisk(input, options);
  const bytes = new Uint8Array(source.size);
  await source.readInto(bytes, 0);
  await close();
  return { format, bytes, isVhdx: vhdx !== undefined };
}

describe('openDisk', () => {
  test('finds out what a file is, and gives the bytes of its disk', async () => {
    const vhdx = await opened(image.source());
    expect(vhdx).toMatchObject({ format: 'vhdx', isVhdx: true });
    expectSameBytes(vhdx.bytes, content);
    const raw = await opened(content.slice(0, MiB + 5));
    expect(raw).toMatchObject({ format: 'raw', isVhdx: false });
    expectSameBytes(raw.bytes, content.subarray(0, MiB + 5));
    const fixed = exportStream(await openVhdx(image.source()), { format: 'vhd' });
    const vhd = await opened(await new Response(fixed).blob());
    expect(vhd).toMatchObject({ format: 'vhd', isVhdx: false });
    expectSameBytes(vhd.bytes, content);
  });

  test('takes an open disk and a part of one as they are, and leaves them open', async () => {
    const disk = await openVhdx(image.source());
    expect(await opened(disk)).toMatchObject({ format: 'vhdx', isVhdx: true });
    expect(await opened(slice(disk, 512, 1024))).toMatchObject({ format: 'raw', bytes: content.slice(512, 1536) });
    expectSameBytes(await disk.read(0, MiB), content.subarray(0, MiB));
  });

  test('takes the caller’s word for the format', async () => {
    const bytes = image.toUint8Array();
    expectSameBytes((await opened(bytes, { format: 'raw' })).bytes, bytes);
    await expect(openDisk(content, { format: 'vhdx' })).rejects.toMatchObject({ code: 'file-signature' });
  });

  test('refuses what it recognises and cannot read', async () => {
    const qcow = new Uint8Array(MiB);
    qcow.set([0x51, 0x46, 0x49, 0xfb]);
    await expect(openDisk(qcow)).rejects.toMatchObject({ code: 'unsupported-input', hints: ['raw'] });
  });

  test('closes what it opened if it fails, and leaves open what was handed over', async () => {
    let closed = 0;
    const source: RandomAccessSource = {
      size: MiB,
      readInto: async (target) => void target.fill(0),
      close: async () => void closed++,
    };
    await expect(openDisk(source, { format: 'vhdx' })).rejects.toMatchObject({ code: 'file-signature' });
    const { close } = await openDisk(source);
    await close();
    expect(closed).toBe(0);
  });
});

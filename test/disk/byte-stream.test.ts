// A disk as a byte stream, which fills the buffers that its reader brings.
import { describe, expect, onTestFinished, test } from 'vitest';
import { openVhdx, type VhdxDisk } from '../../src/index.js';
import { pattern } from '../support/block-content.js';
import { buildImage } from '../support/build-image.js';
import { modelOf } from '../support/disk-model.js';
import { concatBytes } from '../support/encode-primitives.js';
import { STATE } from '../support/image-spec.js';
import { expectSameBytes } from '../support/same-bytes.js';
import { rejection } from '../support/scripted-source.js';

const MiB = 1024 * 1024;
const SIZE = 6 * MiB;

const image = buildImage({
  virtualSize: SIZE,
  blocks: { 0: { state: STATE.fullyPresent, data: pattern(1) }, 3: { state: STATE.fullyPresent, data: pattern(2) } },
});
const expected = modelOf(image).expected(0, SIZE);

async function opened(): Promise<VhdxDisk> {
  const disk = await openVhdx(image.source());
  onTestFinished(() => disk.close());
  return disk;
}

/** All bytes of a stream, read into one buffer of some length. */
async function intoOneBuffer(stream: ReadableStream<Uint8Array>, length: number): Promise<Uint8Array> {
  const reader = stream.getReader({ mode: 'byob' });
  const parts: Uint8Array[] = [];
  let buffer = new ArrayBuffer(length);
  for (;;) {
    const { done, value } = await reader.read(new Uint8Array(buffer));
    if (done || !value) return concatBytes(...parts);
    expect(value.buffer.byteLength).toBe(length);
    parts.push(value.slice());
    buffer = value.buffer;
  }
}

describe('a byte stream', () => {
  test.each([
    [0, SIZE, MiB],
    [0, SIZE, 1_000_003],
    [MiB - 3, 2 * MiB + 7, 64 * 1024],
    [5, 10, 4096],
    [5, 0, 4096],
    [SIZE, 0, 1],
  ])('from %d on, %d bytes, fills buffers of %d', async (offset, length, buffer) => {
    const disk = await opened();
    const bytes = await intoOneBuffer(disk.stream({ type: 'bytes', offset, length }), buffer);
    expectSameBytes(bytes, expected.subarray(offset, offset + length));
  });

  test('gives new chunks to a reader that brings no buffer', async () => {
    const disk = await opened();
    const parts: Uint8Array[] = [];
    const reader = disk.stream({ type: 'bytes' }).getReader();
    for (let part = await reader.read(); !part.done; part = await reader.read()) parts.push(part.value);
    expect(parts.map(({ length }) => length)).toEqual(new Array(6).fill(MiB));
    expectSameBytes(concatBytes(...parts), expected);
  });

  test('reads nothing before it is asked, and no more than it was asked for', async () => {
    const disk = await opened();
    const reads: number[] = [];
    const { readInto } = disk;
    disk.readInto = (target, offset, options) => {
      reads.push(target.length);
      return readInto.call(disk, target, offset, options);
    };
    const reader = disk.stream({ type: 'bytes' }).getReader({ mode: 'byob' });
    await new Promise((resolve) => setTimeout(resolve, 10));
    expect(reads).toEqual([]);
    await reader.read(new Uint8Array(5000));
    expect(reads).toEqual([5000]);
    await reader.cancel();
  });

  test('fails as a read does', async () => {
    const damaged = buildImage({ virtualSize: SIZE, blocks: {}, bat: { 2: 4n } });
    const disk = await openVhdx(damaged.source());
    const reader = disk.stream({ type: 'bytes', offset: 2 * MiB }).getReader({ mode: 'byob' });
    expect(await rejection(reader.read(new Uint8Array(10)))).toMatchObject({ code: 'bat-reserved-state' });
    const late = disk.stream({ type: 'bytes' }).getReader({ mode: 'byob' });
    await disk.close();
    expect(await rejection(late.read(new Uint8Array(10)))).toMatchObject({ code: 'closed' });
  });

  test('is aborted with the reason of its signal', async () => {
    const disk = await opened();
    const controller = new AbortController();
    const stream = disk.stream({ type: 'bytes', signal: controller.signal });
    const reader = stream.getReader({ mode: 'byob' });
    await reader.read(new Uint8Array(10));
    const reason = new Error('enough');
    controller.abort(reason);
    expect(await rejection(reader.read(new Uint8Array(10)))).toBe(reason);
  });

  test('is of type bytes, and of no other', async () => {
    const disk = await opened();
    expect(() => disk.stream({ type: 'byte' as 'bytes' })).toThrow(
      new RangeError("type must be 'bytes' or not given, not 'byte'"),
    );
  });
});

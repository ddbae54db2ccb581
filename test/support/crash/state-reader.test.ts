import { describe, expect, test } from 'vitest';
import { sectorBits } from '../block-content.js';
import { type BuiltImage, buildImage } from '../build-image.js';
import { LOG_GUID, setLogGuid, writeLog } from '../build-log.js';
import { modelOf } from '../disk-model.js';
import { KiB, MiB, u64Bytes } from '../encode-primitives.js';
import { GUID } from '../encode-structures.js';
import { type ImageSpec, STATE } from '../image-spec.js';
import { fixHeaderChecksum, patch } from '../patch-image.js';
import { expectSameBytes } from '../same-bytes.js';
import { PAGE_SIZE, PageImage } from './page-image.js';
import { readState, type StateView } from './state-reader.js';

const read = (image: BuiltImage, parent?: StateView): StateView => {
  return readState(PageImage.of(image.toUint8Array()), parent);
};

/** The whole disk that a view shows. */
function diskOf(view: StateView): Uint8Array {
  const bytes = new Uint8Array(view.metadata.size);
  for (let index = 0; index * PAGE_SIZE < bytes.length; index++) {
    bytes.set(view.page(index).subarray(0, bytes.length - index * PAGE_SIZE), index * PAGE_SIZE);
  }
  return bytes;
}

const DIFFERENCING: ImageSpec = {
  type: 'differencing',
  virtualSize: 6 * MiB,
  blocks: {
    0: { state: STATE.partiallyPresent, data: 0x33, bitmap: sectorBits(2048, [1, 9], [2000, 2048]) },
    1: { state: STATE.zero },
    2: { state: STATE.fullyPresent, data: 0x44 },
    4: { state: STATE.unmapped, data: 0x55 },
  },
};

describe('the reader of states', () => {
  test.each<[string, ImageSpec]>([
    ['a dynamic image', {}],
    ['a fixed one', { type: 'fixed', virtualSize: 3 * MiB }],
    [
      'sectors of 4096 bytes, a last block that is cut',
      { virtualSize: 7 * MiB + 4096, logicalSectorSize: 4096, blockSize: 2 * MiB },
    ],
    [
      'blocks in disorder with space between them',
      {
        placement: 'gaps',
        blocks: { 0: { state: 6, data: 1 }, 1: { state: 2 }, 2: { state: 6, data: 2 }, 5: { state: 3 } },
      },
    ],
  ])('reads %s', (_, spec) => {
    const image = buildImage(spec);
    const view = read(image);
    expectSameBytes(diskOf(view), modelOf(image).expected(0, view.metadata.size));
    expect(view.dirty).toBe(false);
    expect(view.header.sequenceNumber).toBe(15n);
  });

  test('reads a differencing image and what its parent has for it', () => {
    const base = buildImage({ virtualSize: 5 * MiB });
    const child = buildImage(DIFFERENCING);
    const view = read(child, read(base));
    expectSameBytes(diskOf(view), modelOf(child, modelOf(base)).expected(0, 6 * MiB));
  });

  test('replays a log first', () => {
    const image = buildImage({});
    const entry = image.layout.batIndexOfBlock(5);
    const page = image.read(image.layout.bat.offset, 4 * KiB);
    page.set(u64Bytes(BigInt(image.size) | 6n), entry * 8);
    writeLog(image, {
      entries: [
        { lastFileOffset: image.size + MiB, descriptors: [{ fileOffset: image.layout.bat.offset, bytes: page }] },
      ],
    });
    const view = read(image);
    expect(view.dirty).toBe(true);
    expect(view.bat.block(5)).toEqual({ state: 6, offset: image.size });
    expect(view.image.size).toBe(image.size + MiB);
  });

  const announced = (image: BuiltImage) => {
    setLogGuid(image, LOG_GUID);
    return image;
  };
  const bat = (image: BuiltImage, index: number, entry: bigint) =>
    patch(image, image.layout.batEntryOffset(index), u64Bytes(entry));
  test.each<[string, (image: BuiltImage) => BuiltImage, RegExp]>([
    ['no signature', (image) => patch(image, 0, [0]), /2\.2\.1/],
    ['no valid header', (image) => patch(patch(image, 0x10008, [1]), 0x20008, [1]), /2\.2\.2: neither header/],
    ['headers of the same number', (image) => fixHeaderChecksum(patch(image, 0x10008, [15]), 0), /equally current/],
    ['a region table with a wrong checksum', (image) => patch(image, 0x40010, [1]), /2\.2\.3: region table 2/],
    ['a log GUID and no entry', announced, /2\.3\.3.*no valid sequence/],
    ['a reserved state', (image) => bat(image, 1, 4n), /2\.5\.1\.1: block 1 has state 4/],
    ['a partial block without a parent', (image) => bat(image, 1, 0x600007n), /no parent/],
    ['two blocks at one place', (image) => bat(image, 1, 0x400006n), /2\.1: .* overlap/],
    ['a block past the end', (image) => bat(image, 1, 0x900006n), /2\.1: .* the file at/],
    ['a block in the log', (image) => bat(image, 1, 0x100006n), /2\.1: .* overlap/],
    ['an offset with state 2', (image) => bat(image, 1, 0x600002n), /an offset/],
    ['a bitmap entry without a parent', (image) => bat(image, 4096, 0x600006n), /bitmap block of chunk 0/],
  ])('refuses %s', (_, damage, message) => {
    // More than one chunk of 4096 blocks, so that there is a bitmap entry.
    const image = buildImage({ virtualSize: 5000 * MiB });
    expect(() => read(image)).not.toThrow();
    expect(() => read(damage(image.clone()))).toThrow(message);
  });

  test.each<[string, Parameters<typeof writeLog>[1]['entries'], RegExp]>([
    ['a file shorter than its log says', [{ flushedFileOffset: 100 * MiB }], /100|stable/],
    ['a tail on no entry', [{ tail: 8192 }], /no valid sequence/],
    [
      'a target in a header',
      [{ descriptors: [{ fileOffset: 0x10000, zeroLength: 4096 }] }],
      /in the file identifier or a header/,
    ],
    ['a target in the log', [{ descriptors: [{ fileOffset: MiB, zeroLength: 4096 }] }], /in the log/],
    ['a target past the end', [{ descriptors: [{ fileOffset: 100 * MiB, zeroLength: 4096 }] }], /past the end/],
    [
      'a torn entry',
      [{ descriptors: [{ fileOffset: 3 * MiB, bytes: new Uint8Array(4096) }], tornAt: 4096 }],
      /no valid sequence/,
    ],
  ])('refuses %s in a log', (_, entries, message) => {
    const image = buildImage({});
    writeLog(image, { entries });
    expect(() => read(image)).toThrow(message);
  });

  test('refuses a partial block whose chunk has no bitmap, and a wrong parent', () => {
    const base = read(buildImage({ virtualSize: 6 * MiB }));
    const child = buildImage(DIFFERENCING);
    const index = child.layout.batIndexOfBlock(4096 - 1) + 1;
    expect(() => read(bat(child, index, 0n), base)).toThrow(/no bitmap/);
    const other = read(buildImage({ virtualSize: 6 * MiB, dataWriteGuid: GUID.bat }));
    expect(() => read(child, other)).toThrow(/2\.6\.2\.6\.3/);
  });
});

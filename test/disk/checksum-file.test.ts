// The checksum of a file itself, whatever it is.
import { describe, expect, test } from 'vitest';
import { checksumFile, crc32cCombine, openVhdx } from '../../src/index.js';
import { contentBytes, pattern } from '../support/block-content.js';
import { buildImage } from '../support/build-image.js';
import { crc32cReference } from '../support/crc32c-reference.js';
import { MiB } from '../support/encode-primitives.js';

const bytes = contentBytes(pattern(3), 0, 5 * MiB + 333);
bytes.fill(0, MiB, 3 * MiB);

describe('the checksum of a file', () => {
  test('is that of its bytes: the check value of CRC-32C, and none is 0', async () => {
    expect(await checksumFile(new TextEncoder().encode('123456789'))).toBe(0xe3069283);
    expect(await checksumFile(new Uint8Array(0))).toBe(0);
  });

  test('is the same for bytes, a Blob and a source', async () => {
    const expected = crc32cReference(bytes);
    expect(await checksumFile(bytes)).toBe(expected);
    expect(await checksumFile(new Blob([new Uint8Array(bytes)]))).toBe(expected);
    const readInto = async (target: Uint8Array, offset: number) => {
      target.set(bytes.subarray(offset, offset + target.length));
    };
    expect(await checksumFile({ size: bytes.length, readInto })).toBe(expected);
  });

  test('of parts combines, and tells how far it is', async () => {
    const at = 2 * MiB + 17;
    const seen: number[] = [];
    const first = await checksumFile(bytes, { length: at });
    const rest = await checksumFile(bytes, { offset: at, onProgress: ({ done }) => seen.push(done) });
    expect(await crc32cCombine(first, rest, bytes.length - at)).toBe(crc32cReference(bytes));
    expect(seen.at(-1)).toBe(bytes.length - at);
    expect(seen).toEqual([...seen].sort((a, b) => a - b));
    await expect(checksumFile(bytes, { offset: 1, length: bytes.length })).rejects.toThrow(RangeError);
  });

  test('of an image is not that of the disk in it', async () => {
    const image = buildImage();
    const disk = await openVhdx(image.source());
    expect(await checksumFile(image.source())).toBe(crc32cReference(image.toUint8Array()));
    expect(await disk.checksum()).not.toBe(await checksumFile(image.source()));
    await disk.close();
  });

  test('can be aborted', async () => {
    const abort = new AbortController();
    const readInto = async () => abort.abort(new Error('enough'));
    const summing = checksumFile({ size: 64 * MiB, readInto }, { signal: abort.signal });
    await expect(summing).rejects.toThrow('enough');
  });
});

import { describe, expect, test } from 'vitest';
import { checksumFile, crc32c, exportStream, openVhdx, VhdxError } from '../../src/index.js';
import { blobSource } from '../../src/io/blob.js';
import { arrivingChain, expectArriving } from '../support/arriving-chain.js';
import { concatBytes } from '../support/encode-primitives.js';
import { expectSameBytes } from '../support/same-bytes.js';
import { rejection } from '../support/scripted-source.js';

const MiB = 1024 * 1024;

/** The bytes of a stream. A `Response` would not tell why it failed. */
async function all(stream: ReadableStream<Uint8Array>): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  const reader = stream.getReader();
  for (let part = await reader.read(); !part.done; part = await reader.read()) chunks.push(part.value);
  return concatBytes(...chunks);
}

describe('a disk in a chosen file', async () => {
  const { files, expected } = arrivingChain();
  const blobs = await Promise.all(
    files.map(async (image) => {
      const bytes = new Uint8Array(image.size);
      await image.source().readInto(bytes, 0);
      return new File([bytes], 'disk.vhdx');
    }),
  );
  const [blob, parent] = blobs as [File, File];

  test.each([
    ['as it is', () => blob, {}],
    ['as a source of the caller’s', () => blobSource(blob), {}],
    ['of which nothing is trusted', () => blob, { untrusted: true }],
  ])('is streamed and summed as its bytes arrive, %s, with all that lies between them', async (_, input, options) => {
    const disk = await openVhdx(input(), { parent, ...options });
    expect(await expectArriving(disk, expected)).toBe(4 * MiB);
    await disk.close();
  });

  test('is exported so, and an export can be left', async () => {
    const disk = await openVhdx(blob, { parent });
    const progress: number[] = [];
    const stream = exportStream(disk, { onProgress: ({ done }) => progress.push(done) });
    expectSameBytes(await all(stream), expected);
    expect(progress.at(-1)).toBe(expected.length);
    expect(progress.length).toBeLessThan(64); // chunks of more than 1 MiB
    const reader = exportStream(disk).getReader();
    await reader.read();
    await reader.cancel();
    await disk.close();
  });

  test('is summed as a file too', async () => {
    const bytes = new Uint8Array(await blob.arrayBuffer());
    expect(await checksumFile(blob)).toBe(await crc32c(bytes));
    const [offset, length] = [MiB + 3, bytes.length - 2 * MiB];
    expect(await checksumFile(blob, { offset, length })).toBe(await crc32c(bytes.subarray(offset, offset + length)));
  });

  test('whose parent cannot be read any more is told with the parent’s name', async () => {
    let isGone = false;
    class Going extends File {
      override slice(start?: number, end?: number): Blob {
        const part = super.slice(start, end);
        if (isGone) part.arrayBuffer = () => Promise.reject(new DOMException('gone', 'NotFoundError'));
        return part;
      }
    }
    const disk = await openVhdx(blob, { parent: new Going([parent], 'base.vhdx'), untrusted: true });
    isGone = true;
    for (const read of [() => disk.checksum(), () => all(disk.stream()), () => all(exportStream(disk))]) {
      const error = await rejection(read());
      expect(error).toBeInstanceOf(VhdxError);
      expect(error).toMatchObject({ code: 'source-changed', depth: 1, file: 'base.vhdx' });
    }
    await disk.close();
  });

  test('is not read any more when it was closed', async () => {
    const disk = await openVhdx(blob, { parent });
    const reader = disk.stream().getReader();
    await reader.read();
    await disk.close();
    const rest = async () => {
      while (!(await reader.read()).done);
    };
    expect(await rejection(rest())).toMatchObject({ code: 'closed' });
  });
});

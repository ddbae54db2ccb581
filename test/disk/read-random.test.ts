// Reading against plain models: any read of any image, in every way there is to read.
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { crc32c, crc32cCombine, type Extent, type VhdxDisk } from '../../src/index.js';
import { arbitraryImage, arbitraryRange } from '../support/arbitrary-images.js';
import { crc32cReference } from '../support/crc32c-reference.js';
import { concatBytes, MiB } from '../support/encode-primitives.js';
import { propertyRuns } from '../support/property-runs.js';
import { expectSameBytes } from '../support/same-bytes.js';
import type { ByteRange } from '../support/sparse-file.js';

import { SLOW } from '../support/time-limits.js';
import { openVhdx } from '../support/two-doors.js';

const images = arbitraryImage({ manyChunks: true });
const cases = images.chain((image) =>
  fc.record({ image: fc.constant(image), ranges: fc.array(arbitraryRange(image), { minLength: 1, maxLength: 12 }) }),
);

async function streamed(disk: VhdxDisk, range: ByteRange): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of disk.stream(range)) {
    expect(chunk.length).toBeGreaterThan(0);
    expect(chunk.length).toBeLessThanOrEqual(MiB);
    chunks.push(chunk);
  }
  return concatBytes(...chunks);
}

/** What extents tell of a range, put together from the file itself. */
async function assembled(
  disk: VhdxDisk,
  { offset, length }: ByteRange,
  file: { read(offset: number, length: number): Uint8Array },
): Promise<Uint8Array> {
  const bytes = new Uint8Array(length).fill(0xee);
  let last: Extent | undefined;
  for await (const extent of disk.extents({ offset, length })) {
    expect(extent.offset).toBe(last ? last.offset + last.length : offset);
    expect(extent).toMatchObject({ depth: 0 });
    const part = bytes.subarray(extent.offset - offset, extent.offset - offset + extent.length);
    if (extent.kind === 'data') part.set(file.read(extent.fileOffset as number, extent.length));
    else part.fill(0);
    // What could be one extent is one.
    const follows = last?.fileOffset === undefined || last.fileOffset + last.length === extent.fileOffset;
    expect(last?.kind === extent.kind && follows, `two extents of ${extent.kind} at ${extent.offset}`).toBe(false);
    last = extent;
  }
  return bytes;
}

describe('any part of any image', () => {
  test('reads as its model says', SLOW.properties, async () => {
    await fc.assert(
      fc.asyncProperty(cases, async ({ image, ranges }) => {
        const disk = await openVhdx(image.image.source());
        for (const { offset, length } of ranges) {
          expectSameBytes(await disk.read(offset, length), image.expected(offset, length), `from ${offset} on`);
        }
        await disk.close();
      }),
      propertyRuns(100),
    );
  });

  test('reads the same by read, readInto, stream, extents and checksum', SLOW.properties, async () => {
    await fc.assert(
      fc.asyncProperty(cases, async ({ image, ranges }) => {
        const disk = await openVhdx(image.image.source());
        const [{ offset, length }] = ranges as [ByteRange];
        const expected = image.expected(offset, length);
        // A target inside of something larger, of which nothing else may change.
        const around = new Uint8Array(length + 32).fill(0x77);
        await disk.readInto(around.subarray(16, 16 + length), offset);
        expectSameBytes(around.subarray(16, 16 + length), expected);
        expect([...around.subarray(0, 16), ...around.subarray(16 + length)]).toEqual(new Array(32).fill(0x77));
        expectSameBytes(await streamed(disk, { offset, length }), expected);
        if (length > 0) expectSameBytes(await assembled(disk, { offset, length }, image.image), expected);
        expect(await disk.checksum({ offset, length })).toBe(crc32cReference(expected));
        await disk.close();
      }),
      propertyRuns(60),
    );
  });

  test('reads the same when all reads are under way at once, from a slow source', SLOW.properties, async () => {
    await fc.assert(
      fc.asyncProperty(cases, async ({ image, ranges }) => {
        const disk = await openVhdx(image.image.source({ latency: 1 }));
        const all = [...ranges, ...ranges].map(async ({ offset, length }, i) => {
          if (i % 3 === 2) return streamed(disk, { offset, length });
          return disk.read(offset, length);
        });
        const checksums = ranges.map((range) => disk.checksum(range));
        const bytes = await Promise.all(all);
        for (const [i, { offset, length }] of ranges.entries()) {
          const expected = image.expected(offset, length);
          expectSameBytes(bytes[i] as Uint8Array, expected);
          expectSameBytes(bytes[i + ranges.length] as Uint8Array, expected);
          expect(await checksums[i]).toBe(crc32cReference(expected));
        }
        await disk.close();
      }),
      propertyRuns(40),
    );
  });
});

test('the checksum of a whole disk is that of its parts put together, holes and all', SLOW.properties, async () => {
  await fc.assert(
    fc.asyncProperty(
      images,
      fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { maxLength: 4 }),
      async (image, cuts) => {
        const disk = await openVhdx(image.image.source());
        const borders = [0, ...cuts.map((cut) => Math.floor(cut * disk.size)).sort((a, b) => a - b), disk.size];
        let whole = 0;
        for (let i = 0; i + 1 < borders.length; i++) {
          const [offset, end] = [borders[i] as number, borders[i + 1] as number];
          whole = await crc32cCombine(whole, await disk.checksum({ offset, length: end - offset }), end - offset);
        }
        expect(await disk.checksum()).toBe(whole);
        await disk.close();
      },
    ),
    propertyRuns(25),
  );
});

test('the checksum of a small disk is that of its bytes', async () => {
  const [image] = fc.sample(arbitraryImage({ maxBlockSize: MiB }), { numRuns: 1, seed: 7 });
  if (!image) throw new Error('there is no image');
  const disk = await openVhdx(image.image.source());
  const bytes = image.expected(0, image.size);
  expect(await disk.checksum()).toBe(crc32cReference(bytes));
  expect(await disk.checksum()).toBe(await crc32c(bytes));
});

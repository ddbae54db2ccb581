// Chains against plain models: random ones, and one of five members that no other tool reads.
import * as fc from 'fast-check';
import { beforeAll, describe, expect, test } from 'vitest';
import type { Extent } from '../../src/index.js';
import { arbitraryChain, arbitraryRange, type ImageWithModel } from '../support/arbitrary-images.js';
import type { BuiltImage } from '../support/build-image.js';
import { dirtied, structureSectors } from '../support/dirty-images.js';
import type { DiskModel } from '../support/disk-model.js';
import { MiB } from '../support/encode-primitives.js';
import { expectContent } from '../support/expect-opening.js';
import { fiveMembers } from '../support/five-members.js';
import { propertyRuns } from '../support/property-runs.js';
import { expectSameBytes } from '../support/same-bytes.js';
import type { ByteRange } from '../support/sparse-file.js';

import { SLOW } from '../support/time-limits.js';
import { openVhdx } from '../support/two-doors.js';

/** Asserts that extents are what is read: in order, without gaps, data where it lies, and zeros elsewhere. */
function expectExtents(
  extents: readonly Extent[],
  range: ByteRange,
  files: readonly BuiltImage[],
  model: DiskModel,
): void {
  let at = range.offset;
  for (const { offset, length, kind, depth, fileOffset } of extents) {
    expect(offset).toBe(at);
    expect(length).toBeGreaterThan(0);
    at += length;
    // Long extents are compared at both ends.
    for (const from of new Set([0, Math.max(0, length - 4096)])) {
      const part = Math.min(4096, length - from);
      const expected = model.expected(offset + from, part);
      if (kind === 'data') {
        const file = files[depth] as BuiltImage;
        expectSameBytes(file.read((fileOffset as number) + from, part), expected, `member ${depth} at ${fileOffset}`);
      } else {
        expect(['zero', 'unmapped']).toContain(kind);
        expectSameBytes(new Uint8Array(part), expected, `${kind} at ${offset + from}`);
      }
    }
  }
  expect(at).toBe(range.offset + range.length);
}

async function extentsOf(disk: Awaited<ReturnType<typeof openVhdx>>, range: ByteRange): Promise<Extent[]> {
  const extents: Extent[] = [];
  for await (const extent of disk.extents(range)) extents.push(extent);
  return extents;
}

describe('random chains', () => {
  const casesOf = (chains: fc.Arbitrary<ImageWithModel>) =>
    chains.chain((chain) =>
      fc.record({
        chain: fc.constant(chain),
        ranges: fc.array(arbitraryRange(chain), { minLength: 1, maxLength: 5 }),
        order: fc.shuffledSubarray(chain.files.slice(1), { minLength: chain.files.length - 1 }),
        dirty: fc.option(fc.nat({ max: chain.files.length - 1 })),
      }),
    );

  for (const [title, limits] of [
    ['sectors of 512 bytes', { logicalSectorSize: 512, maxBlockSize: 4 * MiB }],
    ['sectors of 4096 bytes', { logicalSectorSize: 4096, maxBlockSize: 4 * MiB }],
    ['several chunks and blocks of any size', { manyChunks: true }],
  ] as const) {
    test(`${title}: they read as their models say, in any part`, SLOW.properties, async () => {
      await fc.assert(
        fc.asyncProperty(casesOf(arbitraryChain(limits)), async ({ chain, ranges, order, dirty }) => {
          const spoilt = dirty === null ? undefined : (chain.files[dirty] as BuiltImage);
          const fileOf = (file: BuiltImage) =>
            (file === spoilt ? dirtied(file, structureSectors(file)) : file).source();
          const disk = await openVhdx(fileOf(chain.image), { parent: order.map(fileOf) });
          expect(disk.findings.filter(({ severity }) => severity !== 'info')).toEqual([]);
          await expectContent(disk, chain);
          for (const range of ranges) {
            const { offset, length } = range;
            const target = new Uint8Array(length).fill(0xee);
            await disk.readInto(target, offset);
            expectSameBytes(target, chain.expected(offset, length), `from ${offset} on`);
            if (length > 0) expectExtents(await extentsOf(disk, range), range, chain.files, chain);
          }
          await disk.close();
        }),
        propertyRuns(50),
      );
    });
  }
});

for (const logicalSectorSize of [512, 4096] as const) {
  describe(`five members with sectors of ${logicalSectorSize} bytes, one dirty, one larger and one smaller than the disk`, () => {
    const { files, model } = fiveMembers(logicalSectorSize);
    const whole = { offset: 0, length: model.size };
    let expected: Uint8Array;
    beforeAll(() => {
      expected = model.expected(0, model.size);
    });

    for (const spoilt of [0, 1, 2, 3, 4]) {
      test(`member ${spoilt} is the dirty one`, async () => {
        const [top, ...below] = files.map((file, i) => (i === spoilt ? dirtied(file, structureSectors(file)) : file));
        const parent = below.reverse().map((file) => file.source());
        const disk = await openVhdx((top as BuiltImage).source(), { parent });
        expect(disk.findings.filter(({ severity }) => severity !== 'info')).toEqual([]);
        expectSameBytes(await disk.read(0, disk.size), expected);
        const extents = await extentsOf(disk, whole);
        if (spoilt === 0) expectExtents(extents, whole, files, model);
        expect(new Set(extents.map(({ depth }) => depth))).toEqual(new Set([0, 1, 2, 3, 4]));
      });
    }
  });
}

// Flipped bytes and garbage in the structures of an image: an error, a finding, or reads that stay inside of blocks;

// never a crash, a hang, or bytes of something else.
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { checkVhdx, type Extent, type VhdxDisk, VhdxError } from '../../src/index.js';
import { RULES } from '../../src/rules.js';
import { pattern, sectorBits } from '../support/block-content.js';
import { type BuiltImage, buildImage } from '../support/build-image.js';
import { chainOf } from '../support/chain-files.js';
import { dirtied, structureSectors } from '../support/dirty-images.js';
import { type DiskModel, modelOf } from '../support/disk-model.js';
import { KiB, MiB } from '../support/encode-primitives.js';
import { expectContent } from '../support/expect-opening.js';
import { type BlockSpec, STATE } from '../support/image-spec.js';
import { fixHeaderChecksum, fixRegionTableChecksum } from '../support/patch-image.js';
import { propertyRuns } from '../support/property-runs.js';
import { expectSameBytes } from '../support/same-bytes.js';
import { SLOW } from '../support/time-limits.js';
import { openVhdx } from '../support/two-doors.js';

const present = (seed: number): BlockSpec => ({ state: STATE.fullyPresent, data: pattern(seed) });
const blocks = {
  0: present(1),
  1: present(2),
  2: { ...present(3), state: STATE.unmapped },
  3: { state: STATE.zero },
  5: present(4),
  7: present(5),
};
const plain = buildImage({ blocks });
const { files: chain, model: chainModel } = chainOf(
  { blocks },
  {
    blocks: {
      0: { ...present(6), state: STATE.partiallyPresent, bitmap: sectorBits(2048, [0, 9], [100, 2000]) },
      4: present(7),
    },
  },
);
const [child, base] = chain as unknown as [BuiltImage, BuiltImage];
const dirty = dirtied(plain, structureSectors(plain));

/** A byte to change, and how. */
interface Flip {
  readonly at: number;
  readonly xor: number;
}

const flipIn = (...ranges: readonly (readonly [from: number, length: number])[]): fc.Arbitrary<Flip> =>
  fc.record({
    at: fc.oneof(...ranges.map(([from, length]) => fc.integer({ min: from, max: from + length - 1 }))),
    xor: fc.oneof(
      fc.integer({ min: 1, max: 255 }),
      fc.integer({ min: 0, max: 7 }).map((bit) => 1 << bit),
    ),
  });

function flipped(image: BuiltImage, flips: readonly Flip[]): BuiltImage {
  const copy = image.clone();
  for (const { at, xor } of flips) copy.write(at, Uint8Array.of((copy.read(at, 1)[0] as number) ^ xor));
  return copy;
}

/** Opens an image, or tells the error of the format that it is refused for. */
async function openOr(image: BuiltImage, parent: BuiltImage | undefined): Promise<VhdxDisk | VhdxError> {
  return openVhdx(image.source(), { parent: parent?.source() }).catch(formatError);
}

/** Lets only errors pass that name a rule of the format, and where it was broken. */
function formatError(error: unknown): VhdxError {
  expect(error).toBeInstanceOf(VhdxError);
  const { code, structure, message } = error as VhdxError;
  expect(RULES).toHaveProperty(code);
  expect(structure, message).toBeTruthy();
  return error as VhdxError;
}

/** Asserts that an image is refused, or reads as it did before. */
async function expectSameOrRefused(image: BuiltImage, model: DiskModel, parent?: BuiltImage): Promise<void> {
  const disk = await openOr(image, parent);
  if (disk instanceof VhdxError) return;
  await expectContent(disk, model);
  await disk.close();
}

/** Asserts that an image is refused, or that what is read is what lies in its blocks and nowhere else. */
async function expectBounded(image: BuiltImage, members: readonly BuiltImage[]): Promise<void> {
  const disk = await openOr(image, members[1]);
  const report = await checkVhdx(image.source(), { parent: members[1]?.source() });
  if (disk instanceof VhdxError) {
    // An image whose parent does not fit could be opened without it.
    const withoutParent = /^parent-(?!locator)/.test(disk.code);
    expect(report.status).toBe(withoutParent ? 'corrupt' : 'unreadable');
    return;
  }
  expect(report.status).not.toBe('unreadable');
  const extents: Extent[] = [];
  for await (const extent of disk.extents()) {
    expect(extent.offset).toBe(extents.reduce((end, { length }) => end + length, 0));
    extents.push(extent);
    if (extents.length > 100) break;
  }
  const files = [image, ...members.slice(1)];
  for (const extent of extents) await expectHonest(disk, extent, files);
  await disk.close();
}

async function expectHonest(disk: VhdxDisk, extent: Extent, files: readonly BuiltImage[]): Promise<void> {
  const { offset, kind, depth, fileOffset = 0 } = extent;
  const length = Math.min(extent.length, 64 * KiB);
  const bytes = await disk.read(offset, length).catch(formatError);
  if (kind === 'damaged') expect((bytes as VhdxError).code).toBe(extent.code);
  else
    expectSameBytes(
      bytes as Uint8Array,
      kind === 'data' ? (files[depth] as BuiltImage).read(fileOffset, length) : new Uint8Array(length),
    );
  if (kind !== 'data') return;
  const file = files[depth] as BuiltImage;
  expect(fileOffset + extent.length).toBeLessThanOrEqual(file.size);
  expect(fileOffset).toBeGreaterThanOrEqual(MiB);
  for (const { offset: start, length: size } of [file.layout.log, file.layout.metadata, file.layout.bat]) {
    const shared = fileOffset < start + size && start < fileOffset + extent.length;
    expect(shared, `data at ${fileOffset}`).toBe(false);
  }
}

describe('one flipped byte', () => {
  const section = flipIn(
    [0, 0x50000],
    [0, 8],
    [0x10000, 80],
    [0x20000, 80],
    [0x30000, 80],
    [0x40000, 80],
    [0x10000, 4096],
    [0x20000, 4096],
  );
  for (const [title, image, model, parent] of [
    ['an image', plain, modelOf(plain), undefined],
    ['a child', child, chainModel, base],
    ['a dirty image', dirty, modelOf(plain), undefined],
  ] as const) {
    test(`in the header section of ${title}: an error, or the same content`, SLOW.properties, async () => {
      await fc.assert(
        fc.asyncProperty(section, (flip) => expectSameOrRefused(flipped(image, [flip]), model, parent)),
        propertyRuns(100),
      );
    });
  }

  for (const [title, image, members] of [
    ['an image', plain, [plain]],
    ['a child', child, [child, base]],
  ] as const) {
    const { metadata, bat } = image.layout;
    const places = flipIn(
      [metadata.offset, 32 * 9],
      [metadata.offset + 64 * KiB, 160],
      [bat.offset, 8 * 8],
      [bat.offset, 8 * 8],
      [bat.offset + 4096 * 8, 8],
    );
    test(
      `in the metadata or the BAT of ${title}: an error, or reads that stay inside of blocks`,
      SLOW.properties,
      async () => {
        await fc.assert(
          fc.asyncProperty(places, (flip) => expectBounded(flipped(image, [flip]), members)),
          propertyRuns(150),
        );
      },
    );
  }

  test(
    'in the sector bitmap of a child: sectors come from the child or from its parent, each from its own place',
    SLOW.properties,
    async () => {
      const bitmap = child.layout.bitmapOffset(0);
      await fc.assert(
        fc.asyncProperty(flipIn([bitmap, 256]), async (flip) => {
          const image = flipped(child, [flip]);
          const disk = await openVhdx(image.source(), { parent: base.source() });
          const bytes = await disk.read(0, MiB);
          const own = image.read(child.layout.blockOffset(0), MiB);
          const bits = image.read(bitmap, 256);
          const inherited = modelOf(base).expected(0, MiB);
          for (let sector = 0; sector < 2048; sector++) {
            const has = ((bits[sector >> 3] as number) >> (sector & 7)) & 1;
            const from = (has ? own : inherited).subarray(sector * 512, (sector + 1) * 512);
            expectSameBytes(bytes.subarray(sector * 512, (sector + 1) * 512), from, `sector ${sector}`);
          }
        }),
        propertyRuns(30),
      );
    },
  );
});

describe('garbage', () => {
  const { metadata, bat } = child.layout;
  const garbage = fc.array(
    fc.record({
      at: fc.oneof(
        ...[
          [0, 600],
          [0x10000, 80],
          [0x20000, 80],
          [0x30000, 120],
          [metadata.offset, 300],
          [metadata.offset + 64 * KiB, 400],
          [bat.offset, 80],
        ].map(([from, length]) => fc.integer({ min: from as number, max: (from as number) + (length as number) })),
      ),
      bytes: fc.oneof(
        fc.uint8Array({ minLength: 1, maxLength: 16 }),
        fc.constantFrom(0, 0xff, 0x7f).map((byte) => new Uint8Array(8).fill(byte)),
      ),
    }),
    { minLength: 1, maxLength: 4 },
  );

  test(
    'in any structure, with the checksums made right again: an error, or reads that stay inside of blocks',
    SLOW.properties,
    async () => {
      await fc.assert(
        fc.asyncProperty(garbage, async (writes) => {
          const image = child.clone();
          for (const { at, bytes } of writes) image.write(at, bytes);
          for (const copy of [0, 1] as const) fixRegionTableChecksum(fixHeaderChecksum(image, copy), copy);
          const disk = await openVhdx(image.source(), { parent: [base.source()] }).catch(formatError);
          const report = await checkVhdx(image.source(), { parent: [base.source()] });
          expect(report.findings.every(({ code }) => code in RULES)).toBe(true);
          if (disk instanceof VhdxError) return;
          for (const offset of [0, 3 * MiB + 5, Math.max(0, disk.size - 4096)]) {
            if (offset < disk.size) await disk.read(offset, Math.min(4096, disk.size - offset)).catch(formatError);
          }
          await disk.close();
        }),
        propertyRuns(200),
      );
    },
  );

  test('as a whole file is refused', SLOW.properties, async () => {
    const file = fc.tuple(fc.boolean(), fc.uint8Array({ maxLength: 2000 }), fc.nat({ max: 3 * MiB }));
    await fc.assert(
      fc.asyncProperty(file, async ([signed, start, size]) => {
        const bytes = new Uint8Array(Math.max(size, start.length + 8));
        bytes.set(start, signed ? 8 : 0);
        if (signed) bytes.set(new TextEncoder().encode('vhdxfile'));
        formatError(await openVhdx(bytes).catch((error: unknown) => error));
        expect(await checkVhdx(bytes)).toMatchObject({ status: 'unreadable' });
      }),
      propertyRuns(50),
    );
  });
});

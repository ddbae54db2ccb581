import * as fc from 'fast-check';
import { pattern, sectorBits } from './block-content.js';
import { type BuiltImage, buildImage } from './build-image.js';
import { type DiskModel, modelOf } from './disk-model.js';
import { KiB, MiB } from './encode-primitives.js';
import { geometryOf } from './image-layout.js';
import { type BlockSpec, type ImageSpec, locatorEntries, STATE } from './image-spec.js';
import type { ByteRange } from './sparse-file.js';

/** An image, the parents that it needs, and what it must read as. */
export interface ImageWithModel extends DiskModel {
  /** The image itself. */
  readonly image: BuiltImage;
  /** The image, its parent, its parent's parent, and so on to the base. */
  readonly files: readonly [BuiltImage, ...BuiltImage[]];
  /** Block size of the image, in bytes. */
  readonly blockSize: number;
}

/** Limits for {@link arbitraryImage} and {@link arbitraryChain}. */
export interface ImageLimits {
  /** Every block at most so big, in bytes. Without it a few images have blocks up to 256 MiB. */
  readonly maxBlockSize?: number;
  /** Whether disks may have more than one chunk, which makes them 4 GiB or more. */
  readonly manyChunks?: boolean;
  /** Whether parent and child have the same size. */
  readonly sameSize?: boolean;
  readonly logicalSectorSize?: 512 | 4096;
}

/** An image without a parent: fixed or dynamic, in any layout, with any mixture of payload block states. */
export function arbitraryImage(limits: ImageLimits = {}): fc.Arbitrary<ImageWithModel> {
  return arbitrarySectorSize(limits)
    .chain((logicalSectorSize) => arbitrarySpec(limits, logicalSectorSize, false))
    .map((spec) => chainOf([spec]));
}

/**
 * A chain of one base image and one to three differencing images on it, each with a size and a block size of its own.
 * Children may be larger or smaller than their parents; partial blocks have random sector bitmaps.
 */
export function arbitraryChain(limits: ImageLimits = {}): fc.Arbitrary<ImageWithModel> {
  return fc
    .record({ logicalSectorSize: arbitrarySectorSize(limits), depth: fc.integer({ min: 1, max: 3 }) })
    .chain(({ logicalSectorSize, depth }) =>
      fc.tuple(
        arbitrarySpec(limits, logicalSectorSize, false),
        ...Array.from({ length: depth }, () => arbitrarySpec(limits, logicalSectorSize, true)),
      ),
    )
    .map((specs) => {
      if (!limits.sameSize) return chainOf(specs);
      const [base] = specs as [ImageSpec, ...ImageSpec[]];
      return chainOf(specs.map((spec) => ({ ...spec, virtualSize: base.virtualSize as number })));
    });
}

/** A range of a disk, mostly near the borders of blocks, where mistakes live. At most 1.5 MiB long. */
export function arbitraryRange(disk: { readonly size: number; readonly blockSize: number }): fc.Arbitrary<ByteRange> {
  const { size, blockSize } = disk;
  const nearBorder = fc
    .tuple(fc.integer({ min: 0, max: Math.ceil(size / blockSize) }), fc.integer({ min: -9 * KiB, max: 9 * KiB }))
    .map(([block, away]) => Math.min(size, Math.max(0, block * blockSize + away)));
  const anywhere = fc.oneof(nearBorder, fc.integer({ min: 0, max: size }), fc.constantFrom(0, size));
  const length = fc.oneof(
    fc.integer({ min: 0, max: 20 * KiB }),
    fc.integer({ min: 0, max: MiB + 512 * KiB }),
    fc.constantFrom(0, 1, 512, 4096, MiB),
  );
  return fc.tuple(anywhere, length).map(([offset, wanted]) => ({ offset, length: Math.min(wanted, size - offset) }));
}

function arbitrarySectorSize(limits: ImageLimits): fc.Arbitrary<512 | 4096> {
  return limits.logicalSectorSize === undefined ? fc.constantFrom(512, 4096) : fc.constant(limits.logicalSectorSize);
}

function arbitraryBlockSize({ maxBlockSize = 256 * MiB }: ImageLimits): fc.Arbitrary<number> {
  const usual = [1, 1, 1, 2, 2, 4].map((size) => size * MiB).filter((size) => size <= maxBlockSize);
  const large = [8, 32, 256].map((size) => size * MiB).filter((size) => size <= maxBlockSize);
  const few = fc.constantFrom(...usual);
  return large.length === 0
    ? few
    : fc.oneof({ weight: 6, arbitrary: few }, { weight: 1, arbitrary: fc.constantFrom(...large) });
}

function arbitrarySpec(limits: ImageLimits, logicalSectorSize: number, hasParent: boolean): fc.Arbitrary<ImageSpec> {
  return arbitraryBlockSize(limits).chain((blockSize) => {
    const ratio = geometryOf({ virtualSize: 0, blockSize, logicalSectorSize, hasParent }).chunkRatio;
    const chunks = fc.oneof(
      { weight: 4, arbitrary: fc.constant(0) },
      { weight: limits.manyChunks ? 2 : 0, arbitrary: fc.constantFrom(1, 2) },
    );
    return fc
      .record({
        chunks,
        moreBlocks: fc.integer({ min: 1, max: 8 }),
        cutSectors: fc.oneof(fc.constant(0), fc.integer({ min: 0, max: blockSize / logicalSectorSize - 1 })),
      })
      .chain(({ chunks: wholeChunks, moreBlocks, cutSectors }) => {
        const payloadBlocks = wholeChunks * ratio + moreBlocks;
        const virtualSize = payloadBlocks * blockSize - cutSectors * logicalSectorSize;
        return fc.record({
          type: hasParent ? fc.constant('differencing' as const) : arbitraryBaseType(payloadBlocks),
          virtualSize: fc.constant(virtualSize),
          blockSize: fc.constant(blockSize),
          logicalSectorSize: fc.constant(logicalSectorSize),
          physicalSectorSize: fc.constantFrom(512, 4096),
          habits: fc.constantFrom('windows' as const, 'qemu' as const),
          placement: fc.constantFrom('sequential' as const, 'reverse' as const, 'shuffled' as const, 'gaps' as const),
          blocks: arbitraryBlocks(payloadBlocks, ratio, blockSize / logicalSectorSize, hasParent),
        });
      });
  });
}

/** A fixed image has a place for every block, so it stays small. */
function arbitraryBaseType(payloadBlocks: number): fc.Arbitrary<'fixed' | 'dynamic'> {
  return payloadBlocks > 8 ? fc.constant('dynamic') : fc.constantFrom('fixed', 'dynamic', 'dynamic');
}

/** Blocks at the start, at the end, and on both sides of every border between chunks. */
function arbitraryBlocks(payloadBlocks: number, ratio: number, sectors: number, hasParent: boolean) {
  const block = fc.oneof(
    fc.integer({ min: 0, max: Math.min(7, payloadBlocks - 1) }),
    fc.integer({ min: Math.max(0, payloadBlocks - 3), max: payloadBlocks - 1 }),
    fc
      .tuple(fc.integer({ min: 0, max: Math.floor(payloadBlocks / ratio) }), fc.integer({ min: -2, max: 1 }))
      .map(([chunk, away]) => Math.min(payloadBlocks - 1, Math.max(0, chunk * ratio + away))),
  );
  return fc
    .array(fc.tuple(block, arbitraryBlock(sectors, hasParent)), { maxLength: 8 })
    .map((blocks): Record<number, BlockSpec> => Object.fromEntries(blocks));
}

function arbitraryBlock(sectors: number, hasParent: boolean): fc.Arbitrary<BlockSpec> {
  const seed = fc.integer({ min: 1, max: 1 << 20 }).map(pattern);
  const present = seed.map((data): BlockSpec => ({ state: STATE.fullyPresent, data }));
  const absent = fc
    .constantFrom(STATE.notPresent, STATE.undefined, STATE.zero, STATE.unmapped)
    .map((state): BlockSpec => ({ state }));
  // After a trim the entry may still point to where the data was: the bytes there belong to no block any more.
  const trimmed = fc.record({ state: fc.constantFrom(STATE.undefined, STATE.unmapped), data: seed });
  const kinds: fc.WeightedArbitrary<BlockSpec>[] = [
    { weight: 4, arbitrary: present },
    { weight: 3, arbitrary: absent },
    { weight: 1, arbitrary: trimmed },
  ];
  if (hasParent) {
    const bitmap = arbitraryBitmap(sectors);
    const partial = fc.record({ state: fc.constant(STATE.partiallyPresent), data: seed, bitmap });
    // The bits of a block in another state say nothing, and must not be looked at.
    const stale = fc.record({
      state: fc.constantFrom(STATE.fullyPresent, STATE.notPresent, STATE.zero),
      data: seed,
      bitmap,
    });
    kinds.push({ weight: 5, arbitrary: partial }, { weight: 1, arbitrary: stale });
  }
  return fc.oneof(...kinds);
}

function arbitraryBitmap(sectors: number): fc.Arbitrary<Uint8Array> {
  const border = fc.oneof(
    fc.integer({ min: 0, max: sectors }),
    fc.integer({ min: 0, max: 40 }),
    fc.constantFrom(0, sectors, sectors - 1),
  );
  const run = fc.tuple(border, border).map(([a, b]): [number, number] => [Math.min(a, b), Math.max(a, b)]);
  const single = border.map((sector): [number, number] => [
    Math.min(sector, sectors - 1),
    Math.min(sector, sectors - 1) + 1,
  ]);
  return fc.array(fc.oneof(run, single), { maxLength: 6 }).map((ranges) => sectorBits(sectors, ...ranges));
}

/** Builds the images of a chain, base first, and links each to the one before it. */
function chainOf(specs: readonly ImageSpec[]): ImageWithModel {
  let model: DiskModel | undefined;
  const files: BuiltImage[] = [];
  specs.forEach((spec, depth) => {
    const linkage = guidOfDepth(depth - 1);
    const link =
      depth === 0
        ? {}
        : { parentLocator: { entries: locatorEntries({ linkage, relativePath: `.\\${depth - 1}.vhdx` }) } };
    const image = buildImage({
      ...blocksInside(spec),
      ...link,
      dataWriteGuid: guidOfDepth(depth),
      headers: { fileWriteGuid: guidOfDepth(50 + depth) },
      virtualDiskId: guidOfDepth(100),
    });
    model = modelOf(image, model);
    files.unshift(image);
  });
  const top = files[0] as BuiltImage;
  const { size, expected } = model as DiskModel;
  return {
    image: top,
    files: files as [BuiltImage, ...BuiltImage[]],
    size,
    expected,
    blockSize: top.spec.blockSize,
    // What fast-check prints when a property fails.
    [fc.toStringMethod]: () => specs.map((spec) => fc.stringify(spec)).join(' <- '),
  } as ImageWithModel;
}

/** A spec without the blocks past the end of its disk, as there may be after its size was changed. */
function blocksInside(spec: ImageSpec): ImageSpec {
  const { virtualSize, blockSize, blocks = {} } = spec;
  const inside = Object.entries(blocks).filter(
    ([block]) => Number(block) * (blockSize as number) < Number(virtualSize),
  );
  return { ...spec, blocks: Object.fromEntries(inside) };
}

function guidOfDepth(depth: number): string {
  return `5f0e6c1a-77d2-4b38-9e41-${(depth + 1).toString(16).padStart(12, '0')}`;
}

import * as fc from 'fast-check';
import { arbitraryImage, type ImageLimits, type ImageWithModel } from './arbitrary-images.js';
import type { BuiltImage } from './build-image.js';
import { type LogDescriptor, type LogEntrySpec, type LogSpec, writeLog } from './build-log.js';
import { KiB, MiB } from './encode-primitives.js';

const SECTOR = 4 * KiB;

/** An image that was not closed cleanly. */
export interface DirtyImage extends ImageWithModel {
  /** What the file must be like after its log was replayed, apart from headers and log. */
  readonly replayed: BuiltImage;
}

/** The 4 KiB sectors of a clean image that hold structures a log may restore: region tables, metadata, BAT. */
export function structureSectors(image: BuiltImage): number[] {
  const { layout, spec } = image;
  const entries = Object.keys(spec.blocks).map((block) => layout.blockEntryOffset(Number(block)));
  const bat = [layout.bat.offset, ...entries].map((offset) => Math.floor(offset / SECTOR) * SECTOR);
  return [
    ...new Set([...layout.regionTableOffsets, layout.metadata.offset, layout.metadata.offset + 64 * KiB, ...bat]),
  ];
}

/** The descriptor that writes a sector of a clean image. */
export function restoring(clean: BuiltImage, fileOffset: number): LogDescriptor {
  return { fileOffset, bytes: clean.read(fileOffset, SECTOR) };
}

/**
 * A copy of a clean image in which the given sectors hold rubbish, and whose log holds what restores them.
 * `plan` says what else the log is like; its entries get one more, last, with all that has to be restored.
 */
export function dirtied(clean: BuiltImage, sectors: readonly number[], plan: Partial<LogSpec> = {}): BuiltImage {
  const dirty = clean.clone();
  for (const offset of sectors) dirty.write(offset, new Uint8Array(SECTOR).fill(0xee));
  const restore: LogEntrySpec = { descriptors: sectors.map((offset) => restoring(clean, offset)) };
  writeLog(dirty, { ...plan, entries: [...(plan.entries ?? []), restore] });
  return dirty;
}

/**
 * Images whose structures are partly rubbish, and whose logs make them whole: one to five entries anywhere in the ring
 * and across its end, up to 300 descriptors in one, stale writes that later entries put right, zero descriptors,
 * and remains of an older log around them.
 */
export function arbitraryDirtyImage(limits: ImageLimits = {}): fc.Arbitrary<DirtyImage> {
  return arbitraryImage(limits).chain((clean) => {
    const sectors = structureSectors(clean.image);
    const plan = fc.record({
      lost: fc.uniqueArray(fc.constantFrom(...sectors), { minLength: 1 }),
      rewritten: fc.array(fc.subarray(sectors), { maxLength: 4 }),
      zeroed: fc.constantFrom(0, 1, 5, 120, 130, 230),
      startSector: fc.oneof(fc.integer({ min: 0, max: 255 }), fc.constantFrom(0, 1, 253, 254, 255)),
      firstSequence: fc.oneof(fc.constant(1n), fc.bigInt(1n, 2n ** 63n)),
      remains: fc.boolean(),
      growth: fc.constantFrom(0, 0, MiB, 3 * MiB),
    });
    return plan.map((chosen) => {
      const image = dirtyImage(clean.image, chosen);
      const replayed = clean.image.clone().truncate(clean.image.size + chosen.growth);
      const { size, blockSize } = clean;
      return {
        ...{ image, files: [image] as const, size, blockSize, replayed },
        expected: clean.expected,
        [fc.toStringMethod]: () => `${fc.stringify(clean)}, dirtied by ${fc.stringify(chosen)}`,
      };
    });
  });
}

interface DirtPlan {
  readonly lost: readonly number[];
  readonly rewritten: readonly (readonly number[])[];
  readonly zeroed: number;
  readonly startSector: number;
  readonly firstSequence: bigint;
  readonly remains: boolean;
  readonly growth: number;
}

function dirtyImage(clean: BuiltImage, plan: DirtPlan): BuiltImage {
  const start = plan.startSector * SECTOR;
  const scribble = new Uint8Array(SECTOR).fill(0xdd);
  // What an earlier entry writes, the last one restores: so order is tested, and so is every entry being applied.
  const rewritten = plan.rewritten.map((sectors): LogEntrySpec => {
    return { descriptors: sectors.map((fileOffset) => ({ fileOffset, bytes: scribble })) };
  });
  const unused = clean.layout.metadata.offset + 72 * KiB;
  const zeroes = Array.from({ length: plan.zeroed }, (_, i): LogDescriptor => {
    return { fileOffset: unused + i * SECTOR, zeroLength: SECTOR };
  });
  const touched = [...new Set([...plan.lost, ...plan.rewritten.flat()])];
  const dirty = clean.clone();
  for (const fileOffset of plan.lost) dirty.write(fileOffset, scribble);
  for (let i = 0; i < plan.zeroed; i++) dirty.write(unused + i * SECTOR, scribble);
  if (plan.remains) writeRemains(dirty, start);
  const restore = [...touched.map((fileOffset) => restoring(clean, fileOffset)), ...zeroes];
  const lastFileOffset = clean.size + plan.growth;
  const entries = [...rewritten, { descriptors: restore }].map((entry) => ({ ...entry, lastFileOffset }));
  writeLog(dirty, { start, firstSequence: plan.firstSequence, entries });
  return dirty;
}

/** Entries of an older log all over the ring, with higher sequence numbers and harmful content. */
function writeRemains(dirty: BuiltImage, start: number): void {
  const harm = { fileOffset: dirty.layout.bat.offset, bytes: new Uint8Array(SECTOR).fill(0xff) };
  const entries = Array.from({ length: 20 }, (): LogEntrySpec => ({ descriptors: [harm, harm] }));
  const logGuid = 'c4d5e6f7-0819-4a2b-93c4-d5e6f7081920';
  writeLog(dirty, { start: start + 4 * SECTOR, firstSequence: 2n ** 63n + 5n, logGuid, entries, headerLogGuid: null });
}

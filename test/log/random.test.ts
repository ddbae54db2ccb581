// Random logs against plain models, and random damage to them: what is read is what the specification says is left of

// the log, or an error; never anything else.
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { loadCore } from '../../src/core/load.js';
import { examine } from '../../src/image/examine.js';
import { arbitraryRange } from '../support/arbitrary-images.js';
import { type BuiltImage, buildImage } from '../support/build-image.js';
import { type LogDescriptor, writeLog } from '../support/build-log.js';
import { arbitraryDirtyImage } from '../support/dirty-images.js';
import { KiB, MiB } from '../support/encode-primitives.js';
import { expectContent, expectRefused } from '../support/expect-opening.js';
import { STATE } from '../support/image-spec.js';
import { mark, markable, marksOf, unmark, withLog } from '../support/log-marks.js';
import { propertyRuns } from '../support/property-runs.js';
import { expectSameBytes } from '../support/same-bytes.js';
import { SLOW } from '../support/time-limits.js';
import { openVhdx } from '../support/two-doors.js';

const SECTOR = 4 * KiB;
const PLACES = 16;

describe('random dirty images', () => {
  const images = arbitraryDirtyImage({ maxBlockSize: 2 * MiB });

  test('the disk reads as it was before its structures were spoilt', SLOW.properties, async () => {
    const runs = images.chain((dirty) =>
      fc.tuple(fc.constant(dirty), fc.array(arbitraryRange(dirty), { maxLength: 3 })),
    );
    await fc.assert(
      fc.asyncProperty(runs, async ([dirty, ranges]) => {
        const disk = await openVhdx(dirty.image.source());
        expect(disk.findings.map(({ code }) => code)).toEqual(['log-replayed']);
        await expectContent(disk, dirty);
        for (const { offset, length } of ranges) {
          expectSameBytes(await disk.read(offset, length), dirty.expected(offset, length), `at ${offset}`);
        }
        await disk.close();
      }),
      propertyRuns(60),
    );
  });

  test('the file reads as it was, but for headers and log', SLOW.properties, async () => {
    const core = await loadCore();
    await fc.assert(
      fc.asyncProperty(images, async ({ image, replayed }) => {
        const { source } = await examine(core, image.source(), 'memory');
        expect(source.size).toBe(replayed.size);
        const { metadata, bat } = image.layout;
        const structures = [
          { offset: 192 * KiB, length: 128 * KiB },
          metadata,
          { offset: bat.offset, length: 64 * KiB },
          { offset: image.size - SECTOR, length: replayed.size - image.size + SECTOR },
        ];
        for (const { offset, length } of structures) {
          const bytes = new Uint8Array(length);
          await source.readInto(bytes, offset);
          expectSameBytes(bytes, replayed.read(offset, length), `from ${offset} on`);
        }
      }),
      propertyRuns(60),
    );
  });
});

/** What an entry does to the marks, and which entry its tail points to. */
interface Step {
  readonly writes: readonly { readonly place: number; readonly value: number; readonly sectors: number }[];
  readonly tail: number;
}

/** What happens to the bytes of one entry. */
interface Damage {
  readonly entry: number;
  /** Where, as a part of the entry's length. */
  readonly at: number;
  readonly kind: 'one byte flipped' | 'zeros from there on' | 'old bytes from there on';
  readonly flip: number;
}

interface Plan {
  readonly steps: readonly Step[];
  readonly damages: readonly Damage[];
  readonly startSector: number;
  readonly firstSequence: bigint;
  readonly foreign: boolean;
}

const write = fc.record({
  place: fc.integer({ min: 0, max: PLACES - 1 }),
  // 0 is a zero descriptor, of one sector or of several.
  value: fc.oneof(fc.constant(0), fc.integer({ min: 1, max: 250 })),
  sectors: fc.integer({ min: 1, max: 4 }),
});

const plans: fc.Arbitrary<Plan> = fc.integer({ min: 1, max: 7 }).chain((count) =>
  fc.record({
    steps: fc.tuple(
      ...Array.from({ length: count }, (_, i) =>
        fc.record({
          writes: fc.array(write, { maxLength: 6 }),
          tail: fc.oneof(fc.constant(0), fc.integer({ min: 0, max: i })),
        }),
      ),
    ),
    damages: fc.array(
      fc.record({
        entry: fc.integer({ min: 0, max: count - 1 }),
        at: fc.double({ min: 0, max: 1, noNaN: true, maxExcluded: true }),
        kind: fc.constantFrom('one byte flipped', 'zeros from there on', 'old bytes from there on'),
        flip: fc.integer({ min: 1, max: 255 }),
      }),
      { maxLength: 2 },
    ),
    startSector: fc.oneof(fc.integer({ min: 0, max: 255 }), fc.integer({ min: 235, max: 255 })),
    firstSequence: fc.oneof(fc.constant(1n), fc.bigInt(1n, 2n ** 64n - 10n)),
    foreign: fc.boolean(),
  }),
);

const plain = markable();
/** The same with a ring full of another session's entries, with high numbers. */
const withRemains = withLog(
  plain,
  Array.from({ length: 80 }, () => ({ descriptors: [mark(plain, 0, 251), mark(plain, 5, 252)] })),
  { logGuid: 'c4d5e6f7-0819-4a2b-93c4-d5e6f7081920', firstSequence: 2n ** 63n, headerLogGuid: null },
);

function readRing(image: BuiltImage, position: number, length: number): Uint8Array {
  const { offset } = image.layout.log;
  const twice = new Uint8Array(2 * MiB);
  for (const lap of [0, MiB]) twice.set(image.read(offset, MiB), lap);
  return twice.slice(position, position + length);
}

function writeRing(image: BuiltImage, position: number, bytes: Uint8Array): void {
  const { offset } = image.layout.log;
  image.write(offset + position, bytes.subarray(0, MiB - position));
  image.write(offset, bytes.subarray(MiB - position));
}

/** Builds the image of a plan, and works out by the plain words of [MS-VHDX] 2.3.3 what its marks must be. */
function carryOut({ steps, damages, startSector, firstSequence, foreign }: Plan) {
  const image = (foreign ? withRemains : plain).clone();
  const before = image.clone();
  const start = startSector * SECTOR;
  const descriptors = steps.map(({ writes }) =>
    writes.map(({ place, value, sectors }): LogDescriptor => {
      return value === 0 ? unmark(image, place, Math.min(sectors, PLACES - place)) : mark(image, place, value);
    }),
  );
  // A sector of header and descriptors, and one for each mark.
  const lengths = descriptors.map((list) => (1 + list.filter((one) => 'bytes' in one).length) * SECTOR);
  const position = (entry: number) => (start + lengths.slice(0, entry).reduce((sum, length) => sum + length, 0)) % MiB;
  const entries = descriptors.map((list, i) => ({ descriptors: list, tail: position((steps[i] as Step).tail) }));
  const written = writeLog(image, { start, firstSequence, entries });
  const invalid = new Set<number>();
  for (const { entry, at, kind, flip } of damages) {
    const { position, bytes } = written[entry] as (typeof written)[number];
    const now = readRing(image, position, bytes.length);
    const from = Math.floor(at * bytes.length);
    if (kind === 'one byte flipped') now[from] = (now[from] as number) ^ flip;
    else if (kind === 'zeros from there on') now.fill(0, from);
    else now.set(readRing(before, position, bytes.length).subarray(from), from);
    writeRing(image, position, now);
    if (now.some((byte, i) => byte !== bytes[i])) invalid.add(entry);
    else invalid.delete(entry);
  }
  return { image, marks: marksLeft(steps, invalid) };
}

/** The marks after replay; undefined where no valid sequence is left. */
function marksLeft(steps: readonly Step[], invalid: ReadonlySet<number>): number[] | undefined {
  for (let head = steps.length - 1; head >= 0; head--) {
    if (invalid.has(head) || (head + 1 < steps.length && !invalid.has(head + 1))) continue; // not the end of a run
    const { tail } = steps[head] as Step;
    if ([...invalid].some((entry) => entry >= tail && entry < head)) continue; // the tail is not in this run
    const marks = new Array<number>(PLACES).fill(0);
    for (const { writes } of steps.slice(tail, head + 1)) {
      for (const { place, value, sectors } of writes) marks.fill(value, place, place + (value === 0 ? sectors : 1));
    }
    return marks;
  }
  return undefined;
}

describe('random logs', () => {
  test('whole or damaged, they are replayed as far as the specification lets them', SLOW.properties, async () => {
    await fc.assert(
      fc.asyncProperty(plans, async (plan) => {
        const { image, marks } = carryOut(plan);
        if (marks) expect(await marksOf(image, PLACES)).toEqual(marks);
        else await expectRefused(image, 'log-no-sequence');
      }),
      propertyRuns(300),
    );
  });

  test(
    'a byte flipped anywhere in the log gives the old content, less of the log, or an error',
    SLOW.properties,
    async () => {
      const steps = [1, 2, 3].map((value) => ({ writes: [{ place: value, value, sectors: 1 }], tail: 0 }));
      const { image } = carryOut({ steps, damages: [], startSector: 253, firstSequence: 7n, foreign: true });
      const { log } = image.layout;
      const possible = [
        [0, 1, 2, 3],
        [0, 1, 2, 0],
        [0, 1, 0, 0],
      ].map(String);
      await fc.assert(
        fc.asyncProperty(
          fc.integer({ min: 0, max: log.length - 1 }),
          fc.integer({ min: 1, max: 255 }),
          async (at, flip) => {
            const flipped = image.clone();
            flipped.write(log.offset + at, Uint8Array.of((image.read(log.offset + at, 1)[0] as number) ^ flip));
            const marks = await marksOf(flipped, 4).catch((error: { code?: string }) => {
              expect(error.code).toBe('log-no-sequence');
              return undefined;
            });
            if (marks) expect(possible).toContain(String(marks));
            // What no entry of the sequence uses, changes nothing: it has the last three sectors and the first three.
            const sector = Math.floor(at / SECTOR);
            if (sector >= 3 && sector < 253) expect(marks).toEqual([0, 1, 2, 3]);
          },
        ),
        propertyRuns(100),
      );
    },
  );

  test(
    'a file cut off anywhere is refused, whether the log or the blocks lie at its end',
    SLOW.properties,
    async () => {
      for (const places of [{}, { log: { offset: 16 * MiB } }]) {
        const image = buildImage({
          places,
          blocks: { 0: { state: STATE.fullyPresent, data: 0 } },
          firstBlockOffset: 8 * MiB,
        });
        writeLog(image, { entries: [{ descriptors: [mark(image, 0, 1)] }] });
        expect(await marksOf(image, 1)).toEqual([1]);
        const codes = [
          'file-signature',
          'file-too-small',
          'header-none-valid',
          'log-outside-file',
          'log-truncated-file',
        ] as const;
        await fc.assert(
          fc.asyncProperty(
            fc.oneof(
              fc.integer({ min: 0, max: image.size - 1 }),
              fc.integer({ min: image.size - MiB, max: image.size - 1 }),
            ),
            async (size) => {
              await expectRefused(image.clone().truncate(size) as typeof image, codes);
            },
          ),
          propertyRuns(60),
        );
      }
    },
  );
});

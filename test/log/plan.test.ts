// The plan of a replay: how it is made, and that laying it over a file and applying it to the file give the same bytes.
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { loadCore } from '../../src/core/load.js';
import { examine } from '../../src/image/examine.js';
import { openVhdx } from '../../src/index.js';
import { replayWrites } from '../../src/log/apply.js';
import type { ChangeBudget } from '../../src/log/plan.js';
import type { BuiltImage } from '../support/build-image.js';
import { arbitraryDirtyImage } from '../support/dirty-images.js';
import { KiB, MiB } from '../support/encode-primitives.js';
import { locatorEntries } from '../support/image-spec.js';
import { mark, markable, unmark, withLog } from '../support/log-marks.js';
import { propertyRuns } from '../support/property-runs.js';
import { expectSameBytes } from '../support/same-bytes.js';
import { SLOW } from '../support/time-limits.js';

const SECTOR = 4 * KiB;

/** A copy of a dirty image to which its own plan has been applied, as a repair does it. */
async function repaired(image: BuiltImage): Promise<BuiltImage> {
  const { replay } = await examine(await loadCore(), image.source(), 'memory');
  if (!replay) return expect.fail('there is nothing to replay');
  const copy = image.clone();
  copy.truncate(replay.size);
  const ends: number[] = [];
  for await (const write of replayWrites(image.source(), replay)) {
    const length = 'bytes' in write ? write.bytes.length : write.length;
    expect(write.offset).toBeGreaterThanOrEqual(ends.at(-1) ?? 0);
    ends.push(write.offset + length);
    if ('bytes' in write) copy.write(write.offset, write.bytes);
    else copy.clear(write.offset, length);
  }
  return copy;
}

describe('a plan', () => {
  test('that is applied gives the bytes that were before the image was spoilt', SLOW.properties, async () => {
    const core = await loadCore();
    await fc.assert(
      fc.asyncProperty(arbitraryDirtyImage({ maxBlockSize: 2 * MiB }), async ({ image, replayed }) => {
        const copy = await repaired(image);
        expect(copy.size).toBe(replayed.size);
        const { source } = await examine(core, image.source(), 'memory');
        const { metadata, bat } = image.layout;
        for (const { offset, length } of [
          { offset: 192 * KiB, length: 128 * KiB },
          metadata,
          { offset: bat.offset, length: 64 * KiB },
          { offset: image.size - SECTOR, length: replayed.size - image.size + SECTOR },
        ]) {
          expectSameBytes(copy.read(offset, length), replayed.read(offset, length), `applied, from ${offset} on`);
          const laidOver = new Uint8Array(length);
          await source.readInto(laidOver, offset);
          expectSameBytes(laidOver, copy.read(offset, length), `laid over, from ${offset} on`);
        }
      }),
      propertyRuns(30),
    );
  });

  test('writes each place once, with what the last entry wants there', async () => {
    const image = markable();
    const dirty = withLog(image, [
      { descriptors: [mark(image, 0, 1), mark(image, 1, 2), mark(image, 3, 3)] },
      { descriptors: [unmark(image, 1, 2), mark(image, 0, 4)] },
      { descriptors: [unmark(image, 3)] },
    ]);
    const { replay } = await examine(await loadCore(), dirty.source(), 'memory');
    if (!replay) return expect.fail('there is nothing to replay');
    const base = image.layout.blockOffset(0);
    const writes: unknown[] = [];
    for await (const write of replayWrites(dirty.source(), replay)) {
      writes.push(
        'bytes' in write
          ? [write.offset - base, write.bytes[0], write.bytes[4095]]
          : { ...write, offset: write.offset - base },
      );
    }
    expect(writes).toEqual([[0, 4, 4], { offset: SECTOR, length: 3 * SECTOR }]);
    expect(replay.changes.count).toBe(2);
    expect(replay.summary).toMatchObject({ entries: 3, dataSectors: 4, zeroedBytes: 3 * SECTOR });
  });
});

describe('reading a log', () => {
  test('each of its sectors is read once', async () => {
    const image = markable({ places: { log: { length: 4 * MiB } } });
    const entries = Array.from({ length: 200 }, (_, i) => ({ descriptors: [mark(image, i, 1 + i)] }));
    const dirty = withLog(image, entries, { start: MiB - SECTOR });
    const source = dirty.source();
    await examine(await loadCore(), source, 'memory');
    const { log } = image.layout;
    const inLog = source.reads.filter(({ offset }) => offset >= log.offset && offset < log.offset + log.length);
    expect(inLog.reduce((sum, { length }) => sum + length, 0)).toBe(log.length);
  });

  test('a log of the usual length is one read', async () => {
    const image = markable();
    const dirty = withLog(image, [{ descriptors: [mark(image, 0, 1)] }, { descriptors: [mark(image, 1, 2)] }]);
    const source = dirty.source();
    await examine(await loadCore(), source, 'memory');
    const { log } = image.layout;
    const inLog = source.reads.filter(({ offset }) => offset >= log.offset && offset < log.offset + log.length);
    expect(inLog.map(({ length }) => length)).toEqual([log.length]);
  });
});

describe('the changes of a chain', () => {
  const image = markable();
  const dirty = withLog(image, [{ descriptors: [0, 2, 4].map((place) => mark(image, place, 1)) }]);

  test('are counted together, and too many are refused', async () => {
    const core = await loadCore();
    const changeBudget: ChangeBudget = { left: 8 };
    const codes = async () =>
      (await examine(core, dirty.source(), 'memory', { changeBudget })).findings.map(({ code }) => code);
    expect(await codes()).toEqual(['log-replayed']);
    expect(await codes()).toEqual(['log-replayed']);
    expect(changeBudget.left).toBe(2);
    expect(await codes()).toEqual(['log-too-large']);
  });

  test('of two members with half a million and one each are too many', SLOW.largest, async () => {
    const half = 2 ** 19 + 1;
    const places = { log: { length: 18 * MiB } };
    const linkage = '6a7b8c9d-0e1f-4a2b-8c3d-4e5f60718293';
    /** Zeroes every second sector from the end of the file on: written by hand, for a builder would take minutes. */
    const full = (clean: BuiltImage) => {
      const edit = (bytes: Uint8Array, view: DataView) => {
        for (let i = 0; i < half; i++) {
          bytes.copyWithin(64 + 32 * i, 64, 96);
          view.setBigUint64(64 + 32 * i + 16, BigInt(clean.size + 2 * SECTOR * i), true);
        }
      };
      const extraSectors = Math.ceil((64 + 32 * half) / SECTOR) - 1;
      const descriptors = [{ fileOffset: clean.size, zeroLength: SECTOR }];
      return withLog(clean, [{ descriptors, descriptorCount: half, extraSectors, edit, lastFileOffset: 2 ** 40 }]);
    };
    const base = full(markable({ places, dataWriteGuid: linkage }));
    const child = full(
      markable({
        places,
        type: 'differencing',
        parentLocator: { entries: locatorEntries({ linkage, relativePath: 'base.vhdx' }) },
      }),
    );
    await (await openVhdx(base.source())).close();
    await expect(openVhdx(child.source(), { parent: base.source() })).rejects.toThrow(/more than 1048576 changes/);
  });
});

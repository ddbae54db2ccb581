// The check at open, the reads after it and a later check share the pages of the BAT, and the core is asked once.
import { afterEach, beforeAll, describe, expect, test, vi } from 'vitest';
import type { Core } from '../../src/core/instance.js';
import { loadCore } from '../../src/core/load.js';
import { openVhdx } from '../../src/index.js';
import { pattern, sectorBits } from '../support/block-content.js';
import { type BuiltImage, buildImage } from '../support/build-image.js';
import { GiB, MiB, TiB } from '../support/encode-primitives.js';
import { type BlockSpec, STATE } from '../support/image-spec.js';

const present = (seed: number): BlockSpec => ({ state: STATE.fullyPresent, data: pattern(seed) });
/** Three pages of BAT. */
const image = buildImage({
  virtualSize: 20 * GiB,
  blocks: { 0: present(1), 1: present(2), 9000: present(3), 17000: present(4) },
});
const bitmap = sectorBits(2048, [0, 8]);
const child = buildImage({
  type: 'differencing',
  blocks: { 2: present(5), 3: { ...present(6), state: STATE.partiallyPresent, bitmap } },
});
const parent = buildImage({ blocks: { 0: present(7), 1: present(8), 3: present(9) } });

/** The reads of a source that touch the BAT of its image. */
const batReads = ({ layout: { bat } }: BuiltImage, reads: readonly { offset: number; length: number }[]): number =>
  reads.filter(({ offset, length }) => offset < bat.offset + bat.length && offset + length > bat.offset).length;

describe('the pages of a BAT', () => {
  test('that were checked at open are not read again by reads, by a check or by a sum', async () => {
    const source = image.source();
    const disk = await openVhdx(source);
    expect(batReads(image, source.reads)).toBe(3);
    await disk.read(0, 4096);
    await disk.read(17_000 * MiB, 4096);
    await disk.checksum();
    await disk.usage({ bins: 7 });
    await disk.check();
    await disk.check();
    expect(batReads(image, source.reads)).toBe(3);
    await disk.close();
  });

  test('are dropped when the disk is closed, and when opening fails', async () => {
    const core = await loadCore();
    const drop = vi.spyOn(core.exports, 'dropPages');
    const disk = await openVhdx(image.source());
    await disk.close();
    expect(drop).toHaveBeenCalledTimes(1);
    const damaged = buildImage({ blocks: {}, bat: { 0: 4n } });
    await expect(openVhdx(damaged.source(), { strict: true })).rejects.toMatchObject({ code: 'bat-reserved-state' });
    expect(drop).toHaveBeenCalledTimes(2);
    drop.mockRestore();
  });

  test('are not waited for when the disk is closed: a source may never answer', async () => {
    const source = buildImage({ virtualSize: 4 * TiB, blocks: {} }).source();
    let answer = () => {};
    let stalled = false;
    const never = new Promise<void>((resolve) => {
      answer = resolve;
    });
    const disk = await openVhdx({
      size: source.size,
      readInto: async (target, offset, options) => {
        if (stalled) await never;
        await source.readInto(target, offset, options);
      },
    });
    stalled = true;
    const reading = disk.read(0, 512);
    await disk.close();
    answer();
    expect(
      await reading.then(
        () => 'read',
        ({ code }) => code,
      ),
    ).toMatch(/^(read|closed)$/);
  });
});

describe('a check of an open disk', () => {
  test('scans the BAT that opening did not scan, once, and finds what opening would have found', async () => {
    // Just over the megabyte that is checked at open.
    const long = buildImage({ virtualSize: 129 * 1024 * MiB, blocks: { 0: present(1) }, bat: { 131500: 4n } });
    const source = long.source();
    const disk = await openVhdx(source);
    expect(disk.findings).toEqual([]);
    const [first, second] = [await disk.check(), await disk.check()];
    expect(first.findings).toMatchObject([{ code: 'bat-reserved-state', facts: { batEntry: 131_500 } }]);
    expect(second).toEqual(first);
    expect(batReads(long, source.reads)).toBe(17);
  });

  test('lists each finding of the BAT once, whether or not opening listed it', async () => {
    const damaged = buildImage({ blocks: { 1: present(1) }, bat: { 0: 4n, 1: 6n } });
    const disk = await openVhdx(damaged.source());
    const { findings } = await disk.check();
    expect(findings).toEqual(disk.findings);
    expect(findings.map(({ facts }) => facts)).toEqual([
      { batEntry: 0, block: 0, range: { offset: 0, length: MiB } },
      { batEntry: 1, block: 1, range: { offset: MiB, length: MiB } },
    ]);
  });
});

describe('a read', () => {
  let core: Core;
  beforeAll(async () => {
    core = await loadCore();
  });
  afterEach(() => {
    vi.restoreAllMocks();
  });

  const openChain = async () => {
    const disk = await openVhdx(child.source(), { parent: parent.source(), ignoreParentMismatch: true });
    return { disk, translate: vi.spyOn(core.exports, 'translate'), split: vi.spyOn(core.exports, 'splitPartial') };
  };

  test('of one block translates once', async () => {
    const { disk, translate } = await openChain();
    await disk.read(2 * MiB + 4096, 4096);
    expect(translate).toHaveBeenCalledTimes(1);
  });

  test('that falls through to the parent translates once in each of them', async () => {
    const { disk, translate } = await openChain();
    await disk.read(MiB, 4096);
    expect(translate).toHaveBeenCalledTimes(2);
  });

  test('of several blocks of both translates once in each, but for the pieces of the parent', async () => {
    const { disk, translate } = await openChain();
    await disk.read(MiB + 4096, 2 * MiB - 4096);
    expect(translate).toHaveBeenCalledTimes(2);
  });

  test('of a partially present block translates once and looks into the bitmap once', async () => {
    const { disk, translate, split } = await openChain();
    await disk.read(3 * MiB, 512);
    translate.mockClear();
    split.mockClear();
    await disk.read(3 * MiB, 512);
    expect([translate.mock.calls.length, split.mock.calls.length]).toEqual([1, 1]);
  });
});

describe('the error of a read of a damaged place', () => {
  test('has the facts of the finding', async () => {
    const damaged = buildImage({ blocks: {}, virtualSize: 7 * MiB + 4096, bat: { 7: 4n } });
    const disk = await openVhdx(damaged.source());
    const facts = { batEntry: 7, block: 7, range: { offset: 7 * MiB, length: 4096 } };
    expect(disk.findings).toMatchObject([{ code: 'bat-reserved-state', facts }]);
    await expect(disk.read(7 * MiB + 512, 512)).rejects.toMatchObject({ code: 'bat-reserved-state', facts });
  });

  test('names the chunk of a sector bitmap block that is missing, and the range that depends on it', async () => {
    const damaged = buildImage({ ...child.spec, bat: { [child.layout.batIndexOfBitmap(0)]: 0n } });
    const disk = await openVhdx(damaged.source(), { parent: false });
    const facts = { batEntry: child.layout.batIndexOfBitmap(0), chunk: 0, range: { offset: 0, length: disk.size } };
    await expect(disk.read(3 * MiB, 512)).rejects.toMatchObject({ code: 'bitmap-missing', facts });
    expect(disk.findings.find(({ code }) => code === 'bitmap-missing')).toMatchObject({ facts });
  });

  test('names the range whose parent is not available', async () => {
    const disk = await openVhdx(child.source(), { parent: false });
    const facts = { range: { offset: MiB, length: 512 } };
    await expect(disk.read(MiB, 512)).rejects.toMatchObject({ code: 'parent-missing', facts });
  });
});

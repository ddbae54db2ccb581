// What a check finds out about the places of blocks: shared, outside of the file, taken by structures, or lost.
import { describe, expect, test } from 'vitest';
import { type CheckReport, checkVhdx } from '../../src/index.js';
import { pattern, sectorBits } from '../support/block-content.js';
import { type BuiltImage, buildImage } from '../support/build-image.js';
import { GiB, KiB, MiB } from '../support/encode-primitives.js';
import { type BlockSpec, type ImageSpec, STATE } from '../support/image-spec.js';

const present = (seed: number): BlockSpec => ({ state: STATE.fullyPresent, data: pattern(seed) });
const at = (offset: number): BlockSpec => ({ state: STATE.fullyPresent, offset });
const partial = (bits: Uint8Array): BlockSpec => ({ ...present(9), state: STATE.partiallyPresent, bitmap: bits });
const sixBlocks = Object.fromEntries([0, 1, 2, 3, 4, 5].map((block) => [block, present(block)]));

const check = (image: BuiltImage): Promise<CheckReport> => checkVhdx(image.source(), { parent: false });
/** What a check of a spec's image finds: code and entry of each, but for the parent that nobody looked for. */
async function found(spec: ImageSpec): Promise<string[]> {
  const { findings } = await check(buildImage(spec));
  return findings.filter(({ code }) => code !== 'parent-missing').map(({ code, structure }) => `${code}: ${structure}`);
}

describe('a sound image', () => {
  test('has no findings, and its blocks are counted', async () => {
    const states = { 0: present(0), 1: { state: 1 }, 2: { state: 2 }, 3: { state: 3 }, 5: present(1) };
    const image = buildImage({ blocks: states });
    const report = await checkVhdx(image.source({ name: 'disk.vhdx' }));
    expect(report).toEqual({
      status: 'sound',
      name: 'disk.vhdx',
      fileSize: image.size,
      findings: [],
      counts: { fatal: 0, block: 0, warning: 0, info: 0 },
      unlisted: {},
      info: expect.objectContaining({ type: 'dynamic', virtualSize: 8 * MiB }),
      blocks: {
        payloadBlocks: 8,
        notPresent: 3,
        undefined: 1,
        zero: 1,
        unmapped: 1,
        fullyPresent: 2,
        partiallyPresent: 0,
        sectorBitmaps: 0,
        damaged: 0,
        storedBytes: 2 * MiB,
        leakedBytes: 0,
      },
    });
    expect(JSON.parse(JSON.stringify(report))).toEqual(report);
  });

  test('of many chunks, with sector bitmaps', async () => {
    const blocks = Object.fromEntries([0, 4095, 4096, 8191].map((block) => [block, partial(sectorBits(2048, [0, 5]))]));
    const { blocks: counts, findings } = await check(
      buildImage({ type: 'differencing', virtualSize: 9 * GiB, blocks }),
    );
    expect(findings.map(({ code }) => code)).toEqual(['parent-missing']);
    expect(counts).toMatchObject({ partiallyPresent: 4, sectorBitmaps: 2, notPresent: 9 * 1024 - 4, leakedBytes: 0 });
  });
});

/** The findings of blocks that share a place, by their BAT entries. */
const sharing = (...entries: number[]): string[] => entries.map((entry) => `bat-block-overlap: BAT entry ${entry}`);

describe('places that two claim', () => {
  test('two blocks in one place are two findings, each with its entry and the place of that', async () => {
    const image = buildImage({ blocks: { 1: at(8 * MiB), 2: present(0), 6: at(8 * MiB) } });
    const { status, findings } = await check(image);
    expect(status).toBe('corrupt');
    expect(findings.filter(({ code }) => code !== 'leaked-space')).toEqual(
      [1, 6].map((block) => ({
        code: 'bat-block-overlap',
        severity: 'block',
        structure: `BAT entry ${block}`,
        offset: image.layout.batEntryOffset(block),
        facts: { batEntry: block, block, range: { offset: block * MiB, length: MiB } },
        message: expect.stringMatching(new RegExp(`payload block ${block} .*0x800000`)),
        spec: '2.5.1',
      })),
    );
  });

  test('three in one place are three findings', async () => {
    const blocks = { 1: at(4 * MiB), 2: at(4 * MiB), 3: at(4 * MiB) };
    expect(await found({ blocks })).toEqual(sharing(1, 2, 3));
  });

  for (const [first, second] of [
    [4, 5],
    [5, 4],
    [4, 7],
    [7, 4],
  ] as const) {
    test(`blocks of 4 MiB that begin at ${first} and ${second} MiB`, async () => {
      const blocks = { 0: at(first * MiB), 1: at(second * MiB) };
      expect(await found({ blockSize: 4 * MiB, blocks })).toEqual(sharing(0, 1));
    });
  }

  test('blocks that touch share nothing', async () => {
    expect(await found({ blockSize: 4 * MiB, blocks: { 0: at(8 * MiB), 1: at(4 * MiB) } })).toEqual([]);
  });

  test('a block of the second chunk on one of the first is named by its entry and its number', async () => {
    const spec: ImageSpec = { virtualSize: 5 * GiB, blocks: { 4095: at(4 * MiB), 4097: at(4 * MiB) } };
    const { findings } = await check(buildImage(spec));
    expect(findings).toMatchObject([
      { structure: 'BAT entry 4095', message: expect.stringContaining('payload block 4095') },
      { structure: 'BAT entry 4098', message: expect.stringContaining('payload block 4097') },
    ]);
  });

  test('a sector bitmap block on a block, and on another one', async () => {
    const blocks = { 0: partial(sectorBits(2048)), 4096: partial(sectorBits(2048)), 4097: present(1) };
    const spec: ImageSpec = { type: 'differencing', virtualSize: 5 * GiB, blocks };
    const { layout } = buildImage(spec);
    const [one, two] = [layout.batIndexOfBitmap(0), layout.batIndexOfBitmap(1)];
    const moved = (offset: number): ImageSpec => ({ ...spec, bat: { [two]: BigInt(offset) | 6n } });
    expect(await found(moved(layout.blockOffset(0)))).toEqual(sharing(0, two));
    expect(await found(moved(layout.bitmapOffset(0)))).toEqual(sharing(one, two));
    expect(await found({ ...spec, bat: { [one]: BigInt(layout.bitmapOffset(1)) | 6n } })).toEqual(sharing(one, two));
  });

  for (const structure of ['log', 'metadata', 'bat'] as const) {
    test(`a block on the ${structure}, wholly or by its end`, async () => {
      const spec: ImageSpec = {
        places: { log: { offset: 9 * MiB }, metadata: { offset: 12 * MiB }, bat: { offset: 15 * MiB } },
        blockSize: 2 * MiB,
        firstBlockOffset: 20 * MiB,
      };
      const { offset } = buildImage(spec).layout[structure];
      for (const place of [offset, offset - MiB]) {
        const { status, findings } = await check(buildImage({ ...spec, blocks: { 0: present(0), 3: at(place) } }));
        expect(status).toBe('corrupt');
        const name = structure === 'log' ? 'log' : `${structure === 'bat' ? 'BAT' : structure} region`;
        expect(findings[0]).toMatchObject({
          code: 'bat-overlap-structure',
          severity: 'block',
          structure: 'BAT entry 3',
        });
        expect(findings[0]?.message).toContain(`overlaps the ${name}`);
      }
    });
  }

  test('a block on a region that nobody knows', async () => {
    const unknown = { id: 'a3e1f2c4-5b60-4d7e-8f90-112233445566', offset: 30 * MiB, length: MiB, flags: 0 };
    const spec: ImageSpec = { regions: (plain) => [...plain, unknown], blocks: { 0: at(30 * MiB), 1: at(29 * MiB) } };
    expect(await found({ ...spec, fileSize: 31 * MiB })).toEqual(['bat-overlap-structure: BAT entry 0']);
  });

  test('a block in the header section', async () => {
    for (const entry of [6n, 0x000_0000_0000_0006n]) {
      expect(await found({ blocks: {}, bat: { 2: entry } })).toEqual(['bat-offset-missing: BAT entry 2']);
    }
  });
});

describe('places outside of the file', () => {
  test('a block behind the end, across the end, and by one byte too long', async () => {
    const spec: ImageSpec = { blocks: sixBlocks };
    const past = (...blocks: number[]) => blocks.map((block) => `bat-past-end: BAT entry ${block}`);
    expect(await found({ ...spec, fileSize: (end) => end - 1 })).toEqual(past(5));
    expect(await found({ ...spec, fileSize: (end) => end - MiB - 1 })).toEqual(past(4, 5));
    expect(await found({ ...spec, fileSize: (end) => end - 3 * MiB })).toEqual(past(3, 4, 5));
    expect(await found({ ...spec, bat: { 7: (1n << 40n) | 6n } })).toEqual(past(7));
    expect(await found({ ...spec, bat: { 7: (1n << 62n) | 6n } })).toEqual(['bat-offset-range: BAT entry 7']);
  });

  test('where the file ends inside of MiBs, blocks that share its end are found', async () => {
    const blocks = { 0: at(4 * MiB), 7: at(4 * MiB) };
    const codes = await found({ virtualSize: 7 * MiB + 512, blocks, fileSize: 4 * MiB + 512 });
    expect(codes.filter((code) => code !== 'bat-past-end: BAT entry 0')).toEqual(sharing(0, 7));
    expect(codes).toContain('bat-past-end: BAT entry 0');
  });

  test('damaged blocks are counted once each', async () => {
    const bat = { 0: 4n, 1: 6n, 2: (1n << 62n) | 6n, 3: (1n << 40n) | 6n, 4: BigInt(MiB) | 7n };
    const { blocks } = await check(buildImage({ blocks: {}, bat }));
    expect(blocks?.damaged).toBe(5);
    const onLog = await check(buildImage({ blocks: {}, bat: { 0: BigInt(MiB) | 6n } }));
    expect(onLog.blocks?.damaged).toBe(1);
  });
});

describe('lost space', () => {
  const leaked = async (spec: ImageSpec) => (await check(buildImage(spec))).blocks?.leakedBytes;

  test('space between blocks that nothing refers to is told as such, and repairable', async () => {
    const { status, findings, blocks } = await check(buildImage({ blocks: { 0: at(4 * MiB), 1: at(9 * MiB) } }));
    expect(blocks?.leakedBytes).toBe(4 * MiB);
    expect(status).toBe('repairable');
    expect(findings).toMatchObject([
      { code: 'leaked-space', severity: 'warning', message: expect.stringContaining(String(4 * MiB)) },
    ]);
  });

  test('so is space behind the last block, but not the last bytes of a MiB', async () => {
    expect(await leaked({ blocks: sixBlocks, fileSize: (end) => end + 7 * MiB + 4096 })).toBe(7 * MiB);
    expect(await leaked({ blocks: sixBlocks, fileSize: (end) => end + 512 })).toBe(0);
  });

  test('the place of a block that is zero or not present is lost', async () => {
    const freed = (state: number) => ({ ...sixBlocks, 3: { ...present(3), state } });
    expect(await leaked({ blocks: freed(STATE.notPresent) })).toBe(MiB);
    expect(await leaked({ blocks: freed(STATE.zero) })).toBe(MiB);
  });

  test('rule 66: the place of a block that is undefined or unmapped is still its own', async () => {
    const anchored = (state: number) => ({ ...sixBlocks, 3: { ...present(3), state } });
    expect(await found({ blocks: anchored(STATE.undefined) })).toEqual([]);
    expect(await found({ blocks: anchored(STATE.unmapped) })).toEqual([]);
  });

  test('rule 66: so is all of the place of a last block that the disk cuts short', async () => {
    const spec: ImageSpec = { blockSize: 4 * MiB, virtualSize: 8 * MiB + 64 * KiB };
    const blocks = { 0: present(0), 2: { ...present(2), state: STATE.unmapped } };
    expect(await found({ ...spec, blocks })).toEqual([]);
    expect(await found({ ...spec, blocks: { 0: present(0), 2: present(2) } })).toEqual([]);
  });

  test('the hole that QEMU leaves before the first block is not lost', async () => {
    expect(await found({ habits: 'qemu', blocks: sixBlocks })).toEqual([]);
    expect(await found({ blocks: {}, fileSize: 64 * MiB })).toEqual([]);
  });

  test('log, regions and sector bitmaps behind blocks are not lost', async () => {
    const places = { log: { offset: 40 * MiB }, metadata: { offset: 41 * MiB }, bat: { offset: 42 * MiB } };
    expect(await leaked({ places, firstBlockOffset: MiB, blocks: sixBlocks })).toBe(33 * MiB);
    const blocks = { 0: partial(sectorBits(2048)) };
    expect(await leaked({ type: 'differencing', placement: 'reverse', blocks })).toBe(0);
  });

  test('in a file longer than the map of its space, what many blocks far behind hold is not lost', async () => {
    // The map covers 2 TiB at a time.
    const far = 17 * 2 ** 40;
    const blocks = { 0: at(4 * MiB), 1: at(far), 2: at(far + MiB), 3: at(far) };
    const report = await check(buildImage({ blocks }));
    expect(report.findings.map(({ code, structure }) => `${code}: ${structure}`)).toEqual([
      ...sharing(1, 3),
      'leaked-space: file',
    ]);
    expect(report.blocks?.leakedBytes).toBe(far - 5 * MiB);
  });

  test('nor what sector bitmaps and unmapped blocks far behind hold', async () => {
    const far = 17 * 2 ** 40;
    const spec: ImageSpec = { type: 'differencing', blocks: { 0: partial(sectorBits(2048)) } };
    const bitmap = buildImage(spec).layout.batIndexOfBitmap(0);
    const moved = { ...spec, bat: { [bitmap]: BigInt(far) | 6n, 2: BigInt(far + MiB) | 3n }, fileSize: far + 2 * MiB };
    // From the end of the one block on: the bitmap's old place lies before it.
    expect(await leaked(moved)).toBe(far - 6 * MiB);
  });
});

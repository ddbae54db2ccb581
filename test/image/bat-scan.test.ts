// A scan of a file that is longer than its map of 2 TiB, and what a scan costs when an image wants it to be much.
import { describe, expect, test } from 'vitest';
import { checkVhdx, openVhdx } from '../../src/index.js';
import { pattern } from '../support/block-content.js';
import { buildImage } from '../support/build-image.js';
import { GiB, MiB, TiB } from '../support/encode-primitives.js';
import { type BlockSpec, STATE } from '../support/image-spec.js';

const at = (offset: number): BlockSpec => ({ state: STATE.fullyPresent, offset });
const inShared = (entry: number) => ({ code: 'bat-block-overlap', severity: 'block', facts: { batEntry: entry } });

describe('a file longer than the map', () => {
  const far = 2 * TiB;

  test('has blocks that share a place on the border of two parts, once each', async () => {
    // The first part of the map ends inside of blocks 1 and 2, and between the last two.
    const blocks = { 0: at(8 * MiB), 1: at(far - 8 * MiB), 2: at(far - 24 * MiB), 3: at(far + 64 * MiB) };
    const image = buildImage({ blockSize: 32 * MiB, virtualSize: 256 * MiB, blocks, fileSize: 5 * TiB });
    const { findings, blocks: counts } = await checkVhdx(image.source());
    expect(findings.filter(({ code }) => code !== 'leaked-space')).toMatchObject([inShared(1), inShared(2)]);
    expect(counts).toMatchObject({ damaged: 2, leakedBytes: 5 * TiB - 8 * MiB - 2 * 32 * MiB - 48 * MiB });
  });

  test('has shared places in each of its parts, and reads of those alone reject', async () => {
    const places = [8 * MiB, far - MiB, far, 2 * far - MiB, 2 * far, 7 * TiB];
    const twice = places.flatMap((place, i) => [
      [3 * i, at(place)],
      [3 * i + 1, at(place)],
      [3 * i + 2, at(place + 512 * MiB)],
    ]);
    const image = buildImage({ virtualSize: 64 * MiB, blocks: Object.fromEntries(twice) });
    const disk = await openVhdx(image.source());
    const shared = disk.findings.map(({ facts }) => facts?.block);
    expect(shared).toEqual([0, 1, 3, 4, 6, 7, 9, 10, 12, 13, 15, 16]);
    for (let block = 0; block < 18; block++) {
      const read = disk.read(block * MiB, 512);
      if (shared.includes(block)) await expect(read).rejects.toMatchObject({ facts: { block } });
      else expect(await read).toHaveLength(512);
    }
  });

  test('of which nothing but the ends is used has one gap that is lost', async () => {
    const image = buildImage({ blocks: { 0: at(8 * MiB), 1: at(60 * TiB) } });
    const { blocks } = await checkVhdx(image.source());
    expect(blocks).toMatchObject({ leakedBytes: 60 * TiB - 9 * MiB, storedBytes: 2 * MiB });
  });
});

// What took time for each pair of blocks would not end within the time that a spec has.
describe('a hostile image', () => {
  test('with hundreds of thousands of blocks in one place is checked, and stores one block', async () => {
    const image = buildImage({
      virtualSize: 256 * GiB,
      blocks: { 0: { state: STATE.fullyPresent, data: pattern(1) } },
    });
    const entry = image.read(image.layout.batEntryOffset(0), 8);
    const page = new Uint8Array(MiB);
    for (let place = 0; place < page.length; place += 8) page.set(entry, place);
    for (let i = 0; i < 2; i++) image.write(image.layout.bat.offset + i * MiB, page);
    const { blocks, counts, findings, unlisted } = await checkVhdx(image.source());
    // Of the entries that were written, 63 are those of sector bitmap blocks, which a disk without a parent has not.
    const present = 256 * 1024 - 63;
    expect(blocks).toMatchObject({ storedBytes: MiB, damaged: present, fullyPresent: present });
    expect(counts).toMatchObject({ block: present, warning: 63 });
    expect(findings).toHaveLength(1000 + 63);
    expect(unlisted).toEqual({ 'bat-block-overlap': present - 1000 });
  });

  test('whose blocks are spread over a file of 64 TiB is checked', async () => {
    // A megabyte of entries, each a block of 256 MiB, all over the file; it says no more than that.
    const entries = 131_072;
    const image = buildImage({ blockSize: 256 * MiB, virtualSize: 32 * TiB, blocks: {}, fileSize: 64 * TiB });
    const bat = new DataView(new ArrayBuffer(8 * entries));
    for (let i = 0; i < entries; i++)
      bat.setBigUint64(8 * i, BigInt((16 + ((i * 7919) % (60 * 1024)) * 1024) * MiB) | 6n, true);
    image.write(image.layout.bat.offset, new Uint8Array(bat.buffer));
    const { status, blocks } = await checkVhdx(image.source());
    expect(status).toBe('corrupt');
    expect(blocks?.storedBytes).toBeLessThan(64 * TiB);
  });
});

import { describe, expect, test } from 'vitest';
import { compareDisks, type Extent, openVhdx, type RandomAccessSource } from '../../src/index.js';
import { pattern } from '../support/block-content.js';
import { buildImage } from '../support/build-image.js';
import { modelOf } from '../support/disk-model.js';
import { MiB } from '../support/encode-primitives.js';
import { type ImageSpec, STATE } from '../support/image-spec.js';

const blocks = {
  0: { state: STATE.fullyPresent, data: pattern(0) },
  3: { state: STATE.fullyPresent, data: pattern(3) },
  5: { state: STATE.fullyPresent, data: 0 },
};
const open = async (spec: ImageSpec) => openVhdx(buildImage(spec).source());

/** The same disk with one byte changed. */
const changed = (block: 0 | 3 | 5, place: number): ImageSpec => {
  const data = (offset: number, length: number) => {
    const bytes = modelOf(buildImage({ blocks })).expected(block * MiB + offset, length);
    const at = place - offset;
    if (at >= 0 && at < length) bytes[at] = (bytes[at] as number) ^ 1;
    return bytes;
  };
  return { blocks: { ...blocks, [block]: { state: STATE.fullyPresent, data } } };
};

describe('comparing disks', () => {
  test('a disk is the same as itself, however it is laid out', async () => {
    const plain = await open({ blocks });
    for (const other of [
      await open({ blocks, placement: 'reverse' }),
      await open({ blocks, blockSize: 2 * MiB, type: 'fixed' }).catch(() => undefined),
      await open({ blocks: { 0: blocks[0], 3: blocks[3], 5: { state: STATE.zero } } }),
      await open({ blocks: { 0: blocks[0], 3: blocks[3] } }),
    ]) {
      if (other && other.blockSize === plain.blockSize) expect(await compareDisks(plain, other)).toBeUndefined();
    }
  });

  test.each([
    [0, 0],
    [0, 1],
    [0, MiB - 1],
    [3, 77_777],
    [3, 524_288],
    [5, 12_345],
  ] as const)('a byte that differs in block %i is found at its place %i', async (block, place) => {
    const [a, b] = [await open({ blocks }), await open(changed(block, place))];
    expect(await compareDisks(a, b)).toBe(block * MiB + place);
    expect(await compareDisks(b, a)).toBe(block * MiB + place);
  });

  test('data against a hole is compared with zeros', async () => {
    const [a, b] = [await open({ blocks: { 0: blocks[0] } }), await open({ blocks: { 0: blocks[0], 3: blocks[3] } })];
    const first = modelOf(buildImage({ blocks }))
      .expected(3 * MiB, MiB)
      .findIndex((byte) => byte !== 0);
    expect(await compareDisks(a, b)).toBe(3 * MiB + first);
  });

  test('a disk is the same as its raw bytes', async () => {
    const image = buildImage({ blocks });
    const disk = await openVhdx(image.source());
    const raw = modelOf(image).expected(0, disk.size);
    const source = {
      size: raw.length,
      readInto: async (target: Uint8Array, offset: number) => target.set(raw.subarray(offset, offset + target.length)),
    };
    expect(await compareDisks(disk, source)).toBeUndefined();
    raw[7 * MiB] = 1;
    expect(await compareDisks(disk, source)).toBe(7 * MiB);
    expect(await compareDisks(source, disk)).toBe(7 * MiB);
  });

  test('where one ends before the other, it counts as zeros', async () => {
    const [short, long] = [await open({ blocks: { 0: blocks[0] }, virtualSize: 2 * MiB }), await open({ blocks })];
    const empty = await open({ blocks: { 0: blocks[0] } });
    expect(await compareDisks(short, empty)).toBeUndefined();
    expect(await compareDisks(short, long)).toBeGreaterThanOrEqual(3 * MiB);
  });

  test('holes on both sides are not read', async () => {
    const image = buildImage({ blocks, virtualSize: 4096 * MiB });
    const source = image.source();
    const [a, b] = [await openVhdx(source), await open({ blocks, virtualSize: 4096 * MiB })];
    expect(await compareDisks(a, b)).toBeUndefined();
    expect(source.bytesRead).toBeLessThan(6 * MiB);
  });

  describe('a source of the caller that knows its holes', () => {
    const raw = modelOf(buildImage({ blocks })).expected(0, 8 * MiB);
    /** Stores what is not zero; a read of anything else is told. */
    const sparse = (kinds: readonly Extent['kind'][], lengths: readonly number[]) => {
      const reads: number[] = [];
      const source: RandomAccessSource = {
        size: raw.length,
        readInto: async (target, offset) => {
          reads.push(offset);
          target.set(raw.subarray(offset, offset + target.length));
        },
        async *extents() {
          let offset = 0;
          for (const [i, kind] of kinds.entries()) {
            const length = lengths[i] as number;
            yield { offset, length, kind, depth: 0 };
            offset += length;
          }
        },
      };
      return { source, reads };
    };

    test('is read where it has data, and nowhere else', async () => {
      const disk = await open({ blocks: { 0: blocks[0], 3: blocks[3] } });
      const kinds = ['data', 'unmapped', 'data', 'zero'] as const;
      const { source, reads } = sparse(kinds, [MiB, 2 * MiB, MiB, 4 * MiB]);
      expect(await compareDisks(disk, source)).toBeUndefined();
      expect(await compareDisks(source, disk)).toBeUndefined();
      expect(new Set(reads.map((offset) => Math.floor(offset / MiB)))).toEqual(new Set([0, 3]));
    });

    test('is refused if its extents leave something out', async () => {
      const disk = await open({ blocks });
      for (const lengths of [[MiB], [MiB, 0, 7 * MiB], [9 * MiB]]) {
        const { source } = sparse(['data', 'data', 'data'].slice(0, lengths.length) as Extent['kind'][], lengths);
        await expect(compareDisks(disk, source)).rejects.toMatchObject({ code: 'unsupported-input' });
        await expect(compareDisks(source, disk)).rejects.toMatchObject({ code: 'unsupported-input' });
      }
    });
  });

  test('a read that fails rejects, and so does giving up', async () => {
    const [a, b] = [await open({ blocks, bat: { 3: 4n } }), await open({ blocks })];
    await expect(compareDisks(a, b)).rejects.toMatchObject({ code: 'bat-reserved-state' });
    const named = Object.assign(a, { name: 'a.vhdx' });
    const told = { file: 'a.vhdx', structure: 'BAT entry 3' };
    await expect(compareDisks(named, b)).rejects.toMatchObject(told);
    await expect(compareDisks(b, named)).rejects.toMatchObject(told);
    await expect(compareDisks(b, a, { signal: AbortSignal.abort() })).rejects.toThrow();
    await expect(compareDisks(b, b)).resolves.toBeUndefined();
  });
});

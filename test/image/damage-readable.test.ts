// A damaged disk is readable where it is sound: by reads, streams, extents and checksums alike.
import { describe, expect, test } from 'vitest';
import type { Extent, VhdxDisk, VhdxError } from '../../src/index.js';
import { pattern } from '../support/block-content.js';
import { buildImage } from '../support/build-image.js';
import { crc32cReference } from '../support/crc32c-reference.js';
import { modelOf } from '../support/disk-model.js';
import { concatBytes, MiB } from '../support/encode-primitives.js';
import { expectContent, expectRefused } from '../support/expect-opening.js';
import { type BlockSpec, STATE } from '../support/image-spec.js';
import { expectSameBytes } from '../support/same-bytes.js';
import { openVhdx } from '../support/two-doors.js';

const present = (seed: number): BlockSpec => ({ state: STATE.fullyPresent, data: pattern(seed) });
const whole = buildImage({
  virtualSize: 16 * MiB,
  blocks: Object.fromEntries(Array.from({ length: 16 }, (_, block) => [block, present(block)])),
});
const model = modelOf(whole);
/** Block 3 has no possible state, block 7 lies in the log, and of block 11 the file holds the first half. */
const damaged = whole.clone();
damaged.write(whole.layout.blockEntryOffset(3), Uint8Array.of(4));
damaged.write(whole.layout.blockEntryOffset(7), Uint8Array.of(6, 0, 0x10, 0, 0, 0, 0, 0));
damaged.write(whole.layout.blockEntryOffset(11), whole.read(whole.layout.blockEntryOffset(15), 8));
damaged.write(whole.layout.blockEntryOffset(15), new Uint8Array(8));
damaged.truncate(damaged.size - MiB / 2);

/** Block 11 has got the last block's data, and the last block none. */
const content = model.expected(0, model.size);
content.copyWithin(11 * MiB, 15 * MiB, 16 * MiB).fill(0, 15 * MiB);
const expected = (offset: number, length: number): Uint8Array => content.slice(offset, offset + length);
const open = () => openVhdx(damaged.source());

async function collect(
  disk: VhdxDisk,
  range: { offset?: number; length?: number },
): Promise<{ bytes: Uint8Array; error: unknown }> {
  const chunks: Uint8Array[] = [];
  try {
    for await (const chunk of disk.stream(range)) chunks.push(chunk);
    return { bytes: concatBytes(...chunks), error: undefined };
  } catch (error) {
    return { bytes: concatBytes(...chunks), error };
  }
}

describe('a disk with three damaged blocks', () => {
  test('opens, and names them', async () => {
    const { findings } = await open();
    expect(findings.map(({ severity, code, structure }) => [severity, code, structure])).toEqual([
      ['block', 'bat-reserved-state', 'BAT entry 3'],
      ['block', 'bat-overlap-structure', 'BAT entry 7'],
      ['block', 'bat-past-end', 'BAT entry 11'],
    ]);
    await expectRefused(damaged, ['bat-reserved-state'], { strict: true });
  });

  test('reads right everywhere else, up to the byte', async () => {
    const disk = await open();
    await expectContent(disk, { size: model.size, expected }, new Set([3, 7, 11]));
    for (const [offset, length] of [
      [0, 3 * MiB],
      [4 * MiB, 3 * MiB],
      [8 * MiB, 3.5 * MiB],
      [11 * MiB, MiB / 2],
      [12 * MiB, 4 * MiB],
    ] as const) {
      expectSameBytes(await disk.read(offset, length), expected(offset, length));
    }
  });

  for (const [offset, length, code] of [
    [3 * MiB - 1, 2, 'bat-reserved-state'],
    [4 * MiB - 1, 1, 'bat-reserved-state'],
    [0, 16 * MiB, 'bat-reserved-state'],
    [7 * MiB + 4096, 512, 'bat-overlap-structure'],
    [11.5 * MiB - 1, 2, 'bat-past-end'],
    [12 * MiB - 1, 1, 'bat-past-end'],
  ] as const) {
    test(`a read of ${length} bytes at ${offset} rejects with what is wrong, and where`, async () => {
      const disk = await open();
      const error = await disk.read(offset, length).catch((reason: unknown) => reason);
      expect(error).toMatchObject({ name: 'VhdxError', code, structure: expect.stringMatching(/^BAT entry \d+$/) });
      expect((error as { offset: number }).offset).toBeGreaterThanOrEqual(whole.layout.bat.offset);
      await expect(disk.checksum({ offset, length })).rejects.toMatchObject({ code });
    });
  }

  test('a read tells of the same block at the same place as a check, wherever in the block it is', async () => {
    const disk = await open();
    const { findings } = await disk.check();
    for (const offset of [7 * MiB + 4096, 11.5 * MiB, 12 * MiB - 1]) {
      const { structure, message } = (await disk.read(offset, 1).catch((reason: unknown) => reason)) as VhdxError;
      const found = findings.find((finding) => finding.structure === structure);
      const place = /^(payload block \d+) .*?(at 0x[\da-f]+) /.exec(found?.message ?? '');
      expect(message).toContain(`${structure}: ${place?.[1]} ${place?.[2]} `);
    }
  });

  test('extents show the damage, and what they call damaged is what cannot be read', async () => {
    const disk = await open();
    const extents: Extent[] = [];
    for await (const extent of disk.extents()) extents.push(extent);
    expect(extents.filter(({ kind }) => kind === 'damaged')).toEqual([
      { offset: 3 * MiB, length: MiB, kind: 'damaged', depth: 0, code: 'bat-reserved-state' },
      { offset: 7 * MiB, length: MiB, kind: 'damaged', depth: 0, code: 'bat-overlap-structure' },
      { offset: 11.5 * MiB, length: MiB / 2, kind: 'damaged', depth: 0, code: 'bat-past-end' },
    ]);
    for (const { offset, length, kind, code } of extents) {
      if (kind === 'damaged') await expect(disk.read(offset, length)).rejects.toMatchObject({ code });
      else expectSameBytes(await disk.read(offset, length), expected(offset, length));
    }
  });

  test('a stream delivers what comes before the damage, and then says what is wrong', async () => {
    const { bytes, error } = await collect(await open(), { offset: MiB + 17 });
    expect(error).toMatchObject({ code: 'bat-reserved-state' });
    expect(bytes.length).toBeGreaterThan(0);
    expect(bytes.length).toBeLessThanOrEqual(2 * MiB - 17);
    expectSameBytes(bytes, expected(MiB + 17, bytes.length));
  });

  test('streams and checksums of sound parts are as they should be', async () => {
    const disk = await open();
    const { bytes, error } = await collect(disk, { offset: 4 * MiB, length: 3 * MiB });
    expect(error).toBeUndefined();
    expectSameBytes(bytes, expected(4 * MiB, 3 * MiB));
    expect(await disk.checksum({ offset: 4 * MiB, length: 3 * MiB })).toBe(crc32cReference(bytes));
  });
});

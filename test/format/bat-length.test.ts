// Rules 56 and 57: how many entries the BAT has.
import { describe, expect, test } from 'vitest';
import { openVhdx } from '../../src/index.js';
import { pattern } from '../support/block-content.js';
import { buildImage } from '../support/build-image.js';
import { GiB, KiB, MiB } from '../support/encode-primitives.js';
import { expectRefused, expectSound } from '../support/expect-opening.js';
import { type BlockSpec, type ImageSpec, STATE } from '../support/image-spec.js';

const present = (seed: number): BlockSpec => ({ state: STATE.fullyPresent, data: pattern(seed) });

describe('the length of the BAT', () => {
  // 131072 entries fit into 1 MiB.
  const oneMiB = { places: { bat: { length: MiB } }, blocks: { 5: present(5) } };
  const entries = 131072;
  const bitmaps = 31;

  test('rule 56: a BAT in which the last block has just room is read', async () => {
    await expectSound(buildImage({ ...oneMiB, virtualSize: (entries - bitmaps) * MiB }));
  });

  test('rule 56: a BAT with one entry too few is refused', async () => {
    await expectRefused(buildImage({ ...oneMiB, virtualSize: (entries - bitmaps) * MiB + 512 }), 'bat-too-short');
    await expectRefused(buildImage({ ...oneMiB, virtualSize: 2 ** 45 }), 'bat-too-short');
  });

  test('rule 56: a differencing disk needs the entries of the last chunk to its end', async () => {
    const spec: ImageSpec = { ...oneMiB, blocks: {}, virtualSize: (entries - bitmaps) * MiB };
    await expectRefused(buildImage({ ...spec, type: 'differencing' }), 'bat-too-short', { parent: false });
  });

  // Worked out by hand from [MS-VHDX] 2.5: chunk ratio, payload blocks, entries without and with a parent.
  const computed = [
    [MiB, MiB, 512, 4096, 1, 1, 4097],
    [4 * GiB, MiB, 512, 4096, 4096, 4096, 4097],
    [4 * GiB + 512, MiB, 512, 4096, 4097, 4098, 8194],
    [GiB, 32 * MiB, 512, 128, 32, 32, 129],
    [10 * GiB, MiB, 512, 4096, 10240, 10242, 12291],
    [127 * GiB, 32 * MiB, 512, 128, 4064, 4095, 4128],
    [2048 * GiB, 2 * MiB, 512, 2048, 1048576, 1049087, 1049088],
    [65536 * GiB, MiB, 512, 4096, 67108864, 67125247, 67125248],
    [65536 * GiB, 256 * MiB, 512, 16, 262144, 278527, 278528],
    [65536 * GiB, MiB, 4096, 32768, 67108864, 67110911, 67110912],
    [32 * GiB + 4 * KiB, MiB, 4096, 32768, 32769, 32770, 65538],
  ] as const;
  for (const [virtualSize, blockSize, logicalSectorSize, chunkRatio, payloadBlocks, alone, withParent] of computed) {
    const title = `${virtualSize} bytes in blocks of ${blockSize / MiB} MiB and sectors of ${logicalSectorSize} bytes`;
    test(`rule 56: ${title} need ${alone} entries, with a parent ${withParent}`, async () => {
      const spec: ImageSpec = { virtualSize, blockSize, logicalSectorSize, blocks: {} };
      const disk = await openVhdx(buildImage(spec).source());
      expect(disk.info).toMatchObject({ chunkRatio, payloadBlocks, batEntries: alone });
      const image = buildImage({ ...spec, type: 'differencing' });
      const differencing = await openVhdx(image.source(), { parent: false });
      expect(differencing.info).toMatchObject({ chunkRatio, payloadBlocks, batEntries: withParent });
    });
  }

  test('rule 57: what stands behind the last entry is ignored', async () => {
    const blocks = Object.fromEntries([0, 1, 2, 3, 4, 5, 6, 7].map((block) => [block, present(block)]));
    const image = buildImage({ blocks });
    image.write(image.layout.batEntryOffset(8), new Uint8Array(MiB - 64).fill(0xff));
    await expectSound(image);
  });
});

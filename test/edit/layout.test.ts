import { describe, expect, test } from 'vitest';
import { layOut } from '../../src/edit/create/layout.js';
import { GiB, MiB, TiB } from '../support/encode-primitives.js';

// Worked out for the format by hand and with another implementation: virtual size, block size, sector size, kind;
// chunk ratio, payload blocks, BAT entries; MiB of the BAT, of the first payload block, of a fixed file.
const NUMBERS: readonly [number, number, number, 'dyn' | 'diff', ...numbers: number[]][] = [
  [1 * MiB, 1 * MiB, 512, 'dyn', 4096, 1, 1, 1, 4, 5],
  [64 * MiB, 1 * MiB, 512, 'dyn', 4096, 64, 64, 1, 4, 68],
  [1 * GiB, 32 * MiB, 512, 'dyn', 128, 32, 32, 1, 4, 1_028],
  [127 * GiB, 32 * MiB, 512, 'dyn', 128, 4_064, 4_095, 1, 4, 130_052],
  [127 * GiB, 2 * MiB, 512, 'diff', 2048, 65_024, 65_568, 1, 4],
  [128 * GiB, 1 * MiB, 512, 'dyn', 4096, 131_072, 131_103, 2, 5, 131_077],
  [256 * GiB, 1 * MiB, 512, 'dyn', 4096, 262_144, 262_207, 3, 6, 262_150],
  [1 * TiB, 1 * MiB, 512, 'dyn', 4096, 1_048_576, 1_048_831, 9, 12, 1_048_588],
  [1 * TiB, 2 * MiB, 512, 'diff', 2048, 524_288, 524_544, 5, 8],
  [2 * TiB, 32 * MiB, 4096, 'dyn', 1024, 65_536, 65_599, 1, 4, 2_097_156],
  [4 * TiB, 32 * MiB, 512, 'dyn', 128, 131_072, 132_095, 2, 5, 4_194_309],
  [64 * TiB, 1 * MiB, 512, 'dyn', 4096, 67_108_864, 67_125_247, 513, 516, 67_109_380],
  [64 * TiB, 256 * MiB, 512, 'dyn', 16, 262_144, 278_527, 3, 6, 67_108_870],
];

describe('the layout of a new image', () => {
  test.each(NUMBERS)(
    '%d bytes in blocks of %d, sectors of %d, %s',
    (virtualSize, blockSize, logicalSectorSize, kind, ...numbers) => {
      const [ratio, blocks, entries, batMiB, payloadMiB, fixedMiB] = numbers;
      const { geometry, log, metadata, bat, payloadOffset } = layOut({
        metadata: {
          virtualSize,
          blockSize,
          logicalSectorSize,
          physicalSectorSize: 4096,
          hasParent: kind === 'diff',
          leaveBlocksAllocated: false,
        },
        logLength: MiB,
      });
      expect([geometry.chunkRatio, geometry.payloadBlocks, geometry.batEntries]).toEqual([ratio, blocks, entries]);
      expect([log.offset, log.length, metadata.offset, metadata.length]).toEqual([MiB, MiB, 2 * MiB, MiB]);
      expect([bat.offset, bat.length, payloadOffset]).toEqual([
        3 * MiB,
        (batMiB as number) * MiB,
        (payloadMiB as number) * MiB,
      ]);
      if (fixedMiB !== undefined) expect(payloadOffset + geometry.payloadBlocks * blockSize).toBe(fixedMiB * MiB);
    },
  );

  test('makes room for a longer log and for much metadata', () => {
    const { log, metadata, bat } = layOut({
      metadata: {
        virtualSize: GiB,
        blockSize: MiB,
        logicalSectorSize: 512,
        physicalSectorSize: 512,
        hasParent: false,
        leaveBlocksAllocated: false,
      },
      logLength: 16 * MiB,
      items: [{ itemId: '76c39310-d201-4e90-92ec-59d85640b187', flags: 3, bytes: new Uint8Array(MiB) }],
    });
    expect([log.offset, log.length]).toEqual([MiB, 16 * MiB]);
    expect([metadata.offset, metadata.length]).toEqual([17 * MiB, 2 * MiB]);
    expect(bat.offset).toBe(19 * MiB);
  });
});

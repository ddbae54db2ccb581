import { expect, test } from 'vitest';
import { type DiskType, memoryFile, openVhdx, writeVhdx } from '../../src/index.js';
import { contentBytes, pattern } from '../support/block-content.js';
import { crc32cReference } from '../support/crc32c-reference.js';
import { KiB, MiB } from '../support/encode-primitives.js';
import { SLOW } from '../support/time-limits.js';

/** What an image can be: type, block size in MiB, sector sizes. */
const KINDS = (['dynamic', 'fixed'] as const).flatMap((type) =>
  [1, 2, 32].flatMap((blocks) =>
    ([512, 4096] as const).flatMap((logicalSectorSize) =>
      ([512, 4096] as const).map((physicalSectorSize) => ({
        type: type as Exclude<DiskType, 'differencing'>,
        blockSize: blocks * MiB,
        logicalSectorSize,
        physicalSectorSize,
      })),
    ),
  ),
);

test('from every kind of image to every other the content stays the same', SLOW.properties, async () => {
  const raw = new Uint8Array(5 * MiB + 4096);
  raw.set(contentBytes(pattern(1), 0, 300 * KiB));
  raw.set(contentBytes(pattern(2), 0, MiB), 2 * MiB + 512);
  raw.set([1], raw.length - 1);
  const checksum = crc32cReference(raw);
  for (const from of KINDS) {
    const source = memoryFile();
    await writeVhdx(raw, source, { ...from, format: 'raw' });
    for (const to of KINDS) {
      const target = memoryFile();
      await writeVhdx(source, target, to);
      const disk = await openVhdx(target, { strict: true });
      expect(disk).toMatchObject(to);
      if ((await disk.checksum()) !== checksum) expect({ from, to }).toBe('the same');
      await disk.close();
      await target.close?.();
    }
  }
});

import { expect, test } from 'vitest';
import { deviceSize } from '../../src/io/file.js';

const TiB = 2 ** 40;

test.each([0, 1, 512, 4095, 4096, 4097, 8192, 1_474_560, 4 * TiB - 512, 4 * TiB, 64 * TiB + 3 * 512])(
  'finds out that a device has %d bytes',
  async (size) => {
    let reads = 0;
    const found = await deviceSize(async (offset) => {
      reads++;
      expect(offset % 4096).toBe(0);
      return Math.min(4096, Math.max(0, size - offset));
    });
    expect(found).toBe(size);
    expect(reads).toBeLessThan(100);
  },
);

test('tells of a device without an end', async () => {
  expect(await deviceSize(async () => 4096)).toBe(Infinity);
});

test('does not take a device that fails for one that ends', async () => {
  const failing = deviceSize(async (offset) => {
    if (offset > 1_000_000) throw new Error('bad sector');
    return 4096;
  });
  await expect(failing).rejects.toThrow('bad sector');
});

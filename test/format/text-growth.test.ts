// Text from an image is data: what is done with it grows no faster than its length, and what is shown of it is bounded.
import { describe, expect, test } from 'vitest';
import { parseParentLocator } from '../../src/format/parent-locator.js';
import { checkVhdx } from '../../src/index.js';
import type { Finding } from '../../src/rules.js';
import { buildImage } from '../support/build-image.js';
import { encodeParentLocator } from '../support/encode-structures.js';

/** The least time that some work takes, in ms. */
function timeOf(work: () => void): number {
  let least = Number.POSITIVE_INFINITY;
  for (let i = 0; i < 5; i++) {
    const start = performance.now();
    work();
    least = Math.min(least, performance.now() - start);
  }
  return least;
}

describe('a parent locator', () => {
  const shapes: Record<string, (length: number) => string> = {
    'NULs before a letter': (length) => `${'\0'.repeat(length - 1)}x`,
    'NULs at the end': (length) => `x${'\0'.repeat(length - 1)}`,
    'NULs and letters in turn': (length) => 'x\0'.repeat(length / 2),
    'spaces before a letter': (length) => `${' '.repeat(length - 1)}x`,
    braces: (length) => '{'.repeat(length),
  };

  for (const [title, textOf] of Object.entries(shapes)) {
    test(`of texts with ${title} takes time in proportion to its length`, () => {
      /** Time for the same number of bytes, in texts of this length: 40 times as much for long ones if it is quadratic. */
      const time = (length: number) => {
        const value = textOf(length);
        const count = Math.floor(2 ** 20 / length / 2);
        const entries = Array.from({ length: count }, (_, i) => ({ key: `parent_linkage${i}`, value }));
        const items = Array.from({ length: Math.ceil(count / 250) }, (_, i) =>
          encodeParentLocator({
            entries: [{ key: 'parent_linkage', value }, ...entries.slice(250 * i, 250 * (i + 1))],
          }),
        );
        return timeOf(() => {
          for (const item of items) parseParentLocator(item, 0, () => {});
        });
      };
      expect(time(32_000)).toBeLessThan(8 * time(800) + 5);
    });
  }

  test('whose texts together are longer than the item is refused: entries may not share their bytes', () => {
    const value = 'x'.repeat(1000);
    const first = { key: 'relative_path', value };
    const shared = { key: 'k', value: 'v', valueOffset: 20 + 12 * 2 + 26, valueLength: 2000 };
    const findings: Finding[] = [];
    parseParentLocator(encodeParentLocator({ entries: [first, shared] }), 0, (found) => findings.push(found));
    expect(findings.map(({ code }) => code)).toEqual(['locator-bounds']);
  });
});

test('no finding and no part of info is long, whatever the texts of an image are', async () => {
  const long = 'y'.repeat(32_000);
  const entries = [
    { key: 'parent_linkage', value: long },
    { key: 'relative_path', value: `${long}\0` },
    ...Array.from({ length: 5 }, (_, i) => ({ key: `${i}${long}`.slice(0, 32_000), value: `${long}\0` })),
    ...Array.from({ length: 100 }, (_, i) => ({ key: `k${i}`, value: 'v' })),
  ];
  const image = buildImage({ type: 'differencing', blocks: {}, parentLocator: { entries } });
  const report = await checkVhdx(image.source(), { parent: false });
  for (const { message } of report.findings) expect(message.length).toBeLessThanOrEqual(2001);
  expect(report.findings.length).toBeGreaterThan(5);
  const shown = Object.entries(report.info?.parentLocator ?? {});
  expect(shown.length).toBe(32);
  expect(Math.max(...shown.flat().map((text) => text.length))).toBe(4097);
  expect(report.info?.parentLocator?.['relative_path']?.endsWith('…')).toBe(true);
});

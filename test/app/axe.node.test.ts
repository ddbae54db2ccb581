import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import type { AxeResults } from 'axe-core';
import type { Page } from 'playwright';
import { describe, expect } from 'vitest';
import { buildImage } from '../support/build-image.js';
import { MiB } from '../support/encode-primitives.js';
import { saveFile } from '../support/save-image.js';
import { needs, tempDir, tool } from '../support/tools.js';
import { blocksOf, partitionedDisk } from '../volumes/support/made-by-other-tools.js';
import { inspector, type PageOptions } from './support/inspector.js';
import { expectText, openFiles } from './support/reading.js';
import { smallChain } from './support/small-chain.js';

const app = inspector();
const axe = await readFile(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

/** What axe finds in the page as it is: which rule, and where. */
async function violationsOf(page: Page): Promise<string[]> {
  await page.evaluate(axe);
  const { violations, passes } = await page.evaluate(() =>
    (globalThis as unknown as { axe: { run(): Promise<AxeResults> } }).axe.run(),
  );
  expect(passes.length).toBeGreaterThan(20);
  return violations.flatMap(({ id, nodes }) =>
    nodes.map(({ target, failureSummary }) => `${id}: ${target} ${failureSummary}`),
  );
}

describe('axe finds nothing', () => {
  const ways: readonly (readonly [string, PageOptions])[] = [
    ['in light', { colorScheme: 'light' }],
    ['in dark', { colorScheme: 'dark' }],
    ['at 360 pixels', { viewport: { width: 360, height: 740 } }],
    ['with forced colours', { forcedColors: 'active' }],
  ];
  for (const [way, options] of ways) {
    needs(tool('chromium')).test(
      `${way}: the empty page, a disk with partitions, a lone child and what does not open`,
      async () => {
        const folder = await tempDir();
        const page = await app.open(options);
        expect(await violationsOf(page)).toEqual([]);

        const disk = partitionedDisk('gpt of 512');
        const whole = join(folder, 'disk.vhdx');
        const blocks = { ...blocksOf(disk, MiB), 90: { state: 4 } };
        await saveFile(buildImage({ virtualSize: disk.size, blockSize: MiB, blocks }), whole);
        await openFiles(page, whole);
        await expectText(page.locator('#partitions-state'), 'GPT with 4');
        await page.locator('#all-facts summary').click();
        for (const finding of await page.locator('.finding summary').all()) await finding.click();
        expect(await violationsOf(page)).toEqual([]);

        const chain = await smallChain(folder);
        await openFiles(page, [chain.top, chain.middle]);
        await expectText(page.locator('#missing'), 'base.vhdx');
        expect(await violationsOf(page)).toEqual([]);

        await openFiles(page, createRequire(import.meta.url).resolve('axe-core/package.json'));
        await expectText(page.locator('#alarm'), /^Not a VHDX/);
        expect(await violationsOf(page)).toEqual([]);
      },
    );
  }

  needs(tool('chromium')).test('but would find a picture without words', async () => {
    const page = await app.open();
    await page.evaluate(() => document.querySelector('main')?.append(new Image()));
    expect(await violationsOf(page)).toEqual([expect.stringMatching(/^image-alt: /)]);
  });
});

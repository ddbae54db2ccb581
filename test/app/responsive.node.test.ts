import { join } from 'node:path';
import type { Page } from 'playwright';
import { describe, expect } from 'vitest';
import { buildImage } from '../support/build-image.js';
import { GiB, MiB, TiB } from '../support/encode-primitives.js';
import { STATE } from '../support/image-spec.js';
import { saveFile } from '../support/save-image.js';
import { needs, tempDir, tool } from '../support/tools.js';
import { inspector } from './support/inspector.js';
import { expectText, legendOf } from './support/reading.js';
import { mainThreadTasks } from './support/trace.js';

const chromium = tool('chromium');

const app = inspector();

/** Longest that the page may be deaf, in milliseconds. */
const LONGEST_TASK = 200;

/** Does something in a page, and returns how long its main thread's longest task took meanwhile. */
async function longestTask(page: Page, work: () => Promise<void>): Promise<number> {
  const tasks = await mainThreadTasks(app.browser, page, work);
  expect(tasks.length).toBeGreaterThan(20);
  return Math.max(...tasks);
}

describe('the page stays responsive', () => {
  needs(chromium).test('with 67 million blocks, from opening to the deepest zoom', async () => {
    const path = join(await tempDir(), 'vast.vhdx');
    const block = (i: number) => [i, { state: STATE.fullyPresent, data: 0x5a }] as const;
    const blocks = Object.fromEntries([0, 1, 2, 3, 40_000_000, 67_108_863].map(block));
    await saveFile(buildImage({ virtualSize: 64 * TiB, blockSize: MiB, blocks }), path);
    const page = await app.open();
    const longest = await longestTask(page, async () => {
      await page.setInputFiles('#files', path);
      await expect
        .poll(() => legendOf(page), { timeout: 60_000 })
        .toMatchObject({ Data: '6 MiB, < 0.1 %', Unmapped: '64 TiB, > 99.9 %' });
      await page.locator('#map-canvas').focus();
      for (let i = 0; i < 10; i++) {
        await page.keyboard.press('+');
        await page.waitForTimeout(50);
      }
      await page.getByLabel('Part of the disk that the map shows').press('End');
      await page.locator('#map-canvas').press('End');
      await expectText(page.locator('#map-readout'), /^0x3ffffff[0-9a-f]+ to 0x400000000000 \(.*: data$/);
      await expectText(page.locator('#verdict'), 'Sound', 90_000);
    });
    expect(longest).toBeLessThan(LONGEST_TASK);
  });

  needs(chromium).test('with a hundred thousand findings, of which only those in sight are in the page', async () => {
    const path = join(await tempDir(), 'broken.vhdx');
    const past = BigInt(900 * GiB) | BigInt(STATE.fullyPresent);
    const bat = Object.fromEntries(
      Array.from({ length: 100_000 }, (_, i) => [i + Math.floor(i / 4096), past + BigInt(i) * BigInt(MiB)]),
    );
    await saveFile(buildImage({ virtualSize: 100_000 * MiB, blockSize: MiB, blocks: {}, bat }), path);
    const page = await app.open();
    const finding = page.locator('.finding', { hasText: 'bat-past-end' });
    const longest = await longestTask(page, async () => {
      await page.setInputFiles('#files', path);
      await expectText(page.locator('#verdict'), 'Damaged', 60_000);
      await expectText(finding, '100,000 places');
      await finding.locator('summary').click();
      const list = finding.locator('.virtual');
      await list.locator('li').first().waitFor();
      for (const top of [2_000, 30_000, 60_000, 10_000_000]) {
        await list.evaluate((element, to) => element.scrollTo(0, to), top);
        await page.waitForTimeout(150);
      }
      await expectText(list, /payload block 999 /);
    });
    expect(await finding.locator('li').count()).toBeLessThan(40);
    expect(await finding.locator('li').last().getAttribute('aria-posinset')).toBe('1000');
    await expectText(finding, 'The first 1,000 are listed; there are 99,000 more.');
    expect(longest).toBeLessThan(LONGEST_TASK);
  });

  needs(chromium).test('and nothing on it jumps while an image is being read', async () => {
    const path = join(await tempDir(), 'disk.vhdx');
    await saveFile(buildImage(), path);
    const page = await app.open();
    await page.evaluate(() => {
      const shifts: number[] = [];
      Object.assign(globalThis, { shifts });
      new PerformanceObserver((list) => {
        for (const entry of list.getEntries()) {
          if ('value' in entry && typeof entry.value === 'number') shifts.push(entry.value);
        }
      }).observe({ type: 'layout-shift', buffered: true });
    });
    await page.setInputFiles('#files', path);
    await expectText(page.locator('#verdict'), 'Sound');
    await page.getByRole('button', { name: 'Compute' }).click();
    await expectText(page.locator('#checksum-hex'), /^[0-9a-f]{8}$/);
    const shifts = await page.evaluate(() => (globalThis as unknown as { shifts: number[] }).shifts);
    // Opening moves the page once, as it is meant to: the form makes room for the disk.
    expect(shifts.filter((shift) => shift > 0.01).length).toBeLessThanOrEqual(1);
  });
});

describe('long work', () => {
  needs(chromium).test('shows its speed and the time left, and can be aborted', async () => {
    const path = join(await tempDir(), 'large.vhdx');
    // A fixed disk of zeros that are really read: a sparse file costs no room.
    const image = buildImage({ type: 'fixed', virtualSize: 64 * GiB, blockSize: 256 * MiB, blocks: {} });
    await saveFile(image, path);
    const page = await app.open();
    await page.setInputFiles('#files', path);
    await expectText(page.locator('#verdict'), 'Sound');
    const work = page.locator('#checksum-work');
    await page.getByRole('button', { name: 'Compute' }).click();
    await expectText(
      work,
      /[\d.]+ [MG]iB of 64 GiB read, [\d.]+ [MG]iB\/s, (\d+ (seconds?|minutes?)|less than a second) left/,
    );
    await work.getByRole('button', { name: 'Cancel' }).click();
    await expectText(work, 'Cancelled.');
    expect(await work.getByRole('button').textContent()).toBe('Compute');
    expect(await page.locator('#checksum-hex').textContent()).toBe('–');
  });
});

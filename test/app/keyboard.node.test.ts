import { join } from 'node:path';
import type { Page } from 'playwright';
import { describe, expect } from 'vitest';
import { buildImage } from '../support/build-image.js';
import { saveFile } from '../support/save-image.js';
import { needs, tempDir, tool } from '../support/tools.js';
import { inspector } from './support/inspector.js';
import { expectText, openFiles } from './support/reading.js';

const chromium = tool('chromium');

const app = inspector();

async function openPlain(page: Page): Promise<void> {
  const path = join(await tempDir(), 'disk.vhdx');
  await saveFile(buildImage({ regionTables: [{}, { checksum: 1 }] }), path);
  await openFiles(page, path);
  await expectText(page.locator('#map-readout'), /data$/);
}

/** What a person hears who goes through the page with the Tab key: the names of the stops, up to `count` of them. */
async function stops(page: Page, count: number): Promise<string[]> {
  const names: string[] = [];
  for (let i = 0; i < count; i++) {
    await page.keyboard.press('Tab');
    names.push(
      await page.evaluate(() => {
        const element = document.activeElement as HTMLInputElement | null;
        const label =
          element?.getAttribute('aria-label') ?? element?.labels?.[0]?.textContent ?? element?.textContent ?? '';
        return label.trim().replace(/\s+/g, ' ').slice(0, 40);
      }),
    );
  }
  return names;
}

describe('with the keyboard alone', () => {
  needs(chromium).test('an image is opened from the start page', async () => {
    const page = await app.open();
    expect(await stops(page, 5)).toEqual([
      'Skip to the content',
      'Choose files…',
      'Try a sample',
      'Or the address of one on a server',
      'Open',
    ]);
    const path = join(await tempDir(), 'disk.vhdx');
    await saveFile(buildImage(), path);
    // Waited for before anything else is asked of the page: the browser must know by then that somebody does.
    const choosing = page.waitForEvent('filechooser');
    await page.locator('#files').focus();
    await page.keyboard.press('Enter');
    await (await choosing).setFiles(path);
    await expectText(page.locator('#verdict'), 'Sound');
    // Whoever listens goes on at the disk's name.
    expect(await page.evaluate(() => document.activeElement?.id)).toBe('disk-name');
    await expectText(page.locator('#announcer'), 'Checked: Sound. Nothing is wrong with this image.');
  });

  needs(chromium).test('every part is reached in the order of the page', async () => {
    const page = await app.open();
    await openPlain(page);
    await page.locator('#disk-name').focus();
    // One round: at the end of the page the next stop is its beginning.
    const names = [...new Set(await stops(page, 25))];
    const order = [
      'Everything the image says about itself',
      'Findings, by kind',
      'Zoom in',
      'Allocation map',
      'Show bytes',
      'Partition table',
      'Disk',
      'Go to',
      'Next',
      'Bytes in hexadecimal and as text',
      'Expected CRC-32C',
      'Compute',
      'Save…',
    ];
    expect(names.filter((name) => order.includes(name) && name !== 'Disk')).toEqual(
      order.filter((name) => name !== 'Disk'),
    );
  });

  needs(chromium).test('the map is walked, zoomed, and leads to bytes', async () => {
    const page = await app.open();
    await openPlain(page);
    const readout = page.locator('#map-readout');
    await page.locator('#map-canvas').focus();
    await expectText(readout, /^0x0 to 0x2000 \(8 KiB at the start\): data$/);
    await page.keyboard.press('ArrowRight');
    await expectText(readout, /^0x2000 to 0x4000/);
    expect(await readout.getAttribute('aria-live')).toBe('polite');
    await page.keyboard.press('End');
    await expectText(readout, /^0x7fe000 to 0x800000 .*: unmapped$/);
    await page.keyboard.press('ArrowRight');
    await expectText(readout, /^0x7fe000 to 0x800000/);
    await page.keyboard.press('+');
    await expectText(page.locator('#map-scale'), /^6 MiB to 8 MiB, a cell is 2 KiB$/);
    await page.keyboard.press('Home');
    await page.keyboard.press('ArrowLeft');
    await expectText(readout, /^0x5ff800 to 0x600000/);
    await page.keyboard.press('0');
    await expectText(page.locator('#map-scale'), 'Whole disk, a cell is 8 KiB');
    await page.keyboard.press('Home');
    await page.keyboard.press('ArrowDown');
    await page.keyboard.press('Enter');
    await expectText(page.locator('#bytes-state'), /^Sector 1,0\d\d at 0x8\d000\. Stored in disk\.vhdx/);
    expect(await page.evaluate(() => document.activeElement?.id)).toBe('bytes-dump');
  });

  needs(chromium).test('sectors are turned, sought, and refused where there are none', async () => {
    const page = await app.open();
    await openPlain(page);
    const state = page.locator('#bytes-state');
    await page.locator('#bytes-dump').focus();
    await page.keyboard.press('PageDown');
    await expectText(state, /^Sector 1 at 0x200\. Stored in disk\.vhdx at 0x400200\.$/);
    await page.keyboard.press('PageUp');
    await page.keyboard.press('PageUp');
    await expectText(state, /^Sector 0 at 0x0\./);
    const place = page.getByLabel('Go to');
    await place.fill('8M');
    await place.press('Enter');
    await expectText(state, 'There are 8 MiB (16,384 sectors); 8M is past the end.');
    expect(await place.getAttribute('aria-invalid')).toBe('true');
    await place.fill('16383');
    await place.press('Enter');
    await expectText(state, /^Sector 16,383 at 0x7ffe00\. Zeros, because nothing is stored here\.$/);
    expect(await page.getByRole('button', { name: 'Next' }).isDisabled()).toBe(true);
    // The row that was asked for stands out; turning asks for none.
    await place.fill('0x1234');
    await place.press('Enter');
    await expectText(page.locator('#bytes-text mark'), /^00001230 {2}/);
    await page.locator('#bytes-dump').focus();
    await page.keyboard.press('End');
    await expectText(state, /^Sector 16,383 at 0x7ffe00\./);
    expect(await page.locator('#bytes-text mark').count()).toBe(0);
    await page.keyboard.press('Home');
    await expectText(state, /^Sector 0 at 0x0\./);
  });

  needs(chromium).test('a finding is unfolded', async () => {
    const page = await app.open();
    await openPlain(page);
    const finding = page.locator('.finding', { hasText: 'region-table-checksum' });
    await finding.locator('summary').focus();
    await page.keyboard.press('Enter');
    await expectText(finding.locator('li'), /region table 2: /);
  });
});

describe('to a screen reader', () => {
  needs(chromium).test('everything that can be worked with has a name, and ids are not used twice', async () => {
    const page = await app.open();
    await openPlain(page);
    const nameless = await page.evaluate(() =>
      [
        ...document.querySelectorAll<HTMLInputElement>(
          'button, input, select, a[href], canvas[tabindex], [role="status"] + button',
        ),
      ]
        .filter((element) => element.checkVisibility() && element.getAttribute('aria-hidden') !== 'true')
        .filter(
          (element) =>
            !(element.getAttribute('aria-label') ?? element.labels?.[0]?.textContent ?? element.textContent)?.trim(),
        )
        .map(({ outerHTML }) => outerHTML),
    );
    expect(nameless).toEqual([]);
    const twice = await page.evaluate(() => {
      const ids = [...document.querySelectorAll('[id]')].map(({ id }) => id);
      return ids.filter((id, i) => ids.indexOf(id) !== i);
    });
    expect(twice).toEqual([]);
    expect(await page.getByRole('main').count()).toBe(1);
    expect(await page.getByRole('banner').count()).toBe(1);
    expect(await page.getByRole('region').evaluateAll((regions) => regions.length)).toBeGreaterThan(6);
  });
});

describe('on a phone', () => {
  needs(chromium).test('nothing reaches out of the page', async () => {
    const page = await app.open({ viewport: { width: 360, height: 740 }, hasTouch: true, isMobile: true });
    await openPlain(page);
    await page.locator('#all-facts summary').tap();
    const width = await page.evaluate(() => document.documentElement.scrollWidth);
    expect(width).toBe(360);
    await page.locator('#map-canvas').tap({ position: { x: 100, y: 100 } });
    await expectText(page.locator('#map-readout'), /^0x[1-9a-f]/);
  });
});

describe('in the dark', () => {
  needs(chromium).test('texts stand out from what is behind them, as by day', async () => {
    for (const colorScheme of ['light', 'dark'] as const) {
      const page = await app.open({ colorScheme });
      await openPlain(page);
      const faint = await page.evaluate(faintTexts);
      expect(faint, colorScheme).toEqual([]);
    }
  });
});

/** Runs in the page: texts whose contrast is below the 4.5 of WCAG 2.2 (1.4.3); disabled ones do not count. */
function faintTexts(): string[] {
  const channels = (colour: string) => (colour.match(/[\d.]+/g) ?? []).map(Number);
  const luminance = (colour: string) => {
    const [red = 0, green = 0, blue = 0] = channels(colour).map((value) => {
      const share = value / 255;
      return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
  };
  const backdrop = (element: Element | null): string => {
    if (!element) return 'rgb(255, 255, 255)';
    const { backgroundColor } = getComputedStyle(element);
    return channels(backgroundColor)[3] === 0 ? backdrop(element.parentElement) : backgroundColor;
  };
  const texts = [...document.querySelectorAll('body *')].filter(
    (element) =>
      element.checkVisibility() &&
      !element.closest('.unseen, :disabled, .skip, label:has(:disabled)') &&
      [...element.childNodes].some((node) => node.nodeType === Node.TEXT_NODE && node.textContent?.trim()),
  );
  return texts.flatMap((element) => {
    const [one, other] = [luminance(getComputedStyle(element).color), luminance(backdrop(element))];
    const contrast = (Math.max(one, other) + 0.05) / (Math.min(one, other) + 0.05);
    return contrast < 4.5 ? [`${contrast.toFixed(2)} ${element.textContent?.trim().slice(0, 40)}`] : [];
  });
}

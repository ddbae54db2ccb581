import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect } from 'vitest';
import { type Partition, readPartitionTable } from '../../src/volumes/index.js';
import { buildImage } from '../support/build-image.js';
import { MiB } from '../support/encode-primitives.js';
import { saveFile } from '../support/save-image.js';
import { needs, tempDir, tool } from '../support/tools.js';
import { blocksOf, partitionedDisk } from '../volumes/support/made-by-other-tools.js';
import { inspector } from './support/inspector.js';
import { expectText, openFiles } from './support/reading.js';

const app = inspector();

describe('the panel with the partitions', () => {
  for (const [name, logicalSectorSize] of [
    ['gpt of 512', 512],
    ['gpt of 4096', 4096],
  ] as const) {
    needs(tool('chromium')).test(`shows a ${name}-byte sectors, and leads to the bytes of a partition`, async () => {
      const disk = partitionedDisk(name);
      const path = join(await tempDir(), 'disk.vhdx');
      await saveFile(
        buildImage({ virtualSize: disk.size, blockSize: MiB, logicalSectorSize, blocks: blocksOf(disk, MiB) }),
        path,
      );
      const page = await app.open();
      await openFiles(page, path);
      const count = name === 'gpt of 512' ? 4 : 2;
      await expectText(
        page.locator('#partitions-state'),
        `GPT with ${count} partitions, in sectors of ${logicalSectorSize} bytes`,
      );
      expect(await page.locator('.partitions tbody tr').count()).toBe(count);
      await page.locator('.partitions button').first().click();
      await expectText(
        page.locator('#bytes-state'),
        /^Sector (2,048|256) at 0x100000\. Zeros, because nothing is stored here\.$/,
      );
      // On the map: a band for the whole disk, lines below the cells, and the words for a cell.
      expect(await page.locator('#map-partitions > span').count()).toBe(count);
      const { partitions } = await readPartitionTable(disk.source());
      const second = partitions[1] as Partition;
      await page.getByRole('button', { name: `Show partition ${second.number} on the map` }).click();
      expect(await page.evaluate(() => document.activeElement?.id)).toBe('map-canvas');
      const readout = page.locator('#map-readout');
      await expectText(readout, new RegExp(`, partitions? (\\d and )?${second.number}\\): `));
      const [, from] = /^(0x[0-9a-f]+) to/.exec((await readout.textContent()) ?? '') ?? [];
      expect(Math.abs(Number(from) - second.offset)).toBeLessThan(MiB);
      expect(await page.locator('#map-axis > span').count()).toBeGreaterThan(3);
      await page.getByLabel('Go to').fill('1');
      await page.getByLabel('Go to').press('Enter');
      await expectText(page.locator('#bytes-text'), /45 46 49 20 50 41 52 54 .*EFI PART/);
    });
  }
});

describe('a raw disk', () => {
  needs(tool('chromium')).test(
    'shows its partitions, its bytes and what can be saved, though it is no VHDX',
    async () => {
      const disk = partitionedDisk('gpt of 512');
      const folder = await tempDir();
      const path = join(folder, 'disk.img');
      await saveFile(disk, path);
      const page = await app.open({ before: () => Reflect.deleteProperty(globalThis, 'showSaveFilePicker') });
      await openFiles(page, path);
      await expectText(page.locator('#partitions-state'), 'GPT with 4 partitions, in sectors of 512 bytes');
      expect(await page.locator('.partitions tbody tr').count()).toBe(4);
      // There is no map to show them on.
      expect(await page.locator('.partitions button', { hasText: 'Map' }).count()).toBe(0);
      await page.locator('.partitions button').first().click();
      await expectText(
        page.locator('#bytes-state'),
        /^Sector 2,048 at 0x100000\. The disk in disk\.img, of \d+ bytes\.$/,
      );
      const { partitions } = await readPartitionTable(disk.source());
      const second = partitions[1] as Partition;
      await page.locator('#save-part').selectOption({ index: 2 });
      const downloading = page.waitForEvent('download');
      await page.getByRole('button', { name: 'Save…' }).click();
      const saved = await readFile(await (await downloading).path());
      expect(saved.equals(disk.read(second.offset, second.length))).toBe(true);

      const text = join(folder, 'notes.txt');
      await writeFile(text, 'no disk at all'.repeat(100));
      await openFiles(page, text);
      await expectText(page.locator('#disk-name'), 'notes.txt');
      await expectText(page.locator('#partitions-state'), /no partition table|cannot be read/);
      expect(await page.locator('#panel-partitions').isVisible()).toBe(false);
    },
  );
});

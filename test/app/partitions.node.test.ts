import { join } from 'node:path';
import { describe, expect } from 'vitest';
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
      await page.getByLabel('Go to').fill('1');
      await page.getByLabel('Go to').press('Enter');
      await expectText(page.locator('#bytes-text'), /45 46 49 20 50 41 52 54 .*EFI PART/);
    });
  }
});

import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect } from 'vitest';
import { buildImage } from '../support/build-image.js';
import { saved, vhdx } from '../support/command.js';
import { expectOutput } from '../support/output-schema.js';
import { needs, tempDir, tool } from '../support/tools.js';
import { inspector } from './support/inspector.js';
import { expectText, openFiles } from './support/reading.js';

const chromium = tool('chromium');
const app = inspector();

describe('the report of the page', () => {
  needs(chromium).test('is that of the command, saved and copied, with what was summed so far', async () => {
    const folder = await tempDir();
    const path = await saved(buildImage({ blocks: { 0: { state: 4 } } }), join(folder, 'damaged.vhdx'));
    await vhdx('check', '--report', join(folder, 'command.json'), path);
    const command = JSON.parse(await readFile(join(folder, 'command.json'), 'utf8'));

    const page = await app.open({ permissions: ['clipboard-read', 'clipboard-write'] });
    expect(await page.locator('#report-save').isEnabled()).toBe(false);
    await openFiles(page, path);
    const downloading = page.waitForEvent('download');
    await page.getByRole('button', { name: 'Save as JSON' }).click();
    const download = await downloading;
    expect(download.suggestedFilename()).toBe('damaged.vhdx.json');
    await expectText(page.locator('#report-state'), "damaged.vhdx.json was given to the browser's downloads.");
    const text = await readFile(await download.path(), 'utf8');
    expectOutput('image-report', text);
    const report = JSON.parse(text);
    expect(report).toMatchObject({ filename: 'damaged.vhdx', modified: command.modified, hashes: {} });
    expect(report.check).toEqual({ ...command.check, filename: 'damaged.vhdx' });
    expect(report.runtime).toMatch(/Chrome/);

    await page.locator('.checksum label', { hasText: 'File' }).click();
    await page.getByRole('button', { name: 'Compute' }).click();
    await expectText(page.locator('#checksum-hex'), /^[0-9a-f]{8}$/);
    await page.getByRole('button', { name: 'Copy as JSON' }).click();
    await expectText(page.locator('#report-state'), 'Copied.');
    const copied = await page.evaluate(() => navigator.clipboard.readText());
    expectOutput('image-report', copied);
    expect(JSON.parse(copied).hashes).toEqual({ file: command.hashes.file });
  });

  needs(chromium).test('says that copying was not permitted', async () => {
    const path = await saved(buildImage(), join(await tempDir(), 'disk.vhdx'));
    const refuse = () =>
      Object.defineProperty(Clipboard.prototype, 'write', {
        value: () => Promise.reject(new DOMException('no', 'NotAllowedError')),
      });
    const page = await app.open({ before: refuse });
    await openFiles(page, path);
    await page.getByRole('button', { name: 'Copy as JSON' }).click();
    await expectText(page.locator('#report-state'), 'The browser does not permit copying.');
  });
});

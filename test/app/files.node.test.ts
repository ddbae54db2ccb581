// The panel with the files inside a disk, as a person uses it: into folders, and files and folders saved.
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect } from 'vitest';
import { buildImage } from '../support/build-image.js';
import { MiB } from '../support/encode-primitives.js';
import { saveFile } from '../support/save-image.js';
import { needs, run, tempDir, tool } from '../support/tools.js';
import { type ExtName, LONG, madeExt, NOTES } from '../volumes/support/ext-images.js';
import { blocksOf } from '../volumes/support/made-by-other-tools.js';
import { inspector } from './support/inspector.js';
import { expectText, openFiles } from './support/reading.js';

const app = inspector();
const [chromium, sevenZip] = [tool('chromium'), tool('7zz')];

/** A disk as WSL has it. */
async function wsl(name: ExtName): Promise<string> {
  const path = join(await tempDir(), 'ext4.vhdx');
  await saveFile(buildImage({ virtualSize: 1024 * MiB, blockSize: MiB, blocks: blocksOf(madeExt(name), MiB) }), path);
  return path;
}

/** A page without the dialog for saving, so that browsers download. */
const withoutPicker = () => {
  Object.defineProperty(globalThis, 'showSaveFilePicker', { value: undefined });
};

describe('the panel with the files', () => {
  needs(chromium, sevenZip).test('goes into folders, and saves a file and a folder', async () => {
    const page = await app.open({ before: withoutPicker });
    await openFiles(page, await wsl('ext4'));
    const panel = page.locator('#panel-files');
    await expectText(page.locator('#files-state'), '5 names.');
    await expectText(page.locator('#files-volume option'), 'The whole disk: ext4');
    expect(await panel.locator('tbody th').allTextContents()).toEqual([
      'home/',
      'lost+found/',
      'Grüße',
      expect.stringMatching(/^far → \/home\//),
      'link → home/ada/notes.txt',
    ]);
    await panel.getByRole('button', { name: 'home/', exact: true }).click();
    await panel.getByRole('button', { name: 'ada/', exact: true }).click();
    const here = page.locator('#files-way [aria-current]');
    await expectText(here, 'ada');
    expect(await page.locator('#files-way li').allTextContents()).toEqual(['Files', 'home', 'ada']);

    const file = page.waitForEvent('download');
    await panel.getByRole('button', { name: 'Save notes.txt' }).click();
    const notes = await file;
    expect(notes.suggestedFilename()).toBe('notes.txt');
    expect(await readFile(await notes.path(), 'utf8')).toBe(NOTES);

    await panel.getByRole('button', { name: 'home', exact: true }).click();
    await expectText(here, 'home');
    const folder = page.waitForEvent('download');
    await panel.getByRole('button', { name: 'Save as zip…' }).click();
    const zip = await folder;
    expect(zip.suggestedFilename()).toBe('home.zip');
    const to = await tempDir();
    expect(await run(sevenZip.path, ['x', `-o${to}`, await zip.path()])).toMatchObject({ status: 0 });
    expect(await readFile(join(to, 'ada/long.txt'), 'utf8')).toBe(LONG);
    expect((await readFile(join(to, 'sparse'))).subarray(20_000, 20_006).toString()).toBe('middle');
    await expectText(page.locator('#files-work'), /home\.zip \(.*\) was given to the browser/);
  });

  needs(chromium).test('says that a journal was replayed, and what cannot be read', async () => {
    const page = await app.open();
    await openFiles(page, await wsl('ext4 with a journal'));
    await expectText(page.locator('#files-state'), /6 names\. It was not unmounted: \d+ blocks of its journal/);
    const disk = madeExt('ext4');
    disk.write(1024 + 0x100, Uint8Array.of(1));
    const path = join(await tempDir(), 'damaged.vhdx');
    await saveFile(buildImage({ virtualSize: 64 * MiB, blockSize: MiB, blocks: blocksOf(disk, MiB) }), path);
    await openFiles(page, path);
    await expectText(page.locator('#files-state'), /^The files cannot be read\. Superblock: checksum is 0x/);
    await saveFile(buildImage({ virtualSize: 64 * MiB }), path);
    await openFiles(page, path);
    await expectText(page.locator('#partitions-state'), 'There is no partition table');
    expect(await page.locator('#panel-files').isHidden()).toBe(true);
  });
});

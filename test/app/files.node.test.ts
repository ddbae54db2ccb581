// The panel with the files inside a disk, as a person uses it: into folders, and files and folders saved.
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Locator } from 'playwright';
import { describe, expect } from 'vitest';
import { openFile, writeVhdx } from '../../src/index.js';
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
const [mkfs, debugfs] = [tool('mkfs.ext4'), tool('debugfs')];

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

  needs(chromium, mkfs, debugfs).test(
    'shows texts and pictures, and nothing of them becomes part of the page',
    async () => {
      const [tree, folder] = [await tempDir(), await tempDir()];
      const markup = '<script>globalThis.broken = true</script><b>Grüße</b>\n';
      const pixel = 'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR4nGP4z8DwHwAFAAH/iZk9HQAAAABJRU5ErkJggg==';
      await writeFile(join(tree, 'a.html'), markup);
      await writeFile(join(tree, 'long.log'), 'a line\n'.repeat(20_000));
      await writeFile(join(tree, 'picture.txt'), Buffer.from(pixel, 'base64'));
      await writeFile(join(tree, 'drawing.svg'), '<svg xmlns="http://www.w3.org/2000/svg" onload="broken = true"/>');
      await writeFile(join(tree, 'program'), Uint8Array.of(0x7f, 0x45, 0x4c, 0x46, 0, 1, 2));
      await writeFile(join(tree, 'empty'), '');
      await writeFile(join(tree, 'secret'), 'a secret');
      const [raw, image] = [join(folder, 'raw'), join(folder, 'ext4.vhdx')];
      expect(await mkfs.run(['-q', '-d', tree, raw, '16M'])).toMatchObject({ status: 0 });
      const encrypt = ['-w', '-R', `set_inode_field /secret flags ${0x80000 | 0x800}`, raw];
      expect(await debugfs.run(encrypt)).toMatchObject({ status: 0 });
      await writeVhdx(await openFile(raw), image, { format: 'raw' });

      const page = await app.open({ before: withoutPicker });
      await openFiles(page, image);
      const panel = page.locator('#panel-files');
      const [title, state, body] = ['title', 'state', 'body'].map((part) => page.locator(`#files-preview-${part}`)) as [
        Locator,
        Locator,
        Locator,
      ];
      const show = async (name: string, said: string | RegExp) => {
        await panel.getByRole('button', { name, exact: true }).click();
        await expectText(title, name);
        await expectText(state, said);
      };
      await show('a.html', `${Buffer.byteLength(markup)} bytes.`);
      expect(await body.locator('pre').textContent()).toBe(markup);
      expect(await body.locator('script, b').count()).toBe(0);
      await show('long.log', 'The first 64 KiB of 137 KiB.');
      expect((await body.locator('pre').textContent())?.length).toBe(64 * 1024);
      await show('picture.txt', /^A picture, \d+ bytes\.$/);
      await page.waitForFunction(
        () => document.querySelector<HTMLImageElement>('#files-preview img')?.naturalWidth === 1,
      );
      await show('drawing.svg', /^\d+ bytes\.$/);
      expect(await body.locator('svg, img').count()).toBe(0);
      await show('program', '7 bytes, neither text nor a picture that can be shown: it can be saved.');
      await show('empty', '0 bytes.');
      expect(await page.evaluate(() => 'broken' in globalThis)).toBe(false);
      // The keyboard gets back to where it was.
      await show('a.html', `${Buffer.byteLength(markup)} bytes.`);
      expect(await page.evaluate(() => document.activeElement?.id)).toBe('files-preview-title');
      await page.keyboard.press('Escape');
      expect(await page.locator('#files-preview').isHidden()).toBe(true);
      expect(await page.evaluate(() => document.activeElement?.textContent)).toBe('a.html');
      // What cannot be read is said, and does not keep the rest from being read or saved.
      await show('secret', '/secret is encrypted, and its key is not known.');
      const saved = page.waitForEvent('download');
      await panel.getByRole('button', { name: 'Save as zip…' }).click();
      await saved;
      await expectText(page.locator('#files-work'), /Left out, because they cannot be read: secret\.$/);
    },
  );

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
    await expectText(page.locator('#partitions-state'), 'There is no partition table, and no known file system');
    await expect.poll(() => page.locator('#panel-files').isHidden()).toBe(true);
  });
});

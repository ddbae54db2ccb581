import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Page } from 'playwright';
import { describe, expect } from 'vitest';
import { openVhdx } from '../../src/index.js';
import { type BuiltImage, buildImage } from '../support/build-image.js';
import { writeLog } from '../support/build-log.js';
import { dirtied, structureSectors } from '../support/dirty-images.js';
import { MiB } from '../support/encode-primitives.js';
import { saveFile } from '../support/save-image.js';
import { needs, tempDir, tool } from '../support/tools.js';
import { inspector } from './support/inspector.js';
import { expectText, openFiles } from './support/reading.js';

const chromium = tool('chromium');
const app = inspector();

const plain = buildImage();
const dirty = dirtied(plain, structureSectors(plain));

async function saved(image: BuiltImage): Promise<string> {
  const path = join(await tempDir(), 'disk.vhdx');
  await saveFile(image, path);
  return path;
}

/** Asserts that bytes are those of an image that is clean and sound. */
async function expectRepaired(bytes: Uint8Array): Promise<void> {
  const disk = await openVhdx(bytes, { replay: 'refuse', strict: true });
  await disk.close();
}

/** Browsers' own dialogs cannot be worked in a spec: here they give files of the page's private file system. */
function dialogs(): void {
  const pick = async (name: string) => (await navigator.storage.getDirectory()).getFileHandle(name, { create: true });
  Object.assign(globalThis, {
    showOpenFilePicker: async () => [await pick('disk.vhdx')],
    showSaveFilePicker: async ({ suggestedName }: { suggestedName: string }) => pick(suggestedName),
  });
}

/** Puts an image where the dialogs find it, and opens it as a file that was chosen. */
async function openStored(page: Page): Promise<void> {
  await page.evaluate(async () => {
    const response = await fetch('/stored.vhdx');
    const handle = await (await navigator.storage.getDirectory()).getFileHandle('disk.vhdx', { create: true });
    const writable = await handle.createWritable();
    await writable.write(await response.arrayBuffer());
    await writable.close();
    const files = new DataTransfer();
    files.items.add(await handle.getFile());
    const field = document.querySelector<HTMLInputElement>('#files');
    if (field) field.files = files.files;
    field?.dispatchEvent(new Event('change'));
  });
}

/** The bytes of a file that the dialogs gave. */
async function storedBytes(page: Page, name: string): Promise<Uint8Array> {
  const url = await page.evaluate(async (wanted) => {
    const handle = await (await navigator.storage.getDirectory()).getFileHandle(wanted);
    const reader = new FileReader();
    const file = await handle.getFile();
    return new Promise<string>((resolve) => {
      reader.onload = () => resolve(String(reader.result));
      reader.readAsDataURL(file);
    });
  }, name);
  return Uint8Array.from(Buffer.from(url.slice(url.indexOf(',') + 1), 'base64'));
}

/** The page with a stored image open, and dialogs whose files are written as those that a person picked. */
async function openWithDialogs(image: BuiltImage): Promise<Page> {
  const page = await app.open({
    before: dialogs,
    routes: { '/stored.vhdx': (_, response) => void response.end(image.toUint8Array()) },
  });
  await openStored(page);
  await expectText(page.locator('#repair-list'), 'replayed');
  // Otherwise the worker would write them in place, as it cannot with files outside the private file system.
  const [worker] = page.workers();
  await worker?.evaluate(() => Reflect.deleteProperty(FileSystemFileHandle.prototype, 'createSyncAccessHandle'));
  expect(worker).toBeDefined();
  return page;
}

describe('the inspector', () => {
  needs(chromium).test('says what a repair would change, and repairs the file itself', async () => {
    const page = await openWithDialogs(dirty);
    await expectText(page.locator('#repair-list'), /^1 log entry replayed\.$/);
    await expectText(page.locator('#repair-state'), 'A repair would do this, and nothing else:');
    await expectText(page.locator('#overview-list'), /Last closednot cleanly/);
    await page.getByRole('button', { name: 'Repair the file…' }).click();
    await expectText(page.locator('#repair-state'), 'The file was repaired:');
    await expectText(page.locator('#overview-list'), /Last closedcleanly/);
    await expectText(page.locator('#verdict'), 'Sound');
    expect(await page.getByRole('button', { name: /repair/i }).count()).toBe(0);
    await expectRepaired(await storedBytes(page, 'disk.vhdx'));
  });

  needs(chromium).test('saves a repaired copy where it was told to, and leaves the file as it is', async () => {
    const page = await openWithDialogs(dirty);
    await page.getByRole('button', { name: 'Save a repaired copy…' }).click();
    await expectText(page.locator('#repair-copy'), 'Saved as disk-repaired.vhdx. disk.vhdx is as it was.');
    await expectRepaired(await storedBytes(page, 'disk-repaired.vhdx'));
    expect(Buffer.compare(await storedBytes(page, 'disk.vhdx'), dirty.toUint8Array())).toBe(0);
  });

  needs(chromium).test('does not repair another file, nor one that was changed since', async () => {
    const page = await openWithDialogs(dirty);
    await page.evaluate(async () => {
      const handle = await (await navigator.storage.getDirectory()).getFileHandle('disk.vhdx');
      const writable = await handle.createWritable({ keepExistingData: true });
      await writable.write({ type: 'write', position: (await handle.getFile()).size, data: 'more' });
      await writable.close();
      const other = await (await navigator.storage.getDirectory()).getFileHandle('other.vhdx', { create: true });
      Object.assign(globalThis, { other });
    });
    const button = page.getByRole('button', { name: 'Repair the file…' });
    await button.click();
    await expectText(page.locator('#repair-work'), 'disk.vhdx was changed since it was opened');
    await page.evaluate(() => {
      const { other } = globalThis as unknown as { other: FileSystemFileHandle };
      Object.assign(globalThis, { showOpenFilePicker: async () => [other] });
    });
    await button.click();
    await expectText(page.locator('#repair-work'), /another file than the one that is open: choose disk\.vhdx/);
  });

  needs(chromium).test('gives a repaired copy to the downloads where a page may write no files', async () => {
    const before = () => {
      for (const name of ['showOpenFilePicker', 'showSaveFilePicker']) Reflect.deleteProperty(globalThis, name);
    };
    const page = await app.open({ before });
    const leaking = dirty.clone();
    leaking.truncate(leaking.size + 2 * MiB);
    const path = await saved(leaking);
    const original = await readFile(path);
    await openFiles(page, path);
    await expectText(page.locator('#repair-list'), /1 log entry replayed\.The file cut from/);
    await expectText(page.locator('#repair-how'), 'This browser lets no page change a file, so a copy is repaired.');
    expect(await page.getByRole('button', { name: 'Repair the file…' }).isVisible()).toBe(false);
    const download = page.waitForEvent('download');
    await page.getByRole('button', { name: 'Save a repaired copy…' }).click();
    const bytes = await readFile(await (await download).path());
    await expectRepaired(bytes);
    expect(bytes.length).toBe(plain.size);
    expect(Buffer.compare(await readFile(path), original)).toBe(0);
  });

  needs(chromium).test('clears a log that cannot be replayed only if it is told to', async () => {
    const broken = plain.clone();
    writeLog(broken, { entries: [{ tail: 8192 }] });
    const page = await app.open({ before: () => Reflect.deleteProperty(globalThis, 'showSaveFilePicker') });
    await openFiles(page, await saved(broken));
    await expectText(page.locator('#repair-state'), /^Not repaired: .*no valid sequence/);
    expect(await page.getByRole('button', { name: /repaired copy/ }).isVisible()).toBe(false);
    await page.getByLabel('Clear the log, which cannot be replayed').check();
    await expectText(page.locator('#repair-list'), 'The log discarded without replay');
    const download = page.waitForEvent('download');
    await page.getByRole('button', { name: 'Save a repaired copy…' }).click();
    await expectRepaired(await readFile(await (await download).path()));
  });

  needs(chromium).test('offers no repair of what is sound, damaged beyond it, or no image', async () => {
    const page = await app.open();
    await openFiles(page, await saved(plain));
    await expectText(page.locator('#map-legend'), /Data/);
    expect(await page.locator('#panel-repair').isVisible()).toBe(false);
    await openFiles(page, await saved(buildImage({ blocks: { 0: { state: 4 } } })));
    await expectText(page.locator('#repair-state'), /^Not repaired: BAT entry 0/);
    expect(await page.getByRole('button', { name: /repair/i }).count()).toBe(0);
  });
});

import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Page } from 'playwright';
import { describe, expect } from 'vitest';
import { buildImage } from '../support/build-image.js';
import { crc32cReference } from '../support/crc32c-reference.js';
import { saveFile } from '../support/save-image.js';
import { needs, tempDir, tool } from '../support/tools.js';
import { inspector, POLICY } from './support/inspector.js';
import { cellAt, expectText, factsOf, legendOf, openFiles } from './support/reading.js';
import { type SmallChain, sectorKind, smallChain } from './support/small-chain.js';

const chromium = tool('chromium');
const qemuImg = tool('qemu-img');

const app = inspector();
const MiB = 1024 * 1024;
const DISK = 8 * MiB;

const withoutPicker = () => Reflect.deleteProperty(globalThis, 'showSaveFilePicker');

/** What the map must say of a range: each kind with its share, in the map's own order and words. */
function wordsFor(chain: SmallChain, offset: number, end: number): string {
  const kinds = Array.from({ length: (end - offset) / 512 }, (_, i) => sectorKind(chain.images, offset / 512 + i));
  const labels = { data: 'data', parent: 'data in a parent', zero: 'zero', unmapped: 'unmapped' };
  return (['data', 'parent', 'zero', 'unmapped'] as const)
    .filter((kind) => kinds.includes(kind))
    .map((kind) => {
      const share = (100 * kinds.filter((other) => other === kind).length) / kinds.length;
      return share === 100 ? labels[kind] : `${labels[kind]} ${Number(share.toFixed(share < 10 ? 1 : 0))} %`;
    })
    .join(', ');
}

async function expectMapOf(page: Page, chain: SmallChain): Promise<void> {
  const total = (kind: string) =>
    Array.from({ length: DISK / 512 }, (_, i) => sectorKind(chain.images, i)).filter((other) => other === kind).length *
    512;
  const inKiB = (kind: string) => `${total(kind) / 1024} KiB`;
  await expect.poll(async () => (await legendOf(page))['Data']).toMatch(total('data') < MiB ? inKiB('data') : /MiB/);
  const legend = await legendOf(page);
  const inBytes = Object.fromEntries(Object.entries(legend).map(([name, text]) => [name, parseSize(text)]));
  for (const [label, kind] of [
    ['Data', 'data'],
    ['Data in a parent', 'parent'],
    ['Zero', 'zero'],
    ['Unmapped', 'unmapped'],
  ] as const) {
    // The legend rounds to three digits.
    expect(Math.abs((inBytes[label] ?? -1) / total(kind) - 1), label).toBeLessThan(0.01);
  }
  expect(legend['Damaged']).toBe('0 bytes, 0 %');
  const seen = new Set<string>();
  for (let i = 0; i < 48; i++) {
    const cell = await cellAt(page, ((i * 37) % 48) / 48 + 0.01, (Math.floor(i / 6) + 0.4) / 8);
    expect(cell.words, `at ${cell.offset}`).toBe(wordsFor(chain, cell.offset, cell.end));
    const [only] = cell.words.includes('%') ? [] : [cell.words];
    if (only !== undefined)
      expect(cell.colours, `at ${cell.offset}`).toEqual([only === 'data in a parent' ? 'parent' : only]);
    seen.add(only ?? 'mixed');
  }
  expect([...seen].sort()).toEqual(expect.arrayContaining(['data', 'data in a parent', 'unmapped', 'zero']));
}

function parseSize(text: string): number {
  const [, number, unit] = /^([\d.]+) (bytes|KiB|MiB)/.exec(text) ?? [];
  const units: Readonly<Record<string, number>> = { bytes: 1, KiB: 1024, MiB };
  return Number(number) * (units[unit ?? ''] ?? Number.NaN);
}

async function saveRaw(page: Page): Promise<Buffer> {
  const downloading = page.waitForEvent('download');
  await page.getByRole('button', { name: 'Save…' }).click();
  const download = await downloading;
  expect(download.suggestedFilename()).toBe('top.img');
  return readFile(await download.path());
}

describe('a chain of three files handed over together', () => {
  needs(chromium).test(
    'is shown from its youngest member down, with its map, findings, checksum and bytes',
    async () => {
      const chain = await smallChain(await tempDir());
      const page = await app.open({ before: withoutPicker });
      // The child is neither the first nor the last of them.
      await openFiles(page, [chain.base, chain.top, chain.middle]);
      await expectText(page.locator('#disk-name'), 'top.avhdx');
      expect(await factsOf(page, '#overview-list')).toMatchObject({
        Type: 'Differencing virtual hard disk',
        'Maximum disk size': '8 MiB (8,388,608 bytes)',
      });
      expect(await page.locator('.chain .name').allTextContents()).toEqual(['top.avhdx', 'middle.avhdx', 'base.vhdx']);
      await expectText(page.locator('#verdict'), 'Sound');
      await expectText(page.locator('#findings-state'), 'Nothing is wrong with this image.');
      await expectMapOf(page, chain);

      const content = chain.model.expected(0, DISK);
      await page.getByRole('button', { name: 'Compute' }).click();
      await expectText(page.locator('#checksum-hex'), crc32cReference(content).toString(16).padStart(8, '0'));
      expect(Buffer.compare(await saveRaw(page), content)).toBe(0);

      await page.getByLabel('Go to').fill('3584');
      await page.getByLabel('Go to').press('Enter');
      await expectText(
        page.locator('#bytes-state'),
        /Sector 3,584 at 0x1c0000\. Stored in the parent middle\.avhdx|Stored in the parent base\.vhdx/,
      );
      const line = [...content.subarray(3584 * 512, 3584 * 512 + 8)]
        .map((byte) => byte.toString(16).padStart(2, '0'))
        .join(' ');
      await expectText(page.locator('#bytes-text'), `001c0000  ${line}`);
    },
  );

  needs(chromium).test('is the same when it is dropped on the page', async () => {
    const chain = await smallChain(await tempDir());
    const paths = [chain.middle, chain.base, chain.top];
    const routes = Object.fromEntries(
      paths.map((path, i) => [
        `/${i}`,
        async (_: unknown, response: { end(bytes: Buffer): void }) => response.end(await readFile(path)),
      ]),
    );
    const page = await app.open({ routes });
    await page.evaluate(
      async (names) => {
        const transfer = new DataTransfer();
        for (const [i, name] of names.entries())
          transfer.items.add(new File([await (await fetch(`/${i}`)).blob()], name));
        for (const type of ['dragenter', 'dragover', 'drop'])
          document.body.dispatchEvent(new DragEvent(type, { dataTransfer: transfer, bubbles: true, cancelable: true }));
      },
      ['middle.avhdx', 'base.vhdx', 'top.avhdx'],
    );
    await expectText(page.locator('#disk-name'), 'top.avhdx');
    await expectMapOf(page, chain);
  });

  needs(chromium).test('is taken out of its folder, if that is dropped, and nothing else is', async () => {
    const folder = await tempDir();
    await mkdir(join(folder, 'machine/Virtual Hard Disks'), { recursive: true });
    const chain = await smallChain(join(folder, 'machine/Virtual Hard Disks'));
    await writeFile(join(folder, 'machine/settings.vmcx'), 'not an image');
    const page = await app.open();
    const drop = async (path: string) => {
      // As the operating system hands over what a person drags: no script of the page can make a folder.
      const session = await page.context().newCDPSession(page);
      const data = { items: [], files: [path], dragOperationsMask: 1 };
      for (const type of ['dragEnter', 'dragOver', 'drop'] as const)
        await session.send('Input.dispatchDragEvent', { type, x: 200, y: 200, data });
    };
    await drop(join(folder, 'machine'));
    await expectText(page.locator('#disk-name'), 'top.avhdx');
    await expectMapOf(page, chain);
    await mkdir(join(folder, 'empty'));
    await drop(join(folder, 'empty'));
    await expectText(page.locator('#left-out'), /^There are no disk images in that folder.*\.vhds/);
    // What macOS keeps beside each file of a disk that is not its own is no image.
    await writeFile(join(folder, 'empty/._top.avhdx'), 'not an image');
    await drop(join(folder, 'empty'));
    await expectText(page.locator('#left-out'), /^There are no disk images in that folder/);
    // A file that is dropped is taken whatever it is called.
    await drop(join(folder, 'machine/settings.vmcx'));
    await expectText(page.locator('#alarm'), /^Not a VHDX file/);
  });

  needs(chromium).test('can be looked at member by member', async () => {
    const chain = await smallChain(await tempDir());
    const page = await app.open();
    await openFiles(page, [chain.base, chain.top, chain.middle]);
    await page.getByLabel('Show', { exact: true }).selectOption('middle.avhdx');
    await expectText(page.locator('#disk-name'), 'middle.avhdx');
    expect(await page.locator('.chain .name').allTextContents()).toEqual(['middle.avhdx', 'base.vhdx']);
  });

  needs(chromium, qemuImg).test('becomes the fixed VHD that qemu-img reads as the same bytes', async () => {
    const folder = await tempDir();
    const chain = await smallChain(folder);
    const page = await app.open({ before: withoutPicker });
    await openFiles(page, [chain.base, chain.top, chain.middle]);
    await page.locator('.save label', { hasText: 'Fixed VHD' }).click();
    const downloading = page.waitForEvent('download');
    await page.getByRole('button', { name: 'Save…' }).click();
    const saved = join(folder, 'saved.vhd');
    await (await downloading).saveAs(saved);
    const raw = join(folder, 'model.img');
    await writeFile(raw, chain.model.expected(0, DISK));
    const { stdout } = await qemuImg.run(['compare', '-f', 'vpc', '-F', 'raw', saved, raw]);
    expect(stdout.trim()).toBe('Images are identical.');
  });

  needs(chromium).test('is the same where WebAssembly is forbidden', async () => {
    const chain = await smallChain(await tempDir());
    const page = await app.open({ policy: POLICY.withoutWasm, before: withoutPicker });
    await openFiles(page, [chain.base, chain.top, chain.middle]);
    const [worker] = page.workers();
    const compiling = worker?.evaluate(() =>
      WebAssembly.compile(Uint8Array.of(0, 0x61, 0x73, 0x6d, 1, 0, 0, 0)).then(String, String),
    );
    expect(await compiling).toMatch(/Content Security Policy/);
    await expectMapOf(page, chain);
    await page.getByRole('button', { name: 'Compute' }).click();
    await expectText(
      page.locator('#checksum-hex'),
      crc32cReference(chain.model.expected(0, DISK)).toString(16).padStart(8, '0'),
    );
    expect(Buffer.compare(await saveRaw(page), chain.model.expected(0, DISK))).toBe(0);
  });
});

describe('a folder that is dropped', () => {
  /** Drops what a browser would hand over as a folder with these names; `!` in a name is one that cannot be read. */
  const dropFolder = (page: Page, names: readonly string[]) =>
    page.evaluate((all) => {
      const fileEntry = (name: string) => ({
        name,
        isFile: true,
        isDirectory: false,
        file: (good: (file: File) => void, bad: (error: Error) => void) =>
          name.includes('!') ? bad(new DOMException('no', 'NotReadableError')) : good(new File(['x'], name)),
      });
      const folder = (name: string, inside: unknown[]) => ({
        name,
        isFile: false,
        isDirectory: true,
        createReader: () => ({ readEntries: (good: (entries: unknown[]) => void) => good(inside.splice(0, 100)) }),
      });
      const entry = folder('disks', all.map(fileEntry));
      const event = new DragEvent('drop', { bubbles: true, cancelable: true });
      const items = [{ webkitGetAsEntry: () => entry }];
      Object.defineProperty(event, 'dataTransfer', { value: { types: ['Files'], items, files: [] } });
      document.body.dispatchEvent(event);
    }, names);

  needs(chromium).test('opens although one file of it cannot be read, and says which', async () => {
    const page = await app.open();
    await dropFolder(page, ['good.vhdx', 'bad!.vhdx', 'worse!.vhdx', 'notes!.txt']);
    await expectText(page.locator('#disk-name'), 'good.vhdx');
    await expectText(page.locator('#left-out'), /^The browser cannot read bad!\.vhdx, worse!\.vhdx\.$/);
  });

  needs(chromium).test('says so if it holds more images than are taken', async () => {
    const page = await app.open();
    await dropFolder(
      page,
      Array.from({ length: 1003 }, (_, i) => `${i}.vhdx`),
    );
    await expectText(page.locator('#left-out'), /^Of folders, the first 1,000 images are taken/);
    await expect.poll(() => page.locator('#subject option').count()).toBe(1000);
  });
});

describe('a child without its parents', () => {
  needs(chromium).test('is shown with what it holds itself, and says whom it misses', async () => {
    const chain = await smallChain(await tempDir());
    const page = await app.open();
    await openFiles(page, chain.top);
    await expectText(
      page.locator('#missing'),
      'top.avhdx holds only what differs from the parent middle.avhdx: add that file to see the whole disk.',
    );
    await expect.poll(() => legendOf(page)).toMatchObject({ 'In a missing parent': /^5\.75 MiB/ });
    await page.getByRole('button', { name: 'Compute' }).click();
    await expectText(page.locator('#checksum-work'), 'are in its parent, and the parent is not available');
    expect(await page.locator('#checksum-hex').textContent()).toBe('–');
  });

  needs(chromium).test('becomes whole when they are added', async () => {
    const chain = await smallChain(await tempDir());
    const page = await app.open();
    await openFiles(page, chain.top);
    expect(await page.locator('.chain li').allTextContents()).toEqual([
      expect.stringMatching(/^top\.avhdx this disk, differencing/),
      'middle.avhdx is missing',
    ]);
    // Only as long as there is something to add.
    expect(await page.locator('#more-files-label').isVisible()).toBe(true);
    await page.setInputFiles('#more-files', [chain.middle, chain.base]);
    await expect
      .poll(() => page.locator('.chain .name').allTextContents())
      .toEqual(['top.avhdx', 'middle.avhdx', 'base.vhdx']);
    expect(await page.locator('#missing').isVisible()).toBe(false);
    expect(await page.locator('#more-files-label').isVisible()).toBe(false);
  });

  needs(chromium).test('says whom its parent misses, where that is there', async () => {
    const chain = await smallChain(await tempDir());
    const page = await app.open();
    await openFiles(page, [chain.top, chain.middle]);
    await expectText(
      page.locator('#missing'),
      'middle.avhdx holds only what differs from the parent base.vhdx: add that file to see the whole disk.',
    );
  });

  needs(chromium).test('stays the one that is shown when files are added', async () => {
    const chain = await smallChain(await tempDir());
    const page = await app.open();
    await openFiles(page, [chain.top, chain.middle]);
    await page.getByLabel('Show', { exact: true }).selectOption('middle.avhdx');
    await expectText(page.locator('#disk-name'), 'middle.avhdx');
    await page.setInputFiles('#more-files', chain.base);
    await expect.poll(() => page.locator('.chain .name').allTextContents()).toEqual(['middle.avhdx', 'base.vhdx']);
  });

  needs(chromium).test('says of files that are none of its parents that they are not', async () => {
    const folder = await tempDir();
    const chain = await smallChain(folder);
    const others = ['holiday.vhdx', 'work.vhdx'].map((name) => join(folder, name));
    for (const path of others) {
      const dataWriteGuid = '11111111-2222-4333-8444-555555555555';
      await saveFile(buildImage({ virtualSize: DISK, dataWriteGuid }), path);
    }
    const page = await app.open();
    await openFiles(page, chain.top);
    await page.setInputFiles('#more-files', others.slice(0, 1));
    await expectText(page.locator('#missing'), /parent middle\.avhdx\. holiday\.vhdx is another one: add the parent/);
    await page.setInputFiles('#more-files', others.slice(1));
    await expectText(page.locator('#missing'), /None of the 2 other files is that one: add the parent/);
    await page.setInputFiles('#more-files', chain.middle);
    await expectText(page.locator('#missing'), /parent base\.vhdx\. None of the 2 other files is that one/);
  });

  needs(chromium).test('is not put on a file that only has its parent’s name', async () => {
    const folder = await tempDir();
    const chain = await smallChain(folder);
    await saveFile(
      buildImage({ virtualSize: DISK, dataWriteGuid: '11111111-2222-4333-8444-555555555555' }),
      chain.middle,
    );
    const page = await app.open();
    await openFiles(page, [chain.top, chain.middle]);
    await expectText(
      page.locator('#missing'),
      /The middle\.avhdx that you added is another disk, or was changed after the child was made/,
    );
  });
});

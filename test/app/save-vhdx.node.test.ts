import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Page } from 'playwright';
import { describe, expect } from 'vitest';
import { openVhdx } from '../../src/index.js';
import { type Partition, readPartitionTable } from '../../src/volumes/index.js';
import { contentBytes, pattern } from '../support/block-content.js';
import { buildImage } from '../support/build-image.js';
import { buildVhd, VHD_CHILD_ID, VHD_ID } from '../support/build-vhd.js';
import { MiB, u64Bytes } from '../support/encode-primitives.js';
import { STATE } from '../support/image-spec.js';
import { expectSameBytes } from '../support/same-bytes.js';
import { saveFile } from '../support/save-image.js';
import { needs, tempDir, tool } from '../support/tools.js';
import { blocksOf, partitionedDisk } from '../volumes/support/made-by-other-tools.js';
import { inspector } from './support/inspector.js';
import { expectText, openFiles } from './support/reading.js';
import { smallChain } from './support/small-chain.js';

const chromium = tool('chromium');
const app = inspector();

const withoutPicker = () => Reflect.deleteProperty(globalThis, 'showSaveFilePicker');

/** Saves the disk that is shown in a format, as a download. */
async function saveAs(page: Page, format: 'Raw' | 'Fixed VHD' | 'VHDX', name: string): Promise<Buffer> {
  await page.locator('.save label', { hasText: format }).last().click();
  const downloading = page.waitForEvent('download');
  await page.getByRole('button', { name: 'Save…' }).click();
  const download = await downloading;
  expect(download.suggestedFilename()).toBe(name);
  return readFile(await download.path());
}

async function expectVhdx(bytes: Uint8Array, content: Uint8Array): Promise<void> {
  const disk = await openVhdx(bytes, { strict: true });
  expectSameBytes(await disk.read(0, disk.size), content);
  await disk.close();
}

describe('the page saves a VHDX', () => {
  needs(chromium).test('of a chain, that needs no parent', async () => {
    const chain = await smallChain(await tempDir());
    const page = await app.open({ before: withoutPicker });
    await openFiles(page, [chain.base, chain.top, chain.middle]);
    await expectVhdx(await saveAs(page, 'VHDX', 'top.vhdx'), chain.model.expected(0, 8 * MiB));
  });

  needs(chromium).test('of a raw disk, and of a VHD with its parent', async () => {
    const folder = await tempDir();
    const raw = new Uint8Array(5 * MiB + 512);
    raw.set(contentBytes(pattern(1), 0, MiB), 2 * MiB);
    const path = join(folder, 'disk.img');
    await writeFile(path, raw);
    const page = await app.open({ before: withoutPicker });
    await openFiles(page, path);
    await expectText(page.locator('#alarm'), /^Not a VHDX file/);
    await expectVhdx(await saveAs(page, 'VHDX', 'disk.vhdx'), raw);
    expectSameBytes((await saveAs(page, 'Fixed VHD', 'disk.vhd')).subarray(0, raw.length), raw);

    const data = contentBytes(pattern(2), 0, 2 * MiB);
    const [base, child] = [join(folder, 'base.vhd'), join(folder, 'child.avhd')];
    await writeFile(base, buildVhd({ size: 6 * MiB, blocks: { 1: { data } } }));
    const spec = { type: 4, size: 6 * MiB, uniqueId: VHD_CHILD_ID, parentId: VHD_ID } as const;
    await writeFile(child, buildVhd({ ...spec, blocks: { 2: { data } } }));
    const content = new Uint8Array(6 * MiB);
    content.set(data, 2 * MiB);
    const other = await app.open({ before: withoutPicker });
    await openFiles(other, base);
    await expectVhdx(await saveAs(other, 'VHDX', 'base.vhdx'), content);
    content.set(data, 4 * MiB);
    await openFiles(other, [child, base]);
    await other.getByLabel('Show', { exact: true }).selectOption('child.avhd');
    await expectText(other.locator('#disk-name'), 'child.avhd');
    await expectVhdx(await saveAs(other, 'VHDX', 'child.vhdx'), content);
    expectSameBytes(await saveAs(other, 'Raw', 'child.img'), content);
  });
});

describe('the page saves where it cannot write files', () => {
  needs(chromium).test('a small VHDX of a large disk, and not the large disk itself', async () => {
    const path = join(await tempDir(), 'empty.vhdx');
    await saveFile(buildImage({ virtualSize: 1024 * 1024 * MiB, blockSize: 32 * MiB }), path);
    const page = await app.open({ before: withoutPicker });
    await openFiles(page, path);
    await expectText(
      page.locator('#save-what'),
      /A browser writes all of that, zeros too, and needs the space for it; what is stored is at most 68 MiB/,
    );
    await page.getByRole('button', { name: 'Save…' }).click();
    await expectText(page.locator('#save-work'), '1 TiB (1,099,511,627,776 bytes) are too many to download');
    const saved = await openVhdx(await saveAs(page, 'VHDX', 'empty.vhdx'), { strict: true });
    expect(saved.size).toBe(1024 * 1024 * MiB);
    await saved.close();
  });

  needs(chromium).test('says why the dialog did not open, instead of saving elsewhere', async () => {
    const path = join(await tempDir(), 'empty.vhdx');
    await saveFile(buildImage({ virtualSize: 4 * MiB, blockSize: MiB }), path);
    const refusing = () =>
      Object.defineProperty(globalThis, 'showSaveFilePicker', {
        value: async () => {
          throw new DOMException('the dialog is forbidden here', 'NotAllowedError');
        },
      });
    const page = await app.open({ before: refusing });
    await openFiles(page, path);
    await page.getByRole('button', { name: 'Save…' }).click();
    await expectText(page.locator('#save-work'), 'the dialog is forbidden here');
  });
});

describe('the page saves one partition', () => {
  needs(chromium).test('raw and as VHDX, under a name of its own', async () => {
    const disk = partitionedDisk('gpt of 512');
    const path = join(await tempDir(), 'disk.vhdx');
    const { partitions } = await readPartitionTable(disk.source());
    const second = partitions[1] as Partition;
    disk.write(second.offset, contentBytes(pattern(5), 0, 3000));
    const spec = { virtualSize: 96 * MiB, blockSize: MiB, logicalSectorSize: 512 as const };
    await saveFile(buildImage({ ...spec, blocks: blocksOf(disk, MiB) }), path);
    const page = await app.open({ before: withoutPicker });
    await openFiles(page, path);
    const choice = page.locator('#save-part');
    await expect.poll(() => choice.locator('option').count()).toBe(partitions.length + 1);
    await choice.selectOption({ index: 2 });
    await expectText(page.locator('#save-what'), /^The partition's .* and nothing else/);
    const wanted = disk.read(second.offset, second.length);
    expectSameBytes(await saveAs(page, 'Raw', `disk-p${second.number}.img`), wanted);
    await expectVhdx(await saveAs(page, 'VHDX', `disk-p${second.number}.vhdx`), wanted);
    await choice.selectOption('The whole disk');
    await expectText(page.locator('#save-what'), /^What of the disk is not zero/);
  });
});

describe('the page saves what is left of a damaged disk', () => {
  needs(chromium).test('as VHDX too, with zeros for what cannot be read', async () => {
    const block = { state: STATE.fullyPresent, data: pattern(3) };
    const image = buildImage({ virtualSize: 4 * MiB, blockSize: MiB, blocks: { 0: block, 2: block } });
    image.write(image.layout.batEntryOffset(2), u64Bytes(2 ** 45 + 6)); // past the end of the file
    const path = join(await tempDir(), 'damaged.vhdx');
    await saveFile(image, path);
    const page = await app.open({ before: withoutPicker });
    await openFiles(page, path);
    await page.locator('.save label', { hasText: 'VHDX' }).last().click();
    await page.getByRole('button', { name: 'Save…' }).click();
    await expectText(
      page.locator('#save-work'),
      /^Save…BAT entry 2: payload block 2 at 0x2\d+ reaches past the end of the file.*at 0x200000 \(entry at 0x\w+\)\./,
    );
    await page.getByLabel('Write zeros for what cannot be read').check();
    const content = new Uint8Array(4 * MiB);
    content.set(contentBytes(pattern(3), 0, MiB));
    await expectVhdx(await saveAs(page, 'VHDX', 'damaged.vhdx'), content);
    await expectText(page.locator('#save-work'), /1,048,576 bytes\) could not be read and became zeros/);
  });
});

import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { join } from 'node:path';
import { describe, expect } from 'vitest';
import { needs, sample, tempDir, tool } from '../support/tools.js';
import { inspector } from './support/inspector.js';
import { cellAt, expectText, factsOf, legendOf, openFiles } from './support/reading.js';

const chromium = tool('chromium');
const clean = sample('iotest-dynamic-1G.vhdx', { requiredInCI: false });
const dirty = sample('iotest-dirtylog-10G-4M.vhdx', { requiredInCI: false });

// A gigabyte is summed and saved here, and machines may have other things to do as well.

const app = inspector();
const MiB = 1024 * 1024;

/** CRC-32C of what QEMU's tests 064 and 070 say the disks hold, by a bitwise computation in Python. */
const CLEAN_SUM = 'cb8272cd';
const DIRTY_SUM = '22f93468';

/** What QEMU's test 064 says that the disk holds. */
function* cleanContent(): Generator<Uint8Array> {
  const pieces = [...Array(33).fill(0xa5), ...Array(33).fill(0x96), ...Array(1024 - 66).fill(0)];
  for (const byte of pieces) yield new Uint8Array(MiB).fill(byte);
}

async function sha256(chunks: Iterable<Uint8Array> | AsyncIterable<Uint8Array>): Promise<string> {
  const hash = createHash('sha256');
  for await (const chunk of chunks) hash.update(chunk);
  return hash.digest('hex');
}

describe('the clean image that Windows made', () => {
  needs(chromium, clean).test('is said to be what Hyper-V Manager says it is', async () => {
    const page = await app.open();
    await openFiles(page, await clean.unpacked());
    expect(await factsOf(page, '#overview-list')).toMatchObject({
      Format: 'VHDX',
      Type: 'Dynamically expanding virtual hard disk',
      'Maximum disk size': '1 GiB (1,073,741,824 bytes)',
      'Block size': '32 MiB, 32 blocks',
      'Last closed': 'cleanly',
      'Made by': 'Microsoft Windows 6.2.9200.16384',
    });
    await expectText(page.locator('#verdict'), 'Sound');
    await expectText(page.locator('#findings-list'), /old entries, which are ignored as the specification requires/);
    await expectText(page.locator('#partitions-state'), /no partition table/);
  });

  needs(chromium, clean).test('has a map with three blocks of data and nothing else', async () => {
    const page = await app.open();
    await openFiles(page, await clean.unpacked());
    await expect
      .poll(() => legendOf(page))
      .toMatchObject({
        Data: '96 MiB, 9.4 %',
        Zero: '928 MiB, 91 %',
        Unmapped: '0 bytes, 0 %',
        Damaged: '0 bytes, 0 %',
      });
    const start = await cellAt(page, 0.007, 0.03);
    expect(start).toMatchObject({ offset: 0, words: 'data', colours: ['data'] });
    const end = await cellAt(page, 0.5, 0.5);
    expect(end).toMatchObject({ words: 'zero', colours: ['zero'] });
  });

  needs(chromium, clean).test('has the checksum of its content, which is compared with an expected one', async () => {
    const page = await app.open();
    await openFiles(page, await clean.unpacked());
    const expected = page.getByLabel('Expected CRC-32C');
    const verdict = page.locator('#checksum-verdict');
    await expected.fill(`0x${CLEAN_SUM.toUpperCase()}`);
    await expectText(verdict, 'Not computed yet');
    await page.getByRole('button', { name: 'Compute' }).click();
    await expectText(page.locator('#checksum-hex'), CLEAN_SUM);
    await expectText(verdict, 'They match');
    await expected.fill(`crc32c=${Buffer.from(CLEAN_SUM, 'hex').toString('base64')}`);
    await expectText(verdict, 'They match');
    await expected.fill('00000001');
    await expectText(verdict, `do not match: expected 00000001, computed ${CLEAN_SUM}`);
    await expected.fill('about right');
    await expectText(verdict, 'no CRC-32C');
  });

  needs(chromium, clean).test(
    'is saved as a raw image, as a download where the browser lets no page write files',
    async () => {
      const page = await app.open({ before: () => Reflect.deleteProperty(globalThis, 'showSaveFilePicker') });
      await openFiles(page, await clean.unpacked());
      const downloading = page.waitForEvent('download', { timeout: 90_000 });
      await page.getByRole('button', { name: 'Save…' }).click();
      const download = await downloading;
      expect(download.suggestedFilename()).toBe('iotest-dynamic-1G.img');
      const saved = join(await tempDir(), 'saved.img');
      await download.saveAs(saved);
      expect(await sha256(createReadStream(saved))).toBe(await sha256(cleanContent()));
      await expectText(
        page.locator('#save-work'),
        /iotest-dynamic-1G\.img \(1 GiB\) was given to the browser's downloads/,
      );
    },
  );
});

describe('the dirty image that a killed QEMU left', () => {
  needs(chromium, dirty).test('is shown as it is after its log is replayed', async () => {
    const page = await app.open();
    await openFiles(page, await dirty.unpacked());
    const facts = await factsOf(page, '#overview-list');
    expect(facts['Last closed']).toMatch(/^not cleanly; \d+ entr(y|ies) of its log (was|were) replayed in memory/);
    await expectText(page.locator('#findings-list'), /not closed cleanly; its log was replayed in memory/);
    await page.getByRole('button', { name: 'Compute' }).click();
    await expectText(page.locator('#checksum-hex'), DIRTY_SUM);
    await page.getByLabel('Go to').fill('17M');
    await page.getByRole('button', { name: 'Go', exact: true }).click();
    await expectText(page.locator('#bytes-text'), /^01100000 {2}(a5 ){8} (a5 ){8} \.{16}/);
  });

  needs(chromium, dirty).test('is written, sparse, to a file that the browser lets a page choose', async () => {
    // A real file of the browser's own storage stands in for the dialog, which nobody can answer here.
    const page = await app.open({
      ownStorage: true,
      before: () => {
        const pick = async ({ suggestedName }: { suggestedName: string }) => {
          const folder = await navigator.storage.getDirectory();
          return folder.getFileHandle(suggestedName, { create: true });
        };
        Object.assign(globalThis, { showSaveFilePicker: pick });
      },
    });
    await openFiles(page, await dirty.unpacked());
    await page.getByRole('button', { name: 'Save…' }).click();
    await expectText(page.locator('#save-work'), /Saved as iotest-dirtylog-10G-4M\.img/);
    const saved = await page.evaluate(async () => {
      const folder = await navigator.storage.getDirectory();
      const file = await (await folder.getFileHandle('iotest-dirtylog-10G-4M.img')).getFile();
      const isAll = async (from: number, to: number, byte: number) =>
        new Uint8Array(await file.slice(from, to).arrayBuffer()).every((found) => found === byte);
      const written = 18 * 1024 * 1024;
      return {
        size: file.size,
        start: await isAll(0, written, 0xa5),
        behind: await isAll(written, 2 * written, 0),
        end: await isAll(file.size - written, file.size, 0),
      };
    });
    expect(saved).toEqual({ size: 10 * 1024 * MiB, start: true, behind: true, end: true });
  });
});

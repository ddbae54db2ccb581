import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { search } from '../../app/worker/search.js';
import { openVhdx, type RandomAccessSource } from '../../src/index.js';
import { buildImage } from '../support/build-image.js';
import { MiB, u64Bytes } from '../support/encode-primitives.js';
import { STATE } from '../support/image-spec.js';
import { saveFile } from '../support/save-image.js';
import { needs, tempDir, tool } from '../support/tools.js';
import { inspector } from './support/inspector.js';
import { expectText, openFiles } from './support/reading.js';

const app = inspector();
const text = (words: string) => new TextEncoder().encode(words);
const job = { signal: new AbortController().signal, onProgress: () => undefined };

/** What is on a disk of 16 MiB: dots in blocks 1, 2 and 9, among them some words. */
const content = new Uint8Array(16 * MiB);
for (const block of [1, 2, 9]) content.fill(0x2e, block * MiB, (block + 1) * MiB);
for (const [offset, words] of [
  [MiB + 100, 'needle'],
  [2 * MiB - 3, 'straddled'],
  [2 * MiB + 5000, 'needle'],
  [9 * MiB + 700, 'hidden'],
  [10 * MiB - 4, 'tail'],
] as const)
  content.set(text(words), offset);

function disk() {
  const blocks = [1, 2, 9].map((i) => {
    const data = content.subarray(i * MiB, (i + 1) * MiB);
    return [i, { state: STATE.fullyPresent, data }] as const;
  });
  return buildImage({ virtualSize: 16 * MiB, blockSize: MiB, blocks: Object.fromEntries(blocks) });
}

/** The disk with its block 2 somewhere past the end of the file. */
function damaged() {
  const image = disk();
  image.write(image.layout.batEntryOffset(2), u64Bytes(2 ** 45 + 6));
  return image;
}

/** What a search must find: the first place by the platform's own search. */
function placeOf(patterns: readonly Uint8Array[], from: number): number | undefined {
  const places = patterns.map((pattern) => Buffer.from(content.buffer).indexOf(pattern, from));
  const there = places.filter((place) => place >= 0);
  return there.length > 0 ? Math.min(...there) : undefined;
}

describe('a search', () => {
  test('finds the first place, in data, across blocks and where data begins and ends', async () => {
    const opened = await openVhdx(disk().source());
    for (const [patterns, from] of [
      [[text('needle')], 0],
      [[text('needle')], MiB + 101],
      [[text('needle')], 2 * MiB + 5001],
      [[text('straddled')], 0],
      [[text('absent'), text('hidden')], 0],
      [[text('tail\0\0\0')], 0],
      [[Uint8Array.of(0, 0, 0x2e)], 0],
      [[Uint8Array.of(0, 0, 0x2e)], MiB],
      [[Uint8Array.of(0, 0)], MiB],
      [[text('tail'), text('needle')], 2 * MiB],
      [[text('n')], 16 * MiB - 1],
    ] as const) {
      const { offset, leftOut } = await search(opened, patterns, from, job);
      expect({ offset, leftOut }).toEqual({ offset: placeOf(patterns, from), leftOut: 0 });
    }
    await opened.close();
  });

  test('reads data and what a match may reach out of it, and nothing else', async () => {
    const opened = await openVhdx(disk().source());
    let read = 0;
    const counting: RandomAccessSource = {
      size: opened.size,
      extents: (range) => opened.extents(range),
      readInto: (target, offset, options) => {
        read += target.length;
        return opened.readInto(target, offset, options);
      },
    };
    expect(await search(counting, [text('absent')], 0, job)).toEqual({ leftOut: 0 });
    expect(read).toBe(3 * MiB + 4 * 5);
    await opened.close();
  });

  test('leaves out what is damaged, says how much, and finds what is behind it', async () => {
    const opened = await openVhdx(damaged().source());
    expect(await search(opened, [text('straddled')], 0, job)).toEqual({ leftOut: MiB });
    expect(await search(opened, [text('hidden')], 0, job)).toEqual({ offset: 9 * MiB + 700, leftOut: MiB });
    expect(await search(opened, [text('.'), text('str')], 2 * MiB - 3, job)).toEqual({
      offset: 2 * MiB - 3,
      leftOut: 0,
    });
    await opened.close();
  });

  needs(tool('chromium')).test('in the page leads from place to place, and says where there is none', async () => {
    const path = join(await tempDir(), 'disk.vhdx');
    await saveFile(damaged(), path);
    const page = await app.open();
    await openFiles(page, path);
    const [work, state] = [page.locator('#bytes-find-work'), page.locator('#bytes-state')];
    const find = page.getByLabel('Find', { exact: true });
    await find.fill('needle');
    await find.press('Enter');
    await expectText(work, 'Found at 0x100064; again, to find the next.');
    await expectText(state, /^Sector 2,048 at 0x100000\./);
    await expectText(page.locator('#bytes-text mark'), /^00100060 .*\.\.\.\.needle/);
    await page.getByRole('button', { name: 'Find' }).click();
    await expectText(
      work,
      'Not found from 0x100065 on; again, to look from the start. 1 MiB (1,048,576 bytes) are damaged',
    );
    await find.press('Enter');
    await expectText(work, 'Found at 0x100064');
    await find.fill('0x2e 68 69');
    await find.press('Enter');
    await expectText(work, 'Found at 0x9002bb');
    await page.locator('.bytes label', { hasText: 'File' }).click();
    await find.fill('vhdxfile');
    await find.press('Enter');
    await expectText(work, 'Found at 0x0');
    await find.fill('0x123');
    await find.press('Enter');
    await expectText(work, 'Give a text to look for, or bytes as 0x and pairs of hexadecimal digits.');
  });

  needs(tool('chromium')).test('of a text finds it as Windows stores it', async () => {
    const path = join(await tempDir(), 'disk.vhdx');
    const data = new Uint8Array(MiB);
    data.set(Buffer.from('Ünïcode', 'utf16le'), 4096);
    await saveFile(buildImage({ blocks: { 0: { state: STATE.fullyPresent, data } } }), path);
    const page = await app.open();
    await openFiles(page, path);
    await page.getByLabel('Find', { exact: true }).fill('ïcode');
    await page.getByRole('button', { name: 'Find' }).click();
    await expectText(page.locator('#bytes-find-work'), 'Found at 0x1004');
  });
});

import { describe, expect, test } from 'vitest';
import { buildImage } from '../build-image.js';
import { MiB } from '../encode-primitives.js';
import { SLOW } from '../time-limits.js';
import { ContentModel } from './content-model.js';
import { CrashFile } from './crash-file.js';
import { exploreCrashes } from './explore.js';
import { MiniWriter, type Mistake } from './mini-writer.js';
import { PageImage } from './page-image.js';
import { checkClosed, checkTrace } from './trace-rules.js';

/** An empty dynamic image of six blocks of 1 MiB. */
function emptyImage(): PageImage {
  return PageImage.of(buildImage({ virtualSize: 6 * MiB, blockSize: MiB, blocks: {} }).toUint8Array());
}

/** A session of a small writer: writes, a block freed and its space used again, several commits, a clean end. */
async function session(mistake?: Mistake, commits = 0): Promise<CrashFile> {
  const file = new CrashFile(emptyImage());
  const writer = new MiniWriter(file, mistake);
  await writer.begin();
  await writer.writeBlock(0);
  await writer.writeBlock(3);
  await writer.commit();
  writer.zeroBlock(3);
  await writer.writeBlock(5);
  await writer.commit();
  await writer.writeBlock(1);
  await writer.commit();
  for (let i = 0; i < commits; i++) {
    writer.zeroBlock(2);
    await writer.commit();
  }
  await writer.close();
  return file;
}

const everything = { model: () => new ContentModel() };

describe('a session in the order of the specification', () => {
  test('survives every state', SLOW.largest, async () => {
    const file = await session();
    checkTrace(file);
    expect(await exploreCrashes(file, everything)).toBeGreaterThan(1000);
  });
});

describe('a session that', () => {
  test.each<[Mistake, RegExp]>([
    ['announces the log before its first entry exists', /point \d+, .*the log holds no valid sequence/],
    [
      'logs before the payload is durable',
      /point \d+, .*(content: sector \d+ holds|past the end|leaves the file|ends at)/,
    ],
    ['says that more of the file was stable than is', /its log says that \d+ were stable/],
    ['clears the log before everything is in place', /content: sector \d+ holds/],
    ['reuses freed space at once', /content: sector \d+ holds/],
    ['names a tail that is not there', /the log holds no valid sequence/],
  ])('%s does not', async (mistake, message) => {
    const file = await session(mistake);
    await expect(exploreCrashes(file, everything)).rejects.toThrow(message);
  });

  test.each<[Mistake, RegExp]>([
    ['applies before the entry is durable', /W26/],
    ['writes both headers at once', /W8/],
    ['logs zeros over payload', /I11/],
  ])('%s is found by its writes', async (mistake, message) => {
    const file = await session(mistake);
    expect(() => checkTrace(file)).toThrow(message);
  });

  test('clears one header only is found when it is closed', async () => {
    const good = await session();
    checkClosed(good.content());
    const file = await session('clears one header only');
    expect(() => checkClosed(file.content())).toThrow(/W13/);
  });

  test('goes round the ring under one log GUID is found by its writes', SLOW.largest, async () => {
    const good = await session(undefined, 100);
    checkTrace(good);
    const file = await session('goes round the ring', 140);
    expect(() => checkTrace(file)).toThrow(/W25b|I10/);
  });
});

// The log builder, judged by QEMU's replay, as far as QEMU replays rightly.
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect } from 'vitest';
import { pattern } from './block-content.js';
import { type BuiltImage, buildImage } from './build-image.js';
import { applyLog, LOG_GUID, type LogSpec, writeLog } from './build-log.js';
import { dirtied, restoring, structureSectors } from './dirty-images.js';
import { modelOf } from './disk-model.js';
import { KiB, MiB } from './encode-primitives.js';
import { STATE } from './image-spec.js';
import { expectSameBytes } from './same-bytes.js';
import { saveFile } from './save-image.js';
import { needs, tempDir, tool } from './tools.js';

const qemuImg = tool('qemu-img');
const SECTOR = 4 * KiB;

const clean = () =>
  buildImage({
    blocks: Object.fromEntries([0, 3, 6].map((block) => [block, { state: STATE.fullyPresent, data: pattern(block) }])),
  });

/** Lets QEMU replay the log of an image, and asserts that it found an image that is now whole. Returns the file and the disk. */
async function replayWithQemu(dirty: BuiltImage): Promise<{ file: Uint8Array; disk: Uint8Array }> {
  const path = join(await tempDir(), 'dirty.vhdx');
  await saveFile(dirty, path);
  const refused = await qemuImg.run(['convert', '-O', 'raw', path, `${path}.raw`]);
  expect(refused.stderr).toContain('contains a log that needs to be replayed');
  const repaired = await qemuImg.run(['check', '-r', 'all', path]);
  expect(repaired).toMatchObject({ status: 0, stderr: '' });
  const converted = await qemuImg.run(['convert', '-O', 'raw', path, `${path}.raw`]);
  expect(converted).toMatchObject({ status: 0, stderr: '' });
  return { file: await readFile(path), disk: await readFile(`${path}.raw`) };
}

const wholeLog: readonly (readonly [string, Partial<LogSpec>])[] = [
  ['one entry', {}],
  ['an entry without descriptors before it', { entries: [{}] }],
  ['sequence numbers beyond 2^53', { firstSequence: 0x3ca9_3a92_0d19_0a97n, entries: [{}] }],
  ['an entry header in the last sector of the ring', { start: MiB - SECTOR }],
  ['data sectors across the end of the ring', { start: MiB - 3 * SECTOR }],
  [
    'entries that write what the last one overwrites',
    {
      entries: [{ descriptors: [{ fileOffset: 3 * MiB, bytes: new Uint8Array(SECTOR).fill(7) }] }, {}],
    },
  ],
];

describe('logs that QEMU replays', () => {
  for (const [title, plan] of wholeLog) {
    needs(qemuImg).test(`${title}: the disk and the structures are as they were`, async () => {
      const image = clean();
      const dirty = dirtied(image, structureSectors(image), plan);
      const { file, disk } = await replayWithQemu(dirty);
      const model = modelOf(image);
      expectSameBytes(disk, model.expected(0, model.size));
      const { layout } = image;
      for (const { offset, length } of [{ offset: 192 * KiB, length: 128 * KiB }, layout.metadata, layout.bat]) {
        expectSameBytes(file.subarray(offset, offset + length), image.read(offset, length));
      }
    });
  }

  needs(qemuImg).test('zero descriptors clear what is there, and the model of a replay says the same', async () => {
    const image = clean();
    const dirty = image.clone();
    const rubbish = { offset: image.layout.metadata.offset + 128 * KiB, length: 64 * KiB };
    dirty.write(rubbish.offset, new Uint8Array(rubbish.length).fill(0xab));
    const zeroed = { fileOffset: rubbish.offset + SECTOR, zeroLength: rubbish.length - 2 * SECTOR };
    const entries = writeLog(dirty, {
      entries: [{ descriptors: [zeroed] }, { descriptors: [restoring(image, rubbish.offset), zeroed] }],
    });
    const { file } = await replayWithQemu(dirty);
    const expected = applyLog(dirty.clone(), entries);
    const { offset, length } = image.layout.metadata;
    expectSameBytes(file.subarray(offset, offset + length), expected.read(offset, length));
    expect(expected.read(rubbish.offset + rubbish.length - 2 * SECTOR, 2 * SECTOR)).toEqual(
      new Uint8Array(2 * SECTOR).fill(0xab, SECTOR),
    );
  });

  needs(qemuImg).test('a torn entry ends the sequence, and entries of an older log do not count', async () => {
    const image = clean();
    const bat = image.layout.bat.offset;
    const harm = { descriptors: [{ fileOffset: bat, bytes: new Uint8Array(SECTOR).fill(1) }] };
    const dirty = image.clone();
    dirty.write(bat, new Uint8Array(SECTOR));
    writeLog(dirty, {
      start: 64 * KiB,
      logGuid: '11112222-3333-4444-9555-666677778888',
      firstSequence: 99n,
      entries: [harm],
      headerLogGuid: null,
    });
    writeLog(dirty, {
      entries: [{ descriptors: [restoring(image, bat)] }, { ...harm, tornAt: 6 * KiB }],
      logGuid: LOG_GUID,
    });
    const { file } = await replayWithQemu(dirty);
    expectSameBytes(file.subarray(bat, bat + MiB), image.read(bat, MiB));
  });
});

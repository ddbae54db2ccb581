import { describe, expect, test } from 'vitest';
import { memoryFile, openVhdx, type RandomAccessFile, type SetOptions, setVhdx } from '../../src/index.js';
import { type BuiltImage, buildImage } from '../support/build-image.js';
import { setLogGuid, writeLog } from '../support/build-log.js';
import { CrashFile } from '../support/crash/crash-file.js';
import { exploreCrashes, hasNewDataWriteGuid, viewDifference } from '../support/crash/explore.js';
import { PageImage } from '../support/crash/page-image.js';
import { readState } from '../support/crash/state-reader.js';
import { checkClosed } from '../support/crash/trace-rules.js';
import { dirtied, structureSectors } from '../support/dirty-images.js';
import { KiB, MiB } from '../support/encode-primitives.js';
import { GUID } from '../support/encode-structures.js';
import {
  crowded,
  UNKNOWN_ITEM,
  unknownItem,
  withChangedItem,
  withItems,
  withoutItem,
} from '../support/metadata-images.js';
import { expectSameBytes } from '../support/same-bytes.js';
import { rejection } from '../support/scripted-source.js';
import { SLOW } from '../support/time-limits.js';

const ID = '12345678-1234-4234-8234-123456789abc';
const plain = buildImage();

async function fileOf(image: BuiltImage): Promise<RandomAccessFile> {
  const file = memoryFile();
  await file.write(image.toUint8Array(), 0);
  return file;
}

async function bytesOf(file: RandomAccessFile): Promise<Uint8Array> {
  const bytes = new Uint8Array(file.size);
  await file.readInto(bytes, 0);
  return bytes;
}

describe('the identity of a disk', () => {
  test('is set, with the physical sector size, and nothing else but what must change', async () => {
    const file = await fileOf(withItems(unknownItem({ flags: 1, data: new Uint8Array(100).fill(7) })));
    const before = await openVhdx(file);
    await setVhdx(file, { newId: `{${ID.toUpperCase()}}`, physicalSectorSize: 512 });
    const after = await openVhdx(file, { strict: true });
    expect(after.id).toBe(ID);
    expect(after.physicalSectorSize).toBe(512);
    const { virtualDiskId: _a, physicalSectorSize: _b, header: was, log: _c, ...rest } = before.info;
    const { header } = after.info;
    expect(after.info).toMatchObject(rest);
    expect(header.dataWriteGuid).not.toBe(was.dataWriteGuid);
    expect(header.fileWriteGuid).not.toBe(was.fileWriteGuid);
    expectSameBytes(await after.read(0, after.size), await before.read(0, before.size));
    await before.close();
    await after.close();
  });

  test('leaves everything else of the metadata table as it is: order, reserved bits, what no reader knows', async () => {
    const odd = unknownItem({ flags: 0x30, reserved: 5 });
    const image = buildImage({
      metadata: { reserved: 9, afterEntries: new Uint8Array(32).fill(0xee) },
      items: (plain) => [odd, ...plain.reverse()],
    });
    const file = await fileOf(image);
    await setVhdx(file, { newId: ID, physicalSectorSize: 512 });
    const { offset } = image.layout.metadata;
    const table = (await bytesOf(file)).subarray(offset, offset + 64 * KiB);
    expectSameBytes(table, image.read(offset, 64 * KiB));
    const disk = await openVhdx(file);
    expect(disk).toMatchObject({ id: ID, physicalSectorSize: 512 });
    await disk.close();
  });

  test('is another one each time if none is given', async () => {
    const ids = new Set<string | undefined>();
    const file = await fileOf(plain);
    for (let i = 0; i < 3; i++) {
      await setVhdx(file, { newId: true });
      const disk = await openVhdx(file);
      ids.add(disk.id);
      await disk.close();
    }
    expect(ids.size).toBe(3);
  });

  test('that the disk has already is not written', async () => {
    const file = await fileOf(plain);
    await setVhdx(file, { newId: ID });
    const before = await bytesOf(file);
    await setVhdx(file, { newId: ID, physicalSectorSize: 4096 });
    expectSameBytes(await bytesOf(file), before);
  });

  test('is set in a child whose parent is not there', async () => {
    const file = await fileOf(buildImage({ type: 'differencing' }));
    await setVhdx(file, { newId: ID });
    const disk = await openVhdx(file, { parent: false });
    expect(disk.id).toBe(ID);
    await disk.close();
  });

  test('gets an item of its own if the image has none, beside what is there', async () => {
    const file = await fileOf(withoutItem(GUID.virtualDiskId));
    await setVhdx(file, { newId: ID });
    const disk = await openVhdx(file, { strict: true });
    expect(disk.id).toBe(ID);
    await disk.close();
    readState(PageImage.of(await bytesOf(file)));
  });
});

describe('a metadata region without room for another item', () => {
  test('moves to a place where it is longer, with everything that is in it', async () => {
    const lacksId = buildImage({ items: (plain) => crowded(plain.filter(({ id }) => id !== GUID.virtualDiskId)) });
    const file = await fileOf(lacksId);
    const before = await openVhdx(lacksId.toUint8Array());
    await setVhdx(file, { newId: ID, physicalSectorSize: 512 });
    const { items, regions, end } = readState(PageImage.of(await bytesOf(file)));
    expect(end).toBe(file.size);
    expect(regions.map(({ length }) => length).sort()).toEqual([MiB, 2 * MiB]);
    const user = items.get(`user ${UNKNOWN_ITEM}`);
    expectSameBytes(user?.bytes as Uint8Array, crowdedBytes(lacksId));
    const after = await openVhdx(file, { strict: true });
    expect(after).toMatchObject({ id: ID, physicalSectorSize: 512 });
    expectSameBytes(await after.read(0, after.size), await before.read(0, before.size));
    await after.close();
    await before.close();
  });
});

/** What the item holds that fills the region. */
function crowdedBytes(image: BuiltImage): Uint8Array {
  const { offset, length } = image.layout.metadata;
  const [filler] = crowded([]);
  return (filler as { data: Uint8Array }).data.subarray(0, offset + length - image.layout.itemOffset(UNKNOWN_ITEM));
}

describe('an image that cannot be set', () => {
  test.each<[string, object]>([
    ['nothing', {}],
    ['no GUID', { newId: 'abc' }],
    ['the GUID of zeros', { newId: '00000000-0000-0000-0000-000000000000' }],
    ['a sector size', { physicalSectorSize: 1024 }],
  ])('because of what was asked for: %s', async (_, options) => {
    const file = await fileOf(plain);
    expect(await rejection(setVhdx(file, options as SetOptions))).toBeInstanceOf(RangeError);
    expectSameBytes(await bytesOf(file), plain.toUint8Array());
  });

  test.each<[string, BuiltImage, string]>([
    ['two blocks in one place', sharing(), 'bat-block-overlap'],
    ['a log that cannot be replayed', brokenLog(), 'log-no-sequence'],
    ['two items in one place', withItems(unknownItem({ offset: 64 * KiB + 20 })), 'metadata-item-overlap'],
  ])('stays as it was: %s', async (_, image, code) => {
    const file = await fileOf(image);
    expect(await rejection(setVhdx(file, { newId: ID }))).toMatchObject({ code });
    expectSameBytes(await bytesOf(file), image.toUint8Array());
  });
});

describe('an identity whose writing loses power', () => {
  const settings: SetOptions = { newId: ID, physicalSectorSize: 512 };
  test.each<[string, BuiltImage]>([
    ['clean', buildImage({ virtualSize: 4 * MiB })],
    ['dirty', dirtied(plain, structureSectors(plain))],
    ['with the item in two pages', withChangedItem(GUID.virtualDiskId, { offset: 68 * KiB - 8 })],
  ])('is the old or the new one, whole: %s', SLOW.crashes, async (_, image) => {
    const before = PageImage.of(image.toUint8Array());
    const file = new CrashFile(before);
    await setVhdx(file, settings);
    checkClosed(file.content());
    const expected = readState(before);
    const old = JSON.stringify(expected.metadata);
    const fresh = JSON.stringify(readState(file.content()).metadata);
    const seen = new Set<string>();
    const states = await exploreCrashes(file, {
      random: 10,
      also: ({ image: content, id }, view) => {
        const metadata = JSON.stringify(view.metadata);
        expect([old, fresh], id).toContain(metadata);
        if (metadata === fresh) expect(hasNewDataWriteGuid(before, content), id).toBe(true);
        expect(viewDifference(view, expected), id).toBeUndefined();
        seen.add(metadata);
      },
    });
    expect(seen).toEqual(new Set([old, fresh]));
    expect(states).toBeGreaterThan(50);
  });
});

function sharing(): BuiltImage {
  const image = plain.clone();
  image.write(image.layout.batEntryOffset(0), image.read(image.layout.batEntryOffset(2), 8));
  return image;
}

function brokenLog(): BuiltImage {
  const image = plain.clone();
  setLogGuid(image, '00112233-4455-6677-8899-aabbccddeeff');
  writeLog(image, { entries: [{ tail: 8192 }] });
  return image;
}

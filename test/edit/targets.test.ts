import { describe, expect, test } from 'vitest';
import {
  type BrowserFileHandle,
  createVhdx,
  editVhdx,
  memoryFile,
  openVhdx,
  repairVhdx,
  setVhdx,
  type VhdxTarget,
} from '../../src/index.js';
import { buildImage } from '../support/build-image.js';
import { dirtied, structureSectors } from '../support/dirty-images.js';
import { GiB, MiB, TiB } from '../support/encode-primitives.js';
import { FakePickedFile, FakeSyncHandle } from '../support/fake-handles.js';
import { rejection } from '../support/scripted-source.js';

const ID = '12345678-1234-4234-8234-123456789abc';
const dirty = () => {
  const plain = buildImage();
  return dirtied(plain, structureSectors(plain)).toUint8Array();
};

/** A file handle of the origin private file system in a worker, over a file in memory. */
function originHandle(sync: FakeSyncHandle): BrowserFileHandle {
  return {
    name: 'disk.vhdx',
    getFile: async () => new File([sync.bytes], 'disk.vhdx'),
    createSyncAccessHandle: async () => sync,
  };
}

/** A handle that a person picked, as a dedicated worker sees it: it has the method, which refuses (File System Standard, 2.5). */
function pickedInWorker(file: FakePickedFile): BrowserFileHandle {
  return Object.assign(file, {
    createSyncAccessHandle: async (): Promise<never> => {
      throw new DOMException('not in the bucket file system', 'InvalidStateError');
    },
  });
}

describe('a file that a person picked', () => {
  test.each([
    ['in a page', (file: FakePickedFile): VhdxTarget => file],
    ['in a worker', pickedInWorker],
  ])('%s is created as a whole, and not at all if that fails', async (_, targetOf) => {
    const file = new FakePickedFile(0);
    await createVhdx(targetOf(file), { size: 5 * GiB });
    expect(file.swaps).toEqual(['closed']);
    const disk = await openVhdx(file.bytes, { strict: true });
    expect(disk.size).toBe(5 * GiB);
    await disk.close();

    const before = file.bytes;
    expect(await rejection(createVhdx(targetOf(file), { size: MiB }))).toMatchObject({ code: 'exists' });
    file.failure = new DOMException('full', 'QuotaExceededError');
    const refused = createVhdx(targetOf(file), { size: MiB, overwrite: true });
    expect(await rejection(refused)).toMatchObject({ code: 'no-space', file: 'disk.vhdx' });
    expect(file.bytes).toBe(before);
    expect(file.swaps).toEqual(['closed', 'aborted']);
  });

  test('may be longer than what is kept in memory: a new image goes to the browser at once', async () => {
    const file = new FakePickedFile(0);
    let written = 0;
    const createWritable = file.createWritable.bind(file);
    file.createWritable = async (options) => {
      const swap = await createWritable(options);
      return {
        ...swap,
        write: async ({ data }) => {
          written += data.length; // and forgotten
        },
        truncate: async () => {},
      };
    };
    await createVhdx(file, { size: 16 * TiB, blockSize: MiB });
    expect(written).toBeGreaterThan(128 * MiB);
  });

  test('is repaired as a whole; before that, dryRun needs no permission to write', async () => {
    const file = new FakePickedFile(dirty());
    const before = file.bytes;
    const readOnly = { name: file.name, getFile: () => file.getFile() };
    const planned = await repairVhdx(readOnly, { dryRun: true });
    expect(planned.repairs.map(({ kind }) => kind)).toEqual(['replay-log']);
    expect(file.bytes).toBe(before);
    const done = await repairVhdx(file);
    expect(done.repairs).toEqual(planned.repairs);
    expect(file.swaps).toEqual(['closed']);
    await (await openVhdx(file.bytes, { replay: 'refuse', strict: true })).close();
    expect(await rejection(repairVhdx(readOnly))).toMatchObject({ code: 'unsupported-input' });
  });

  test('stays as it was if it cannot be repaired, or if another program changed it meanwhile', async () => {
    const damaged = buildImage({ blocks: { 0: { state: 4 } } }).toUint8Array();
    const file = new FakePickedFile(damaged);
    expect(await rejection(repairVhdx(file))).toMatchObject({ code: 'bat-reserved-state' });
    expect(file.bytes).toBe(damaged);
    expect(file.swaps).toEqual([]);

    const other = new FakePickedFile(dirty());
    const { bytes } = other;
    const createWritable = other.createWritable.bind(other);
    other.createWritable = (options) => {
      other.lastModified++;
      return createWritable(options);
    };
    expect(await rejection(repairVhdx(other))).toMatchObject({ code: 'source-changed' });
    expect(other.bytes).toBe(bytes);
    expect(other.swaps).toEqual(['aborted']);
  });

  test('gets another identity, and is refused where a flush must make something durable', async () => {
    const file = new FakePickedFile(buildImage().toUint8Array());
    await setVhdx(file, { newId: ID });
    const disk = await openVhdx(file.bytes);
    expect(disk.id).toBe(ID);
    await disk.close();
    expect(await rejection(editVhdx(file))).toMatchObject({
      code: 'unsupported-input',
      message: expect.stringMatching(/origin private file system.*save a changed copy/),
    });
    expect(file.swaps).toEqual(['closed']);
  });

  test('is written by one page at a time, where the browser has locks', async () => {
    if (globalThis.navigator?.locks === undefined) return;
    const file = new FakePickedFile(dirty());
    const both = await Promise.allSettled([repairVhdx(file), repairVhdx(file)]);
    expect(both.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected']);
    expect(both.find(({ status }) => status === 'rejected')).toMatchObject({ reason: { code: 'locked' } });
    await repairVhdx(file);
  });
});

describe('a file of the origin private file system', () => {
  test.each([
    ['by its handle', originHandle, 4],
    ['that was opened by the caller', (sync: FakeSyncHandle): VhdxTarget => sync, 0],
  ])('%s serves everything that writes', async (_, targetOf, closed) => {
    const sync = new FakeSyncHandle();
    await createVhdx(targetOf(sync), { size: 16 * MiB });
    const disk = await editVhdx(targetOf(sync));
    await disk.write(Uint8Array.of(1, 2, 3), 5 * MiB);
    const flushes = sync.flushes;
    await disk.flush();
    expect(sync.flushes).toBeGreaterThan(flushes);
    await disk.close();
    await setVhdx(targetOf(sync), { physicalSectorSize: 512 });
    expect((await repairVhdx(targetOf(sync))).repairs).toEqual([]);
    expect(sync.closed).toBe(closed);
    const reading = await openVhdx(sync.bytes, { strict: true });
    expect(reading.physicalSectorSize).toBe(512);
    expect(await reading.read(5 * MiB, 4)).toEqual(Uint8Array.of(1, 2, 3, 0));
    await reading.close();
  });

  test('that is open elsewhere is locked', async () => {
    const handle = originHandle(new FakeSyncHandle());
    handle.createSyncAccessHandle = async () => {
      throw new DOMException('busy', 'NoModificationAllowedError');
    };
    const works = [createVhdx(handle, { size: MiB }), editVhdx(handle), repairVhdx(handle)];
    for (const error of await Promise.all(works.map(rejection))) {
      expect(error).toMatchObject({ code: 'locked', file: 'disk.vhdx' });
    }
  });
});

describe('what cannot be written', () => {
  test.each<[string, unknown]>([
    ['a Blob', new Blob(['bytes'])],
    ['bytes', new Uint8Array(10)],
    ['a source', { size: 0, readInto: async () => {} }],
    ['nothing', null],
  ])('is refused in one sentence: %s', async (_, target) => {
    const works = [
      createVhdx(target as VhdxTarget, { size: MiB }),
      editVhdx(target as VhdxTarget),
      repairVhdx(target as VhdxTarget),
      repairVhdx(target as VhdxTarget, { dryRun: true }),
      setVhdx(target as VhdxTarget, { newId: true }),
    ];
    for (const error of await Promise.all(works.map(rejection))) {
      expect(error).toMatchObject({
        code: 'unsupported-input',
        message: expect.stringContaining('cannot be written'),
      });
    }
  });

  test('a new image over its own parent', async () => {
    const file = memoryFile();
    await file.write(buildImage().toUint8Array(), 0);
    const refused = createVhdx(file, { parent: file, parentPath: '.\\a.vhdx', overwrite: true });
    expect(await rejection(refused)).toMatchObject({ code: 'parent-cycle' });
    expect(file.size).toBeGreaterThan(MiB);
  });
});

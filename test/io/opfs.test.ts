import { describe, expect, test } from 'vitest';
import { openOpfsFile, syncHandleFile } from '../../src/io/opfs.js';
import { lockInPage } from '../../src/io/page-lock.js';
import { FakeSyncHandle } from '../support/fake-handles.js';
import { rejection } from '../support/scripted-source.js';

describe('a sync access handle', () => {
  test('of which each call moves only some bytes', async () => {
    const handle = new FakeSyncHandle();
    handle.most = 3;
    const file = syncHandleFile(handle);
    await file.write(Uint8Array.of(1, 2, 3, 4, 5, 6, 7), 2);
    const bytes = new Uint8Array(9);
    await file.readInto(bytes, 0);
    expect(bytes).toEqual(Uint8Array.of(0, 0, 1, 2, 3, 4, 5, 6, 7));
    expect(file.size).toBe(9);
  });

  test('whose quota is used up', async () => {
    const handle = new FakeSyncHandle();
    handle.quota = 5;
    const file = syncHandleFile(handle);
    expect(await rejection(file.write(new Uint8Array(10), 0))).toMatchObject({ code: 'no-space', offset: 5 });
    expect(file.size).toBe(5);
    handle.write = () => {
      throw new DOMException('full', 'QuotaExceededError');
    };
    expect(await rejection(file.write(new Uint8Array(1), 0))).toMatchObject({ code: 'no-space' });
  });

  test('that fails to flush never succeeds after it', async () => {
    const handle = new FakeSyncHandle();
    const file = syncHandleFile(handle);
    await file.flush();
    handle.failure = new DOMException('no', 'UnknownError');
    const error = await rejection(file.flush());
    expect(error).toMatchObject({ code: 'write-failed' });
    handle.failure = undefined;
    expect(await rejection(file.flush())).toBe(error);
    expect(handle.flushes).toBe(1);
  });

  test('that was truncated elsewhere', async () => {
    const handle = new FakeSyncHandle();
    const file = syncHandleFile(handle);
    await file.truncate(100);
    handle.truncate(10);
    expect(await rejection(file.readInto(new Uint8Array(20), 0))).toMatchObject({ code: 'short-read', offset: 10 });
  });

  test('stays open when it was handed over, and is closed when it was opened here', async () => {
    const handle = new FakeSyncHandle();
    await syncHandleFile(handle).close?.();
    expect(handle.closed).toBe(0);
    const file = await openOpfsFile({ name: 'disk', createSyncAccessHandle: async () => handle });
    await file.close?.();
    await file.close?.();
    expect(handle.closed).toBe(1);
    const late = [file.readInto(new Uint8Array(0), 0), file.truncate(0), file.flush()];
    for (const error of await Promise.all(late.map(rejection))) {
      expect(error).toMatchObject({ code: 'closed' });
    }
  });

  test('refuses odd values', async () => {
    const file = syncHandleFile(new FakeSyncHandle());
    expect(await rejection(file.write([1] as unknown as Uint8Array, 0))).toBeInstanceOf(TypeError);
    expect(await rejection(file.write(new Uint8Array(1), -1))).toBeInstanceOf(RangeError);
    expect(await rejection(file.truncate(0.5))).toBeInstanceOf(RangeError);
    expect(await rejection(file.readInto(new Uint8Array(1), 0))).toBeInstanceOf(RangeError);
  });

  test('that cannot be had in a page', async () => {
    expect(await rejection(openOpfsFile({ name: 'disk' }))).toMatchObject({ code: 'unsupported-input' });
  });

  test('that is open elsewhere', async () => {
    const createSyncAccessHandle = async () => {
      throw new DOMException('busy', 'NoModificationAllowedError');
    };
    expect(await rejection(openOpfsFile({ name: 'disk', createSyncAccessHandle }))).toMatchObject({ code: 'locked' });
  });
});

test('a page lock excludes others where there are locks, and warns where there are none', async () => {
  const lock = await lockInPage('some disk');
  if (globalThis.navigator?.locks === undefined) {
    expect(lock.warning).toBe(
      'some disk could not be locked (navigator.locks is missing), so another page may write the file too',
    );
    return;
  }
  expect(lock.warning).toBeUndefined();
  expect(await rejection(lockInPage('some disk'))).toMatchObject({ code: 'locked', file: 'some disk' });
  await (await lockInPage('another disk')).release();
  await lock.release();
});

import { expect } from 'vitest';
import { openVhdx, type RandomAccessFile } from '../../../src/index.js';
import { PAGE_SIZE, PageImage } from '../crash/page-image.js';
import { readState, type StateView } from '../crash/state-reader.js';
import { expectSameBytes } from '../same-bytes.js';

/** All bytes of a file. */
export async function bytesOf(file: RandomAccessFile): Promise<Uint8Array<ArrayBuffer>> {
  const bytes = new Uint8Array(file.size);
  await file.readInto(bytes, 0);
  return bytes;
}

/** What the strict reader of states makes of an image, and of its parent. */
export function viewOf(bytes: Uint8Array, parent?: StateView): StateView {
  return readState(PageImage.of(bytes), parent);
}

/** The bytes of a virtual disk by the strict reader. */
function contentOf({ metadata, page }: StateView): Uint8Array<ArrayBuffer> {
  const pages = Math.ceil(metadata.size / PAGE_SIZE);
  const bytes = new Uint8Array(pages * PAGE_SIZE);
  for (let i = 0; i < pages; i++) bytes.set(page(i), i * PAGE_SIZE);
  return bytes.subarray(0, metadata.size);
}

/**
 * Asserts that a file is a sound, clean image without waste that holds some bytes, by the strict reader and by the
 * library; returns what the reader makes of it.
 */
export async function expectImage(
  file: RandomAccessFile,
  content: Uint8Array,
  parent?: { readonly bytes: Uint8Array; readonly view: StateView },
): Promise<StateView> {
  const bytes = await bytesOf(file);
  const view = viewOf(bytes, parent?.view);
  expect(view.dirty).toBe(false);
  expect(view.end).toBe(file.size);
  const owned = view.regions.reduce((sum, { length }) => sum + length, 1024 * 1024 + view.header.logLength);
  expect(view.bat.owned.reduce((sum, { length }) => sum + length, owned)).toBe(file.size);
  expectSameBytes(contentOf(view), content);
  const disk = await openVhdx(bytes, { strict: true, parent: parent?.bytes ?? false });
  expect(disk.findings.filter(({ severity }) => severity !== 'info')).toEqual([]);
  expectSameBytes(await disk.read(0, disk.size), content);
  return view;
}

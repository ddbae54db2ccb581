import { type FileHandle, open } from 'node:fs/promises';
import { expect } from 'vitest';
import type { VhdxDisk } from '../../src/index.js';
import { MiB } from './encode-primitives.js';
import { expectSameBytes } from './same-bytes.js';
import { tool } from './tools.js';

/** Programs of other people that read, write and check VHDX images. */
export const qemuImg = tool('qemu-img');
export const qemuIo = tool('qemu-io');
export const sevenZip = tool('7zz');
export const pyvhdi = tool('pyvhdi');

/** Lets qemu-img write what an image holds to a raw file, and returns its path. 512-byte sectors, no parents, not dirty. */
export async function convertWithQemu(path: string): Promise<string> {
  const raw = `${path}.raw`;
  const result = await qemuImg.run(['convert', '-f', 'vhdx', '-O', 'raw', path, raw]);
  expect(result).toMatchObject({ status: 0, stderr: '' });
  return raw;
}

/**
 * What 7-Zip reads of an image. Parents are looked for beside the child and must be as large, one of the same file size
 * and file write GUID is taken for the child itself, and sectors must be even in number. It delivers what it has in spite of some complaints: those that it is expected to make are given.
 */
export async function readWith7Zip(path: string, complaint = ''): Promise<Uint8Array> {
  const { status, bytes, stderr } = await sevenZip.run(['e', '-so', '-tvhdx', path]);
  if (complaint === '') expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
  else expect(stderr).toMatch(/ERROR/);
  expect(stderr).toContain(complaint);
  return bytes;
}

/**
 * What libvhdi reads of a chain, child first; of the range, where one is given. In a differencing image it takes zero,
 * undefined and unmapped blocks from the parent, which is wrong.
 */
export async function readWithLibvhdi(paths: readonly string[], offset = 0, length = -1): Promise<Uint8Array> {
  const script = `
import sys, pyvhdi
offset, length, *paths = sys.argv[1:]
files = [pyvhdi.file() for _ in paths]
for file, path in zip(files, paths): file.open(path)
for child, parent in zip(files, files[1:]): child.set_parent(parent)
left = int(length) if int(length) >= 0 else files[0].get_media_size()
files[0].seek_offset(int(offset), 0)
while left > 0:
    bytes = files[0].read_buffer(min(left, 1 << 20))
    sys.stdout.buffer.write(bytes)
    left -= len(bytes)
`;
  const { status, bytes, stderr } = await pyvhdi.run(['-c', script, String(offset), String(length), ...paths]);
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
  return bytes;
}

/**
 * Asserts that a disk holds what a raw file holds, byte for byte. What is a hole in both is not read: qemu-img tells
 * where the raw file has any data.
 */
export async function expectSameAsRaw(disk: VhdxDisk, path: string): Promise<void> {
  const { stdout } = await qemuImg.run(['map', '-f', 'raw', '--output=json', path]);
  const stored = (JSON.parse(stdout) as { start: number; length: number; data: boolean }[]).filter(({ data }) => data);
  const file = await open(path);
  try {
    expect((await file.stat()).size).toBe(disk.size);
    for await (const { offset, length, kind } of disk.extents()) {
      const end = offset + length;
      if (kind === 'data') await expectSameRange(disk, file, offset, end);
      else {
        for (const { start, length: size } of stored) {
          await expectSameRange(disk, file, Math.max(offset, start), Math.min(end, start + size));
        }
      }
    }
  } finally {
    await file.close();
  }
}

async function expectSameRange(disk: VhdxDisk, file: FileHandle, from: number, to: number): Promise<void> {
  const raw = new Uint8Array(4 * MiB);
  for (let at = from; at < to; at += raw.length) {
    const part = raw.subarray(0, Math.min(raw.length, to - at));
    await readFully(file, part, at);
    const own = await disk.read(at, part.length);
    if (Buffer.compare(own, part) !== 0) expectSameBytes(own, part, `at ${at}`);
  }
}

async function readFully(file: FileHandle, target: Uint8Array, position: number): Promise<void> {
  for (let done = 0; done < target.length; ) {
    const { bytesRead } = await file.read(target, done, target.length - done, position + done);
    if (bytesRead === 0) throw new Error(`the raw file ends at ${position + done}`);
    done += bytesRead;
  }
}

// A file system that is written into a disk piece by piece, in no order, is whole afterwards: e2fsck and its files say so.
import { mkdir, readdir, readFile, truncate, writeFile } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { describe, expect } from 'vitest';
import { createVhdx, editVhdx, exportDisk, openFile, openVhdx, type WritableVhdxDisk } from '../../src/index.js';
import { fraction } from '../support/crash/crash-states.js';
import { MiB } from '../support/encode-primitives.js';
import { expectSameBytes } from '../support/same-bytes.js';
import { needs, tempDir, tool } from '../support/tools.js';

const mkfs = tool('mkfs.ext4');
const e2fsck = tool('e2fsck');
const debugfs = tool('debugfs');

const SIZE = 48 * MiB;

/** Bytes that look random. */
function noise(seed: number, length: number): Uint8Array {
  return Uint8Array.from({ length }, (_, i) => fraction(seed, i) * 256);
}

/** Makes a folder of files of all lengths, in folders; `version` changes some of them. */
async function makeFiles(folder: string, version: number): Promise<Map<string, Uint8Array>> {
  const files = new Map<string, Uint8Array>();
  for (let i = 0; i < 60; i++) {
    const isSame = i % 3 === 0;
    const length = Math.floor(fraction(i, isSame ? 0 : version) * (i % 20 === 0 ? MiB : 40_000));
    const name = join(`folder ${i % 5}`, i % 2 === 0 ? '.' : 'deep', `file ${i}`);
    await mkdir(join(folder, name, '..'), { recursive: true });
    files.set(name, noise(isSame ? i : 1000 * version + i, length));
    await writeFile(join(folder, name), files.get(name) as Uint8Array);
  }
  return files;
}

/** A file system that holds a folder, as the bytes of its disk. */
async function fileSystem(folder: string, raw: string): Promise<Uint8Array> {
  await writeFile(raw, '');
  await truncate(raw, SIZE);
  const { status, stderr } = await mkfs.run([
    '-q',
    '-F',
    '-U',
    'clear',
    '-E',
    'hash_seed=11111111-2222-3333-4444-555555555555',
    '-d',
    folder,
    raw,
  ]);
  expect(status, stderr).toBe(0);
  return readFile(raw);
}

interface Piece {
  readonly offset: number;
  readonly length: number;
}

/** The ranges in which two disks differ, to the byte, cut into pieces of different lengths and shuffled. */
function changes(before: Uint8Array, after: Uint8Array, seed: number): Piece[] {
  const pieces: Piece[] = [];
  for (let at = 0; at < SIZE; ) {
    if (before[at] === after[at]) {
      at += 1;
      continue;
    }
    const most = 1 + Math.floor(fraction(seed, at) ** 4 * 3 * MiB);
    let end = at + 1;
    for (let same = 0; end < SIZE && end - at < most && same < 64; end++)
      same = before[end] === after[end] ? same + 1 : 0;
    pieces.push({ offset: at, length: end - at });
    at = end;
  }
  return pieces
    .map((piece, i) => ({ piece, order: fraction(seed, i, 1) }))
    .sort((a, b) => a.order - b.order)
    .map(({ piece }) => piece);
}

/** Writes the pieces, several at a time, with a flush now and then. */
async function writePieces(disk: WritableVhdxDisk, content: Uint8Array, pieces: readonly Piece[]): Promise<void> {
  const running: Promise<void>[] = [];
  for (const [i, { offset, length }] of pieces.entries()) {
    const bytes = content.subarray(offset, offset + length);
    running.push(bytes.every((byte) => byte === 0) ? disk.zero(offset, length) : disk.write(bytes, offset));
    if (running.length === 8) await Promise.all(running.splice(0));
    if (i % 50 === 49) running.push(disk.flush());
  }
  await Promise.all(running);
}

async function filesIn(folder: string): Promise<Map<string, Uint8Array>> {
  const files = new Map<string, Uint8Array>();
  for (const entry of await readdir(folder, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue;
    const path = join(entry.parentPath, entry.name);
    files.set(relative(folder, path), await readFile(path));
  }
  return files;
}

describe('a file system on a disk that is written piece by piece', () => {
  needs(mkfs, e2fsck, debugfs).test('is sound, and has every file, and again after it was changed', async () => {
    const folder = await tempDir();
    const path = join(folder, 'disk.vhdx');
    await createVhdx(path, { size: SIZE });
    let before: Uint8Array = new Uint8Array(SIZE);
    for (const version of [1, 2]) {
      const source = join(folder, `source ${version}`);
      const files = await makeFiles(source, version);
      const after = await fileSystem(source, join(folder, `wanted ${version}.raw`));
      const disk = await editVhdx(path);
      await writePieces(disk, after, changes(before, after, version));
      await disk.close();

      const raw = join(folder, `is ${version}.raw`);
      const reading = await openVhdx(path);
      const target = await openFile(raw, { write: true, create: true });
      await exportDisk(reading, target);
      await target.close?.();
      await reading.close();
      expectSameBytes(await readFile(raw), after);
      expect(await e2fsck.run(['-fn', raw])).toMatchObject({ status: 0 });
      const found = join(folder, `found ${version}`);
      await mkdir(found);
      expect(await debugfs.run(['-R', `rdump / "${found}"`, raw])).toMatchObject({ status: 0 });
      const inside = await filesIn(found);
      expect([...inside.keys()].sort()).toEqual([...files.keys()].sort());
      for (const [name, bytes] of files) expectSameBytes(inside.get(name) as Uint8Array, bytes);
      before = after;
    }
  });
});

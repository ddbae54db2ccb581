// ext2 and ext4 in every engine: file systems that mke2fs made, the same with bytes that are wrong, and sources that fail.
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { crc32c, VhdxError } from '../../../src/index.js';
import { type FileSystem, openVolume, walkFiles } from '../../../src/volumes/index.js';
import { propertyRuns } from '../../support/property-runs.js';
import { SparseFile } from '../../support/sparse-file.js';
import { SLOW } from '../../support/time-limits.js';
import { extNames, LONG, madeExt, NOTES } from '../support/ext-images.js';

/** The text of a file. */
async function text(fs: FileSystem, path: string): Promise<string> {
  const file = await fs.open(path);
  const bytes = new Uint8Array(file.size);
  await file.readInto(bytes, 0);
  return new TextDecoder().decode(bytes);
}

/** The names in a directory. */
async function list(fs: FileSystem, path: string): Promise<string[]> {
  const found: string[] = [];
  for await (const { name, kind } of fs.list(path)) found.push(`${name} ${kind}`);
  return found.sort();
}

describe.each(extNames)('%s', (name) => {
  const isDirty = name === 'ext4 with a journal';

  test('gives its files, through links too', async () => {
    const fs = await openVolume(madeExt(name).source());
    expect(fs.kind).toBe(name.slice(0, 4));
    expect(await list(fs, '/home')).toEqual(['ada directory', 'sparse file']);
    expect(await list(fs, 'far')).toEqual(isDirty ? ['long.txt file'] : ['long.txt file', 'notes.txt file']);
    expect(await text(fs, '/home/ada/long.txt')).toBe(LONG);
    expect(await text(fs, '/far/../ada/./long.txt')).toBe(LONG);
    expect(await text(fs, '/Grüße')).toBe('');
    expect(await fs.readlink('/link')).toBe('home/ada/notes.txt');
    expect(await fs.stat('/link')).toMatchObject({ kind: 'symlink', size: 18, links: 1 });
    if (isDirty) {
      await expect(fs.open('/link')).rejects.toMatchObject({ code: 'not-found' });
      expect(await text(fs, '/added.txt')).toBe(LONG);
      expect(fs.notes).toHaveLength(1);
    } else expect(await text(fs, '/link')).toBe(NOTES);
  });

  test('knows the holes of a file', async () => {
    const fs = await openVolume(madeExt(name).source());
    const file = await fs.open('/home/sparse');
    const kinds: string[] = [];
    let end = 0;
    for await (const { offset, length, kind } of file.extents?.() ?? []) {
      expect(offset).toBe(end);
      end = offset + length;
      kinds.push(kind);
    }
    expect(end).toBe(file.size);
    expect(kinds.slice(0, 3)).toEqual(['data', 'unmapped', 'data']);
    const bytes = new Uint8Array(30).fill(9);
    await file.readInto(bytes, 19_990);
    expect(new TextDecoder().decode(bytes)).toBe(`${'\0'.repeat(10)}middle${'\0'.repeat(14)}`);
    await file.close?.();
    await expect(file.readInto(bytes, 0)).rejects.toMatchObject({ code: 'closed' });
  });

  test('says what is not there, and what is something else', async () => {
    const fs = await openVolume(madeExt(name).source());
    for (const path of ['/nothing', '/home/nothing/x'])
      await expect(fs.stat(path)).rejects.toMatchObject({ code: 'not-found' });
    await expect(fs.open('/home')).rejects.toMatchObject({ code: 'wrong-kind' });
    await expect(fs.stat('/home/ada/long.txt/x')).rejects.toMatchObject({ code: 'wrong-kind' });
    await expect(fs.readlink('/home')).rejects.toMatchObject({ code: 'wrong-kind' });
    await expect(list(fs, '/home/ada/long.txt')).rejects.toMatchObject({ code: 'wrong-kind' });
    const file = await fs.open('/home/sparse');
    await expect(file.readInto(new Uint8Array(2), file.size - 1)).rejects.toThrow(RangeError);
    await expect(fs.stat('/', { signal: AbortSignal.abort(new Error('enough')) })).rejects.toThrow('enough');
    await fs.close();
    await expect(fs.stat('/')).rejects.toMatchObject({ code: 'closed' });
  });

  test('has free space only where nothing is', async () => {
    const fs = await openVolume(madeExt(name).source());
    const file = madeExt(name);
    let total = 0;
    for await (const { offset, length } of fs.free()) {
      file.write(offset, new Uint8Array(length).fill(0xa5));
      total += length;
    }
    expect(total).toBeGreaterThan(100_000);
    expect(await text(await openVolume(file.source()), '/home/ada/long.txt')).toBe(LONG);
  });

  test(
    'with wrong bytes gives an error that says so, or what can be read, in bounded time',
    SLOW.properties,
    async () => {
      const { size } = madeExt(name);
      const change = fc.record({ at: fc.nat(Math.min(size, 200_000) - 1), byte: fc.nat(255) });
      await fc.assert(
        fc.asyncProperty(fc.array(change, { minLength: 1, maxLength: 12 }), async (changes) => {
          const file = madeExt(name);
          for (const { at, byte } of changes) file.write(at, Uint8Array.of(byte));
          const source = file.source();
          await walk(source, 2000).catch((error: unknown) => {
            if (!(error instanceof VhdxError)) throw error;
            expect(error.code).toMatch(/^(file-system-damaged|file-system-unsupported|not-found|wrong-kind)$/);
          });
          expect(source.reads.length).toBeLessThan(20_000);
        }),
        propertyRuns(300),
      );
    },
  );
});

/** Goes through all files, as long as there are not more than so many. */
async function walk(source: Parameters<typeof openVolume>[0], most: number): Promise<void> {
  const fs = await openVolume(source);
  const folders = ['/'];
  for (let seen = 0; folders.length > 0; ) {
    const folder = folders.pop() as string;
    for await (const { name, kind } of fs.list(folder)) {
      if (++seen > most) return;
      if (kind === 'directory' && folder.length < 200) folders.push(`${folder}${name}/`);
      if (kind !== 'file') continue;
      const file = await fs.open(`${folder}${name}`);
      await file.readInto(new Uint8Array(Math.min(file.size, 100_000)), 0);
    }
  }
  for await (const _ of fs.free());
}

describe('a structure with a checksum', () => {
  /** Where something of the fixture is: found by its contents. */
  const at = (file: SparseFile, bytes: string): number => {
    const all = new TextDecoder('latin1').decode(file.read(0, file.size));
    return all.indexOf(bytes);
  };

  test('that is wrong is named: superblock, descriptor, inode, directory', async () => {
    const flip = (file: SparseFile, offset: number) =>
      file.write(offset, Uint8Array.of((file.read(offset, 1)[0] ?? 0) ^ 1));
    const superblock = madeExt('ext4');
    flip(superblock, 1024 + 0x200);
    await expect(openVolume(superblock.source())).rejects.toMatchObject({
      code: 'file-system-damaged',
      message: expect.stringMatching(/^superblock: checksum is 0x[0-9a-f]+, computed 0x/),
    });
    const descriptor = madeExt('ext4');
    flip(descriptor, 2048 + 8);
    const fs = await openVolume(descriptor.source());
    await expect(fs.stat('/')).rejects.toMatchObject({
      message: expect.stringContaining('descriptor of group 0: checksum'),
    });
    const directory = madeExt('ext4 with a journal');
    flip(directory, at(directory, 'sparse'));
    const damaged = await openVolume(directory.source());
    await expect(list(damaged, '/home')).rejects.toMatchObject({
      message: expect.stringMatching(/^directory of inode \d+: checksum of a block is 0x/),
    });
  });

  test('with a feature that is not known is refused by its number, or its name', async () => {
    for (const [bit, words] of [
      [0x1, 'compression'],
      [0x8, 'journalDevice'],
      [0x80_0000, '0x800000'],
    ] as const) {
      const file = madeExt('ext4');
      const block = file.read(1024, 1024);
      new DataView(block.buffer).setUint32(0x60, new DataView(block.buffer).getUint32(0x60, true) | bit, true);
      new DataView(block.buffer).setUint32(0x3fc, ~(await crc32c(block.subarray(0, 0x3fc))) >>> 0, true);
      file.write(1024, block);
      await expect(openVolume(file.source())).rejects.toMatchObject({
        code: 'file-system-unsupported',
        message: expect.stringContaining(words),
      });
    }
  });
});

describe('a walk', () => {
  /** The names of a walk; of a directory twice. */
  async function names(fs: FileSystem, options: { sorted?: boolean; flat?: boolean } = {}): Promise<string[]> {
    const found: string[] = [];
    for await (const { names: way, isLeft } of walkFiles(fs, '/', { sorted: true, ...options }))
      found.push(`${way.join('/')}${isLeft ? ' left' : ''}`);
    return found;
  }

  test('has directories before and after what is in them', async () => {
    const fs = await openVolume(madeExt('ext2').source());
    const all = ['Grüße', 'far', 'home', 'home/ada', 'home/ada/long.txt', 'home/ada/notes.txt', 'home/ada left'];
    expect(await names(fs)).toEqual([...all, 'home/sparse', 'home left', 'link', 'lost+found', 'lost+found left']);
    expect(await names(fs, { flat: true })).toEqual(['Grüße', 'far', 'home', 'link', 'lost+found']);
  });

  test('ends at a directory that is inside itself, and says which', async () => {
    const disk = madeExt('ext2');
    const fs = await openVolume(disk.source());
    const { inode } = await fs.stat('/home');
    const { inode: inner } = await fs.stat('/home/ada');
    // ext2 has no checksums: the entry of the inner directory, in the outer one, leads to the outer one.
    const entry = new Uint8Array(8);
    new DataView(entry.buffer).setUint32(0, inner, true);
    const all = disk.read(0, disk.size);
    const at = all.findIndex(
      (_, i) =>
        new DataView(all.buffer, all.byteOffset).getUint32(i, true) === inner &&
        all[i + 6] === 3 &&
        all[i + 8] === 0x61,
    );
    new DataView(entry.buffer).setUint32(0, inode, true);
    disk.write(at, entry.subarray(0, 4));
    await expect(names(await openVolume(disk.source()))).rejects.toMatchObject({
      code: 'file-system-damaged',
      message: `directory of inode ${inode}: home/ada is another name of it`,
    });
  });
});

test('a directory of ext2 has another number where a file has the upper half of its length', async () => {
  const disk = madeExt('ext2');
  const inodeTable = new DataView(disk.read(2048, 32).buffer).getUint32(8, true);
  disk.write(inodeTable * 1024 + 128 + 0x6c, Uint8Array.of(5)); // i_dir_acl of inode 2
  const fs = await openVolume(disk.source());
  expect((await fs.stat('/')).size).toBe(1024);
  expect(await list(fs, '/home')).toEqual(['ada directory', 'sparse file']);
});

describe('a volume that is no ext', () => {
  test.each([
    ['NTFS', 3, 'NTFS    ', 'NTFS, which is not read here; 7-Zip, or mounting it, reads its files'],
    ['BitLocker', 3, '-FVE-FS-', 'BitLocker, which is not read here; it is encrypted: dislocker or cryptsetup'],
    ['nothing', 0, '', 'there is no file system that is known here'],
  ])('is refused with the program that reads it: %s', async (_, offset, signature, words) => {
    const file = new SparseFile(100_000);
    file.write(offset, new TextEncoder().encode(signature));
    await expect(openVolume(file.source())).rejects.toMatchObject({
      code: 'file-system-unsupported',
      message: expect.stringContaining(words),
    });
    await expect(openVolume(new SparseFile(10).source())).rejects.toMatchObject({ code: 'file-system-unsupported' });
  });
});

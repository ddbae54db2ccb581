// File systems that mke2fs made, with the features of twenty years, and journals that debugfs wrote: what is read is what
// was put in, and what e2fsck makes of a copy.
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  copyFile,
  mkdir,
  mkdtemp,
  open,
  readdir,
  readFile,
  readlink,
  rm,
  stat,
  symlink,
  truncate,
  utimes,
  writeFile,
} from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect } from 'vitest';
import { compactVhdx, createVhdx, openFile, openVhdx, type RandomAccessFile, writeVhdx } from '../../src/index.js';
import { type FileSystem, openVolume } from '../../src/volumes/index.js';
import { contentBytes, pattern } from '../support/block-content.js';
import { expectFailure, vhdx } from '../support/command.js';
import { MiB } from '../support/encode-primitives.js';
import { needs, type Program, run, tempDir, tool } from '../support/tools.js';

const [mkfs, debugfs, e2fsck] = [tool('mkfs.ext4'), tool('debugfs'), tool('e2fsck')];
const [fls, icat] = [tool('fls'), tool('icat')];

/** Runs a program; e2fsck ends with 1 if it mended something. */
async function done(program: Program, ...args: string[]): Promise<string> {
  const { status, stdout, stderr } = await program.run(args);
  if (status !== 0 && !(program === e2fsck && status === 1)) throw new Error(`${args.join(' ')}: ${stdout}${stderr}`);
  return stdout;
}

/** A folder with files of all sizes, one with holes, links, many names, and names that are odd. */
async function tree(root: string): Promise<void> {
  const at = (...names: string[]) => join(root, ...names);
  await mkdir(at('home/ada/empty'), { recursive: true });
  await mkdir(at('many'));
  for (const size of [0, 1, 59, 60, 61, 150, 1023, 1024, 4096, 4097, 65_537, 300_000])
    await writeFile(at('home', `file-${size}`), contentBytes(pattern(size % 200), 0, size));
  await writeFile(at('home/ada/photo.raw'), contentBytes(pattern(9), 0, 3_000_001));
  const sparse = await open(at('home/sparse'), 'w');
  for (const place of [0, 70_000, 2_000_000, 7_999_000]) await sparse.write(Buffer.alloc(1000, 7), 0, 1000, place);
  await sparse.truncate(8 * MiB);
  await sparse.close();
  await symlink('../home/ada/photo.raw', at('many/short'));
  await symlink(`/home/${'./'.repeat(50)}ada/photo.raw`, at('many/long'));
  await symlink('nowhere', at('many/broken'));
  await symlink('loop', at('many/loop'));
  for (let i = 0; i < 400; i++) await writeFile(at('many', `${i}-${'n'.repeat(i % 200)}`), `${i}`);
  await writeFile(at('Grüße 🙂'), 'names are UTF-8');
  await utimes(at('Grüße 🙂'), 4_000_000_000, 4_000_000_000);
}

/** What there is under a folder: sizes, contents, links. */
type Listing = Record<string, string>;

const sha = (bytes: Uint8Array) => createHash('sha1').update(bytes).digest('hex');

/** What the operating system has in a folder. */
async function listFolder(folder: string, base = ''): Promise<Listing> {
  const found: Listing = {};
  for (const entry of await readdir(join(folder, base), { withFileTypes: true })) {
    const name = `${base}/${entry.name}`;
    if (entry.isDirectory()) Object.assign(found, { [name]: 'directory' }, await listFolder(folder, name));
    else if (entry.isSymbolicLink()) found[name] = `→ ${await readlink(join(folder, name))}`;
    else found[name] = sha(await readFile(join(folder, name)));
  }
  return found;
}

/** What we find in a file system. */
async function listVolume(fs: FileSystem, base = ''): Promise<Listing> {
  const found: Listing = {};
  for await (const { name, kind: told } of fs.list(base)) {
    if (name === 'lost+found') continue;
    const path = `${base}/${name}`;
    const { kind, size } = await fs.stat(path);
    expect([kind, 'unknown']).toContain(told); // which it is where directories do not have it
    if (kind === 'directory') Object.assign(found, { [path]: 'directory' }, await listVolume(fs, path));
    else if (kind === 'symlink') found[path] = `→ ${await fs.readlink(path)}`;
    else {
      const file = await fs.open(path);
      expect(file.size).toBe(size);
      const bytes = new Uint8Array(size);
      await file.readInto(bytes, 0);
      found[path] = sha(bytes);
    }
  }
  return found;
}

/** Opens the file system in a file; `work` is done with it. */
async function withVolume<T>(path: string, work: (fs: FileSystem, file: RandomAccessFile) => Promise<T>): Promise<T> {
  const file = await openFile(path);
  try {
    return await work(await openVolume(file), file);
  } finally {
    await file.close?.();
  }
}

/** Feature sets, as mke2fs has made them by default since 2002, and beside its defaults. */
const SETS: Readonly<Record<string, readonly string[]>> = {
  'ext2, blocks of 1 KiB': ['-t', 'ext2', '-b', '1024', '-I', '128'],
  'ext2, blocks of 4 KiB, without file types': ['-t', 'ext2', '-b', '4096', '-O', '^filetype'],
  ext3: ['-t', 'ext3', '-b', '2048', '-I', '128'],
  'ext3 of 2004, with a directory index': ['-t', 'ext3', '-O', 'dir_index,^resize_inode', '-b', '4096'],
  'ext4 of 2008': ['-t', 'ext4', '-O', '^metadata_csum,^64bit,uninit_bg,^metadata_csum_seed'],
  'ext4 of 2015': ['-t', 'ext4', '-O', '^metadata_csum,64bit'],
  'ext4 of today': ['-t', 'ext4'],
  'ext4 of today, blocks of 1 KiB': ['-t', 'ext4', '-b', '1024'],
  'ext4, blocks of 64 KiB': ['-t', 'ext4', '-b', '65536'],
  meta_bg: ['-t', 'ext4', '-b', '1024', '-O', 'meta_bg,^resize_inode', '-g', '1024'],
  sparse_super2: ['-t', 'ext4', '-b', '1024', '-O', 'sparse_super2,^resize_inode'],
  'inline data': ['-t', 'ext4', '-O', 'inline_data', '-I', '512'],
  bigalloc: ['-t', 'ext4', '-O', 'bigalloc', '-C', '65536'],
  'a seed, quotas, projects, large directories, encryption': [
    '-t',
    'ext4',
    '-O',
    'metadata_csum_seed,quota,project,large_dir,encrypt,ea_inode',
  ],
  'case folding': ['-t', 'ext4', '-O', 'casefold'],
  'an orphan file': ['-t', 'ext4', '-O', 'orphan_file'],
  'no journal, no extents': ['-t', 'ext4', '-O', '^has_journal,^extents,^64bit'],
};

/** The folder that all are made of. */
const from = await mkdtemp(join(tmpdir(), 'vhdx-tree-'));
beforeAll(() => tree(from));
afterAll(() => rm(from, { recursive: true }));

describe('what mke2fs put in', () => {
  for (const [name, options] of Object.entries(SETS)) {
    needs(mkfs, debugfs, e2fsck, fls, icat).test(`is read: ${name}`, async () => {
      const folder = await tempDir();
      const image = join(folder, 'image');
      await done(mkfs, '-q', '-F', '-L', 'a label', '-d', from, ...options, image, '96M');
      const wanted = await listFolder(from);
      // With inline data, mke2fs cuts a file behind its last bytes that are no hole: debugfs, 7-Zip and we agree.
      await done(debugfs, '-R', `dump /home/sparse ${image}.sparse`, image);
      const sparse = sha(await readFile(`${image}.sparse`));
      if (name === 'inline data') wanted['/home/sparse'] = sparse;
      else expect(wanted['/home/sparse']).toBe(sparse);
      await withVolume(image, async (fs) => {
        expect(fs.kind).toBe(options[1]);
        expect(fs.label).toBe('a label');
        expect(fs.notes).toEqual([]);
        expect(await listVolume(fs)).toEqual(wanted);
        const photo = await fs.open('/many/long');
        const part = new Uint8Array(5000);
        await photo.readInto(part, 1_500_001);
        expect(sha(part)).toBe(sha(contentBytes(pattern(9), 1_500_001, 5000)));
        const host = await stat(join(from, 'home/ada/photo.raw'));
        const { mode, uid, modified } = await fs.stat('home/ada/photo.raw');
        expect({ mode, uid, second: Math.floor(modified.getTime() / 1000) }).toEqual({
          mode: host.mode & 0o7777,
          uid: host.uid,
          second: Math.floor(host.mtimeMs / 1000),
        });
        await expect(fs.stat('/many/loop/x')).rejects.toMatchObject({ code: 'not-found' });
        await expect(fs.open('/many')).rejects.toMatchObject({ code: 'wrong-kind' });
      });
      if (!options.includes('bigalloc')) await judgeBySleuthKit(image); // which does not know it
      await judgeFreeSpace(image);
    });
  }
});

describe('what needs a key or a check that is not made here', () => {
  const [EXTENTS, ENCRYPTED, VERITY] = [0x80000, 0x800, 0x100000];
  needs(mkfs, debugfs).test('is refused by name, and everything beside it is read', async () => {
    const image = join(await tempDir(), 'image');
    await done(mkfs, '-q', '-F', '-t', 'ext4', '-O', 'encrypt,verity', '-d', from, image, '96M');
    const set = (path: string, flags: number) =>
      done(debugfs, '-w', '-R', `set_inode_field ${path} flags ${flags}`, image);
    await set('/home/file-4096', EXTENTS | ENCRYPTED);
    await set('/home/file-4097', EXTENTS | VERITY);
    await set('/home/ada', EXTENTS | ENCRYPTED);
    await set('/many/short', ENCRYPTED);
    await withVolume(image, async (fs) => {
      const refused = (what: RegExp) => ({ code: 'file-system-unsupported', message: expect.stringMatching(what) });
      await expect(fs.open('/home/file-4096')).rejects.toMatchObject(refused(/is encrypted, and its key is not known/));
      await expect(fs.open('/home/file-4097')).rejects.toMatchObject(refused(/is protected by fs-verity/));
      await expect(fs.list('/home/ada').next()).rejects.toMatchObject(refused(/is encrypted/));
      await expect(fs.stat('/home/ada/photo.raw')).rejects.toMatchObject(refused(/is encrypted/));
      await expect(fs.readlink('/many/short')).rejects.toMatchObject(refused(/is encrypted/));
      const file = await fs.open('/home/file-65537');
      const bytes = new Uint8Array(file.size);
      await file.readInto(bytes, 0);
      expect(sha(bytes)).toBe(sha(await readFile(join(from, 'home/file-65537'))));
      expect(await fs.readlink('/many/broken')).toBe('nowhere');
    });
    // The command says what it leaves out, copies and lists the rest, and does not end with success.
    const copy = join(image, '../copy');
    const copied = await vhdx('cp', '-r', '-f', 'raw', image, '/', copy);
    expect(copied.status).toBe(1);
    const wanted = await listFolder(from);
    const left = ['/home/file-4096', '/home/file-4097', '/home/ada', '/many/short'];
    const said = [...copied.stderr.matchAll(/image: (\/\S+): /g)].map(([, name]) => name);
    expect(said.sort()).toEqual([...left].sort());
    for (const name of Object.keys(wanted)) {
      if (left.some((path) => name === path || name.startsWith(`${path}/`))) delete wanted[name];
    }
    expect(await listFolder(copy)).toMatchObject(wanted);
    const archive = join(image, '../copy.tar');
    expect((await vhdx('cp', '-r', '--tar', '-f', 'raw', image, '/', archive)).status).toBe(1);
    const names = (await run('tar', ['tf', archive])).stdout;
    expect(names).toContain('home/file-65537\n');
    expect(names).not.toContain('file-4096\n');
    const listed = await vhdx('ls', '-lR', '-f', 'raw', image);
    expect([listed.status, listed.stderr]).toEqual([1, expect.stringContaining('/many/short: the link of inode')]);
    expect(listed.stdout).toContain('many/broken -> nowhere');
  });
});

/** The Sleuth Kit finds the same names, and the same bytes in some of the files. */
async function judgeBySleuthKit(image: string): Promise<void> {
  const inodes = new Map<string, string>();
  for (const line of (await done(fls, '-rp', image)).split('\n')) {
    const [, inode, name] = /^.\/. (\d+):\t(.*)$/.exec(line) ?? [];
    if (inode && name && !/^(\$OrphanFiles|lost\+found)/.test(name)) inodes.set(`/${name}`, inode);
  }
  await withVolume(image, async (fs) => {
    expect([...inodes.keys()].sort()).toEqual(Object.keys(await listVolume(fs)).sort());
    for (const path of ['/home/ada/photo.raw', '/home/file-60', '/home/file-150', '/home/file-65537', '/home/sparse']) {
      const file = await fs.open(path);
      const bytes = new Uint8Array(file.size);
      await file.readInto(bytes, 0);
      const theirs = await icat.run([image, inodes.get(path) as string]);
      expect(sha(theirs.bytes), path).toBe(sha(bytes));
    }
  });
}

/** No block that is free by our count is used by debugfs's, and where all groups have bitmaps the sums are the same. */
async function judgeFreeSpace(image: string): Promise<void> {
  const stats = await done(debugfs, '-R', 'stats', image);
  const number = (label: string) => Number(new RegExp(`^${label}:\\s+(\\d+)`, 'm').exec(stats)?.[1]);
  const blockSize = number('Block size');
  const ranges = await withVolume(image, async (fs) => {
    const all: { offset: number; length: number }[] = [];
    for await (const range of fs.free()) all.push(range);
    return all;
  });
  const total = ranges.reduce((sum, { length }) => sum + length, 0) / blockSize;
  expect(total).toBeGreaterThan(0);
  expect(total).toBeLessThanOrEqual(number('Free blocks'));
  if (!stats.includes('Block not init')) expect(total).toBe(number('Free blocks'));
  // Filled with rubbish, the free space changes nothing that e2fsck or we see.
  const copy = `${image}.rubbish`;
  await copyFile(image, copy);
  const file = await open(copy, 'r+');
  for (const { offset, length } of ranges)
    await file.write(Buffer.alloc(Math.min(length, MiB), 0xa5), 0, Math.min(length, MiB), offset);
  await file.close();
  const judged = async (path: string) => (await e2fsck.run(['-fn', path])).stdout.replaceAll(path, '');
  expect(await judged(copy)).toBe(await judged(image));
}

describe('a journal that was not replayed', () => {
  for (const [name, options] of Object.entries({
    'without checksums': ['-t', 'ext3', '-b', '1024'],
    'with checksums, 64 bits': ['-t', 'ext4', '-b', '4096', '-O', '64bit,metadata_csum'],
    'blocks of 1 KiB, checksums': ['-t', 'ext4', '-b', '1024', '-O', 'metadata_csum'],
  })) {
    needs(mkfs, debugfs, e2fsck).test(`is replayed in memory as e2fsck does it: ${name}`, async () => {
      const folder = await tempDir();
      const image = join(folder, 'image');
      await done(mkfs, '-q', '-d', from, ...options, image, '96M');
      const before = sha(await readFile(image));
      // What a folder looked like after files were made in it, written to the journal of the image as it was before.
      const changed = join(folder, 'changed');
      await copyFile(image, changed);
      await done(debugfs, '-w', '-R', `write ${join(from, 'home/file-300000')} added`, changed);
      await done(debugfs, '-w', '-R', 'rm /home/file-4096', changed);
      const blocks = await differing(image, changed, Number(options[3]));
      const [written, numbers] = [join(folder, 'blocks'), blocks.map(({ block }) => block)];
      await writeFile(written, Buffer.concat(blocks.map(({ bytes }) => bytes)));
      const script = join(folder, 'script');
      // The last transaction is one that a revocation takes back.
      await writeFile(
        script,
        `jo${options.includes('metadata_csum') ? ' -c' : ''}\njw -b ${numbers.join(',')} ${written}\njc\n`,
      );
      execFileSync(debugfs.path, ['-w', '-f', script, image], { stdio: 'pipe' });
      expect(sha(await readFile(image))).not.toBe(before);

      const repaired = join(folder, 'repaired');
      await copyFile(image, repaired);
      await done(e2fsck, '-fy', '-E', 'journal_only', repaired);
      const wanted = await withVolume(repaired, (fs) => listVolume(fs));
      expect(wanted).toMatchObject({ '/added': expect.anything() });
      expect(wanted).not.toHaveProperty('/home/file-4096');
      const dirty = sha(await readFile(image));
      await withVolume(image, async (fs) => {
        expect(fs.notes).toEqual([expect.stringContaining('blocks of its journal')]);
        expect(await listVolume(fs)).toEqual(wanted);
      });
      expect(sha(await readFile(image))).toBe(dirty);
    });
  }
});

/** The blocks in which two images of one size differ, as they are in the second one. */
async function differing(a: string, b: string, blockSize: number): Promise<{ block: number; bytes: Buffer }[]> {
  const [before, after] = await Promise.all([readFile(a), readFile(b)]);
  const found: { block: number; bytes: Buffer }[] = [];
  for (let at = 0; at < after.length; at += blockSize) {
    const bytes = after.subarray(at, at + blockSize);
    if (!bytes.equals(before.subarray(at, at + blockSize))) found.push({ block: at / blockSize, bytes });
  }
  return found;
}

describe('the space of files that were deleted', () => {
  needs(mkfs, debugfs, e2fsck).test('is given back by compactVhdx, and e2fsck finds nothing', async () => {
    const folder = await tempDir();
    const [raw, image, after] = ['raw', 'disk.vhdx', 'after'].map((name) => join(folder, name)) as [
      string,
      string,
      string,
    ];
    await done(mkfs, '-q', '-d', from, '-t', 'ext4', '-E', 'lazy_itable_init=0', raw, '96M');
    await done(debugfs, '-w', '-R', 'rm /home/ada/photo.raw', raw);
    const [disk] = [await openFile(raw)];
    await writeVhdx(disk, image, { blockSize: MiB, format: 'raw' });
    const before = (await stat(image)).size;
    const { freeBlocks } = await withVolume(raw, async (fs) => compactVhdx(image, { free: fs.free() }));
    expect(freeBlocks).toBeGreaterThan(0);
    expect((await stat(image)).size).toBeLessThanOrEqual(before - freeBlocks * MiB);
    const compacted = await openVhdx(image, { strict: true });
    await writeFile(after, await compacted.read(0, compacted.size));
    await compacted.close();
    await disk.close?.();
    await done(e2fsck, '-fn', after);
    expect(await withVolume(after, (fs) => listVolume(fs))).toEqual(await withVolume(raw, (fs) => listVolume(fs)));
  });

  const sgdisk = tool('sgdisk');
  needs(mkfs, debugfs, e2fsck, sgdisk).test('is given back by vhdx compact --fstrim, in all partitions', async () => {
    const folder = await tempDir();
    const [part, raw, image] = ['part', 'raw', 'disk.vhdx'].map((name) => join(folder, name)) as [
      string,
      string,
      string,
    ];
    await writeFile(raw, '');
    await truncate(raw, 160 * MiB);
    await done(sgdisk, '-n', '1:2048:+64M', '-t', '1:0700', '-n', '2:0:+40M', '-n', '3:0:+40M', raw);
    const places = [65 * MiB, 105 * MiB];
    for (const place of places) {
      await rm(part, { force: true });
      await done(mkfs, '-q', '-d', from, '-t', 'ext4', '-E', 'lazy_itable_init=0', part, '40M');
      await done(debugfs, '-w', '-R', 'rm /home/ada/photo.raw', part);
      const file = await open(raw, 'r+');
      await file.write(await readFile(part), 0, 40 * MiB, place);
      await file.close();
    }
    const compact = async (...args: string[]) => {
      await rm(image, { force: true });
      const source = await openFile(raw);
      await writeVhdx(source, image, { blockSize: MiB, format: 'raw' });
      await source.close?.();
      return vhdx('compact', ...args, image);
    };
    expect((await compact()).stdout).not.toContain('free block');
    const { stdout, stderr, status } = await compact('--fstrim');
    expect([status, stderr]).toEqual([0, '']);
    expect(stdout).toMatch(/\(.*[4-9] free blocks/);
    const disk = await openVhdx(image, { strict: true });
    for (const place of places) {
      await writeFile(part, await disk.read(place, 40 * MiB));
      await done(e2fsck, '-fn', part);
      expect((await withVolume(part, (fs) => listVolume(fs)))['/home/file-300000']).toBeDefined();
    }
    await disk.close();
    // One that is marked as having errors is not believed, and nothing is changed.
    await done(debugfs, '-w', '-R', 'set_super_value state 2', part);
    const file = await open(raw, 'r+');
    await file.write(await readFile(part), 0, 40 * MiB, 105 * MiB);
    await file.close();
    const refused = await compact('--fstrim');
    expectFailure(refused, 1, 'partition 3: superblock: the file system is marked as having errors');
    await rm(image);
    const empty = join(folder, 'empty.vhdx');
    await createVhdx(empty, { size: 64 * MiB });
    expectFailure(
      await vhdx('compact', '--fstrim', empty),
      1,
      'no file system on the disk says here what it does not use',
    );
  });
});

describe('a directory of a million names', () => {
  const COUNT = 1_000_000;
  const nameOf = (i: number) => `name-${String(i).padStart(7, '0')}`;

  /** The blocks of a directory whose entries all lead to one inode: what a file holds that becomes a directory. */
  function directoryBlocks(inode: number): Uint8Array {
    const [block, length] = [4096, 20]; // 8 bytes and 12 of the name
    const perBlock = Math.floor(block / length);
    const bytes = Buffer.alloc(Math.ceil(COUNT / perBlock) * block);
    for (let i = 0; i < COUNT; i++) {
      const at = Math.floor(i / perBlock) * block + (i % perBlock) * length;
      const isLast = i % perBlock === perBlock - 1 || i === COUNT - 1;
      bytes.writeUInt32LE(inode, at);
      bytes.writeUInt16LE(isLast ? block - (at % block) : length, at + 4);
      bytes[at + 6] = nameOf(i).length;
      bytes[at + 7] = 1; // a file
      bytes.write(nameOf(i), at + 8);
    }
    return bytes;
  }

  needs(mkfs, debugfs).test('is listed as it is read, and a name in it is found', async () => {
    const [tree, folder] = [await tempDir(), await tempDir()];
    const image = join(folder, 'image');
    await writeFile(join(tree, 'a-file'), 'what all names are');
    await writeFile(join(tree, 'many'), directoryBlocks(12));
    await done(mkfs, '-q', '-F', '-t', 'ext4', '-O', '^metadata_csum', '-b', '4096', '-d', tree, image, '64M');
    expect(await done(debugfs, '-R', 'stat /a-file', image)).toContain('Inode: 12 ');
    await done(debugfs, '-w', '-R', 'set_inode_field /many mode 040755', image);
    await withVolume(image, async (_, file) => {
      let reads = 0;
      let largest = 0;
      const counted = {
        size: file.size,
        readInto: (target: Uint8Array, offset: number) => {
          reads++;
          largest = Math.max(largest, target.length);
          return file.readInto(target, offset);
        },
      };
      const fs = await openVolume(counted);
      const before = reads;
      let count = 0;
      for await (const { name } of fs.list('/many')) {
        if (count === 0) expect(reads - before).toBeLessThanOrEqual(8);
        if (name !== nameOf(count)) throw new Error(`${name} is at ${count}`);
        count++;
      }
      expect(count).toBe(COUNT);
      expect(largest).toBeLessThanOrEqual(MiB);
      expect(reads).toBeLessThan(10_000);
      expect(await fs.stat(`/many/${nameOf(COUNT - 1)}`)).toMatchObject({ kind: 'file', size: 18 });
      const theirs = await done(debugfs, '-R', `stat /many/${nameOf(COUNT - 1)}`, image);
      expect(theirs).toContain('Inode: 12 ');
    });
  });
});

describe('an image of 1 TiB', () => {
  needs(mkfs, tool('qemu-img')).test('as VHDX on a web server gives a small file with few requests', async () => {
    const [tree, folder] = [await tempDir(), await tempDir()];
    const [raw, image] = [join(folder, 'raw'), join(folder, 'ext4.vhdx')];
    await mkdir(join(tree, 'home/ada'), { recursive: true });
    for (const name of ['notes.txt', 'other']) await writeFile(join(tree, 'home/ada', name), `${name}, a small file\n`);
    await writeFile(raw, '');
    await truncate(raw, 2 ** 40);
    await done(mkfs, '-q', '-F', '-d', tree, raw);
    await done(tool('qemu-img'), 'convert', '-f', 'raw', '-O', 'vhdx', '-o', 'block_size=32M', raw, image);
    const file = await openFile(image);
    const requests: string[] = [];
    const server = createServer(async ({ headers }, response) => {
      const [, from = '0', to = '0'] = /^bytes=(\d+)-(\d+)$/.exec(headers.range ?? '') ?? [];
      requests.push(`${headers.range}`);
      const bytes = new Uint8Array(Math.min(Number(to) + 1, file.size) - Number(from));
      await file.readInto(bytes, Number(from));
      const range = `bytes ${from}-${Number(from) + bytes.length - 1}/${file.size}`;
      response.writeHead(206, { 'content-range': range, etag: '"1"' }).end(bytes);
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    try {
      const disk = await openVhdx(`http://127.0.0.1:${(server.address() as AddressInfo).port}/ext4.vhdx`);
      const fs = await openVolume(disk);
      const source = await fs.open('/home/ada/notes.txt');
      const bytes = new Uint8Array(source.size);
      await source.readInto(bytes, 0);
      expect(new TextDecoder().decode(bytes)).toBe('notes.txt, a small file\n');
      await disk.close();
      expect(requests.length).toBeLessThanOrEqual(24);
    } finally {
      server.closeAllConnections();
      server.close();
      await file.close?.();
    }
  });

  needs(mkfs).test('gives a file of 100 MB with few reads and the right checksum', async () => {
    const [large, folder] = [await tempDir(), await tempDir()];
    const image = join(folder, 'image');
    await writeFile(join(large, 'large'), contentBytes(pattern(4), 0, 100_000_000));
    await writeFile(image, '');
    await truncate(image, 2 ** 40);
    await done(mkfs, '-q', '-F', '-d', large, image);
    await withVolume(image, async (_, file) => {
      let reads = 0;
      const readInto = (target: Uint8Array, offset: number) => {
        reads++;
        return file.readInto(target, offset);
      };
      const counted = { size: file.size, readInto };
      const fs = await openVolume(counted);
      const source = await fs.open('/large');
      const first = new Uint8Array(4096);
      await source.readInto(first, 0);
      expect(reads).toBeLessThanOrEqual(12);
      const hash = createHash('sha256');
      const piece = new Uint8Array(10_000_000);
      for (let at = 0; at < source.size; at += piece.length) {
        await source.readInto(piece, at);
        hash.update(piece);
      }
      expect(hash.digest('hex')).toBe(
        createHash('sha256')
          .update(contentBytes(pattern(4), 0, 100_000_000))
          .digest('hex'),
      );
      expect(reads).toBeLessThanOrEqual(64);
    });
  });
});

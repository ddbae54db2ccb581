// vhdx partitions, ls and cp: the files in an image.
import { lstat, mkdir, readdir, readFile, readlink, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { buildImage } from '../support/build-image.js';
import { commandLine, expectFailure, saved, vhdx } from '../support/command.js';
import { MiB } from '../support/encode-primitives.js';
import { expectOutput } from '../support/output-schema.js';
import type { SparseFile } from '../support/sparse-file.js';
import { run, tempDir } from '../support/tools.js';
import { type ExtName, LONG, madeExt, NOTES } from '../volumes/support/ext-images.js';
import { blocksOf, partitionedDisk } from '../volumes/support/made-by-other-tools.js';

/** A VHDX that holds a raw disk. */
function imageOf(disk: SparseFile, path: string): Promise<string> {
  const image = buildImage({
    virtualSize: Math.ceil(disk.size / MiB) * MiB,
    blockSize: MiB,
    blocks: blocksOf(disk, MiB),
  });
  return saved(image, path);
}

/** A VHDX whose whole disk is a file system, as WSL has it. */
const wsl = async (name: ExtName): Promise<string> => imageOf(madeExt(name), join(await tempDir(), 'ext4.vhdx'));

describe('vhdx ls', () => {
  test('lists a directory, with everything below and in full', async () => {
    const path = await wsl('ext4');
    expect(await vhdx('ls', path)).toMatchObject({
      stdout: 'Grüße\nfar\nhome\nlink\nlost+found\n',
      stderr: '',
    });
    expect((await vhdx('ls', '-R', path, '/home')).stdout).toBe('ada\nada/long.txt\nada/notes.txt\nsparse\n');
    const long = (await vhdx('ls', '-l', path)).stdout.split('\n');
    expect(long.find((line) => line.includes(' link '))).toMatch(
      /^lrwxrwxrwx +1 +0 +0 +18 \d{4}-\d\d-\d\d \d\d:\d\d link -> home\/ada\/notes\.txt$/,
    );
    expect((await vhdx('ls', '-l', path, 'home/sparse')).stdout).toMatch(
      /^-rw-r--r-- +1 +0 +0 +20480 .* home\/sparse\n$/,
    );
    const json = await vhdx('ls', '-R', '--output', 'json', path, '/home');
    expectOutput('files', json.stdout);
    const { entries } = JSON.parse(json.stdout);
    expect(entries[1]).toMatchObject({ path: 'ada/long.txt', kind: 'file', size: LONG.length, mode: '0644' });
  });

  test('says that a journal was replayed, and reads raw disks and partitions', async () => {
    const dirty = await wsl('ext4 with a journal');
    const { stdout, stderr } = await vhdx('ls', dirty);
    expect(stdout).toContain('added.txt\n');
    expect(stderr).toMatch(
      /^vhdx: .*ext4\.vhdx: note: It was not unmounted: \d+ blocks of its journal were put in place in memory\.\n$/,
    );
    expect((await vhdx('ls', '-q', dirty)).stderr).toBe('');

    const folder = await tempDir();
    const disk = partitionedDisk('gpt of 512');
    const table = JSON.parse(
      (await vhdx('partitions', '--output', 'json', await imageOf(disk, join(folder, 'empty.vhdx')))).stdout,
    );
    const [first, second] = table['partition-table'].partitions.filter(
      ({ length }: { length: number }) => length >= MiB,
    );
    const put = (offset: number) => disk.write(offset, madeExt('ext2').read(0, MiB));
    put(second.offset);
    const one = await imageOf(disk, join(folder, 'one.vhdx'));
    expect((await vhdx('ls', one, '/home')).stdout).toBe('ada\nsparse\n'); // the one with files
    put(first.offset);
    const two = await imageOf(disk, join(folder, 'two.vhdx'));
    expectFailure(
      await vhdx('ls', two),
      1,
      'several partitions have files; --partition takes one',
      `\n  ${second.number} ext2`,
    );
    expect((await vhdx('ls', '--partition', `${second.number}`, two, '/home')).stdout).toBe('ada\nsparse\n');
    expectFailure(await vhdx('ls', '--partition', '99', two), 1, 'there is no partition 99; there are 1 ');
    const raw = join(folder, 'raw.img');
    await writeFile(raw, madeExt('ext2').read(0, MiB));
    expect((await vhdx('ls', raw, '/home/ada')).stdout).toBe('long.txt\nnotes.txt\n');
  });

  test('says in one line what is not there and what is not read', async () => {
    const path = await wsl('ext2');
    expectFailure(await vhdx('ls', path, '/nothing'), 1, '/nothing: there is no such file or directory');
    expectFailure(await vhdx('ls', '--partition', '1', path), 1, 'the disk has no partitions');
    expectFailure(await vhdx('cp', path, '/home/ada', 'x'), 1, '/home/ada is a directory, which -r copies');
    const empty = await saved(buildImage(), join(await tempDir(), 'empty.vhdx'));
    expectFailure(await vhdx('ls', empty), 1, 'there is no file system that is known here');
    const bad = madeExt('ext4');
    bad.write(1024 + 0x100, Uint8Array.of(1));
    const damaged = await imageOf(bad, join(await tempDir(), 'damaged.vhdx'));
    expectFailure(await vhdx('ls', damaged), 1, 'superblock: checksum is 0x');
  });
});

describe('vhdx partitions', () => {
  test('lists them for people and for programs', async () => {
    const path = await imageOf(partitionedDisk('mbr'), join(await tempDir(), 'disk.vhdx'));
    expect((await vhdx('partitions', path)).stdout).toMatch(
      /^\d+ partitions in a MBR, sectors of 512 bytes.*\n\n +1 {2}0x/,
    );
    const json = await vhdx('partitions', '--output', 'json', path);
    expectOutput('partitions', json.stdout);
    expect((await vhdx('partitions', await wsl('ext4'))).stdout).toBe('none; the whole disk is ext4\n');
  });
});

describe('vhdx cp', () => {
  test('copies a file: into a folder, to a name, to a pipe', async () => {
    const [path, folder] = [await wsl('ext4'), await tempDir()];
    for (const [from, to, made] of [
      ['/home/ada/notes.txt', folder, 'notes.txt'],
      ['/link', join(folder, 'followed?'), 'followed?'],
      ['home/ada/long.txt', join(folder, 'other name'), 'other name'],
    ] as const) {
      expect(await vhdx('cp', path, from, to)).toMatchObject({ status: 0, stdout: '', stderr: '' });
      expect(await readdir(folder)).toContain(made);
    }
    expect(await readFile(join(folder, 'notes.txt'), 'utf8')).toBe(NOTES);
    expect(await readFile(join(folder, 'other name'), 'utf8')).toBe(LONG);
    expect(await readlink(join(folder, 'followed?'))).toBe('home/ada/notes.txt'); // a link is one, as in cp -P
    expect((await vhdx('cp', path, '/link', '-')).stdout).toBe(NOTES);
    expectFailure(await vhdx('cp', path, '/home/ada/notes.txt', folder), 1, 'notes.txt: file already exists');
    expectFailure(
      await vhdx('cp', path, '/home/ada/notes.txt', join(folder, 'no/folder')),
      1,
      'no such file or directory',
    );
    expectFailure(
      await vhdx('cp', '-r', path, '/home', '-'),
      1,
      'a directory goes to standard output as an archive: --tar',
    );
  });

  test('copies a folder with times, permissions, links and holes', async () => {
    const [path, folder] = [await wsl('ext4'), await tempDir()];
    expect(await vhdx('cp', '-r', path, '/', join(folder, 'all'))).toMatchObject({ status: 0, stdout: '', stderr: '' });
    const at = (...names: string[]) => join(folder, 'all', ...names);
    expect(await readFile(at('home/ada/long.txt'), 'utf8')).toBe(LONG);
    expect(await readlink(at('far'))).toMatch(/^\/home\/(\.\/){40}ada$/);
    const sparse = await stat(at('home/sparse'));
    expect(sparse.size).toBe(20_480); // mke2fs has cut its last hole
    expect(sparse.blocks * 512).toBeLessThan(20_480);
    const [entry] = JSON.parse((await vhdx('ls', '--output', 'json', path, '/home')).stdout).entries;
    expect((await stat(at('home/ada'))).mtime).toEqual(new Date(entry.modified));
    expect((await stat(at('lost+found'))).mode & 0o777).toBe(0o700);
    expect(await vhdx('cp', '-r', '--no-links', path, '/', join(folder, 'rest'))).toMatchObject({ status: 0 });
    expect((await readdir(join(folder, 'rest'))).sort()).toEqual(['Grüße', 'home', 'lost+found']);
  });

  test('writes a tar archive that tar reads', async () => {
    const [path, folder] = [await wsl('ext4'), await tempDir()];
    const archive = join(folder, 'home.tar');
    expect(await vhdx('cp', '-r', '--tar', path, '/home', archive)).toMatchObject({
      status: 0,
      stdout: '',
      stderr: '',
    });
    const { bytes } = await vhdx('cp', '-r', '--tar', path, '/home', '-');
    expect(Buffer.compare(await readFile(archive), bytes)).toBe(0);
    expect(await run('tar', ['xf', archive, '-C', folder])).toMatchObject({ status: 0, stderr: '' });
    expect(await readFile(join(folder, 'home/ada/notes.txt'), 'utf8')).toBe(NOTES);
    expect((await readFile(join(folder, 'home/sparse'))).subarray(20_000, 20_006).toString()).toBe('middle');
    expectFailure(await vhdx('cp', '-r', '--tar', path, '/home', archive), 1, 'file already exists');
  });

  test('leaves no half archive on a full device, also if only its last bytes have no room', async () => {
    const [path, folder] = [await wsl('ext4'), await tempDir()];
    const { bytes } = await vhdx('cp', '-r', '--tar', path, '/home', '-');
    const script = 'ulimit -f "$1"; trap "" XFSZ; shift; exec "$@"'; // in blocks of 512 bytes
    const line = commandLine('cp', '-r', '--tar', path, '/home', join(folder, 'home.tar'));
    const full = await run('sh', ['-c', script, 'sh', `${bytes.length / 512 - 1}`, ...line]);
    expectFailure(full, 1);
    expect(full.stderr).toMatch(/file too large/i);
    expect(await readdir(folder)).toEqual([]);
    expect(await run('sh', ['-c', script, 'sh', `${bytes.length / 512}`, ...line])).toMatchObject({ status: 0 });
  });

  test('writes nothing outside of its folder, whatever the names in the image are', async () => {
    // ext2 has no checksums: names can be changed to what no kernel would store.
    const renamed = async (from: string, to: string): Promise<string> => {
      const disk = madeExt('ext2');
      const all = Buffer.from(disk.read(0, disk.size));
      // The name in a directory, which comes after its length and the kind of the file.
      for (let at = all.indexOf(from); at >= 0; at = all.indexOf(from, at + 1))
        if (all[at - 2] === from.length && (all[at - 1] ?? 9) < 8) disk.write(at, new TextEncoder().encode(to));
      return imageOf(disk, join(await tempDir(), 'evil.vhdx'));
    };
    for (const name of ['../abc', '/tmp/x', 'a/b/cd', '..\0abc']) {
      const folder = await tempDir();
      await mkdir(join(folder, 'in'));
      const result = await vhdx('cp', '-r', await renamed('sparse', name), '/home', join(folder, 'in/copy'));
      expectFailure(result, 1, 'cannot be the name of a file here');
      expect(await readdir(folder)).toEqual(['in']);
      expect(await readdir(join(folder, 'in'))).toEqual(['copy']);
    }
    // A folder that has the name of a link would be written through the link.
    const folder = await tempDir();
    const twice = await renamed('home', 'link');
    const result = await vhdx('cp', '-r', twice, '/', join(folder, 'copy'));
    expect(result.status).toBe(1);
    expect(result.stderr).toContain('link: file already exists');
    const made = await lstat(join(folder, 'copy/link'));
    expect(made.isSymbolicLink() || made.isDirectory()).toBe(true);
    expect(await readdir(folder)).toEqual(['copy']);
  });
});

describe('--partition', () => {
  test('reads, sums, converts and serves a partition instead of the whole disk', async () => {
    const folder = await tempDir();
    const disk = partitionedDisk('gpt of 512');
    const image = join(folder, 'disk.vhdx');
    await imageOf(disk, image);
    const { stdout } = await vhdx('partitions', '--output', 'json', image);
    const [{ number, offset, length }] = JSON.parse(stdout)['partition-table'].partitions;
    disk.write(offset, new TextEncoder().encode('the partition'));
    disk.write(offset + length - 4, new TextEncoder().encode('ends'));
    await imageOf(disk, image);
    const bytes = Buffer.from(disk.read(offset, length));
    const only = ['--partition', `${number}`];
    expect((await vhdx('read', ...only, '--length', '13', image)).stdout).toBe('the partition');
    const raw = join(folder, 'partition.raw');
    expect(await vhdx('convert', ...only, '-O', 'raw', image, raw)).toMatchObject({ status: 0 });
    expect(bytes.equals(await readFile(raw))).toBe(true);
    const sum = (await vhdx('checksum', ...only, image)).stdout.slice(0, 8);
    expect(sum).toBe((await vhdx('checksum', '-f', 'raw', raw)).stdout.slice(0, 8));
    expectFailure(await vhdx('convert', '--partition', '77', image, `${raw}.2`), 1, 'there is no partition 77');
    expectFailure(await vhdx('checksum', '--shard', '0/2', ...only, image), 1, '--shard is for whole disks');
    expectFailure(await vhdx('serve', '--writable', ...only, image), 1, '--writable is for whole disks');
    expectFailure(await vhdx('read', '--partition', '0', image), 1, 'not a number from 1 on');
  });
});

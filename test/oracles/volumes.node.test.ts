// What a volume is, by its first bytes: of volumes that their own programs made, against what blkid says.

import { randomBytes } from 'node:crypto';
import { mkdir, readFile, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'vitest';
import { openFile } from '../../src/index.js';
import { identifyVolume, readPartitionTable } from '../../src/volumes/index.js';
import { asciiBytes, KiB, MiB, u32Bytes, u64Bytes } from '../support/encode-primitives.js';
import { needs, type Program, type RunResult, tempDir, tool } from '../support/tools.js';

const blkid = tool('blkid');

/** A volume that a program makes, and what it is called here and by blkid. */
interface Made {
  readonly with: Program;
  readonly args: (file: string, folder: string) => readonly string[];
  readonly name: string;
  readonly type: string;
  readonly label?: string;
  /** Bytes of the file; 64 MiB. */
  readonly size?: number;
  /** What it says of its own length; that of the file. */
  readonly own?: number | ((size: number) => number);
}

const VOLUMES: Readonly<Record<string, Made>> = {
  ext2: {
    with: tool('mkfs.ext4'),
    args: (file) => ['-q', '-t', 'ext2', '-L', 'old', file],
    name: 'ext2',
    type: 'ext2',
    label: 'old',
  },
  'ext4 of 1 KiB blocks': {
    with: tool('mkfs.ext4'),
    args: (file) => ['-q', '-b', '1024', '-O', '64bit', '-L', 'wsl-root', file],
    name: 'ext4',
    type: 'ext4',
    label: 'wsl-root',
  },
  FAT12: {
    with: tool('mkfs.vfat'),
    args: (file) => ['-F', '12', '-n', 'FLOPPY', file],
    name: 'FAT12',
    type: 'vfat',
    label: 'FLOPPY',
    size: 4 * MiB,
  },
  FAT16: {
    with: tool('mkfs.vfat'),
    args: (file) => ['-F', '16', '-n', 'BOOT 16', file],
    name: 'FAT16',
    type: 'vfat',
    label: 'BOOT 16',
  },
  FAT32: {
    with: tool('mkfs.vfat'),
    args: (file) => ['-F', '32', '-n', 'EFI', file],
    name: 'FAT32',
    type: 'vfat',
    label: 'EFI',
  },
  'FAT32 without a label': { with: tool('mkfs.vfat'), args: (file) => ['-F', '32', file], name: 'FAT32', type: 'vfat' },
  exFAT: {
    with: tool('mkfs.exfat'),
    args: (file) => ['-L', 'Camera é', file],
    name: 'exFAT',
    type: 'exfat',
    label: 'Camera é',
  },
  NTFS: {
    with: tool('mkfs.ntfs'),
    args: (file) => ['-Q', '-F', '-L', 'Système Ω', file],
    name: 'NTFS',
    type: 'ntfs',
    label: 'Système Ω',
    own: (size) => size - 512,
  },
  'NTFS of 64 KiB clusters': {
    with: tool('mkfs.ntfs'),
    args: (file) => ['-Q', '-F', '-c', '65536', '-L', 'Data', file],
    name: 'NTFS',
    type: 'ntfs',
    label: 'Data',
    own: (size) => size - 512,
  },
  XFS: {
    with: tool('mkfs.xfs'),
    args: (file) => ['-q', '-L', 'data', file],
    name: 'XFS',
    type: 'xfs',
    label: 'data',
    size: 320 * MiB,
  },
  Btrfs: {
    with: tool('mkfs.btrfs'),
    args: (file) => ['-q', '-L', 'snaps', file],
    name: 'Btrfs',
    type: 'btrfs',
    label: 'snaps',
    size: 128 * MiB,
  },
  'swap of 4 KiB pages': {
    with: tool('mkswap'),
    args: (file) => ['-q', '-L', 'paging', file],
    name: 'Linux swap',
    type: 'swap',
    label: 'paging',
  },
  'swap of 64 KiB pages': {
    with: tool('mkswap'),
    args: (file) => ['-q', '-p', '65536', '-L', 'arm', file],
    name: 'Linux swap',
    type: 'swap',
    label: 'arm',
  },
  LUKS2: {
    with: tool('cryptsetup'),
    args: (file, folder) => [
      'luksFormat',
      '-q',
      '--type',
      'luks2',
      '--pbkdf',
      'pbkdf2',
      '--pbkdf-force-iterations',
      '1000',
      '--label',
      'secret',
      '--key-file',
      join(folder, 'key'),
      file,
    ],
    name: 'LUKS, encrypted',
    type: 'crypto_LUKS',
    label: 'secret',
    own: 0,
  },
  SquashFS: {
    with: tool('mksquashfs'),
    args: (file, folder) => [join(folder, 'tree'), file, '-noappend', '-quiet', '-nopad'],
    name: 'SquashFS',
    type: 'squashfs',
    size: 0,
  },
  'ISO 9660': {
    with: tool('xorriso'),
    args: (file, folder) => ['-as', 'mkisofs', '-quiet', '-V', 'SETUP', '-o', file, join(folder, 'tree')],
    name: 'ISO 9660',
    type: 'iso9660',
    label: 'SETUP',
    size: 0,
  },
};

async function done(running: Promise<RunResult>): Promise<RunResult> {
  const result = await running;
  expect(result.status, result.stderr).toBe(0);
  return result;
}

/** A value as it was: blkid puts `\\` before some characters, and shows bytes above 127 as `M-` or `M-^` and what they are without that bit. */
function unescaped(value: string): string {
  const bytes = value.replace(/\\(.)/g, '$1').replace(/M-(\^?)(.)/g, (_, control: string, char: string) => {
    const code = char.charCodeAt(0);
    return String.fromCharCode(0x80 | (control ? code ^ 0x40 : code));
  });
  return Buffer.from(bytes, 'latin1').toString();
}

async function blkidOn(file: string): Promise<Record<string, string>> {
  const { stdout } = await done(blkid.run(['-p', '-o', 'export', file], { env: { LC_ALL: 'C.UTF-8' } }));
  const entries = stdout.split('\n').flatMap((line) => {
    const [, key = '', value = ''] = /^(\w+)=(.*)$/.exec(line) ?? [];
    return key === '' ? [] : [[key, unescaped(value)]];
  });
  return Object.fromEntries(entries);
}

for (const [title, { with: maker, args, name, type, label, size = 64 * MiB, own }] of Object.entries(VOLUMES)) {
  needs(maker, blkid).test(`${title}: kind, label, UUID and size are what blkid says, and the file has`, async () => {
    const folder = await tempDir();
    const file = join(folder, 'volume');
    await mkdir(join(folder, 'tree'));
    await writeFile(join(folder, 'tree/file'), randomBytes(8 * KiB));
    await writeFile(join(folder, 'key'), 'a key');
    if (size > 0) {
      await writeFile(file, '');
      await truncate(file, size);
    }
    await done(maker.run(args(file, folder)));
    const source = await openFile(file);
    const found = await identifyVolume(source);
    const theirs = await blkidOn(file);
    expect(theirs['TYPE']).toBe(type);
    expect(found?.name).toBe(name);
    expect([found?.label, theirs['LABEL']]).toEqual([label, label]);
    // blkid makes an id of the date where there is none.
    if (!['squashfs', 'iso9660'].includes(type)) expect(found?.uuid).toBe(theirs['UUID']);
    const expected = typeof own === 'function' ? own(source.size) : (own ?? source.size);
    expect(found?.size ?? 0).toBe(expected);
    await source.close?.();
  });
}

const sgdisk = tool('sgdisk');

needs(sgdisk).test(
  'a hybrid MBR of sgdisk does not hide the GPT; without its protective partition it is what counts',
  async () => {
    const file = join(await tempDir(), 'disk');
    await writeFile(file, '');
    await truncate(file, 64 * MiB);
    const parts = [
      '-n',
      '1:2048:+8M',
      '-t',
      '1:8300',
      '-c',
      '1:first',
      '-n',
      '2:0:+16M',
      '-t',
      '2:0700',
      '-c',
      '2:second',
    ];
    await done(sgdisk.run([...parts, file]));
    const tableOf = async () => {
      const source = await openFile(file);
      const table = await readPartitionTable(source);
      await source.close?.();
      return table;
    };
    const plain = await tableOf();
    expect(plain.notes).toEqual([]);
    await done(sgdisk.run(['-h', '1:2', file]));
    const hybrid = await tableOf();
    expect(hybrid).toEqual({ ...plain, notes: [expect.stringContaining('it lists 2 partitions of its own')] });
    const theirs = (await done(sgdisk.run(['-p', file]))).stdout;
    for (const { number, offset, length } of hybrid.partitions) {
      expect(theirs).toMatch(new RegExp(`^ +${number} +${offset / 512} +${(offset + length) / 512 - 1} `, 'm'));
    }
    // As on a disk that was partitioned anew by a program that knows no GPT.
    const bytes = await readFile(file);
    const protective = [446, 462, 478, 494].find((at) => bytes[at + 4] === 0xee) as number;
    bytes.fill(0, protective, protective + 16);
    await writeFile(file, bytes);
    const stale = await tableOf();
    expect(stale.scheme).toBe('MBR');
    expect(stale.notes).toEqual([expect.stringContaining('There is a GPT too, which does not count')]);
    expect(stale.partitions.map(({ offset, length }) => [offset, length])).toEqual(
      plain.partitions.map(({ offset, length }) => [offset, length]),
    );
  },
);

/** An LVM label in one of the first four sectors, with its checksum: LVM's own programs write to block devices alone. */
function lvmLabel(sector: number): Uint8Array {
  const label = new Uint8Array(512);
  label.set(asciiBytes('LABELONE'), 0);
  label.set(u64Bytes(sector), 8);
  label.set(u32Bytes(32), 20);
  label.set(asciiBytes('LVM2 001'), 24);
  label.set(asciiBytes('abcdefGHIJKLmnopQRSTuvwxYZ012345'), 32);
  label.set(u64Bytes(64 * MiB), 64);
  // CRC-32 from another start, and without the last inversion.
  label.set(u32Bytes(lvmCrc(label.subarray(20))), 16);
  const start = new Uint8Array(4 * KiB);
  start.set(label, 512 * sector);
  return start;
}

function lvmCrc(bytes: Uint8Array): number {
  let crc = 0xf597a6cf;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0xedb88320 : crc >>> 1;
  }
  return crc >>> 0;
}

for (const sector of [0, 1, 2, 3]) {
  needs(blkid).test(`an LVM label in sector ${sector} is found, with its UUID, as blkid finds it`, async () => {
    const file = join(await tempDir(), 'volume');
    await writeFile(file, lvmLabel(sector));
    await truncate(file, 64 * MiB);
    const source = await openFile(file);
    const found = await identifyVolume(source);
    await source.close?.();
    const theirs = await blkidOn(file);
    expect(theirs['TYPE']).toBe('LVM2_member');
    expect(found).toEqual({ name: 'LVM volume', uuid: theirs['UUID'], size: 64 * MiB });
  });
}

import { join } from 'node:path';
import { describe, expect, test, vi } from 'vitest';
import { readContents } from '../../app/contents/contents.js';
import { recogniseFileSystem } from '../../app/contents/file-systems.js';
import type { Contents } from '../../app/contents/table.js';
import { buildImage } from '../support/build-image.js';
import { MiB } from '../support/encode-primitives.js';
import { saveFile } from '../support/save-image.js';
import type { SparseFile } from '../support/sparse-file.js';
import { needs, tempDir, tool } from '../support/tools.js';
import { inspector } from './support/inspector.js';
import { blocksOf, fileSystem, fileSystems, partitionedDisk } from './support/other-tools.js';
import { expectText, openFiles } from './support/reading.js';

vi.setConfig({ testTimeout: 60_000 });
const app = inspector();

/** The contents of a raw disk; `damaged` says of which offsets nothing can be read. */
function contentsOf(
  disk: SparseFile,
  sectorSize = 512,
  damaged: (offset: number) => boolean = () => false,
): Promise<Contents> {
  const read = async (offset: number, length: number) => (damaged(offset) ? undefined : disk.read(offset, length));
  return readContents(read, disk.size, sectorSize);
}

const brief = ({ partitions }: Contents) =>
  partitions.map(({ number, offset, length, type }) => [number, offset / 512, length / 512, type]);

describe('a GPT', () => {
  const listed = [
    [1, 2048, 20480, 'EFI system'],
    [2, 22528, 32768, 'Microsoft reserved'],
    [3, 55296, 40960, 'Basic data'],
    [4, 96256, 20480, 'Linux file system'],
  ];

  test('is read as sfdisk wrote it', async () => {
    const contents = await contentsOf(partitionedDisk('gpt of 512'));
    expect(contents).toMatchObject({
      scheme: 'GPT',
      sectorSize: 512,
      diskId: '11111111-2222-4333-8444-555555555555',
      notes: [],
    });
    expect(brief(contents)).toEqual(listed);
    expect(contents.partitions.map(({ name }) => name)).toEqual([
      'EFI system partition',
      'Microsoft reserved partition',
      'Größe Ω',
      'root',
    ]);
    expect(contents.partitions.map(({ marks }) => marks)).toEqual([
      [],
      [],
      ['hidden', 'no drive letter'],
      ['legacy boot'],
    ]);
  });

  test('that counts in sectors of 4096 bytes is read as fdisk wrote it', async () => {
    const contents = await contentsOf(partitionedDisk('gpt of 4096'), 4096);
    expect(contents).toMatchObject({
      scheme: 'GPT',
      sectorSize: 4096,
      diskId: 'cae10f7e-11ba-f34d-b7b0-6ac212ac7b2e',
      notes: [],
    });
    expect(contents.partitions.map(({ offset, length }) => [offset / 4096, length / 4096])).toEqual([
      [256, 16384],
      [16640, 48640],
    ]);
  });

  test('on a disk of other sectors is read all the same, and that is told', async () => {
    const contents = await contentsOf(partitionedDisk('gpt of 4096'), 512);
    expect(contents.partitions).toHaveLength(2);
    expect(contents.notes).toEqual([
      expect.stringMatching(/counts in sectors of 4096 bytes, and the disk has sectors of 512/),
    ]);
  });

  test('whose start is overwritten is read from its backup', async () => {
    const disk = partitionedDisk('gpt of 512').write(512 + 40, Uint8Array.of(0xff));
    const contents = await contentsOf(disk);
    expect(brief(contents)).toEqual(listed);
    expect(contents.notes).toEqual([
      'The partition table at the start of the disk is damaged (the checksum of its header is wrong); its backup at the end is shown.',
    ]);
  });

  test('whose entries do not fit their checksum is not believed', async () => {
    const disk = partitionedDisk('gpt of 512').write(1024 + 41, Uint8Array.of(0xff));
    expect((await contentsOf(disk)).notes).toEqual([
      expect.stringMatching(/the checksum of its entries is wrong\); its backup/),
    ]);
    const both = disk.write(disk.size - 33 * 512 + 41, Uint8Array.of(0xff));
    expect(await contentsOf(both)).toMatchObject({
      scheme: 'GPT',
      partitions: [],
      notes: [expect.stringMatching(/is damaged .* and so is its backup/)],
    });
  });

  test('whose place cannot be read is read from its backup', async () => {
    const contents = await contentsOf(partitionedDisk('gpt of 512'), 512, (offset) => offset < MiB);
    expect(brief(contents)).toEqual(listed);
    expect(contents.notes).toEqual([expect.stringMatching(/its place cannot be read/)]);
  });
});

describe('an MBR', () => {
  test('is read as sfdisk wrote it, with its logical partitions', async () => {
    const contents = await contentsOf(partitionedDisk('mbr'));
    expect(contents).toMatchObject({ scheme: 'MBR', diskId: 'cafe1234', notes: [] });
    expect(brief(contents)).toEqual([
      [1, 2048, 40960, 'NTFS or exFAT'],
      [2, 43008, 20480, 'Linux file system'],
      [3, 63488, 131072, 'Extended (LBA)'],
      [5, 65536, 20480, 'FAT32'],
      [6, 90112, 20480, 'Linux swap'],
    ]);
    expect(contents.partitions.map(({ marks }) => marks)).toEqual([['active'], [], [], [], []]);
  });

  test('whose chain of logical partitions goes in circles is read once around', async () => {
    const disk = partitionedDisk('mbr');
    // The second record's link to the next leads to the first.
    const second = 88064 * 512;
    disk.write(second + 446 + 16, Uint8Array.of(0, 0, 0, 0, 5, 0, 0, 0, 0, 0, 0, 0, 0, 0x10, 0, 0));
    const contents = await contentsOf(disk);
    expect(contents.partitions).toHaveLength(5);
    expect(contents.notes).toEqual([
      'The chain of logical partitions is broken: what stands here may not be all of them.',
    ]);
  });

  test('whose partitions leave the disk or overlap says so', async () => {
    const disk = partitionedDisk('mbr').write(446 + 16 + 12, Uint8Array.of(0xff, 0xff, 0xff, 0x7f));
    const { notes } = await contentsOf(disk);
    expect(notes).toEqual(['Partition 2 reaches past the end of the disk.', 'Partitions 2 and 5 overlap.']);
  });
});

describe('a disk that was partitioned over a file system', () => {
  test('shows its partitions, although the superblock of the file system is still there', async () => {
    const disk = partitionedDisk('mbr').write(1024 + 56, Uint8Array.of(0x53, 0xef));
    const { scheme, partitions, fileSystem } = await contentsOf(disk);
    expect({ scheme, fileSystem }).toEqual({ scheme: 'MBR', fileSystem: undefined });
    expect(partitions.length).toBeGreaterThan(1);
  });
});

describe('a disk without a partition table', () => {
  test('is recognised by its file system, as WSL makes it', async () => {
    expect(await contentsOf(fileSystem('ext4'))).toEqual({
      scheme: 'none',
      sectorSize: 512,
      partitions: [],
      notes: [],
      fileSystem: { name: 'ext4', label: 'wsl-root' },
    });
  });

  test('is not taken for an MBR because of a boot sector', async () => {
    expect(await contentsOf(fileSystem('ntfs'))).toMatchObject({ scheme: 'none', fileSystem: { name: 'NTFS' } });
  });

  test('that is empty, tiny or unreadable is said to be so', async () => {
    const zeros = partitionedDisk('mbr').clear(0, 96 * MiB);
    expect(await contentsOf(zeros)).toEqual({ scheme: 'none', sectorSize: 512, partitions: [], notes: [] });
    expect(await contentsOf(zeros.truncate(100))).toMatchObject({ scheme: 'none' });
    expect(await contentsOf(partitionedDisk('mbr'), 512, () => true)).toMatchObject({ scheme: 'unknown' });
  });
});

describe('a file system', () => {
  const labels: Record<string, string> = {
    ext4: 'wsl-root',
    ext2: 'old',
    fat32: 'BOOT',
    btrfs: 'snaps',
    xfs: 'data',
    swap: 'paging',
  };
  const names: Record<string, string> = {
    fat32: 'FAT32',
    fat16: 'FAT16',
    ntfs: 'NTFS',
    exfat: 'exFAT',
    btrfs: 'Btrfs',
    xfs: 'XFS',
    swap: 'Linux swap',
  };
  test.each(fileSystems)('that the tool for %s made is recognised', (name) => {
    const label = labels[name];
    expect(recogniseFileSystem(fileSystem(name).read(0, 68 * 1024))).toEqual({
      name: names[name] ?? name,
      ...(label && { label }),
    });
  });

  test('that nobody knows is not', () => {
    expect(recogniseFileSystem(new Uint8Array(68 * 1024))).toBeUndefined();
    expect(recogniseFileSystem(new Uint8Array(512))).toBeUndefined();
  });
});

describe('the panel with the partitions', () => {
  for (const [name, logicalSectorSize] of [
    ['gpt of 512', 512],
    ['gpt of 4096', 4096],
  ] as const) {
    needs(tool('chromium')).test(`shows a ${name}-byte sectors, and leads to the bytes of a partition`, async () => {
      const disk = partitionedDisk(name);
      const path = join(await tempDir(), 'disk.vhdx');
      await saveFile(
        buildImage({ virtualSize: disk.size, blockSize: MiB, logicalSectorSize, blocks: blocksOf(disk, MiB) }),
        path,
      );
      const page = await app.open();
      await openFiles(page, path);
      const count = name === 'gpt of 512' ? 4 : 2;
      await expectText(
        page.locator('#contents-state'),
        `GPT with ${count} partitions, in sectors of ${logicalSectorSize} bytes`,
      );
      expect(await page.locator('.partitions tbody tr').count()).toBe(count);
      await page.locator('.partitions button').first().click();
      await expectText(
        page.locator('#bytes-state'),
        /^Sector (2,048|256) at 0x100000\. Zeros, because nothing is stored here\.$/,
      );
      await page.getByLabel('Go to').fill('1');
      await page.getByLabel('Go to').press('Enter');
      await expectText(page.locator('#bytes-text'), /45 46 49 20 50 41 52 54 .*EFI PART/);
    });
  }
});

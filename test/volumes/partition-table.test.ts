import { describe, expect, test } from 'vitest';
import { VhdxError } from '../../src/index.js';
import { bufferSource } from '../../src/io/buffer.js';
import { identifyVolume, type PartitionTable, readPartitionTable } from '../../src/volumes/index.js';
import { crc32 } from '../support/crc32.js';
import { MiB } from '../support/encode-primitives.js';
import type { SparseFile } from '../support/sparse-file.js';
import { fileSystem, fileSystems, partitionedDisk } from './support/made-by-other-tools.js';

/** The partition table of a raw disk; reads that begin at an offset for which `damaged` says so fail. */
function tableOf(
  disk: SparseFile,
  sectorSize = 512,
  damaged: (offset: number) => boolean = () => false,
): Promise<PartitionTable> {
  const source = {
    size: disk.size,
    async readInto(target: Uint8Array, offset: number) {
      if (damaged(offset)) throw new VhdxError('bat-past-end', 'damaged');
      target.set(disk.read(offset, target.length));
    },
  };
  return readPartitionTable(source, { sectorSize });
}

const brief = ({ partitions }: PartitionTable) =>
  partitions.map(({ number, offset, length, type }) => [number, offset / 512, length / 512, type]);

describe('a GPT', () => {
  const listed = [
    [1, 2048, 20480, 'EFI system'],
    [2, 22528, 32768, 'Microsoft reserved'],
    [3, 55296, 40960, 'Basic data'],
    [4, 96256, 20480, 'Linux file system'],
  ];

  test('is read as sfdisk wrote it', async () => {
    const table = await tableOf(partitionedDisk('gpt of 512'));
    expect(table).toMatchObject({
      scheme: 'GPT',
      sectorSize: 512,
      diskId: '11111111-2222-4333-8444-555555555555',
      notes: [],
    });
    expect(brief(table)).toEqual(listed);
    expect(table.partitions.map(({ name }) => name)).toEqual([
      'EFI system partition',
      'Microsoft reserved partition',
      'Größe Ω',
      'root',
    ]);
    expect(table.partitions.map(({ marks }) => marks)).toEqual([
      [],
      [],
      ['hidden', 'no drive letter'],
      ['legacy boot'],
    ]);
  });

  test('that counts in sectors of 4096 bytes is read as fdisk wrote it', async () => {
    const table = await tableOf(partitionedDisk('gpt of 4096'), 4096);
    expect(table).toMatchObject({
      scheme: 'GPT',
      sectorSize: 4096,
      diskId: 'cae10f7e-11ba-f34d-b7b0-6ac212ac7b2e',
      notes: [],
    });
    expect(table.partitions.map(({ offset, length }) => [offset / 4096, length / 4096])).toEqual([
      [256, 16384],
      [16640, 48640],
    ]);
  });

  test('on a disk of other sectors is read all the same, and a note says so', async () => {
    const table = await tableOf(partitionedDisk('gpt of 4096'), 512);
    expect(table.partitions).toHaveLength(2);
    expect(table.notes).toEqual([
      expect.stringMatching(/counts in sectors of 4096 bytes, and the disk has sectors of 512/),
    ]);
  });

  test('whose start is overwritten is read from its backup', async () => {
    const disk = partitionedDisk('gpt of 512').write(512 + 40, Uint8Array.of(0xff));
    const table = await tableOf(disk);
    expect(brief(table)).toEqual(listed);
    expect(table.notes).toEqual([
      'The partition table at the start of the disk is damaged (the checksum of its header is wrong); its backup at the end is shown.',
    ]);
  });

  test('with a disk GUID of zeros has none', async () => {
    const disk = partitionedDisk('gpt of 512');
    for (const lba of [1, disk.size / 512 - 1]) {
      const header = disk.read(lba * 512, 92);
      header.fill(0, 56, 72);
      header.fill(0, 16, 20);
      const sum = new DataView(new ArrayBuffer(4));
      sum.setUint32(0, crc32(header), true);
      header.set(new Uint8Array(sum.buffer), 16);
      disk.write(lba * 512, header);
    }
    const table = await tableOf(disk);
    expect(table).toMatchObject({ scheme: 'GPT', notes: [] });
    expect(table).not.toHaveProperty('diskId');
  });

  test('whose entries do not fit their checksum is not believed', async () => {
    const disk = partitionedDisk('gpt of 512').write(1024 + 41, Uint8Array.of(0xff));
    expect((await tableOf(disk)).notes).toEqual([
      expect.stringMatching(/the checksum of its entries is wrong\); its backup/),
    ]);
    const both = disk.write(disk.size - 33 * 512 + 41, Uint8Array.of(0xff));
    expect(await tableOf(both)).toMatchObject({
      scheme: 'GPT',
      partitions: [],
      notes: [expect.stringMatching(/is damaged .* and so is its backup/)],
    });
  });

  test('whose place cannot be read is read from its backup', async () => {
    const table = await tableOf(partitionedDisk('gpt of 512'), 512, (offset) => offset < MiB);
    expect(brief(table)).toEqual(listed);
    expect(table.notes).toEqual([expect.stringMatching(/it cannot be read/)]);
  });
});

describe('a GPT on a disk that was enlarged', () => {
  test('is read from the backup where the primary header says that it is', async () => {
    const disk = partitionedDisk('gpt of 512').truncate(96 * MiB);
    expect(await tableOf(disk)).toMatchObject({ scheme: 'GPT', notes: [] });
    disk.write(1024 + 41, Uint8Array.of(0xff)); // the entries; the header is sound
    const table = await tableOf(disk);
    expect(table.partitions).toHaveLength(4);
    expect(table.notes).toEqual([expect.stringMatching(/the checksum of its entries is wrong\); its backup/)]);
  });
});

describe('a source', () => {
  test('that fails rejects, and does not count as a disk without a table', async () => {
    const error = new VhdxError('read-failed', 'no');
    const source = { size: MiB, readInto: () => Promise.reject(error) };
    await expect(readPartitionTable(source)).rejects.toBe(error);
  });

  test('that says how large its sectors are needs no option', async () => {
    const disk = partitionedDisk('gpt of 4096');
    const source = {
      size: disk.size,
      logicalSectorSize: 4096,
      readInto: async (target: Uint8Array, offset: number) => target.set(disk.read(offset, target.length)),
    };
    expect(await readPartitionTable(source)).toMatchObject({ scheme: 'GPT', sectorSize: 4096, notes: [] });
  });
});

describe('an MBR', () => {
  test('is read as sfdisk wrote it, with its logical partitions', async () => {
    const table = await tableOf(partitionedDisk('mbr'));
    expect(table).toMatchObject({ scheme: 'MBR', diskId: 'cafe1234', notes: [] });
    expect(brief(table)).toEqual([
      [1, 2048, 40960, 'NTFS or exFAT'],
      [2, 43008, 20480, 'Linux file system'],
      [3, 63488, 131072, 'Extended (LBA)'],
      [5, 65536, 20480, 'FAT32'],
      [6, 90112, 20480, 'Linux swap'],
    ]);
    expect(table.partitions.map(({ marks }) => marks)).toEqual([['active'], [], [], [], []]);
  });

  test('whose chain of logical partitions goes in circles is read once around', async () => {
    const disk = partitionedDisk('mbr');
    // The second record's link to the next leads to the first.
    const second = 88064 * 512;
    disk.write(second + 446 + 16, Uint8Array.of(0, 0, 0, 0, 5, 0, 0, 0, 0, 0, 0, 0, 0, 0x10, 0, 0));
    const table = await tableOf(disk);
    expect(table.partitions).toHaveLength(5);
    expect(table.notes).toEqual(['The chain of logical partitions is broken: this list may not be complete.']);
  });

  test('whose partitions leave the disk or overlap says so', async () => {
    const disk = partitionedDisk('mbr').write(446 + 16 + 12, Uint8Array.of(0xff, 0xff, 0xff, 0x7f));
    const { notes } = await tableOf(disk);
    expect(notes).toEqual(['Partition 2 reaches past the end of the disk.', 'Partitions 2 and 5 overlap.']);
  });
});

describe('a disk that was partitioned over a file system', () => {
  test('shows its partitions, although the superblock of the file system is still there', async () => {
    const disk = partitionedDisk('mbr').write(1024 + 56, Uint8Array.of(0x53, 0xef));
    const { scheme, partitions, fileSystem } = await tableOf(disk);
    expect({ scheme, fileSystem }).toEqual({ scheme: 'MBR', fileSystem: undefined });
    expect(partitions.length).toBeGreaterThan(1);
  });
});

describe('a disk without a partition table', () => {
  test('is recognised by its file system, as WSL makes it', async () => {
    expect(await tableOf(fileSystem('ext4'))).toEqual({
      scheme: 'none',
      sectorSize: 512,
      partitions: [],
      notes: [],
      fileSystem: {
        name: 'ext4',
        label: 'wsl-root',
        uuid: '00000000-0000-4000-8000-000000000009',
        size: 20 * MiB,
      },
    });
  });

  test('is not taken for an MBR because of a boot sector', async () => {
    expect(await tableOf(fileSystem('ntfs'))).toMatchObject({ scheme: 'none', fileSystem: { name: 'NTFS' } });
  });

  test('that is empty, tiny or unreadable is said to be so', async () => {
    const zeros = partitionedDisk('mbr').clear(0, 96 * MiB);
    expect(await tableOf(zeros)).toEqual({ scheme: 'none', sectorSize: 512, partitions: [], notes: [] });
    expect(await tableOf(zeros.truncate(100))).toMatchObject({ scheme: 'none' });
    expect(await tableOf(partitionedDisk('mbr'), 512, () => true)).toMatchObject({ scheme: 'unknown' });
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
  test.each(fileSystems)('that the tool for %s made is recognised', async (name) => {
    const label = labels[name];
    const found = await identifyVolume(fileSystem(name).source());
    expect([found?.name, found?.label]).toEqual([names[name] ?? name, label]);
  });

  test('that is not in the list is not', async () => {
    for (const length of [0, 511, 512, 68 * 1024]) {
      expect(await identifyVolume(bufferSource(new Uint8Array(length)))).toBeUndefined();
    }
  });
});

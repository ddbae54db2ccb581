import type { Command } from 'commander';
import { type RandomAccessSource, slice } from '../../index.js';
import { type FileSystem, openVolume, type Partition, readPartitionTable } from '../../volumes/index.js';
import { about, complain, Failure } from '../failure.js';
import { parseCount } from '../fleet/shard-option.js';
import { addImageOptions, type ImageFlags, openDisk } from '../image-options.js';

/** The options of commands that look into a file system. */
export interface VolumeFlags extends ImageFlags {
  readonly partition?: number;
}

/** Adds the options of commands that look into a file system. */
export function addVolumeOptions(command: Command): Command {
  return addImageOptions(
    command.option('--partition <number>', 'the partition, where several have files', parseCount),
    { formats: ['vhdx', 'raw', 'vpc'] },
  );
}

/** Opens the disk in an image, raw if it is of no format that is known, does something with it and closes it. */
export function withDiskOf(file: string, flags: ImageFlags, work: (disk: RandomAccessSource) => Promise<void>) {
  return about(file, async () => {
    const { source, close } = await openDisk(file, flags, true);
    await work(source).finally(close);
  });
}

/** Opens the file system in an image, does something with it and closes all. Errors become failures about the file. */
export function withFileSystem(
  file: string,
  flags: VolumeFlags,
  work: (fs: FileSystem) => Promise<void>,
): Promise<void> {
  return withDiskOf(file, flags, async (disk) => {
    const fs = await openVolume(await volumeOf(disk, file, flags.partition));
    for (const note of flags.quiet ? [] : fs.notes) complain(new Failure(`note: ${note}`, { file }));
    await work(fs).finally(() => fs.close());
  });
}

/** The part of a disk that was asked for: all of it if it has no partitions, the one with files if there is one alone. */
async function volumeOf(
  disk: RandomAccessSource,
  file: string,
  number: number | undefined,
): Promise<RandomAccessSource> {
  const { partitions, scheme } = await readPartitionTable(disk);
  if (partitions.length === 0) {
    if (number === undefined) return disk;
    const reason = scheme === 'none' ? 'has no partitions' : 'has no partitions that can be read';
    throw new Failure(`the disk ${reason}`, { file });
  }
  const readable = partitions.filter(({ fileSystem }) => /^ext[234]$/.test(fileSystem?.name ?? ''));
  const found = number === undefined ? readable[0] : partitions.find((partition) => partition.number === number);
  if (number !== undefined && !found) {
    throw new Failure(`there is no partition ${number}; there are ${partitions.map(nameOf).join(', ')}`, { file });
  }
  if (!found)
    throw new Failure('no partition has a file system that is read here', { file, lines: partitions.map(nameOf) });
  if (number === undefined && readable.length > 1) {
    throw new Failure(`several partitions have files; --partition takes one`, { file, lines: readable.map(nameOf) });
  }
  const { offset, length } = found;
  if (offset + length > disk.size)
    throw new Failure(`partition ${found.number} reaches past the end of the disk`, { file });
  return slice(disk, offset, length);
}

const nameOf = ({ number, fileSystem, name }: Partition): string =>
  [
    `${number}`,
    fileSystem?.name ?? 'unknown',
    ...(fileSystem?.label ? [`"${fileSystem.label}"`] : []),
    ...(name ? [`(${name})`] : []),
  ].join(' ');

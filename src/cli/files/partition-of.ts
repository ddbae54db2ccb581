import { type RandomAccessSource, slice } from '../../index.js';
import { canOpenVolume, type Partition, readPartitionTable } from '../../volumes/index.js';
import { Failure } from '../failure.js';

/** The part of a disk that was asked for: all of it if it has no partitions, the one with files if there is one alone. */
export async function volumeOf(
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
  const readable = partitions.filter(({ fileSystem }) => fileSystem && canOpenVolume(fileSystem));
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

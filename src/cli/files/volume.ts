import type { Command } from 'commander';
import type { RandomAccessSource } from '../../index.js';
import { type FileSystem, openVolume } from '../../volumes/index.js';
import { about, complain, Failure } from '../failure.js';
import { addImageOptions, type ImageFlags, openWholeDisk } from '../image-options.js';
import { volumeOf } from './partition-of.js';

/** Adds the options of commands that look into a file system. */
export function addVolumeOptions(command: Command): Command {
  return addImageOptions(command, { formats: ['vhdx', 'raw', 'vpc'], partition: true });
}

/** Opens the disk in an image, raw if it is of no format that is known, does something with it and closes it. */
export function withDiskOf(
  file: string,
  flags: ImageFlags,
  work: (disk: RandomAccessSource) => Promise<void>,
): Promise<void> {
  return about(file, async () => {
    const { source, close } = await openWholeDisk(file, flags, true);
    await work(source).finally(close);
  });
}

/** Opens the file system in an image, does something with it and closes all. Errors become failures about the file. */
export function withFileSystem(
  file: string,
  flags: ImageFlags,
  work: (fs: FileSystem) => Promise<void>,
): Promise<void> {
  return withDiskOf(file, flags, async (disk) => {
    const fs = await openVolume(await volumeOf(disk, file, flags.partition));
    for (const note of flags.quiet ? [] : fs.notes) complain(new Failure(`note: ${note}`, { file }));
    await work(fs).finally(() => fs.close());
  });
}

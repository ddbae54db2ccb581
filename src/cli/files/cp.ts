import { open, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { Command } from 'commander';
import type { VhdxError } from '../../index.js';
import type { FileSystem } from '../../volumes/index.js';
import { about, complain, Failure, interruptible } from '../failure.js';
import type { ImageFlags } from '../image-options.js';
import { writeOut } from '../standard-output.js';
import { writeAll } from '../write-all.js';
import { copyTree, PIECE } from './copy-tree.js';
import { addVolumeOptions, withFileSystem } from './volume.js';

interface Flags extends ImageFlags {
  readonly recursive?: true;
  readonly tar?: true;
  /** `false` for `--no-links`. */
  readonly links: boolean;
}

const EXAMPLES = `
Reads ext2, ext3 and ext4, as WSL, Docker and most Linux guests have them; the image is not written. Times and
permissions come along, owners do not. Holes stay holes. Nothing that exists is written over, and nothing is written
outside of DEST, whatever the names in the image are; links are made as they are in the image, wherever they lead.
Devices, pipes and sockets are left out, and said; so is what cannot be read of a directory, as in a damaged image.
Exit codes: 0, and 1 if something could not be copied: the rest is.

  vhdx cp ext4.vhdx /home/ada/notes.txt .
  vhdx cp -r ext4.vhdx /home/ada rescued
  vhdx cp ext4.vhdx /etc/fstab -
  vhdx cp -r --tar ext4.vhdx /home - | zstd > home.tar.zst`;

/** Defines `vhdx cp`. */
export function define(command: Command): void {
  command
    .description('Copies files out of an image.')
    .argument('<file>', 'image')
    .argument('<path>', 'file or directory in it')
    .argument('<dest>', 'where it goes: a directory that exists, or the name of the copy; - for standard output')
    .option('-r, --recursive', 'copy a directory with everything below')
    .option('--tar', 'write a tar archive, for everything that DEST cannot hold')
    .option('--no-links', 'leave symbolic links out');
  addVolumeOptions(command)
    .addHelpText('after', EXAMPLES)
    .action((file: string, path: string, dest: string, flags: Flags) =>
      withFileSystem(file, flags, (fs) => interruptible((signal) => copy(fs, file, path, dest, flags, signal))),
    );
}

async function copy(
  fs: FileSystem,
  file: string,
  path: string,
  dest: string,
  flags: Flags,
  signal: AbortSignal,
): Promise<void> {
  const { kind } = await fs.stat(path);
  if (kind === 'directory' && !flags.recursive) throw new Failure(`${path} is a directory, which -r copies`, { file });
  const onSkip = (name: string, what: string): void =>
    complain(new Failure(`${name} is a ${what}, and left out`, { file }));
  const onUnreadable = (name: string, { reason }: VhdxError): void => {
    complain(new Failure(`${name}: ${reason}`, { file }));
    process.exitCode = 1;
  };
  const options = { links: flags.links, signal, image: file, onSkip, onUnreadable };
  if (flags.tar) {
    const tar = (await import('./tar.js')).tarOf(fs, path, options);
    if (dest === '-') for await (const chunk of tar) await writeOut(chunk);
    else await about(dest, () => writeArchive(tar, dest));
    return;
  }
  if (dest === '-') {
    if (kind === 'directory') throw new Failure(`a directory goes to standard output as an archive: --tar`, { file });
    const source = await fs.open(path);
    const buffer = new Uint8Array(Math.min(PIECE, source.size));
    for (let at = 0; at < source.size; at += PIECE) {
      const bytes = buffer.subarray(0, source.size - at);
      await source.readInto(bytes, at, { signal });
      await writeOut(bytes);
    }
    return;
  }
  const isFolder = await stat(dest).then(
    (found) => found.isDirectory(),
    () => false,
  );
  const name = path
    .split('/')
    .filter((part) => part !== '' && part !== '.' && part !== '..')
    .at(-1);
  const target = isFolder ? join(dest, name ?? 'root') : dest;
  await copyTree(fs, path, target, options);
}

/** Writes a file that is not there yet; half of an archive is none. */
async function writeArchive(tar: AsyncIterable<Uint8Array>, dest: string): Promise<void> {
  const handle = await open(dest, 'wx');
  try {
    let done = 0;
    for await (const chunk of tar) {
      await writeAll(handle, chunk, done);
      done += chunk.length;
    }
    await handle.close();
  } catch (error) {
    await handle.close().catch(() => undefined);
    await rm(dest, { force: true });
    throw error;
  }
}

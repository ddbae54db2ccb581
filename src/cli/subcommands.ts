import { Command, CommanderError } from 'commander';
import { VERSION } from '../index.js';
import { complain, writeIfRead } from './failure.js';

/** What a file of a subcommand exports. */
interface Subcommand {
  define(command: Command): void;
}

interface Entry {
  readonly summary: string;
  /** Exit code if the command could not do its work. */
  readonly failed: number;
  /** Only the subcommand that is used is loaded: starting is most of what `info` costs. */
  readonly load: () => Promise<Subcommand>;
}

/** The subcommands, in the order in which they are listed. */
export const SUBCOMMANDS: Readonly<Record<string, Entry>> = {
  info: { summary: 'show what images are', failed: 1, load: () => import('./info.js') },
  check: { summary: 'find everything that is wrong with images', failed: 1, load: () => import('./check.js') },
  map: { summary: 'list where the bytes of the disk are', failed: 1, load: () => import('./map.js') },
  create: { summary: 'create an image', failed: 1, load: () => import('./create.js') },
  repair: { summary: 'repair an image in place', failed: 1, load: () => import('./repair.js') },
  convert: { summary: 'write the disk to a raw file, a VHD or a pipe', failed: 1, load: () => import('./convert.js') },
  read: { summary: 'write bytes of the disk to standard output', failed: 1, load: () => import('./read.js') },
  write: { summary: 'write bytes from standard input to the disk', failed: 1, load: () => import('./write.js') },
  zero: { summary: 'make a range of the disk read as zeros', failed: 1, load: () => import('./zero.js') },
  trim: { summary: 'give back the space of a range of the disk', failed: 1, load: () => import('./trim.js') },
  set: { summary: 'change the identity or the physical sector size', failed: 1, load: () => import('./set.js') },
  resize: { summary: 'change the size of the disk', failed: 1, load: () => import('./resize.js') },
  compact: { summary: 'make the file as short as it can be', failed: 1, load: () => import('./compact.js') },
  merge: { summary: 'merge a child into its parent, or into a new file', failed: 1, load: () => import('./merge.js') },
  rebase: { summary: 'give a child another parent, or none', failed: 1, load: () => import('./rebase.js') },
  checksum: { summary: 'compute the CRC-32C of disks', failed: 1, load: () => import('./checksum.js') },
  combine: {
    summary: 'put together what --shard has done in parts',
    failed: 1,
    load: () => import('./fleet/combine.js'),
  },
  fleet: { summary: 'check or sum many images, in parts', failed: 1, load: () => import('./fleet/fleet.js') },
  partitions: {
    summary: 'list the partitions of a disk',
    failed: 1,
    load: () => import('./files/partitions.js'),
  },
  ls: { summary: 'list the files in an image', failed: 1, load: () => import('./files/ls.js') },
  cp: { summary: 'copy files out of an image', failed: 1, load: () => import('./files/cp.js') },
  serve: { summary: 'serve disks to other programs over NBD', failed: 1, load: () => import('./serve.js') },
  compare: { summary: 'compare the contents of two disks', failed: 2, load: () => import('./compare.js') },
  complete: { summary: 'print what completes words in a shell', failed: 1, load: () => import('./complete.js') },
};

const ABOUT = `
FILE is a path or, to read, an http(s) URL. Commands that read never write to an image: the log of a dirty one is
replayed in memory.
Sizes and offsets take the suffixes k, M, G, T, P and E, and may be given in hexadecimal: 4k, 10G, 0x100000.

  vhdx info disk.vhdx
  vhdx convert -O raw disk.vhdx disk.img
  vhdx COMMAND --help`;

/** For {@link programOf}: all subcommands, with their options. */
export const EVERYTHING = Symbol('everything');

/** The command, with the options of one of its subcommands, or of all. */
export async function programOf(asked: string | undefined | typeof EVERYTHING): Promise<Command> {
  const program = new Command('vhdx');
  program
    .description('Reads, writes and repairs Hyper-V virtual hard disks: sound, dirty, differencing or damaged.')
    .option('-V, --version', 'print the version')
    .addHelpText('after', ABOUT)
    .exitOverride()
    .configureOutput({
      writeOut: (text) => writeIfRead(1, text),
      writeErr: (text) => writeIfRead(2, text),
      outputError: (text) => complain(text.replace(/^error: /, '')),
    })
    .configureHelp({ helpWidth: 100 });
  program.on('option:version', () => {
    writeIfRead(1, `${VERSION}\n`);
    throw new CommanderError(0, 'commander.version', '');
  });
  for (const [name, { summary, load }] of Object.entries(SUBCOMMANDS)) {
    const command = program.command(name).summary(summary);
    // Completion comes last, and is about all that come before it.
    if (name === asked || asked === 'complete' || asked === EVERYTHING) (await load()).define(command);
  }
  return program;
}

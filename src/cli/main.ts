#!/usr/bin/env node
import { readFileSync } from 'node:fs';
import { Command, CommanderError } from 'commander';
import { BrokenPipe, complain, Interruption, writeIfHeard } from './failure.js';

/** What a file of a subcommand exports. */
interface Subcommand {
  define(command: Command): void;
}

interface Entry {
  readonly summary: string;
  /** Exit code where the command could not do its work. */
  readonly failed: number;
  /** Only the subcommand that is asked for is loaded: starting is most of what `info` costs. */
  readonly load: () => Promise<Subcommand>;
}

const SUBCOMMANDS: Readonly<Record<string, Entry>> = {
  info: { summary: 'tell what an image is', failed: 1, load: () => import('./info.js') },
  check: { summary: 'find everything that is wrong with an image', failed: 1, load: () => import('./check.js') },
  map: { summary: 'list where the bytes of the disk are', failed: 1, load: () => import('./map.js') },
  convert: { summary: 'write the disk to a raw file, a VHD or a pipe', failed: 1, load: () => import('./convert.js') },
  read: { summary: 'write some bytes of the disk to standard output', failed: 1, load: () => import('./read.js') },
  checksum: { summary: 'compute the CRC-32C of disks', failed: 1, load: () => import('./checksum.js') },
  compare: { summary: 'tell whether two disks hold the same', failed: 2, load: () => import('./compare.js') },
};

const ABOUT = `
FILE is a path or an http(s) URL. Images are never written: the log of a dirty one is replayed in memory.
Sizes and offsets take the suffixes k, M, G, T, P and E, and may be given in hexadecimal: 4k, 10G, 0x100000.

  vhdx info disk.vhdx
  vhdx convert -O raw disk.vhdx disk.img
  vhdx COMMAND --help`;

function version(): string {
  const manifest: unknown = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8'));
  return typeof manifest === 'object' && manifest && 'version' in manifest ? String(manifest.version) : 'unknown';
}

async function run(args: readonly string[]): Promise<number> {
  const [first, second] = args;
  const asked = first === 'help' ? second : first;
  const program = new Command('vhdx');
  program
    .description('Reads Hyper-V virtual hard disks: sound, dirty, differencing or damaged.')
    .option('-V, --version', 'print the version')
    .addHelpText('after', ABOUT)
    .exitOverride()
    .configureOutput({
      writeOut: (text) => writeIfHeard(1, text),
      writeErr: (text) => writeIfHeard(2, text),
      outputError: (text) => complain(text.replace(/^error: /, '').replace(/\s+/g, ' ')),
    })
    .configureHelp({ helpWidth: 100 });
  program.on('option:version', () => {
    writeIfHeard(1, `${version()}\n`);
    throw new CommanderError(0, 'commander.version', '');
  });
  for (const [name, { summary, load }] of Object.entries(SUBCOMMANDS)) {
    const command = program.command(name).summary(summary);
    if (name === asked) (await load()).define(command);
  }
  try {
    await program.parseAsync(args, { from: 'user' });
    return Number(process.exitCode ?? 0);
  } catch (error) {
    return exitCodeOf(error, SUBCOMMANDS[asked ?? '']?.failed ?? 1);
  }
}

function exitCodeOf(error: unknown, failed: number): number {
  if (error instanceof BrokenPipe) return Number(process.exitCode ?? 0); // whoever read wanted no more
  if (error instanceof Interruption) return error.exitCode;
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : failed; // it has told its own story
  complain(error);
  return failed;
}

process.exitCode = await run(process.argv.slice(2));

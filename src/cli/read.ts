import type { Command } from 'commander';
import { parseByteSize } from './byte-size.js';
import { addOpeningOptions, type OpeningFlags, withDisk } from './opening.js';
import { writeOut } from './standard-output.js';

interface Flags extends OpeningFlags {
  readonly offset: number;
  readonly length?: number;
}

const EXAMPLES = `
Exit codes: 0, and 1 where the image does not open or the bytes cannot be read.

  vhdx read --offset 0 --length 512 disk.vhdx | xxd
  vhdx read --offset 1M --length 4k disk.vhdx > part.bin`;

/** Defines `vhdx read`. */
export function define(command: Command): void {
  command
    .description('Writes some bytes of the disk to standard output.')
    .argument('<file>', 'image')
    .option('--offset <size>', 'first byte', parseByteSize, 0)
    .option('--length <size>', 'number of bytes; up to the end of the disk where it is not given', parseByteSize);
  addOpeningOptions(command).addHelpText('after', EXAMPLES).action(read);
}

async function read(file: string, flags: Flags): Promise<void> {
  await withDisk(file, flags, async (disk) => {
    for await (const chunk of disk.stream({ offset: flags.offset, length: flags.length })) await writeOut(chunk);
  });
}

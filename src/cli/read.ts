import type { Command } from 'commander';
import { parseByteSize } from './byte-size.js';
import { Failure } from './failure.js';
import { addImageOptions, type ImageFlags, withAnyDisk } from './image-options.js';
import { writeOut } from './standard-output.js';

interface Flags extends ImageFlags {
  readonly offset: number;
  readonly length?: number;
}

const EXAMPLES = `
Exit codes: 0, and 1 if the image does not open or the bytes cannot be read.

  vhdx read --offset 0 --length 512 disk.vhdx | xxd
  vhdx read --offset 1M --length 4k disk.vhdx > part.bin`;

/** Bytes that are read at a time of what is not VHDX. */
const PIECE = 1024 * 1024;

/** Defines `vhdx read`. */
export function define(command: Command): void {
  command
    .description('Writes bytes of the disk to standard output.')
    .argument('<file>', 'image')
    .option('--offset <size>', 'first byte', parseByteSize, 0)
    .option('--length <size>', 'number of bytes; up to the end of the disk if it is not given', parseByteSize);
  addImageOptions(command, { formats: ['vhdx', 'raw', 'vpc'], partition: true })
    .addHelpText('after', EXAMPLES)
    .action(read);
}

async function read(file: string, flags: Flags): Promise<void> {
  await withAnyDisk(file, flags, async ({ source, vhdx }) => {
    const { offset } = flags;
    const { size } = source;
    if (offset > size)
      throw new Failure(`offset ${offset} is past the end of the disk, which has ${size} bytes`, { file });
    const length = flags.length ?? size - offset;
    if (length > size - offset) {
      throw new Failure(`${length} bytes at ${offset} reach past the end of the disk, which has ${size} bytes`, {
        file,
      });
    }
    if (vhdx) {
      for await (const chunk of vhdx.stream({ offset, length })) await writeOut(chunk);
      return;
    }
    for (let done = 0; done < length; done += PIECE) {
      const bytes = new Uint8Array(Math.min(PIECE, length - done));
      await source.readInto(bytes, offset + done);
      await writeOut(bytes);
    }
  });
}

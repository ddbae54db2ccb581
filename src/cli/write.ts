import type { Command } from 'commander';
import { parseByteSize } from './byte-size.js';
import { Failure } from './failure.js';
import { withProgress } from './progress.js';
import { inPieces, inputLength, standardInput } from './standard-input.js';
import { addWriteOptions, type WriteFlags, withWritableDisk } from './writable-image.js';

interface Flags extends WriteFlags {
  readonly offset: number;
}

const EXAMPLES = `
Bytes come from standard input, and the image is closed clean when they end. A file that reaches past the end of the disk
is refused before anything is written; of a pipe that does, what fits is written.
Exit codes: 0, and 1 if not everything could be written.

  vhdx write --offset 1M disk.vhdx < part.bin
  vhdx read --length 512 old.vhdx | vhdx write --offset 0 new.vhdx`;

/** Most bytes that are gathered before they are written. */
const MOST_GATHERED = 4 * 1024 * 1024;

/** Defines `vhdx write`. */
export function define(command: Command): void {
  command
    .description('Writes bytes from standard input to the disk.')
    .argument('<file>', 'image')
    .requiredOption('--offset <size>', 'where the first byte goes', parseByteSize);
  addWriteOptions(command).addHelpText('after', EXAMPLES).action(write);
}

async function write(file: string, flags: Flags): Promise<void> {
  const { offset } = flags;
  await withWritableDisk(file, flags, async (disk, signal) => {
    const room = disk.size - offset;
    const length = inputLength();
    if (room < 0)
      throw new Failure(`offset ${offset} is past the end of the disk, which has ${disk.size} bytes`, { file });
    if (length !== undefined && length > room) {
      const message = `${length} bytes at ${offset} reach past the end of the disk, which has ${disk.size} bytes`;
      throw new Failure(message, { file });
    }
    await withProgress('write', flags, async (onProgress) => {
      let done = 0;
      let running = Promise.resolve();
      // Whole blocks if they are not too large: what a block does not get at once is written twice.
      for await (const piece of inPieces(standardInput(signal), offset, Math.min(disk.blockSize, MOST_GATHERED))) {
        const part = piece.subarray(0, room - done);
        await running;
        onProgress?.({ done, total: length ?? room });
        running = disk.write(part, offset + done);
        running.catch(() => {}); // it is waited for, later
        done += part.length;
        if (part.length === piece.length) continue;
        await running;
        const message = `standard input goes on past the end of the disk: ${done} bytes were written, up to its end`;
        throw new Failure(message, { file });
      }
      await running;
    });
  });
}

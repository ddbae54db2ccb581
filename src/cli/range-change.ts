import type { Command } from 'commander';
import { parseByteSize } from './byte-size.js';
import { Failure } from './failure.js';
import { withProgress } from './progress.js';
import { addWriteOptions, type WriteFlags, withWritableDisk } from './writable-image.js';

/** The options of commands that change a range of a disk. */
export interface RangeFlags extends WriteFlags {
  readonly offset: number;
  readonly length: number;
}

/** Pieces end at multiples of this many bytes: block sizes divide it, so that no block is cut in two. */
const PIECE = 1024 ** 3;

/** Adds the options of commands that change a range of a disk. */
export function addRangeOptions(command: Command): Command {
  command
    .requiredOption('--offset <size>', 'first byte', parseByteSize)
    .requiredOption('--length <size>', 'number of bytes', parseByteSize);
  return addWriteOptions(command);
}

/** Zeros or trims a range of a disk; nothing is changed if it leaves the disk. */
export function changeRange(what: 'zero' | 'trim', file: string, flags: RangeFlags): Promise<void> {
  const { offset, length } = flags;
  return withWritableDisk(file, flags, async (disk, signal) => {
    if (offset + length > disk.size) {
      const message = `${length} bytes at ${offset} reach past the end of the disk, which has ${disk.size} bytes`;
      throw new Failure(message, { file });
    }
    await withProgress(what, flags, async (onProgress) => {
      for (let done = 0; done < length; ) {
        const piece = Math.min(PIECE - ((offset + done) % PIECE), length - done);
        await disk[what](offset + done, piece, { signal });
        done += piece;
        onProgress?.({ done, total: length });
      }
    });
  });
}

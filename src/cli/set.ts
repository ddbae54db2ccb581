import type { Command } from 'commander';
import { isVhdx, type SetOptions, setVhdx } from '../index.js';
import { parseByteSize } from './byte-size.js';
import { about, Failure, interruptible } from './failure.js';
import { isUrl } from './terminal.js';
import { warningOf, warnOfChildren } from './writable-image.js';

interface Flags {
  /** `true` without a GUID. */
  readonly newId?: true | string;
  readonly physicalSectorSize?: number;
}

const EXAMPLES = `
What the disk holds stays the same. Its children do not fit any more, because they know it by what it was.
Exit codes: 0, and 1 if nothing could be set; then the image was not changed.

  vhdx set --new-id disk.vhdx
  vhdx set --new-id=12345678-1234-4234-8234-123456789abc disk.vhdx
  vhdx set --physical-sector-size 512 disk.vhdx`;

/** Defines `vhdx set`. */
export function define(command: Command): void {
  command
    .description('Changes the identity or the physical sector size of a disk.')
    .usage('[options] <file>')
    .argument('[file]', 'image')
    .option('--new-id [guid]', 'the identity that a guest sees: a random one if none is given')
    .option('--physical-sector-size <size>', '512 or 4096', parseByteSize)
    .addHelpText('after', EXAMPLES)
    .action(set);
}

async function set(argument: string | undefined, flags: Flags): Promise<void> {
  const { file, newId } = separate(argument, flags.newId);
  const { physicalSectorSize } = flags as SetOptions;
  if (newId === undefined && physicalSectorSize === undefined) {
    throw new Failure('there is nothing to set: name --new-id or --physical-sector-size', { file });
  }
  await about(file, () =>
    interruptible(async (signal) => {
      // What is no image is refused below.
      if (!isUrl(file) && (await isVhdx(file))) await warnOfChildren(file, signal);
      await setVhdx(file, { newId, physicalSectorSize, signal, onWarning: warningOf(file) });
    }),
  );
}

/** Of `--new-id disk.vhdx` the second word is the image: a GUID that follows without `=` is taken for one. */
function separate(file: string | undefined, newId: true | string | undefined) {
  if (file !== undefined) return { file, newId };
  const isGuid = typeof newId === 'string' && /^\{?[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\}?$/i.test(newId);
  if (typeof newId !== 'string' || isGuid) throw new Failure('the image is missing');
  return { file: newId, newId: true as const };
}

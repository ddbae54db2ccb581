import { type Command, Option } from 'commander';
import { type CreateOptions, createVhdx } from '../index.js';
import { fullSize, parseByteSize } from './byte-size.js';
import { about, Failure, interruptible } from './failure.js';
import { parseImageOptions } from './new-image-options.js';
import { type ProgressFlags, withProgress } from './progress.js';
import { writeOut } from './standard-output.js';
import { displayName, printable } from './terminal.js';
import { warningOf } from './writable-image.js';

interface Flags extends ProgressFlags {
  readonly backing?: string;
  readonly options?: CreateOptions;
  readonly parent?: readonly string[];
  readonly followParents?: true;
  readonly force?: true;
}

const EXAMPLES = `
SIZE takes suffixes: 10G. It may be left out with -b, and is that of the parent then. PARENT is relative to the working
directory. It is not changed, and must not be written afterwards: that would break its children.
The options of -o, as name=value with commas between: subformat=dynamic or fixed, block_size (2M), log_size (1M),
logical_sector_size (512), physical_sector_size (4096), id (a GUID).
Exit codes: 0, and 1 if the image could not be created; then there is none.

  vhdx create disk.vhdx 127G
  vhdx create -o subformat=fixed,block_size=1M disk.vhdx 20G
  vhdx create -b base.vhdx child.avhdx`;

/** Defines `vhdx create`. */
export function define(command: Command): void {
  const collect = (file: string, before: unknown) => [...(Array.isArray(before) ? before : []), file];
  command
    .description('Creates a dynamic, fixed or differencing image.')
    .argument('<file>', 'new image')
    .argument('[size]', 'size of the disk', parseByteSize)
    .addOption(new Option('-f, --format <format>', 'format of the new image').choices(['vhdx']).default('vhdx'))
    .option('-b, --backing <parent>', 'create a differencing image of this parent')
    .addOption(new Option('-F, --backing-format <format>', 'format of the parent').choices(['vhdx']))
    .option('-o, --options <list>', 'options of the format', parseImageOptions)
    .option('--parent <path>', 'file or folder with parents of the parent; may be repeated', collect)
    .option('--follow-parents', 'open parents of the parent outside its folder too, if it names them')
    .option('--force', 'replace a file that exists')
    .option('-q, --quiet', 'show no progress and no notes')
    .option('-p, --progress', 'show progress even if standard error is not a terminal')
    .addHelpText('after', EXAMPLES)
    .action(create);
}

async function create(file: string, size: number | undefined, flags: Flags): Promise<void> {
  const { backing, options = {}, parent, followParents, force, quiet } = flags;
  if (size === undefined && backing === undefined) throw new Failure('the size is missing', { file });
  if (backing !== undefined && options.type !== undefined) {
    throw new Failure(`subformat=${options.type} and a parent exclude each other`, { file });
  }
  await about(file, () =>
    interruptible((signal) =>
      withProgress('create', flags, (onProgress) =>
        createVhdx(file, {
          ...options,
          size,
          parent: backing,
          parentOptions: { parent, followParents: followParents ? 'anywhere' : 'folder' },
          overwrite: force === true,
          signal,
          onProgress,
          onWarning: warningOf(file),
        }),
      ),
    ),
  );
  if (quiet) return;
  const kind = backing === undefined ? (options.type ?? 'dynamic') : `child of ${displayName(backing)}`;
  await writeOut(`${printable(`${displayName(file)}: ${kind}${size === undefined ? '' : `, ${fullSize(size)}`}`)}\n`);
}

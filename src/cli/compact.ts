import type { Command } from 'commander';
import { type CompactReport, compactVhdx, type FreeRange, openVhdx } from '../index.js';
import { jsonHead, kebabKeys } from '../report/dialect.js';
import { humanSize } from './byte-size.js';
import { about, interruptible } from './failure.js';
import { outputOption } from './image-options.js';
import { writeJson } from './json.js';
import { type ProgressFlags, withProgress } from './progress.js';
import { writeOut } from './standard-output.js';
import { displayName, printable } from './terminal.js';
import { warningOf } from './writable-image.js';

interface Flags extends ProgressFlags {
  /** `false` for `--no-scan`. */
  readonly scan: boolean;
  readonly fstrim?: true;
  readonly dryRun?: true;
  readonly output: 'human' | 'json';
}

const EXAMPLES = `
Blocks that hold nothing but zeros, and blocks that were trimmed, give back their space; blocks at the end of the file
move into free space before them, and the file is cut. What the disk holds and its identity stay the same, and children
still fit. What is free inside the guest gives back its space too if it was zeroed or trimmed there (sdelete -z, fstrim),
or with --fstrim, which reads from ext2, ext3 and ext4 what they do not use: what was deleted there cannot be recovered
any more, and children of the image do not fit it any more. Do not use it while the guest is suspended.
It may be interrupted at any moment, and needs no further space. Where there is space, vhdx convert into a new file does
the same and leaves the image as it is.
Exit codes: 0, also if nothing was gained, and 1 if the image is refused.

  vhdx compact disk.vhdx
  vhdx compact --fstrim ext4.vhdx
  vhdx compact --no-scan disk.vhdx`;

/** Defines `vhdx compact`. */
export function define(command: Command): void {
  command
    .description('Makes the file of an image as short as it can be, in place.')
    .argument('<file>', 'image')
    .option('--no-scan', 'do not read blocks to find those of zeros: only those that were trimmed go')
    .option('--fstrim', 'give back too what the ext2, ext3 and ext4 file systems on the disk do not use')
    .option('--dry-run', 'say what would be gained, and change nothing')
    .addOption(outputOption())
    .option('-q, --quiet', 'show no progress and no notes')
    .option('-p, --progress', 'show progress even if standard error is not a terminal')
    .addHelpText('after', EXAMPLES)
    .action(compact);
}

async function compact(file: string, flags: Flags): Promise<void> {
  const { scan, fstrim, dryRun, quiet, output } = flags;
  const report = await about(file, () =>
    interruptible((signal) =>
      withProgress('compact', flags, (onProgress) =>
        compactVhdx(file, {
          scan,
          dryRun,
          signal,
          onProgress,
          onWarning: warningOf(file),
          ...(fstrim && { free: freeRangesOf(file, signal) }),
        }),
      ),
    ),
  );
  if (output === 'json') {
    const head = { ...jsonHead(), filename: displayName(file), format: 'vhdx', 'dry-run': dryRun === true };
    return writeJson({ ...head, ...(kebabKeys(report) as object) });
  }
  if (!quiet) await writeOut(reportLine(file, report, dryRun === true));
}

/** What the file systems on the disk do not use. The image is opened when it is asked for, which is before anything changes. */
async function* freeRangesOf(file: string, signal: AbortSignal): AsyncGenerator<FreeRange> {
  const [{ freeRanges }, disk] = await Promise.all([import('../volumes/index.js'), openVhdx(file, { signal })]);
  try {
    yield* freeRanges(disk, { signal });
  } finally {
    await disk.close();
  }
}

function reportLine(file: string, report: CompactReport, isDry: boolean): string {
  const { fileSizeBefore, fileSizeAfter, zeroBlocks, freeBlocks, movedBytes } = report;
  const name = printable(displayName(file));
  const notes = [
    ...(zeroBlocks > 0 ? [`${zeroBlocks} ${zeroBlocks === 1 ? 'block' : 'blocks'} of zeros`] : []),
    ...(freeBlocks > 0 ? [`${freeBlocks} free ${freeBlocks === 1 ? 'block' : 'blocks'}`] : []),
    ...(movedBytes > 0 ? [`${humanSize(movedBytes)} moved`] : []),
  ];
  const what = notes.length > 0 ? ` (${notes.join(', ')})` : '';
  if (fileSizeAfter >= fileSizeBefore) return `${name}: ${humanSize(fileSizeBefore)}, nothing to gain${what}\n`;
  return `${name}: ${isDry ? 'would have' : 'has'} ${humanSize(fileSizeAfter)}, before ${humanSize(fileSizeBefore)}${what}\n`;
}

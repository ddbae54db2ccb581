import type { Command } from 'commander';
import { type CompactReport, compactVhdx } from '../index.js';
import { humanSize } from './byte-size.js';
import { about, interruptible } from './failure.js';
import { outputOption } from './image-options.js';
import { jsonHead, kebabKeys, writeJson } from './json.js';
import { type ProgressFlags, withProgress } from './progress.js';
import { writeOut } from './standard-output.js';
import { displayName, printable } from './terminal.js';
import { warningOf } from './writable-image.js';

interface Flags extends ProgressFlags {
  /** `false` for `--no-scan`. */
  readonly scan: boolean;
  readonly dryRun?: true;
  readonly output: 'human' | 'json';
}

const EXAMPLES = `
Blocks that hold nothing but zeros, and blocks that were trimmed, give back their space; blocks at the end of the file
move into free space before them, and the file is cut. What the disk holds and its identity stay the same, and children
still fit. Zero what is free inside the guest before (sdelete -z, fstrim), or there is little to gain.
It may be interrupted at any moment, and needs no further space. Where there is space, vhdx convert into a new file does
the same and leaves the image as it is.
Exit codes: 0, also if nothing was gained, and 1 if the image is refused.

  vhdx compact disk.vhdx
  vhdx compact --no-scan disk.vhdx`;

/** Defines `vhdx compact`. */
export function define(command: Command): void {
  command
    .description('Makes the file of an image as short as it can be, in place.')
    .argument('<file>', 'image')
    .option('--no-scan', 'do not read blocks to find those of zeros: only those that were trimmed go')
    .option('--dry-run', 'say what would be gained, and change nothing')
    .addOption(outputOption())
    .option('-q, --quiet', 'show no progress and no notes')
    .option('-p, --progress', 'show progress even if standard error is not a terminal')
    .addHelpText('after', EXAMPLES)
    .action(compact);
}

async function compact(file: string, flags: Flags): Promise<void> {
  const { scan, dryRun, quiet, output } = flags;
  const report = await about(file, () =>
    interruptible((signal) =>
      withProgress('compact', flags, (onProgress) =>
        compactVhdx(file, { scan, dryRun, signal, onProgress, onWarning: warningOf(file) }),
      ),
    ),
  );
  if (output === 'json') {
    const head = { ...jsonHead(), filename: displayName(file), format: 'vhdx', 'dry-run': dryRun === true };
    return writeJson({ ...head, ...(kebabKeys(report) as object) });
  }
  if (!quiet) await writeOut(reportLine(file, report, dryRun === true));
}

function reportLine(file: string, report: CompactReport, isDry: boolean): string {
  const { fileSizeBefore, fileSizeAfter, zeroBlocks, movedBytes } = report;
  const name = printable(displayName(file));
  const notes = [
    ...(zeroBlocks > 0 ? [`${zeroBlocks} ${zeroBlocks === 1 ? 'block' : 'blocks'} of zeros`] : []),
    ...(movedBytes > 0 ? [`${humanSize(movedBytes)} moved`] : []),
  ];
  const what = notes.length > 0 ? ` (${notes.join(', ')})` : '';
  if (fileSizeAfter >= fileSizeBefore) return `${name}: ${humanSize(fileSizeBefore)}, nothing to gain${what}\n`;
  return `${name}: ${isDry ? 'would have' : 'has'} ${humanSize(fileSizeAfter)}, before ${humanSize(fileSizeBefore)}${what}\n`;
}

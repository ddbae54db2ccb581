import type { Command } from 'commander';
import { type RebaseReport, rebaseVhdx } from '../index.js';
import { jsonHead, kebabKeys } from '../report/dialect.js';
import { fullSize } from './byte-size.js';
import { about, complain, Failure, interruptible } from './failure.js';
import { addParentOptions, outputOption, type ParentFlags } from './image-options.js';
import { writeJson } from './json.js';
import { type ProgressFlags, withProgress } from './progress.js';
import { writeOut } from './standard-output.js';
import { displayName, printable } from './terminal.js';
import { warningOf } from './writable-image.js';

interface Flags extends ProgressFlags, ParentFlags {
  readonly backing: string;
  readonly unsafe?: true;
  readonly dryRun?: true;
  readonly output: 'human' | 'json';
}

const EXAMPLES = `
What the disk reads as stays the same: what PARENT holds differently is copied into CHILD first, so that PARENT may be any
image, and children of CHILD still fit. -b '' copies everything, and CHILD needs no parent any more.
-u only changes what CHILD says about its parent, and copies nothing: for a parent that was moved or renamed. PARENT must
be known to hold the same; --ignore-parent-mismatch takes another one, and CHILD may read as garbage.
PARENT is relative to the working directory. May be interrupted and run again.
Exit codes: 0, and 1 if it could not be done.

  vhdx rebase -b other.vhdx child.avhdx
  vhdx rebase -b '' child.avhdx
  vhdx rebase -u -b moved/base.vhdx child.avhdx`;

/** Defines `vhdx rebase`. */
export function define(command: Command): void {
  command
    .description('Gives a differencing image another parent, or none.')
    .argument('<child>', 'differencing image')
    .requiredOption('-b, --backing <parent>', "the new parent; '' for none")
    .option('-u, --unsafe', 'only change what the image says about its parent')
    .option('--dry-run', 'say what would be done, and change nothing');
  addParentOptions(command)
    .addOption(outputOption())
    .option('-q, --quiet', 'show no progress and no notes')
    .option('-p, --progress', 'show progress even if standard error is not a terminal')
    .addHelpText('after', EXAMPLES)
    .action(rebase);
}

async function rebase(child: string, flags: Flags): Promise<void> {
  const { backing, unsafe, dryRun, parent, followParents, ignoreParentMismatch, output, quiet } = flags;
  if (unsafe && backing === '') throw new Failure("-u and -b '' exclude each other", { file: child });
  const report = await about(child, () =>
    interruptible((signal) =>
      withProgress('rebase', flags, (onProgress) =>
        rebaseVhdx(child, backing === '' ? undefined : backing, {
          unsafe,
          dryRun,
          parent,
          followParents: followParents ? 'anywhere' : 'folder',
          ignoreParentMismatch,
          signal,
          onProgress,
          onWarning: warningOf(child),
        }),
      ),
    ),
  );
  for (const broken of report.broken) {
    const message = `does not fit ${displayName(child)} any more, which may read differently`;
    complain(new Failure(`warning: ${message}`, { file: broken }));
  }
  if (output === 'json') {
    const head = { ...jsonHead(), filename: displayName(child), format: 'vhdx', 'dry-run': dryRun === true };
    return writeJson({ ...head, ...(kebabKeys(report) as object) });
  }
  if (!quiet) await writeOut(reportText(report, displayName(child), dryRun === true));
}

function reportText({ parent, copied, zeroed }: RebaseReport, child: string, dry: boolean): string {
  const now = parent === undefined ? 'no parent any more' : `${parent} as its parent`;
  const what = `${fullSize(copied)} copied, ${fullSize(zeroed)} zeroed`;
  return `${printable(child)}: ${dry ? 'would have' : 'has'} ${printable(now)}: ${what}\n`;
}

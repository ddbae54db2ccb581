import { statSync } from 'node:fs';
import type { Command } from 'commander';
import { type MergeReport, mergeVhdx, type VhdxTarget } from '../index.js';
import { jsonHead, kebabKeys } from '../report/dialect.js';
import { fullSize } from './byte-size.js';
import { writeFileWhole } from './convert-target.js';
import { about, complain, Failure, interruptible } from './failure.js';
import { addParentOptions, outputOption, type ParentFlags } from './image-options.js';
import { writeJson } from './json.js';
import { type ProgressFlags, withProgress } from './progress.js';
import { writeOut } from './standard-output.js';
import { displayName, printable } from './terminal.js';
import { warningOf } from './writable-image.js';

interface Flags extends ProgressFlags, ParentFlags {
  readonly base?: string;
  readonly into?: string;
  readonly force?: true;
  readonly dryRun?: true;
  readonly output: 'human' | 'json';
}

const EXAMPLES = `
With --into a new file gets everything and nothing else is touched: recommended wherever there is space for it.
Without it the parent is changed in place, or the BASE that -b names, with all between merged too. CHILD reads the same
at every moment, also if the work is interrupted or the power fails: then run it again. Afterwards the base holds the
disk that CHILD was, under a new identity: CHILD and the images between are not needed any more, and are yours to delete.
Other children of the base would not fit any more. Those in its folder (*.vhdx, *.avhdx) are named, and refused without
--force. BASE and NEW are relative to the working directory.
Exit codes: 0, and 1 if it could not be done.

  vhdx merge --into whole.vhdx checkpoint.avhdx
  vhdx merge checkpoint.avhdx
  vhdx merge -b base.vhdx checkpoint.avhdx`;

/** Defines `vhdx merge`. */
export function define(command: Command): void {
  command
    .description('Merges a differencing image into its parent, or with all of its parents into a new file.')
    .argument('<child>', 'differencing image')
    .option('-b, --base <file>', 'a lower member of the chain, instead of the direct parent')
    .option('--into <new>', 'write a new file, and touch nothing else')
    .option('--force', 'merge although other children of the base will not fit any more, or cannot be looked for')
    .option('--dry-run', 'say what would be done, and change nothing');
  addParentOptions(command)
    .addOption(outputOption())
    .option('-q, --quiet', 'show no progress and no notes')
    .option('-p, --progress', 'show progress even if standard error is not a terminal')
    .addHelpText('after', EXAMPLES)
    .action(merge);
}

async function merge(child: string, flags: Flags): Promise<void> {
  const { base, into, force, dryRun, parent, followParents, ignoreParentMismatch, output, quiet } = flags;
  if (base !== undefined && into !== undefined) throw new Failure('-b and --into exclude each other', { file: child });
  const report = await about(child, () =>
    interruptible((signal) => {
      const work = (target?: VhdxTarget) =>
        withProgress('merge', flags, (onProgress) =>
          mergeVhdx(child, {
            base,
            into: target,
            force,
            dryRun,
            parent,
            followParents: followParents ? 'anywhere' : 'folder',
            ignoreParentMismatch,
            signal,
            onProgress,
            onWarning: warningOf(child),
          }),
        );
      return into === undefined || dryRun ? work(into) : intoWholeFile(into, work);
    }),
  );
  if (output === 'json') {
    const head = { ...jsonHead(), filename: displayName(child), format: 'vhdx', 'dry-run': dryRun === true };
    return writeJson({ ...head, ...(kebabKeys(report) as object) });
  }
  if (quiet) return;
  await writeOut(reportText(report, displayName(child), dryRun === true));
  for (const orphan of report.orphans) {
    const message = `is a child of ${displayName(child)}: before that is deleted, rebase it onto ${report.base}`;
    complain(new Failure(message, { file: orphan }));
  }
}

/** Writes a new file, which has its name only when it is complete. */
async function intoWholeFile(out: string, work: (target: VhdxTarget) => Promise<MergeReport>): Promise<MergeReport> {
  if (statSync(out, { throwIfNoEntry: false })) throw new Failure('exists already', { file: out });
  let report: MergeReport | undefined;
  await writeFileWhole(out, { replaced: undefined, durable: true }, async (file) => {
    report = await work(file);
  });
  return report as MergeReport;
}

function reportText({ base, copied, zeroed, sizeBefore, sizeAfter }: MergeReport, child: string, dry: boolean): string {
  const what = `${fullSize(copied)} copied, ${fullSize(zeroed)} zeroed`;
  const size = sizeBefore === sizeAfter ? '' : `, disk of ${fullSize(sizeAfter)} instead of ${fullSize(sizeBefore)}`;
  const words = dry ? 'would hold everything of' : 'holds everything of';
  return `${printable(base)}: ${words} ${printable(child)}: ${what}${size}\n`;
}

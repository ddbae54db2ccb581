import type { Command } from 'commander';
import { type RepairReport, repairVhdx } from '../index.js';
import { findingsJson } from '../report/check-json.js';
import { jsonHead, kebabKeys } from '../report/dialect.js';
import { about, interruptible } from './failure.js';
import { outputOption } from './image-options.js';
import { writeJson } from './json.js';
import { writeOut } from './standard-output.js';
import { displayName, printable } from './terminal.js';
import { warningOf } from './writable-image.js';

interface Flags {
  readonly output: 'human' | 'json';
  readonly discardLog?: true;
  readonly dryRun?: boolean;
  readonly quiet?: true;
}

const EXAMPLES = `
Repairs what is certain, in place: replays the log of a dirty image, writes a header or region table again of which one
copy is damaged, cuts off space at the end that nothing refers to. What the disk holds and its identity stay the same.
Exit codes: 0 if the image is sound as far as it can be repaired, 1 if it is refused; then it was not changed.

  vhdx repair disk.vhdx
  vhdx repair --dry-run disk.vhdx
  vhdx repair --discard-log damaged.vhdx`;

/** Defines `vhdx repair`. */
export function define(command: Command): void {
  command
    .description('Repairs an image in place, as far as that is certain.')
    .argument('<file>', 'image')
    .option('--discard-log', 'clear a log that cannot be replayed; what it would have changed is lost')
    .option('--dry-run', 'say what would be repaired, and change nothing')
    .addOption(outputOption())
    .option('-q, --quiet', 'show nothing but errors')
    .addHelpText('after', EXAMPLES)
    .action(repair);
}

async function repair(file: string, { discardLog, dryRun = false, quiet, output }: Flags): Promise<void> {
  const report = await about(file, () =>
    interruptible((signal) => repairVhdx(file, { discardLog, dryRun, signal, onWarning: warningOf(file) })),
  );
  if (quiet) return;
  if (output === 'json') await writeJson({ ...jsonHead(), ...(await checkJson(report, displayName(file), dryRun)) });
  else await writeOut(reportText(report, displayName(file), dryRun));
}

async function checkJson(report: RepairReport, filename: string, dryRun: boolean): Promise<object> {
  const { repairs, replay, fileSizeBefore, fileSizeAfter, findings } = report;
  return {
    filename,
    format: 'vhdx',
    'dry-run': dryRun,
    repairs,
    ...(replay && { replay: kebabKeys(replay) }),
    'file-size-before': fileSizeBefore,
    'file-size-after': fileSizeAfter,
    findings: await findingsJson(findings),
  };
}

function reportText({ repairs }: RepairReport, name: string, isDry: boolean): string {
  if (repairs.length === 0) return `${printable(name)}: nothing to repair\n`;
  const lines = repairs.map(({ message }) => `${isDry ? 'would repair' : 'repaired'}: ${printable(message)}\n`);
  return `${printable(name)}:\n${lines.map((line) => `  ${line}`).join('')}`;
}

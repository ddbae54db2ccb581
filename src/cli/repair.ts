import type { Command } from 'commander';
import { type RepairReport, repairVhdx } from '../index.js';
import { about } from './failure.js';
import { writeOut } from './standard-output.js';
import { displayName, printable } from './terminal.js';

interface Flags {
  readonly discardLog?: true;
  readonly dryRun?: true;
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
    .option('-q, --quiet', 'show nothing but errors')
    .addHelpText('after', EXAMPLES)
    .action(repair);
}

async function repair(file: string, { discardLog, dryRun, quiet }: Flags): Promise<void> {
  const report = await about(file, () => repairVhdx(file, { discardLog, dryRun }));
  if (!quiet) await writeOut(reportText(report, displayName(file), dryRun === true));
}

function reportText({ repairs }: RepairReport, name: string, isDry: boolean): string {
  if (repairs.length === 0) return `${printable(name)}: nothing to repair\n`;
  const lines = repairs.map(({ message }) => `${isDry ? 'would repair' : 'repaired'}: ${printable(message)}\n`);
  return `${printable(name)}:\n${lines.map((line) => `  ${line}`).join('')}`;
}

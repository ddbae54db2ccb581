import { type Command, Option } from 'commander';
import { type BlockCounts, type CheckReport, type CheckStatus, checkVhdx } from '../index.js';
import { fullSize } from './byte-size.js';
import { about } from './failure.js';
import { findingsText } from './findings-text.js';
import { addOpeningOptions, type OpeningFlags, openOptions } from './opening.js';
import { withProgress } from './progress.js';
import { writeJson, writeOut } from './standard-output.js';
import { columns, displayName, printable } from './text.js';

interface Flags extends OpeningFlags {
  readonly output: 'human' | 'json';
}

/** The exit codes of `qemu-img check`. */
const EXIT_CODES: Readonly<Record<CheckStatus, number>> = {
  sound: 0,
  unreadable: 1,
  corrupt: 2,
  incomplete: 2,
  repairable: 3,
};

const VERDICTS: Readonly<Record<CheckStatus, string>> = {
  sound: 'sound: no errors were found',
  repairable: 'repairable: all data is there, and something is worth repairing',
  incomplete: 'incomplete: no data here is lost, but a parent that it needs is not at hand',
  corrupt: 'corrupt: some data is lost or in doubt',
  unreadable: 'unreadable: the image does not open',
};

/** Findings of one code that are listed. */
const LISTED = 20;

const EXAMPLES = `
Reads the metadata, never the payload. Nothing is repaired.
Exit codes: 0 sound, 1 does not open, 2 corrupt or without a parent that it needs, 3 only leaks or warnings worth repairing.

  vhdx check disk.vhdx
  vhdx check --output json disk.vhdx | jq '.findings[] | select(.severity == "block")'`;

/** Defines `vhdx check`. */
export function define(command: Command): void {
  command
    .description('Finds everything that is wrong with an image and its parents, with the section of the specification.')
    .argument('<file>', 'image')
    .addOption(
      new Option('--output <format>', 'for people or for programs').choices(['human', 'json']).default('human'),
    );
  addOpeningOptions(command, { strict: false }).addHelpText('after', EXAMPLES).action(check);
}

async function check(file: string, flags: Flags): Promise<void> {
  await about(file, async () => {
    const report = await withProgress('check', (onProgress) => checkVhdx(file, { ...openOptions(flags), onProgress }));
    process.exitCode = EXIT_CODES[report.status];
    if (flags.output === 'json') await writeJson(report);
    else await writeOut(reportText(report, displayName(file)));
  });
}

function reportText(report: CheckReport, name: string): string {
  const findings = findingsText(report.findings, LISTED, report.unlisted);
  const parts = [
    `${printable(name)}: ${VERDICTS[report.status]}\n`,
    findings,
    report.blocks ? columns(blockRows(report.blocks)) : '',
    report.parent ? reportText(report.parent, `parent ${report.parent.name ?? ''}`.trim()) : '',
  ];
  return parts.filter((part) => part !== '').join('\n');
}

function blockRows(blocks: BlockCounts): [string, string][] {
  const { payloadBlocks, leakedBytes, damaged } = blocks;
  const all: [string, number][] = [
    ['fully present', blocks.fullyPresent],
    ['partially present', blocks.partiallyPresent],
    ['zero', blocks.zero],
    ['unmapped', blocks.unmapped],
    ['undefined', blocks.undefined],
    ['not present', blocks.notPresent],
    ['sector bitmaps', blocks.sectorBitmaps],
    ['damaged', damaged],
  ];
  const some = all.filter(([, count]) => count > 0).map(([label, count]) => `${count} ${label}`);
  return [
    ['payload blocks:', `${payloadBlocks}${some.length > 0 ? ` (${some.join(', ')})` : ''}`],
    ...(leakedBytes > 0 ? [['leaked space:', fullSize(leakedBytes)] as [string, string]] : []),
  ];
}

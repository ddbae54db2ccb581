import type { BlockCounts, CheckReport, CheckStatus } from '../index.js';
import { fullSize } from './byte-size.js';
import { findingsText } from './findings-text.js';
import { columns, printable } from './terminal.js';

/** The exit codes of `qemu-img check`. */
export const CHECK_EXIT_CODES: Readonly<Record<CheckStatus, number>> = {
  sound: 0,
  unreadable: 1,
  corrupt: 2,
  incomplete: 2,
  repairable: 3,
};

const VERDICTS: Readonly<Record<CheckStatus, string>> = {
  sound: 'sound: no errors were found',
  repairable: 'repairable: all data is there, and something is worth repairing',
  incomplete: 'incomplete: no data in this file is lost, but a parent that holds the rest is not available',
  corrupt: 'corrupt: some data is lost or in doubt',
  unreadable: 'unreadable: the image does not open',
};

/** Findings of one code that are listed. */
const LISTED = 20;

/** A report for people. */
export async function reportText(report: CheckReport, name: string): Promise<string> {
  const findings = await findingsText(report.findings, LISTED, report.unlisted);
  const parts = [
    `${printable(name)}: ${VERDICTS[report.status]}\n`,
    findings,
    report.blocks ? columns(blockRows(report.blocks)) : '',
    report.parent ? await reportText(report.parent, `parent ${report.parent.name ?? ''}`.trim()) : '',
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

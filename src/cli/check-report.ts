import type { BlockCounts, CheckReport, CheckStatus } from '../index.js';
import { fullSize } from './byte-size.js';
import { findingsJson, findingsText } from './findings-text.js';
import { kebabKeys } from './json.js';
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

/** A report in the keys of qemu-img, and ours beside them. */
export async function reportJson(report: CheckReport, filename: string): Promise<object> {
  const { status, name: _, fileSize, findings, counts, unlisted, info, blocks, parent } = report;
  const corruptions = counts.fatal + counts.block;
  const leaks = info && blocks ? Math.ceil(blocks.leakedBytes / info.blockSize) : 0;
  return {
    filename,
    format: 'vhdx',
    'check-errors': 0,
    ...(corruptions > 0 && { corruptions }),
    ...(leaks > 0 && { leaks }),
    ...(blocks && {
      'total-clusters': blocks.payloadBlocks,
      'allocated-clusters': blocks.fullyPresent + blocks.partiallyPresent,
    }),
    status,
    'file-size': fileSize,
    counts,
    findings: await findingsJson(findings),
    unlisted,
    ...(blocks && { blocks: kebabKeys(blocks) }),
    ...(info && { info: infoJson(info) }),
    ...(parent && { parent: await reportJson(parent, parent.name ?? '') }),
  };
}

function infoJson({ parentLocator, ...rest }: NonNullable<CheckReport['info']>): object {
  return { ...(kebabKeys(rest) as object), ...(parentLocator && { 'parent-locator': parentLocator }) };
}

import { type Command, Option } from 'commander';
import {
  type BlockCounts,
  type CheckReport,
  type CheckStatus,
  checkVhdx,
  detectFormat,
  openDisk,
  type RepairReport,
  repairVhdx,
  type VhdDisk,
} from '../index.js';
import { fullSize } from './byte-size.js';
import { complain, Failure, failureOf, interruptible } from './failure.js';
import { findingsJson, findingsText } from './findings-text.js';
import { addImageOptions, type ImageFlags, openOptions, outputOption, warnOfDoubts } from './image-options.js';
import { errorJson, failureJson, jsonHead, kebabKeys, writeJson } from './json.js';
import { withProgress } from './progress.js';
import { writeOut } from './standard-output.js';
import { columns, displayName, printable } from './terminal.js';
import { warningOf } from './writable-image.js';

interface Flags extends ImageFlags {
  readonly output: 'human' | 'json';
  readonly repair?: 'leaks' | 'all';
}

/** The exit codes of `qemu-img check`. */
const EXIT_CODES: Readonly<Record<CheckStatus, number>> = {
  sound: 0,
  unreadable: 1,
  corrupt: 2,
  incomplete: 2,
  repairable: 3,
};

/** Of several images the worst decides, in this order. */
const WORST_FIRST = [1, 2, 3, 0] as const;

const VERDICTS: Readonly<Record<CheckStatus, string>> = {
  sound: 'sound: no errors were found',
  repairable: 'repairable: all data is there, and something is worth repairing',
  incomplete: 'incomplete: no data in this file is lost, but a parent that holds the rest is not available',
  corrupt: 'corrupt: some data is lost or in doubt',
  unreadable: 'unreadable: the image does not open',
};

/** Findings of one code that are listed. */
const LISTED = 20;

const EXAMPLES = `
Reads the metadata, never the payload. Nothing is repaired without -r: see vhdx repair. With it each repair is a line on
standard error, and the exit code is that of the check afterwards.
Exit codes: 0 sound, 1 does not open, 2 corrupt or without a parent that it needs, 3 only leaks or warnings worth repairing.
Of several images the worst decides: 1, then 2, then 3.

  vhdx check disk.vhdx
  vhdx check -r all disk.vhdx
  vhdx check --output json disk.vhdx | jq '.findings[] | select(.severity == "block")'`;

/** Defines `vhdx check`. */
export function define(command: Command): void {
  command
    .description('Finds everything that is wrong with images and their parents, with the section of the specification.')
    .argument('<file...>', 'images')
    .addOption(new Option('-r, --repair <what>', 'repair first, as far as that is certain').choices(['leaks', 'all']))
    .addOption(outputOption());
  addImageOptions(command, { strict: false }).addHelpText('after', EXAMPLES).action(check);
}

async function check(files: readonly string[], flags: Flags): Promise<void> {
  const isJson = flags.output === 'json';
  const documents: object[] = [];
  const codes: number[] = [];
  for (const file of files) {
    const repaired = flags.repair ? await repairFirst(file, flags) : undefined;
    const result = await checkFile(file, flags);
    if (result instanceof Failure) {
      complain(result);
      codes.push(1);
      documents.push(failureJson(result));
      continue;
    }
    if (flags.ignoreParentMismatch) warnOfDoubts(result, file);
    codes.push(EXIT_CODES[result.status]);
    // Kept, so that a reader who closes the pipe does not change the verdict.
    process.exitCode = worst(codes);
    if (isJson) {
      documents.push({
        ...jsonHead(),
        ...(await reportJson(result, displayName(file))),
        ...repairsJson(result, repaired),
      });
    }
    if (!isJson && !flags.quiet)
      await writeOut(`${documents.length > 0 ? '\n' : ''}${await reportText(result, displayName(file))}`);
    if (!isJson) documents.push(result);
  }
  process.exitCode = worst(codes);
  if (isJson && !flags.quiet) await writeJson(files.length > 1 ? documents : documents[0]);
}

function worst(codes: readonly number[]): number {
  return WORST_FIRST.find((code) => codes.includes(code)) ?? 0;
}

/** Repairs what can be repaired; what cannot, the check reports. */
async function repairFirst(file: string, { repair, quiet }: Flags): Promise<RepairReport | Failure> {
  try {
    const only = repair === 'leaks' ? 'leaks' : undefined;
    const report = await interruptible((signal) => repairVhdx(file, { only, signal, onWarning: warningOf(file) }));
    for (const { message } of quiet ? [] : report.repairs) complain(`${displayName(file)}: repaired: ${message}`);
    return report;
  } catch (error) {
    const failure = failureOf(file, error);
    if (!failure) throw error;
    complain(failure);
    return failure;
  }
}

/** What was repaired first, in the keys of `qemu-img check -r` too, or why nothing was. */
function repairsJson({ info }: CheckReport, repaired: RepairReport | Failure | undefined): object {
  if (repaired === undefined) return {};
  if (repaired instanceof Failure) return { repairs: [], 'repair-error': errorJson(repaired) };
  const { repairs, fileSizeBefore, fileSizeAfter } = repaired;
  const corruptions = repairs.filter(({ kind }) => kind !== 'cut-leak').length;
  const cut = repairs.length > corruptions ? Math.max(0, fileSizeBefore - fileSizeAfter) : 0;
  const leaks = info ? Math.ceil(cut / info.blockSize) : 0;
  return {
    repairs,
    ...(corruptions > 0 && { 'corruptions-fixed': corruptions }),
    ...(leaks > 0 && { 'leaks-fixed': leaks }),
  };
}

async function checkFile(file: string, flags: Flags): Promise<CheckReport | Failure> {
  try {
    const isVhd = (await detectFormat(file))?.format === 'vpc';
    if (isVhd) return await checkVhd(file, flags);
    return await withProgress('check', flags, (onProgress) => checkVhdx(file, { ...openOptions(flags), onProgress }));
  } catch (error) {
    const failure = failureOf(file, error);
    if (failure) return failure;
    throw error;
  }
}

/** Checks a VHD; one that does not open is a failure. */
async function checkVhd(file: string, flags: Flags): Promise<CheckReport> {
  const { vhd, close } = await openDisk(file, { ...openOptions(flags), incompleteChain: 'open', format: 'vhd' });
  try {
    return await (vhd as VhdDisk).check();
  } finally {
    await close();
  }
}

async function reportText(report: CheckReport, name: string): Promise<string> {
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
async function reportJson(report: CheckReport, filename: string): Promise<object> {
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

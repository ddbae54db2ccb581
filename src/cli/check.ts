import { type Command, Option } from 'commander';
import {
  type CheckReport,
  checkVhdx,
  detectFormat,
  openDisk,
  type RepairReport,
  repairVhdx,
  type VhdDisk,
} from '../index.js';
import { CHECK_EXIT_CODES, reportJson, reportText } from './check-report.js';
import { complain, Failure, failureOf, interruptible } from './failure.js';
import { addShardOptions, type ShardFlags, shardOf } from './fleet/shard-option.js';
import { addImageOptions, type ImageFlags, openOptions, outputOption, warnOfDoubts } from './image-options.js';
import { errorJson, failureJson, jsonHead, writeJson } from './json.js';
import { withProgress } from './progress.js';
import { writeOut } from './standard-output.js';
import { displayName } from './terminal.js';
import { warningOf } from './writable-image.js';

interface Flags extends ImageFlags, ShardFlags {
  readonly output: 'human' | 'json';
  readonly repair?: 'leaks' | 'all';
}

/** Of several images the worst decides, in this order. */
const WORST_FIRST = [1, 2, 3, 0] as const;

const EXAMPLES = `
Reads the metadata, never the payload. Nothing is repaired without -r: see vhdx repair. With it each repair is a line on
standard error, and the exit code is that of the check afterwards.
Exit codes: 0 sound, 1 does not open, 2 corrupt or without a parent that it needs, 3 only leaks or warnings worth repairing.
Of several images the worst decides: 1, then 2, then 3. With --shard, one of several parts of the file is checked, as
JSON for vhdx combine, and the exit code is 75 if something failed that may be over a moment later: try again.

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
  addImageOptions(addShardOptions(command), { strict: false }).addHelpText('after', EXAMPLES).action(check);
}

async function check(files: readonly string[], flags: Flags): Promise<void> {
  const shard = shardOf(flags);
  if (shard) {
    const [file, ...others] = files;
    if (file === undefined || others.length > 0 || flags.repair)
      throw new Failure('check: --shard takes one image, and repairs nothing');
    const { checkPart } = await import('./fleet/check-part.js');
    return checkPart(file, shard, flags);
  }
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
    codes.push(CHECK_EXIT_CODES[result.status]);
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

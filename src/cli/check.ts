import { type Command, InvalidArgumentError, Option } from 'commander';
import {
  type CheckOptions,
  type CheckReport,
  checkVhdx,
  detectFormat,
  openDisk,
  type RepairReport,
  repairVhdx,
  type VhdDisk,
} from '../index.js';
import { type CheckedFormat, checkJson } from '../report/check-json.js';
import { jsonHead } from '../report/dialect.js';
import { CHECK_EXIT_CODES, reportText } from './check-report.js';
import { addThreadsOption, checkThreads, type ThreadFlags } from './crew/threads.js';
import { complain, Failure, failureOf, interruptible } from './failure.js';
import { addShardOptions, type ShardFlags, shardOf } from './fleet/shard-option.js';
import { addImageOptions, type ImageFlags, openOptions, outputOption, warnOfDoubts } from './image-options.js';
import { errorJson, failureJson, writeJson } from './json.js';
import { withProgress } from './progress.js';
import { writeOut } from './standard-output.js';
import { ALGORITHMS, type Algorithm } from './sums.js';
import { displayName } from './terminal.js';
import { warningOf } from './writable-image.js';

interface Flags extends ImageFlags, ShardFlags, ThreadFlags {
  readonly output: 'human' | 'json';
  readonly repair?: 'leaks' | 'all';
  readonly report?: string;
  readonly algorithm?: readonly Algorithm[];
}

/** Of several images the worst decides, in this order. */
const WORST_FIRST = [1, 2, 3, 0] as const;

const EXAMPLES = `
Reads the metadata, never the payload. Nothing is repaired without -r: see vhdx repair. With it each repair is a line on
standard error, and the exit code is that of the check afterwards.
Exit codes: 0 sound, 1 does not open, 2 corrupt or without a parent that it needs, 3 only leaks or warnings worth repairing.
Of several images the worst decides: 1, then 2, then 3. With --shard, one of several parts of the file is checked, as
JSON for vhdx combine, and the exit code is 75 if something failed that may be over a moment later: try again.
With --report, all of it is written to a new file too, as JSON, with the CRC-32C of the file and of the disk in it, which
are read for that, and with the hashes that --algorithm names.

  vhdx check disk.vhdx
  vhdx check -r all disk.vhdx
  vhdx check --report disk.json --algorithm sha256 disk.vhdx
  vhdx check --output json disk.vhdx | jq '.findings[] | select(.severity == "block")'`;

/** Defines `vhdx check`. */
export function define(command: Command): void {
  command
    .description('Finds everything that is wrong with images and their parents, with the section of the specification.')
    .argument('<file...>', 'images')
    .addOption(new Option('-r, --repair <what>', 'repair first, as far as that is certain').choices(['leaks', 'all']))
    .addOption(outputOption())
    .option('--report <file>', 'write findings, identity and checksums to a new file, as JSON')
    .addOption(
      new Option(
        '--algorithm <name>',
        'sha256, sha1 or md5: a checksum that the report has too; may be repeated',
      ).argParser(algorithm),
    );
  addImageOptions(addThreadsOption(addShardOptions(command)), { strict: false })
    .addHelpText('after', EXAMPLES)
    .action(check);
}

async function check(files: readonly string[], flags: Flags): Promise<void> {
  const shard = shardOf(flags);
  if (shard) {
    const [file, ...others] = files;
    if (file === undefined || others.length > 0 || flags.repair || flags.report !== undefined)
      throw new Failure('check: --shard takes one image, repairs nothing and reports nothing');
    const { checkPart } = await import('./fleet/check-part.js');
    return checkPart(file, shard, flags);
  }
  const { report, algorithm, quiet } = flags;
  if (algorithm && report === undefined) throw new Failure('check: --algorithm is for --report');
  const reporting = report === undefined ? undefined : await import('./report-file.js');
  if (report !== undefined) await reporting?.refuseReportAt(report);
  const isJson = flags.output === 'json';
  const outcomes: Outcome[] = [];
  for (const file of files) {
    const isFirst = !outcomes.some(({ text }) => text !== undefined);
    const outcome = await checkOne(file, flags, reporting?.reportOn);
    outcomes.push(outcome);
    // Kept, so that a reader who closes the pipe does not change the verdict.
    process.exitCode = worst(outcomes.map(({ code }) => code));
    if (outcome.text !== undefined && !quiet) await writeOut(`${isFirst ? '' : '\n'}${outcome.text}`);
  }
  const listed = (what: readonly unknown[]) => (files.length > 1 ? what : what[0]);
  if (report !== undefined) await reporting?.writeReport(report, listed(outcomes.map((outcome) => outcome.report)));
  if (isJson && !quiet) await writeJson(listed(outcomes.map(({ document }) => document)));
}

/** What became of an image. */
interface Outcome {
  /** The exit code. */
  readonly code: number;
  /** For people. */
  readonly text?: string;
  /** For programs. */
  readonly document?: object;
  /** For the record. */
  readonly report?: object;
}

async function checkOne(
  file: string,
  flags: Flags,
  reportOn: typeof import('./report-file.js').reportOn | undefined,
): Promise<Outcome> {
  const repaired = flags.repair ? await repairFirst(file, flags) : undefined;
  const checked = await checkFile(file, flags);
  if (checked instanceof Failure) {
    complain(checked);
    const document = failureJson(checked);
    return { code: 1, document, report: document };
  }
  const { result, format } = checked;
  if (flags.ignoreParentMismatch) warnOfDoubts(result, file);
  const name = displayName(file);
  const report = reportOn && { report: await reportOn(file, result, format, flags) };
  const code = CHECK_EXIT_CODES[result.status];
  if (flags.output !== 'json') return { code, text: await reportText(result, name), ...report };
  const document = {
    ...jsonHead(),
    ...(await checkJson(result, name, format)),
    ...repairsJson(result, repaired),
  };
  return { code, document, ...report };
}

/** One more checksum for the report. */
function algorithm(name: string, before: readonly Algorithm[] = []): readonly Algorithm[] {
  if (!Object.hasOwn(ALGORITHMS, name)) throw new InvalidArgumentError('It is none of sha256, sha1 and md5.');
  return [...before, name as Algorithm];
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

async function checkFile(
  file: string,
  flags: Flags,
): Promise<{ readonly result: CheckReport; readonly format: CheckedFormat } | Failure> {
  try {
    const isVhd = (await detectFormat(file))?.format === 'vpc';
    if (isVhd) return { result: await checkVhd(file, flags), format: 'vpc' };
    const work = async (onProgress: CheckOptions['onProgress']) =>
      (await checkInThreads(file, flags, onProgress)) ?? checkVhdx(file, { ...openOptions(flags), onProgress });
    return { result: await withProgress('check', flags, work), format: 'vhdx' };
  } catch (error) {
    const failure = failureOf(file, error);
    if (failure) return failure;
    throw error;
  }
}

/** The check by several threads, if they are of use; undefined if they are not, or could not. */
async function checkInThreads(
  file: string,
  flags: Flags,
  onProgress: CheckOptions['onProgress'],
): Promise<CheckReport | undefined> {
  const threads = checkThreads(flags, file);
  if (threads === 1) return undefined;
  const { checkByCrew } = await import('./crew/jobs.js');
  return checkByCrew(threads, file, openOptions(flags), onProgress);
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

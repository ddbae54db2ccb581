import { type Command, InvalidArgumentError } from 'commander';
import { openVhdx, type ResizeOptions, type ResizeReport, resizeVhdx, VhdxError } from '../index.js';
import { jsonHead, kebabKeys } from '../report/dialect.js';
import { checkGptBackup, fixGpt, type GptBackup, readPartitionTable } from '../volumes/index.js';
import { fullSize, humanSize, parseByteSize } from './byte-size.js';
import { about, interruptible } from './failure.js';
import { outputOption, warnOfDoubts } from './image-options.js';
import { writeJson } from './json.js';
import { withProgress } from './progress.js';
import { writeOut } from './standard-output.js';
import { displayName, printable } from './terminal.js';
import { addWriteOptions, type WriteFlags, warningOf, warnOfChildren, withWritableDisk } from './writable-image.js';

interface Flags extends WriteFlags {
  readonly shrink?: true;
  readonly fixGpt?: true;
  readonly dryRun?: true;
  readonly output: 'human' | 'json';
}

/** A size, or how much is to be added to the present one. */
interface WantedSize {
  readonly sign: '' | '+' | '-';
  readonly bytes: number;
}

const EXAMPLES = `
SIZE is the new size, +SIZE or -SIZE how much is added or taken away. A disk that grows reads as zeros after its old end.
Partitions and file systems stay as they are: grow them with the tools of the guest, and shrink them before the disk.
A GPT has a backup at the end of the disk; --fix-gpt puts it there, if all of the table is understood.
Children of the disk do not fit it any more.
Exit codes: 0, and 1 if the image is refused; then its disk was not changed.

  vhdx resize disk.vhdx 200G
  vhdx resize --fix-gpt disk.vhdx +50G
  vhdx resize --shrink disk.vhdx -1M`;

/** Defines `vhdx resize`. */
export function define(command: Command): void {
  command
    .description('Changes the size of the disk of an image, in place.')
    .argument('<file>', 'image')
    .argument('<size>', 'new size, or + or - and the difference', parseWantedSize)
    .option('--shrink', 'allow the disk to get smaller; what is past its new end is lost')
    .option('--fix-gpt', 'put the backup of a GUID partition table to the new end of the disk')
    .option('--dry-run', 'say what would be done, and change nothing');
  addWriteOptions(command).addOption(outputOption()).addHelpText('after', EXAMPLES).action(resize);
  takeNegativeSizes(command);
}

/** Lets `-1M` be the size and not an unknown option. */
function takeNegativeSizes(command: Command): void {
  const parseOptions = command.parseOptions.bind(command);
  command.parseOptions = (args) => {
    const isSize = (arg: string) => /^-\d/.test(arg);
    const { operands, unknown } = parseOptions(args.filter((arg) => !isSize(arg)));
    return { operands: [...operands, ...args.filter(isSize)], unknown };
  };
}

function parseWantedSize(text: string): WantedSize {
  const [, sign = '', size = ''] = /^([+-]?)(.*)$/s.exec(text) ?? [];
  const bytes = parseByteSize(size);
  if (sign !== '' && bytes === 0) throw new InvalidArgumentError('It adds nothing.');
  return { sign: sign as WantedSize['sign'], bytes };
}

async function resize(file: string, wanted: WantedSize, flags: Flags): Promise<void> {
  const { shrink, dryRun, quiet, output } = flags;
  const report = await about(file, () =>
    interruptible(async (signal) => {
      const disk = await openVhdx(file, { parent: false, signal });
      await disk.close();
      const size = sizeAfter(wanted, disk.size);
      const change = (onProgress?: ResizeOptions['onProgress']) =>
        resizeVhdx(file, size, { shrink, dryRun, signal, onProgress, onWarning: warningOf(file) });
      if (dryRun) return change();
      // What is refused breaks no child.
      if (size > disk.size || (shrink && size < disk.size)) await warnOfChildren(file, signal);
      return withProgress('resize', flags, change);
    }),
  );
  const partitions = await partitionLines(file, report, flags);
  if (output === 'json') {
    const head = { ...jsonHead(), filename: displayName(file), format: 'vhdx', 'dry-run': dryRun === true };
    return writeJson({ ...head, ...(kebabKeys(report) as object), partitions });
  }
  if (quiet) return;
  const lines = partitions.map((line) => `  ${line}\n`).join('');
  await writeOut(`${reportLine(file, report, dryRun === true)}${lines}`);
}

function sizeAfter({ sign, bytes }: WantedSize, size: number): number {
  if (sign === '') return bytes;
  return sign === '+' ? size + bytes : size - bytes;
}

function reportLine(file: string, report: ResizeReport, isDry: boolean): string {
  const { sizeBefore, sizeAfter: size, fileSizeBefore, fileSizeAfter, batMoved, lostBytes } = report;
  const name = printable(displayName(file));
  if (sizeBefore === size) return `${name}: has ${fullSize(size)} already\n`;
  const notes = [
    `file ${humanSize(fileSizeBefore)} to ${humanSize(fileSizeAfter)}`,
    ...(batMoved ? ['the BAT moves'] : []),
    ...(lostBytes > 0 ? [`${humanSize(lostBytes)} stored past the new end lost`] : []),
  ];
  return `${name}: ${isDry ? 'would get' : 'got'} ${fullSize(size)}, from ${fullSize(sizeBefore)} (${notes.join(', ')})\n`;
}

/** What the new size means for the partitions, a line each; puts the backup of a GPT right if that was asked for. */
async function partitionLines(file: string, report: ResizeReport, flags: Flags): Promise<string[]> {
  const { parent, followParents, ignoreParentMismatch, dryRun } = flags;
  const size = report.sizeAfter;
  if (flags.fixGpt && !dryRun) {
    let fixed: GptBackup = { state: 'none' };
    await withWritableDisk(file, flags, async (disk, signal) => {
      fixed = await fixGpt(disk, { signal });
    });
    return [gptLine(fixed, true)].filter((line) => line !== '');
  }
  try {
    const disk = await openVhdx(file, {
      parent,
      followParents: followParents ? 'anywhere' : 'folder',
      ignoreParentMismatch,
    });
    warnOfDoubts(disk, file);
    try {
      const { scheme, partitions } = await readPartitionTable(disk);
      const outside = partitions.filter(({ offset, length }) => offset + length > size);
      return [
        ...outside.map(({ number }) => `partition ${number} reaches past the end of the disk`),
        ...(scheme === 'GPT' ? [gptLine(await checkGptBackup(disk, { size }), false)] : []),
        ...(scheme === 'MBR' ? ['partitions stay as they are'] : []),
      ].filter((line) => line !== '');
    } finally {
      await disk.close();
    }
  } catch (error) {
    if (!(error instanceof VhdxError)) throw error;
    return [`partitions were not looked at: ${error.reason}`].map(printable);
  }
}

function gptLine({ state, reason }: GptBackup, isFixed: boolean): string {
  if (state === 'not-understood') return `the GPT stays as it is: ${reason}`;
  if (state === 'none') return 'there is no GPT';
  if (state === 'in-place') return '';
  return isFixed
    ? 'the backup of the GPT is at the end of the disk now; partitions stay as they are'
    : 'the backup of the GPT is not at the end of the disk; --fix-gpt puts it there';
}

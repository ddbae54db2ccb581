import { type Stats, statSync } from 'node:fs';
import { extname } from 'node:path';
import { isatty } from 'node:tty';
import type { Command } from 'commander';
import {
  type DamagedRange,
  type ExportFormat,
  exportDisk,
  exportSize,
  type OpenOptions,
  type VhdxDisk,
} from '../index.js';
import { hex, humanSize } from './byte-size.js';
import { type Fill, writeFileWhole, writeInSequence, writeToDevice } from './convert-target.js';
import { complain, Failure, interruptible } from './failure.js';
import { addImageOptions, chainOf, formatOption, type ImageFlags, withDisk } from './image-options.js';
import { withProgress } from './progress.js';
import { writeOut } from './standard-output.js';
import { displayName } from './terminal.js';

interface Flags extends ImageFlags {
  /** `vpc` is what qemu-img calls a VHD. */
  readonly outputFormat?: 'raw' | 'vpc';
  readonly salvage?: true;
  readonly force?: true;
}

/** Exit code if something was written, and not everything, or nothing that is certain. */
const SALVAGED = 2;

const EXAMPLES = `
OUT is a file, a block device, a named pipe, or - for standard output. A file is written sparse under a name that ends
in .partial, and gets its own name when it is complete; the mode and the owner of a replaced file stay.
A vpc (or vhd, the same) is the fixed VHD that Azure takes: rounded up to 1 MiB, with its footer.
Without -O the ending of OUT chooses: .vhd is a VHD, an ending of a format that cannot be written is an error, and
everything else is raw.
Exit codes: 0, 1 if it could not be done, 2 if --salvage could not read or verify everything, 141 if the reader of a pipe left.

  vhdx convert disk.vhdx disk.img
  vhdx convert -O vpc disk.vhdx disk.vhd
  vhdx convert disk.vhdx - | zstd > disk.img.zst
  vhdx convert --parent base.vhdx checkpoint.avhdx whole.img
  vhdx convert --salvage damaged.vhdx rest.img`;

/** Defines `vhdx convert`. */
export function define(command: Command): void {
  command
    .description('Writes the bytes of the disk to a raw file, a fixed VHD or a pipe.')
    .argument('<file>', 'image')
    .argument('<out>', 'what is written')
    .addOption(formatOption('-O, --output-format <format>', 'what to write', ['raw', 'vpc']))
    .option('--salvage', 'open what is damaged as a whole, unverified; write zeros for what cannot be read; list both')
    .option('--force', 'write even if another process seems to be writing the same file');
  addImageOptions(command).addHelpText('after', EXAMPLES).action(convert);
}

async function convert(file: string, out: string, flags: Flags): Promise<void> {
  const format = outputFormat(out, flags);
  const salvage: OpenOptions = flags.salvage ? { salvage: 'unverified', incompleteChain: 'open' } : {};
  const work = async (disk: VhdxDisk): Promise<void> => {
    refuseOwnFiles(disk, out);
    exportSize(disk, format); // refuses what the format cannot hold, before anything is opened for writing
    let lost = 0;
    const onDamage = (range: DamagedRange): void => {
      lost += range.length;
      complain(`${displayName(file)}: ${damageText(range)}`);
    };
    await writeTo(out, flags, (sink, signal) =>
      withProgress('convert', flags, (onProgress) =>
        exportDisk(disk, sink, { format, signal, onProgress, onDamage: flags.salvage && onDamage }),
      ),
    );
    if (lost > 0) complain(`${displayName(file)}: ${humanSize(lost)} could not be read and became zeros`);
    if (lost > 0 || isUnverified(disk)) process.exitCode = SALVAGED;
  };
  await withDisk(file, flags, work, salvage);
}

/** Whether salvage had to assume something, so that what was written may be stale or wrong. */
function isUnverified(disk: VhdxDisk): boolean {
  return chainOf(disk).some(({ findings }) => findings.some(({ code }) => code.startsWith('salvage-')));
}

/** Endings of formats that cannot be written here. */
const NOT_WRITTEN = /^\.(vhdx|avhdx|avhd|vhds|qcow2?|vmdk|vdi|qed|hdd|wim|e01|gz|xz|zst|bz2|zip|7z)$/i;

/** What to write: by the option, or by the ending of the name. */
function outputFormat(out: string, { outputFormat: wanted, quiet }: Flags): ExportFormat {
  if (wanted !== undefined) return wanted === 'raw' ? 'raw' : 'vhd';
  const ending = out === '-' || isSpecial(out) ? '' : extname(out);
  if (/^\.(vhd|vpc)$/i.test(ending)) {
    if (!quiet) complain(`${out}: writing a fixed VHD, as the ending says; -O raw writes raw`);
    return 'vhd';
  }
  if (NOT_WRITTEN.test(ending)) {
    const message = `${ending} is the ending of a format that cannot be written; -O raw or -O vpc says what to write`;
    throw new Failure(message, { file: out });
  }
  return 'raw';
}

/** Whether something that is not a file has that name: what it is called says nothing about a format. */
function isSpecial(out: string): boolean {
  return statsOf(out)?.isFile() === false;
}

function damageText({ offset, length, code }: DamagedRange): string {
  return `lost ${hex(offset)} to ${hex(offset + length)} (${length} bytes): ${code}`;
}

type Write = (sink: Parameters<Fill>[0], signal?: AbortSignal) => Promise<void>;

/** Lets something be written to what the user named. */
async function writeTo(out: string, { force }: Flags, write: Write): Promise<void> {
  // Of pipes and devices there is nothing to clean up: there Ctrl-C ends the command at once, whatever it waits for.
  if (out === '-') {
    if (isatty(1)) throw new Failure('standard output is a terminal: name a file, or send it through a pipe');
    return writeInSequence(writeOut, write);
  }
  const stats = statsOf(out);
  if (stats?.isDirectory()) throw new Failure('is a folder', { file: out });
  if (!stats || stats.isFile()) {
    return interruptible((signal) => writeFileWhole(out, stats, force === true, (sink) => write(sink, signal)));
  }
  return writeToDevice(out, stats, write);
}

/** What there is under a name; undefined if there is nothing. */
function statsOf(path: string): Stats | undefined {
  return statSync(path, { throwIfNoEntry: false });
}

/** Refuses to write over what is being read. */
function refuseOwnFiles(disk: VhdxDisk, out: string): void {
  const target = out === '-' ? undefined : identityOf(out);
  const own = chainOf(disk).map(({ path }) => path && identityOf(path));
  if (target !== undefined && own.includes(target)) {
    throw new Failure('is the image that is being read, or one of its parents', { file: out });
  }
}

/** What identifies a file, whatever its names are; undefined if there is none. */
function identityOf(path: string): string | undefined {
  const stats = statSync(path, { bigint: true, throwIfNoEntry: false });
  return stats && `${stats.dev} ${stats.ino}`;
}

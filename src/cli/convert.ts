import { type Stats, statSync } from 'node:fs';
import { isatty } from 'node:tty';
import { type Command, Option } from 'commander';
import { type DamagedRange, type ExportFormat, exportDisk, type RandomAccessSink, type VhdxDisk } from '../index.js';
import { hex, humanSize } from './byte-size.js';
import { about, complain, Failure } from './failure.js';
import { interruptible } from './interruption.js';
import { addOpeningOptions, chainOf, type OpeningFlags, withDisk } from './opening.js';
import { PartialFile } from './partial-file.js';
import { withProgress } from './progress.js';
import { SequentialSink, writeInPlace } from './sequential-sink.js';
import { writeOut } from './standard-output.js';
import { displayName } from './text.js';

interface Flags extends OpeningFlags {
  readonly outputFormat: ExportFormat;
  readonly salvage?: true;
}

/** Exit code where something was written, and not everything. */
const SALVAGED = 2;

const EXAMPLES = `
OUT is a file, a block device, or - for standard output. A file is written sparse under the name OUT.partial, and gets
its own name when it is whole. A vhd is the fixed VHD that Azure takes: rounded up to 1 MiB, with its footer.
Exit codes: 0, 1 where it could not be done, 2 where --salvage could not read everything.

  vhdx convert disk.vhdx disk.img
  vhdx convert -O vhd disk.vhdx disk.vhd
  vhdx convert disk.vhdx - | zstd > disk.img.zst
  vhdx convert --parent base.vhdx checkpoint.avhdx whole.img
  vhdx convert --salvage damaged.vhdx rest.img`;

/** Defines `vhdx convert`. */
export function define(command: Command): void {
  command
    .description('Writes the bytes of the disk to a raw file, a fixed VHD or a pipe.')
    .argument('<file>', 'image')
    .argument('<out>', 'what is written')
    .addOption(new Option('-O, --output-format <format>', 'what to write').choices(['raw', 'vhd']).default('raw'))
    .option('--salvage', 'write zeros for what cannot be read, and list it');
  addOpeningOptions(command).addHelpText('after', EXAMPLES).action(convert);
}

async function convert(file: string, out: string, flags: Flags): Promise<void> {
  await withDisk(file, flags, (disk) =>
    interruptible(async (signal) => {
      refuseOwnFiles(disk, out);
      let lost = 0;
      const onDamage = (range: DamagedRange): void => {
        lost += range.length;
        complain(`${displayName(file)}: ${damageText(range)}`);
      };
      const { outputFormat: format, salvage } = flags;
      await writingTo(out, signal, (sink) =>
        withProgress('convert', (onProgress) =>
          exportDisk(disk, sink, { format, signal, onProgress, onDamage: salvage && onDamage }),
        ),
      );
      if (lost === 0) return;
      complain(`${displayName(file)}: ${humanSize(lost)} could not be read and became zeros`);
      process.exitCode = SALVAGED;
    }),
  );
}

function damageText({ offset, length, code }: DamagedRange): string {
  return `lost ${hex(offset)} to ${hex(offset + length)} (${length} bytes): ${code}`;
}

/** Lets something be written to whatever the user named. */
async function writingTo(
  out: string,
  signal: AbortSignal,
  write: (sink: RandomAccessSink) => Promise<void>,
): Promise<void> {
  if (out === '-') {
    if (isatty(1)) throw new Failure('standard output is a terminal: name a file, or send it through a pipe');
    return new SequentialSink(writeOut, signal).take(write);
  }
  const stats = statsOf(out);
  if (stats && !stats.isFile()) {
    if (stats.isDirectory()) throw new Failure(`${out}: is a folder`);
    return writeInPlace(out, signal, write);
  }
  const file = await about(out, () => PartialFile.create(out, stats));
  await file.take(write);
}

/** What there is under a name; undefined where there is nothing. */
function statsOf(path: string): Stats | undefined {
  return statSync(path, { throwIfNoEntry: false });
}

/** Refuses to write over what is being read. */
function refuseOwnFiles(disk: VhdxDisk, out: string): void {
  const target = out === '-' ? undefined : identityOf(out);
  const own = chainOf(disk).map(({ path }) => path && identityOf(path));
  if (target !== undefined && own.includes(target)) {
    throw new Failure(`${out}: is the image that is being read, or one of its parents`);
  }
}

/** What a file is known by, whatever its names are; undefined where there is none. */
function identityOf(path: string): string | undefined {
  const stats = statSync(path, { bigint: true, throwIfNoEntry: false });
  return stats && `${stats.dev} ${stats.ino}`;
}

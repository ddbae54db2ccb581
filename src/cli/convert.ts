import { statSync } from 'node:fs';
import { isatty } from 'node:tty';
import type { Command } from 'commander';
import {
  type CreateOptions,
  type DamagedRange,
  exportDisk,
  exportSize,
  type OpenOptions,
  type RandomAccessFile,
  type VhdxDisk,
  vhdxStream,
  type WriteVhdxOptions,
  writeVhdx,
} from '../index.js';
import { hex, humanSize } from './byte-size.js';
import { type Fill, writeFileWhole, writeInSequence, writeToDevice } from './convert-target.js';
import { addThreadsOption, crewOf, type ThreadFlags } from './crew/threads.js';
import { about, complain, Failure, interruptible } from './failure.js';
import { addShardOptions, type ShardFlags, shardOf } from './fleet/shard-option.js';
import {
  addImageOptions,
  chainOf,
  formatOption,
  type ImageFlags,
  type OpenedDisk,
  openDisk,
  openOptions,
} from './image-options.js';
import { parseImageOptions } from './new-image-options.js';
import { type OutputFlags, type OutputFormat, outputFormat, statsOf } from './output-format.js';
import { withProgress } from './progress.js';
import { writeOut } from './standard-output.js';
import { displayName } from './terminal.js';

interface Flags extends ImageFlags, OutputFlags, ShardFlags, ThreadFlags {
  readonly options?: CreateOptions;
  readonly backing?: string;
  readonly pad?: true;
  readonly salvage?: true;
  readonly force?: true;
}

/** Exit code if something was written, and not everything, or nothing that is certain. */
const SALVAGED = 2;

const EXAMPLES = `
IN is an image (VHDX or VHD with its parents, or raw), or - for standard input, which is raw and becomes a VHDX file.
OUT is a file, a block device, a named pipe, or - for standard output. A file is written sparse under a name that ends
in .partial, and gets its own name when it is complete; the mode and the owner of a replaced file stay. A VHDX replaces
a file only with --force.
A vpc (or vhd, the same) is the fixed VHD that Azure takes: rounded up to 1 MiB, with its footer.
Without -O the ending of OUT chooses: .vhdx and .avhdx are a VHDX, .vhd is a VHD, an ending of a format that cannot be
written is an error, and everything else is raw.
A VHDX has the type, block and sector size and identity of IN if that is a VHDX; a chain, raw and standard input become
dynamic, in blocks of 2 MiB. Only what is not zero is stored; with -B PARENT only the sectors that differ from it.
The options of -o are those of create: subformat=dynamic or fixed, block_size, log_size, logical_sector_size,
physical_sector_size, id.
Several threads write a raw file or a VHD; one writes a VHDX, a pipe, and what --salvage finds.
With --shard, one of several parts is written into a raw file that all parts share; vhdx combine sees that all are there.
Exit codes: 0, 1 if it could not be done, 75 if a part can be tried again, 2 if --salvage could not read or verify everything, 141 if the reader of a pipe left.

  vhdx convert disk.vhdx disk.img
  vhdx convert -O vpc disk.vhdx disk.vhd
  vhdx convert disk.vhdx - | zstd > disk.img.zst
  vhdx convert --parent base.vhdx checkpoint.avhdx whole.img
  vhdx convert -O vhdx disk.img disk.vhdx
  vhdx convert -O vhdx -o subformat=fixed,block_size=1M disk.img disk.vhdx
  zstd -dc disk.img.zst | vhdx convert -O vhdx - disk.vhdx
  vhdx convert -O vhdx disk.img - | ssh host 'cat > disk.vhdx'
  vhdx convert -O vhdx -B base.vhdx disk.img child.avhdx
  vhdx convert --salvage damaged.vhdx rest.img`;

/** Defines `vhdx convert`. */
export function define(command: Command): void {
  command
    .description('Writes a disk to a raw file, a VHDX, a fixed VHD or a pipe.')
    .argument('<in>', 'image, or - for standard input')
    .argument('<out>', 'what is written')
    .addOption(formatOption('-O, --output-format <format>', 'what to write', ['raw', 'vpc', 'vhdx']))
    .option('-o, --options <list>', 'options of a VHDX that is written', parseImageOptions)
    .option('-B, --backing <parent>', 'write a child of this parent, with what differs from it')
    .option('--pad', 'add zeros up to the next sector to a disk that ends inside one')
    .option('--salvage', 'open what is damaged as a whole, unverified; write zeros for what cannot be read; list both')
    .option('--force', 'replace a file by a VHDX');
  addImageOptions(addThreadsOption(addShardOptions(command)), { formats: ['vhdx', 'raw', 'vpc'], partition: true })
    .addHelpText('after', EXAMPLES)
    .action(convert);
}

async function convert(file: string, out: string, flags: Flags): Promise<void> {
  const shard = shardOf(flags);
  if (shard) return (await import('./fleet/convert-part.js')).convertPart(file, out, shard, flags);
  const format = outputFormat(out, flags);
  refuseOddOptions(format, out, flags);
  if (file === '-') return about('standard input', () => convertStandardInput(format, out, flags));
  const salvage: OpenOptions = flags.salvage ? { salvage: 'unverified', incompleteChain: 'open' } : {};
  await about(file, async () => {
    const opened = await openDisk(file, flags, format !== 'raw', salvage);
    try {
      if (opened.guessed && !flags.quiet) {
        complain(new Failure('no known format, read as raw; -f raw says that it is', { file }));
      }
      await convertDisk(file, opened, out, format, flags);
    } finally {
      await opened.close();
    }
  });
}

async function convertDisk(
  file: string,
  opened: OpenedDisk,
  out: string,
  format: OutputFormat,
  flags: Flags,
): Promise<void> {
  const { source, vhdx, vhd } = opened;
  const disk = vhdx ?? source;
  const members: { readonly path?: string }[] = vhdx ? chainOf(vhdx) : vhd ? chainOf(vhd) : [];
  refuseOwnFiles([file, ...members.map(({ path }) => path)], out);
  if (format !== 'vhdx') exportSize(disk, format); // refuses what the format cannot hold, before anything is opened for writing
  let lost = 0;
  const onDamage = (range: DamagedRange): void => {
    lost += range.length;
    complain(`${displayName(file)}: ${damageText(range)}`);
  };
  const options = { onDamage: flags.salvage && onDamage };
  if (format === 'vhdx') {
    await writeImage(vhdx ?? source, out, flags, { ...options, ...(!vhdx && { format: 'raw' }) });
  } else {
    const crew = flags.salvage ? undefined : crewOf(flags, { file, flags, opened });
    await writeTo(out, (sink, signal, partial) =>
      withProgress('convert', flags, async (onProgress) => {
        if (crew && partial !== undefined) {
          const { convertByCrew } = await import('./crew/jobs.js');
          if (await convertByCrew(crew, disk, { out: partial, sink, format, signal, onProgress })) return;
        }
        await exportDisk(disk, sink, { ...options, format, signal, onProgress });
      }),
    );
  }
  if (lost > 0) complain(`${displayName(file)}: ${humanSize(lost)} could not be read and became zeros`);
  if (lost > 0 || (vhdx && isUnverified(vhdx))) process.exitCode = SALVAGED;
}

/** Writes raw bytes that come once, and of which only the end says how many they are. */
async function convertStandardInput(format: OutputFormat, out: string, flags: Flags): Promise<void> {
  const file = 'standard input';
  if (format !== 'vhdx') throw new Failure('it can become a VHDX only: -O vhdx', { file });
  if (flags.format !== undefined && flags.format !== 'raw') throw new Failure('it can be raw only', { file });
  try {
    await writeImage(process.stdin, out, { ...flags, quiet: true }, flags.format && { format: 'raw' });
  } finally {
    process.stdin.destroy(); // an aborted read of it would keep the process
  }
}

/** Refuses options that say nothing about what is written. */
function refuseOddOptions(format: OutputFormat, out: string, { options, backing, pad }: Flags): void {
  if (format === 'vhdx') return;
  const odd = options ? '-o' : backing !== undefined ? '-B' : pad ? '--pad' : undefined;
  if (odd !== undefined) throw new Failure(`${odd} is about a VHDX that is written: -O vhdx`, { file: out });
}

/** Writes a new VHDX, under its own name only when it is complete. */
async function writeImage(
  source: Parameters<typeof writeVhdx>[0],
  out: string,
  flags: Flags,
  more: WriteVhdxOptions = {},
): Promise<void> {
  const { options, backing, pad, force } = flags;
  const stats = statsOf(out);
  if (out === '-' || (stats && !stats.isFile() && !stats.isDirectory())) return streamImage(source, out, flags, more);
  if (stats?.isDirectory()) throw new Failure('is a folder', { file: out });
  if (stats && !force) throw new Failure('exists already; --force replaces it', { file: out });
  const { parent, followParents } = openOptions(flags);
  const write = (target: RandomAccessFile, signal: AbortSignal) =>
    withProgress('convert', flags, (onProgress) =>
      writeVhdx(source, target, {
        ...options,
        ...more,
        parent: backing,
        parentOptions: { parent, followParents },
        pad: pad === true,
        signal,
        onProgress,
      }),
    );
  await interruptible((signal) =>
    writeFileWhole(out, { replaced: stats, durable: true }, (target) => write(target, signal)),
  );
}

/** Whether salvage had to assume something, so that what was written may be stale or wrong. */
function isUnverified(disk: VhdxDisk): boolean {
  return chainOf(disk).some(({ findings }) => findings.some(({ code }) => code.startsWith('salvage-')));
}

function damageText({ offset, length, code }: DamagedRange): string {
  return `lost ${hex(offset)} to ${hex(offset + length)} (${length} bytes): ${code}`;
}

/** @param partial where it is written, if that is a file */
type Write = (sink: Parameters<Fill>[0], signal?: AbortSignal, partial?: string) => Promise<void>;

/** Lets something be written to what the user named. */
async function writeTo(out: string, write: Write): Promise<void> {
  // Of pipes and devices there is nothing to clean up: there Ctrl-C ends the command at once, whatever it waits for.
  if (out === '-') {
    if (isatty(1)) throw new Failure('standard output is a terminal: name a file, or send it through a pipe');
    return writeInSequence(writeOut, write);
  }
  const stats = statsOf(out);
  if (stats?.isDirectory()) throw new Failure('is a folder', { file: out });
  if (!stats || stats.isFile()) {
    return interruptible((signal) =>
      writeFileWhole(out, { replaced: stats, durable: false }, (sink, partial) => write(sink, signal, partial)),
    );
  }
  return writeToDevice(out, stats, write);
}

/** Writes a VHDX to a pipe or a device, from its first byte to its last. */
async function streamImage(
  source: Parameters<typeof writeVhdx>[0],
  out: string,
  flags: Flags,
  { format, onDamage }: WriteVhdxOptions,
): Promise<void> {
  const refuse = (message: string): never => {
    throw new Failure(message, { file: out === '-' ? 'standard output' : out });
  };
  if (source === process.stdin) return refuse('what comes from a pipe is written to a file: its length is not known');
  if (flags.backing !== undefined) {
    return refuse('-B writes a child to a file, because where its parent is depends on where the child is');
  }
  await writeTo(out, (sink, signal) =>
    withProgress('convert', flags, async (onProgress) => {
      const { size, stream } = await vhdxStream(source as Parameters<typeof vhdxStream>[0], {
        ...flags.options,
        format,
        onDamage,
        pad: flags.pad === true,
        signal,
      });
      await sink.truncate(size);
      let done = 0;
      for await (const chunk of stream) {
        await sink.write(chunk as Uint8Array<ArrayBuffer>, done);
        done += chunk.length;
        onProgress?.({ done, total: size });
      }
    }),
  );
}

/** Refuses to write over what is being read. */
function refuseOwnFiles(paths: readonly (string | undefined)[], out: string): void {
  const target = out === '-' ? undefined : identityOf(out);
  const own = paths.map((path) => path && identityOf(path));
  if (target !== undefined && own.includes(target)) {
    throw new Failure('is the image that is being read, or one of its parents', { file: out });
  }
}

/** What identifies a file, whatever its names are; undefined if there is none. */
function identityOf(path: string): string | undefined {
  const stats = statSync(path, { bigint: true, throwIfNoEntry: false });
  return stats && `${stats.dev} ${stats.ino}`;
}

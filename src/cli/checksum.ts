import { readFile } from 'node:fs/promises';
import { isatty } from 'node:tty';
import { type Command, Option } from 'commander';
import { parseByteSize } from './byte-size.js';
import {
  type ChecksumPart,
  checksumLine,
  checksumText,
  combineParts,
  parsePartLines,
  partLine,
} from './checksum-lines.js';
import { addThreadsOption, crewOf, type ThreadFlags } from './crew/threads.js';
import { about, complain, Failure } from './failure.js';
import { addShardOptions, type ShardFlags, shardOf } from './fleet/shard-option.js';
import { addImageOptions, type ImageFlags, withAnyDisk } from './image-options.js';
import { withProgress } from './progress.js';
import { writeOut } from './standard-output.js';
import { ALGORITHMS, type Algorithm, type Summed, sumOf, withFileItself } from './sums.js';
import { displayName, printable } from './terminal.js';

interface Flags extends ImageFlags, ShardFlags, ThreadFlags {
  readonly offset?: number;
  readonly length?: number;
  readonly combine?: true;
  readonly check?: string;
  readonly file?: true;
  readonly algorithm: Algorithm;
}

const EXAMPLES = `
The CRC-32C of the disk's bytes, which is that of the raw image: object stores show it of what was uploaded, in base64.
A name with a backslash or a line break is escaped, and its line begins with a backslash, as sha256sum does it.
With --file, of the file itself, whatever it is. With --algorithm sha256, sha1 or md5, by the platform's own crypto; these
read holes too, and their parts cannot be combined, so that one thread does it all.
With --shard, of one of several parts with as much data each, as JSON for vhdx combine. With --offset or --length, of a
part, in a line that --combine puts together with the others:

  vhdx checksum disk.vhdx
  vhdx checksum --check yZRlqg== disk.vhdx
  vhdx checksum -f raw disk.img
  vhdx checksum --file --algorithm sha256 disk.vhdx
  vhdx checksum --shard 0/4 --to part-0 disk.vhdx

  size=$(vhdx info --output json disk.vhdx | jq '."virtual-size"')
  seq 0 $((1<<30)) $((size - 1)) |
    xargs -P 8 -I{} vhdx checksum --offset {} --length 1G disk.vhdx | vhdx checksum --combine

Exit codes: 0, and 1 if something cannot be read, is missing, or is not what --check wants;
with --shard 75 if something failed that may be over a moment later: try again.`;

/** Defines `vhdx checksum`. */
export function define(command: Command): void {
  command
    .description('Computes the CRC-32C of disks. Costs what their data costs: holes are not read.')
    .argument('[file...]', 'images; with --combine, files of lines, or standard input')
    .option('--offset <size>', 'first byte of a part', parseByteSize)
    .option('--length <size>', 'number of bytes of a part; fewer if the disk ends before', parseByteSize)
    .option('--combine', 'put the checksums of parts together')
    .option('--check <checksum>', 'compare with this one, in hexadecimal or base64')
    .option('--file', 'sum the file itself, as it was uploaded, and not the disk in it')
    .addOption(new Option('--algorithm <name>', 'which checksum').choices(Object.keys(ALGORITHMS)).default('crc32c'));
  addImageOptions(addThreadsOption(addShardOptions(command)), { formats: ['vhdx', 'raw', 'vpc'], partition: true })
    .addHelpText('after', EXAMPLES)
    .action(checksum);
}

/** A checksum that was given, in hexadecimal: it may be the base64 of the same bytes, as object stores show it. */
function hexOf(text: string, algorithm: Algorithm): string {
  const bytes = ALGORITHMS[algorithm];
  const [, hex] = /^(?:0x)?([0-9a-f]+)$/i.exec(text) ?? [];
  if (hex?.length === 2 * bytes) return hex.toLowerCase();
  const decoded = /^[0-9a-z+/]+={0,2}$/i.test(text) ? Buffer.from(text, 'base64') : undefined;
  if (decoded?.length === bytes && decoded.toString('base64') === text) return decoded.toString('hex');
  throw new Failure(
    `--check ${text}: this is neither ${2 * bytes} hexadecimal digits nor the base64 of ${bytes} bytes`,
  );
}

async function checksum(files: readonly string[], flags: Flags): Promise<void> {
  if (flags.combine) return combine(files);
  if (files.length === 0) throw new Failure('checksum: name an image');
  const shard = shardOf(flags);
  if (flags.check !== undefined) hexOf(flags.check, flags.algorithm);
  const isDisk = flags.file === undefined;
  if (!isDisk && (flags.partition !== undefined || flags.format !== undefined))
    throw new Failure('checksum: --file sums the file as it is, without --format and --partition');
  if (shard && (!isDisk || flags.algorithm !== 'crc32c'))
    throw new Failure('checksum: --shard is for the CRC-32C of disks, whose parts can be combined');
  if (shard) {
    const { checksumPart } = await import('./fleet/checksum-part.js');
    return checksumPart(onlyFile(files, flags), shard, flags);
  }
  if (flags.check !== undefined && files.length > 1) throw new Failure('checksum: --check takes one image');
  for (const file of files) {
    try {
      await checksumOf(file, flags);
    } catch (error) {
      if (!(error instanceof Failure)) throw error;
      complain(error); // and on with the next one
      process.exitCode = 1;
    }
  }
}

/** The one image of which a part is summed. */
function onlyFile(files: readonly string[], { offset, length, check }: Flags): string {
  const [file, ...others] = files;
  if (file === undefined || others.length > 0) throw new Failure('checksum: --shard takes one image');
  if (offset !== undefined || length !== undefined || check !== undefined)
    throw new Failure('checksum: --shard says itself which part, and --check is for the whole', { file });
  return file;
}

async function checksumOf(file: string, flags: Flags): Promise<void> {
  const name = displayName(file);
  const { algorithm } = flags;
  const work = async (opened: Summed) => {
    const { size } = opened.source;
    const { offset = 0, length: wanted = size } = flags;
    if (offset > size) {
      const what = flags.file ? 'file' : 'disk';
      throw new Failure(`offset ${offset} is past the end of the ${what}, which has ${size} bytes`, { file });
    }
    const length = Math.min(wanted, size - offset);
    const crew = crewOf(flags, { file, flags, opened });
    const sum = await withProgress('checksum', flags, (onProgress) =>
      sumOf(opened, algorithm, { offset, length, onProgress, crew }),
    );
    return { sum, offset, length, size };
  };
  const part = await (flags.file ? withFileItself(file, work) : withAnyDisk(file, flags, work));
  const { sum, ...range } = part;
  if (flags.check !== undefined && hexOf(flags.check, algorithm) !== sum)
    throw new Failure(`the checksum is ${sum}, not ${hexOf(flags.check, algorithm)}`, { file });
  const isPart = flags.offset !== undefined || flags.length !== undefined;
  await writeLine(isPart ? partLine({ ...range, checksum: sum, name }) : checksumLine(sum, name));
}

async function combine(files: readonly string[]): Promise<void> {
  const parts = new Map<string, [ChecksumPart, ...ChecksumPart[]]>();
  for (const file of files.length > 0 ? files : ['-']) {
    const from = file === '-' ? 'standard input' : file;
    const text = await about(from, () => (file === '-' ? readStandardInput() : readFile(file, 'utf8')));
    for (const part of parsePartLines(text, from)) {
      const others = parts.get(part.name);
      if (others) others.push(part);
      else parts.set(part.name, [part]);
    }
  }
  if (parts.size === 0) throw new Failure('checksum: no lines to combine');
  for (const [name, ofDisk] of parts)
    await writeLine(checksumLine(checksumText(await combineParts(name, ofDisk)), name));
}

/** Writes a line for `--combine` and `sha256sum`, which leave controls as they are; a terminal gets none. */
function writeLine(line: string): Promise<void> {
  return writeOut(isatty(1) ? `${printable(line.trimEnd())}\n` : line);
}

async function readStandardInput(): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of process.stdin) chunks.push(chunk);
  return Buffer.concat(chunks).toString();
}

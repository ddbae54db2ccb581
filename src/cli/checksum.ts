import { readFile } from 'node:fs/promises';
import { type Command, InvalidArgumentError } from 'commander';
import { parseByteSize } from './byte-size.js';
import { type ChecksumPart, checksumText, combineParts, parsePartLines, partLine } from './checksum-part.js';
import { about, complain, Failure } from './failure.js';
import { groupBy } from './group-by.js';
import { addOpeningOptions, type OpeningFlags, withDisk } from './opening.js';
import { withProgress } from './progress.js';
import { writeOut } from './standard-output.js';
import { displayName } from './text.js';

interface Flags extends OpeningFlags {
  readonly offset?: number;
  readonly length?: number;
  readonly combine?: true;
  readonly check?: number;
}

const EXAMPLES = `
The CRC-32C of the disk's bytes, which is that of the raw image: object stores show it of what was uploaded, in base64.
With --offset or --length, of a part, in a line that --combine puts together with the others:

  vhdx checksum disk.vhdx
  vhdx checksum --check yZRlqg== disk.vhdx

  size=$(vhdx info --output json disk.vhdx | jq '."virtual-size"')
  seq 0 $((1<<30)) $((size - 1)) |
    xargs -P 8 -I{} vhdx checksum --offset {} --length 1G disk.vhdx | vhdx checksum --combine

Exit codes: 0, and 1 where something could not be read, is missing, or is not what --check wants.`;

/** Defines `vhdx checksum`. */
export function define(command: Command): void {
  command
    .description('Computes the CRC-32C of disks. Costs what their data costs: holes are not read.')
    .argument('[file...]', 'images; with --combine, files of lines, or standard input')
    .option('--offset <size>', 'first byte of a part', parseByteSize)
    .option('--length <size>', 'number of bytes of a part; less where the disk ends before', parseByteSize)
    .option('--combine', 'put the checksums of parts together')
    .option('--check <checksum>', 'compare with this one, in hexadecimal or base64', parseChecksum);
  addOpeningOptions(command).addHelpText('after', EXAMPLES).action(checksum);
}

/** Eight hexadecimal digits, or the base64 of the same four bytes, as object stores show it. */
function parseChecksum(text: string): number {
  if (/^(0x)?[0-9a-f]{8}$/i.test(text)) return Number.parseInt(text, 16);
  if (/^[0-9a-z+/]{6}==$/i.test(text)) return Buffer.from(text, 'base64').readUInt32BE();
  throw new InvalidArgumentError('It is neither eight hexadecimal digits nor the base64 of four bytes.');
}

async function checksum(files: readonly string[], flags: Flags): Promise<void> {
  if (flags.combine) return combine(files);
  if (files.length === 0) throw new Failure('checksum: name an image');
  if (flags.check !== undefined && files.length > 1) throw new Failure('checksum: --check takes one image');
  for (const file of files) {
    try {
      await tell(file, flags);
    } catch (error) {
      if (!(error instanceof Failure)) throw error;
      complain(error); // and on with the next one
      process.exitCode = 1;
    }
  }
}

async function tell(file: string, flags: Flags): Promise<void> {
  const name = displayName(file);
  const part = await withDisk(file, flags, async (disk): Promise<ChecksumPart> => {
    const { offset = 0, length: wanted = disk.size } = flags;
    const length = Math.min(wanted, Math.max(0, disk.size - offset));
    const sum = await withProgress('checksum', (onProgress) => disk.checksum({ offset, length, onProgress }));
    return { checksum: sum, offset, length, size: disk.size, name };
  });
  if (flags.check !== undefined && flags.check !== part.checksum) {
    throw new Failure(`${name}: the checksum is ${checksumText(part.checksum)}, not ${checksumText(flags.check)}`);
  }
  const isPart = flags.offset !== undefined || flags.length !== undefined;
  await writeOut(isPart ? partLine(part) : `${checksumText(part.checksum)}  ${name}\n`);
}

async function combine(files: readonly string[]): Promise<void> {
  const parts: ChecksumPart[] = [];
  for (const file of files.length > 0 ? files : ['-']) {
    const name = file === '-' ? 'standard input' : file;
    parts.push(
      ...parsePartLines(await about(name, () => (file === '-' ? readStandardInput() : readFile(file, 'utf8'))), name),
    );
  }
  if (parts.length === 0) throw new Failure('checksum: no lines to combine');
  for (const [name, ofDisk] of groupBy(parts, (part) => part.name)) {
    await writeOut(`${checksumText(await combineParts(name, ofDisk))}  ${name}\n`);
  }
}

async function readStandardInput(): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of process.stdin) chunks.push(chunk);
  return Buffer.concat(chunks).toString();
}

import { readFile, unlink } from 'node:fs/promises';
import { type Command, Option } from 'commander';
import { type CheckReport, combineChecks } from '../../index.js';
import { checkJson } from '../../report/check-json.js';
import { jsonHead } from '../../report/dialect.js';
import { CHECK_EXIT_CODES, reportText } from '../check-report.js';
import { checksumLine, checksumText, combineParts } from '../checksum-lines.js';
import { about, Failure, isSystemError } from '../failure.js';
import { writeJson } from '../json.js';
import { writeOut } from '../standard-output.js';
import { displayName } from '../terminal.js';
import { reportFromJson } from './check-part.js';
import { combineFleet, type FleetLine, isFleetLine } from './combine-fleet.js';
import { purposeFile } from './convert-part.js';
import { type CheckPart, type ChecksumPart, type ConvertPart, isSame, type Part, parseLines } from './part.js';

interface Flags {
  readonly output: 'human' | 'json';
}

const EXAMPLES = `
The parts are those of checksum, check and convert --shard, or of fleet, in any order, each a file or several in one; -
is standard input. A part that is there twice must be the same. The exit code is that of the undivided work:

  vhdx checksum --shard 0/2 --to part-0 disk.vhdx
  vhdx checksum --shard 1/2 --to part-1 disk.vhdx
  vhdx combine part-*

Exit codes: 0; those of check; and 1 if a part is missing, foreign, cut, contradicts another one or is of another version.`;

/** Defines `vhdx combine`. */
export function define(command: Command): void {
  command
    .description('Puts together what was done in parts with --shard.')
    .argument('<part...>', 'files of parts, or - for standard input')
    .addOption(new Option('--output <form>', 'for people or for programs').choices(['human', 'json']).default('human'))
    .addHelpText('after', EXAMPLES)
    .action(combine);
}

/** A part, or a line of a fleet, and the file that it is from. */
interface Given<T> {
  readonly from: string;
  readonly line: T;
}

async function combine(files: readonly string[], { output }: Flags): Promise<void> {
  const lines: Given<Part | FleetLine>[] = [];
  for (const file of files) {
    const from = file === '-' ? 'standard input' : file;
    const text = await about(from, () => readText(file));
    for (const line of parseLines(text, from, 'a part of vhdx', take)) lines.push({ from, line });
  }
  const fleet = lines.flatMap(({ from, line }) => (isFleetLine(line) ? [{ from, line }] : []));
  const parts = lines.flatMap(({ from, line }) => (isFleetLine(line) ? [] : [{ from, line }]));
  const isJson = output === 'json';
  if (fleet.length > 0 && parts.length > 0)
    throw new Failure('parts of a fleet and parts of an image do not go together', { file: parts[0]?.from });
  if (fleet.length > 0) return combineFleet(fleet, isJson);
  await combineImage(parts, isJson);
}

function take(line: Record<string, unknown>): Part | FleetLine | undefined {
  const isPart = line['part'] === 'checksum' || line['part'] === 'check' || line['part'] === 'convert';
  if (isPart || isFleetLine(line)) return line as unknown as Part | FleetLine;
  return undefined;
}

async function readText(file: string): Promise<string> {
  if (file !== '-') return readFile(file, 'utf8');
  const chunks: Buffer[] = [];
  for await (const chunk of process.stdin) chunks.push(chunk);
  return Buffer.concat(chunks).toString();
}

async function combineImage(given: readonly Given<Part>[], isJson: boolean): Promise<void> {
  const [first] = given;
  if (!first) throw new Failure('combine: there are no parts');
  const { filename } = first.line;
  const parts = wholeSet(given, first.line);
  switch (first.line.part) {
    case 'checksum':
      return combineChecksum(parts as ChecksumPart[], filename, isJson);
    case 'check':
      return combineReports(parts as CheckPart[], filename, isJson);
    case 'convert':
      return finishConvert(parts as ConvertPart[], filename, isJson);
  }
}

/** The parts by their numbers, each once. Throws a {@link Failure} about the first that does not fit. */
function wholeSet(given: readonly Given<Part>[], first: Part): Part[] {
  const parts: Part[] = [];
  const { of } = first.shard;
  for (const { from, line } of given) {
    const { index } = line.shard;
    const refuse = (what: string) => new Failure(`part ${index} of ${line.shard.of} ${what}`, { file: from });
    if (line.part !== first.part) throw refuse(`is of ${line.part}, others are of ${first.part}`);
    if (line.filename !== first.filename)
      throw refuse(`is of ${displayName(line.filename)}, not ${displayName(first.filename)}`);
    if (line.shard.of !== of) throw refuse(`does not go with parts of ${of}`);
    if (!isSame(line.image, first.image))
      throw refuse('is of another image, or of this one before or after it was changed');
    const before = parts[index];
    if (before && !isSame(before, line)) throw refuse('is there twice, with different results');
    parts[index] = line;
  }
  const missing = Array.from({ length: of }, (_, index) => index).filter((index) => !parts[index]);
  if (missing.length > 0) {
    const names = missing.slice(0, 10).join(', ') + (missing.length > 10 ? ', …' : '');
    const what = missing.length === 1 ? `part ${names} of ${of} is missing` : `parts ${names} of ${of} are missing`;
    throw new Failure(what, { file: first.filename });
  }
  return parts;
}

async function combineChecksum(parts: readonly ChecksumPart[], filename: string, isJson: boolean): Promise<void> {
  const size = Math.max(...parts.map(({ range }) => range.offset + range.length));
  const name = displayName(filename);
  const [one, ...others] = parts.map(({ checksum, range }) => {
    if (!/^[0-9a-f]{8}$/.test(checksum)) throw new Failure('a part has no checksum', { file: filename });
    return { checksum: Number.parseInt(checksum, 16), ...range, size, name };
  });
  if (!one) throw new Failure('there are no parts', { file: filename });
  const checksum = await combineParts(name, [one, ...others]);
  const line = checksumLine(checksumText(checksum), name);
  if (isJson)
    await writeJson({ ...jsonHead(), filename: name, checksum: line.slice(0, 8), size, findings: parts[0]?.findings });
  else await writeOut(line);
}

async function combineReports(parts: readonly CheckPart[], filename: string, isJson: boolean): Promise<void> {
  let report: CheckReport;
  try {
    report = await combineChecks(parts.map((part) => reportFromJson(part.report)));
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    throw new Failure(error.message, { file: filename, cause: error });
  }
  process.exitCode = CHECK_EXIT_CODES[report.status];
  const name = displayName(filename);
  if (isJson) await writeJson({ ...jsonHead(), ...(await checkJson(report, name, 'vhdx')) });
  else await writeOut(await reportText(report, name));
}

async function finishConvert(parts: readonly ConvertPart[], filename: string, isJson: boolean): Promise<void> {
  const [first, ...others] = parts;
  if (!first) return;
  const { output } = first;
  const foreign = others.find((part) => part.output !== output);
  if (foreign)
    throw new Failure(`part ${foreign.shard.index} wrote to ${foreign.output}, not to ${output}`, { file: filename });
  // Last: from now on it is a file like any other.
  await about(output, () =>
    unlink(purposeFile(output)).catch((error: unknown) => {
      if (!isSystemError(error) || error.code !== 'ENOENT') throw error;
    }),
  );
  if (isJson) await writeJson({ ...jsonHead(), filename: displayName(filename), output });
  else await writeOut(`${output}: all ${parts.length} parts are written\n`);
}

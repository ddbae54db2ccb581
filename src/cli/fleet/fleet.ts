import { open, readFile, rename } from 'node:fs/promises';
import { type Command, Option } from 'commander';
import { checkVhdx, crc32c } from '../../index.js';
import { findingsJson } from '../../report/check-json.js';
import { jsonHead, jsonText } from '../../report/dialect.js';
import { checksumText } from '../checksum-lines.js';
import { about, complain, Failure, failureOf, isSystemError } from '../failure.js';
import { addParentOptions, openOptions, type ParentFlags, warnOfDoubts, withAnyDisk } from '../image-options.js';
import { errorJson } from '../json.js';
import { writeOut } from '../standard-output.js';
import { imageOf } from './checksum-part.js';
import { type FleetEnd, type FleetLine, type FleetResult, isBad, isFleetLine } from './combine-fleet.js';
import { identitiesOf, isSame, isTransient, parseLines, TRY_AGAIN } from './part.js';
import { addShardOptions, type ShardFlags, shardOf } from './shard-option.js';

interface Flags extends ShardFlags, ParentFlags {
  readonly list: string;
  readonly quiet?: true;
}

type Work = FleetResult['fleet'];

const EXAMPLES = `
The list has a path or URL on each line; - is standard input. A part has the images whose path says so, whatever their
order, and writes a line of JSON for each, and one for its end. With --to, work that was interrupted goes on where it
stopped; vhdx combine makes one report of all parts.
Exit codes: 0; 1 if an image cannot be read, is corrupt or lacks its parent; 75 if something failed that may be over a
moment later, such as a server: try again.

  vhdx fleet check --list images.txt
  vhdx fleet checksum --shard 3/100 --list images.txt --to part-3
  sbatch --array=0-99 --wrap 'vhdx fleet check --shard auto --list images.txt --to part-$SLURM_ARRAY_TASK_ID'`;

/** Defines `vhdx fleet`. */
export function define(command: Command): void {
  command
    .description('Checks or sums many images: all of a list, or the part of one process.')
    .addArgument(command.createArgument('<work>', 'what to do with each').choices(['check', 'checksum']))
    .addOption(new Option('--list <file>', 'file with a path on each line, or -').makeOptionMandatory());
  addParentOptions(addShardOptions(command))
    .option('-q, --quiet', 'write nothing about images to standard error')
    .addHelpText('after', EXAMPLES)
    .action(fleet);
}

async function fleet(work: Work, flags: Flags): Promise<void> {
  const shard = shardOf(flags) ?? { index: 0, of: 1 };
  const text = await about(flags.list, () => readList(flags.list));
  const images = text
    .split(/\r?\n/)
    .map((filename, i) => ({ filename, line: i + 1 }))
    .filter(({ filename }) => filename.trim() !== '');
  const mine = [];
  for (const image of images) if ((await partOf(image.filename, shard.of)) === shard.index) mine.push(image);
  const part = { fleet: work, shard, list: checksumText(await crc32c(new TextEncoder().encode(text))) };
  const end: FleetEnd = { ...part, end: true, images: mine.length, all: images.length };
  const output = await openOutput(flags.to, part, end);
  if (output === 'done') return;
  const codes = new Set<number>();
  try {
    for (const { filename, line } of mine) {
      const before = output.done.get(line);
      const result = before ?? { ...part, line, filename, ...(await resultOf(work, filename, flags)) };
      if (result.error?.transient) codes.add(TRY_AGAIN);
      if (isBad(result)) codes.add(1);
      if (result.error && !flags.quiet) complain(new Failure(result.error.message ?? '', { file: filename }));
      if (!before) await output.add(result);
    }
    await output.add(end);
    // What is to be tried again must not look finished.
    await output.close(!codes.has(TRY_AGAIN));
  } finally {
    await output.close(false);
  }
  process.exitCode = codes.has(TRY_AGAIN) ? TRY_AGAIN : codes.has(1) ? 1 : 0;
}

async function readList(file: string): Promise<string> {
  if (file !== '-') return readFile(file, 'utf8');
  const chunks: Buffer[] = [];
  for await (const chunk of process.stdin) chunks.push(chunk);
  return Buffer.concat(chunks).toString();
}

/** Which part an image belongs to: by its name alone, so that a longer list leaves most of them where they are. */
async function partOf(filename: string, of: number): Promise<number> {
  return (await crc32c(new TextEncoder().encode(filename))) % of;
}

async function resultOf(work: Work, filename: string, flags: Flags): Promise<object & Pick<FleetResult, 'error'>> {
  try {
    return await (work === 'check' ? check(filename, flags) : checksum(filename, flags));
  } catch (error) {
    const failure = error instanceof Failure ? error : failureOf(filename, error);
    if (!failure) throw error;
    return { error: { ...errorJson(failure), ...(isTransient(failure) && { transient: true }) } };
  }
}

async function check(filename: string, flags: Flags): Promise<object> {
  const report = await checkVhdx(filename, openOptions(flags));
  if (flags.ignoreParentMismatch) warnOfDoubts(report, filename);
  const { status, counts, findings, unlisted } = report;
  return { image: identitiesOf(report), status, counts, findings: await findingsJson(findings), unlisted };
}

function checksum(filename: string, flags: Flags): Promise<object> {
  return withAnyDisk(filename, flags, async ({ vhdx, vhd }) => {
    const disk = vhdx ?? vhd;
    if (!disk) throw new Failure('is neither a VHDX nor a VHD', { file: filename });
    return { ...(vhdx && { image: imageOf(vhdx) }), checksum: checksumText(await disk.checksum()) };
  });
}

/** Where the lines of a part go. */
interface Output {
  /** What is there already, by the line of the list. */
  readonly done: ReadonlyMap<number, FleetResult>;
  add(line: FleetLine): Promise<void>;
  /** Gives a file its own name if it is complete. */
  close(complete: boolean): Promise<void>;
}

async function openOutput(to: string | undefined, part: object, end: FleetEnd): Promise<Output | 'done'> {
  const write = (line: object) => `${jsonText({ ...jsonHead(), ...line })}\n`;
  if (to === undefined) return { done: new Map(), add: (line) => writeOut(write(line)), close: async () => {} };
  const whole = await linesOf(to, part);
  if (whole.some((line) => isSame(line, { ...jsonHead(), ...end }))) return 'done';
  const partial = `${to}.partial`;
  const before = await linesOf(partial, part);
  const done = new Map<number, FleetResult>();
  for (const line of before) if ('line' in line && !line.error?.transient) done.set(line.line, line);
  let handle: Awaited<ReturnType<typeof open>> | undefined = await about(partial, () => open(partial, 'w'));
  const kept = [...done.values()].map(write).join('');
  await about(partial, async () => handle?.writeFile(kept));
  return {
    done,
    add: (line) => about(partial, async () => handle?.writeFile(write(line))),
    close: async (complete) => {
      const open = handle;
      handle = undefined;
      await about(partial, async () => {
        if (complete) await open?.sync();
        await open?.close();
        if (complete && open) await rename(partial, to);
      });
    },
  };
}

/** The lines of a file that belong to a part: of one that was cut, those before the cut. */
async function linesOf(file: string, part: object): Promise<FleetLine[]> {
  const text = await readFile(file, 'utf8').catch((error: unknown) => {
    if (isSystemError(error) && error.code === 'ENOENT') return '';
    throw failureOf(file, error) ?? error;
  });
  const lines: FleetLine[] = [];
  for (const line of text.split('\n')) {
    try {
      lines.push(...parseLines(line, file, 'of a fleet', (data) => (isFleetLine(data) ? data : undefined)));
    } catch {
      break;
    }
  }
  return lines.filter((line) => isSame({ fleet: line.fleet, shard: line.shard, list: line.list }, part));
}

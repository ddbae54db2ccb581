import { statSync } from 'node:fs';
import type { Command } from 'commander';
import { checkVhdx, openSource, openVhdx, type VhdxDisk, VhdxError } from '../index.js';
import { type PartitionTable, readPartitionTable } from '../volumes/index.js';
import { complain, Failure, failureOf } from './failure.js';
import {
  addImageOptions,
  chainOf,
  type ImageFlags,
  type OpenedDisk,
  openDisk,
  openOptions,
  outputOption,
  warnOfDoubts,
} from './image-options.js';
import { type ImageFacts, imageJson, imageText } from './info-output.js';
import { failureJson, writeJson } from './json.js';
import { writeOut } from './standard-output.js';
import { isUrl } from './terminal.js';

interface Flags extends ImageFlags {
  readonly output: 'human' | 'json';
  readonly backingChain?: true;
}

const EXAMPLES = `
JSON has qemu-img's keys and, under format-specific.data, ours. Several files, or a chain, are an array.
Exit codes: 0, and 1 if an image does not open.

  vhdx info disk.vhdx
  vhdx info --backing-chain checkpoint.avhdx
  vhdx info --output json disk.vhdx | jq '."format-specific".data'
  vhdx info https://example.org/disk.vhdx`;

/** Defines `vhdx info`. */
export function define(command: Command): void {
  command
    .description('Shows what images are: size and type, creator, whether closed cleanly, parent, partitions.')
    .argument('<file...>', 'images')
    .addOption(outputOption())
    .option('--backing-chain', 'show the parents too');
  addImageOptions(command, { formats: ['vhdx', 'raw', 'vpc'] })
    .addHelpText('after', EXAMPLES)
    .action(info);
}

/** What is shown of one member of a chain: its facts, or why there are none. */
type Shown = ImageFacts | Failure;

async function info(files: readonly string[], flags: Flags): Promise<void> {
  const shown: Shown[] = [];
  for (const file of files) {
    for (const member of await factsOf(file, flags)) {
      shown.push(member);
      if (!(member instanceof Failure)) continue;
      complain(member);
      process.exitCode = 1;
    }
  }
  if (flags.output === 'human') {
    const texts = shown.flatMap((member) => (member instanceof Failure ? [] : [imageText(member)]));
    return writeOut((await Promise.all(texts)).join('\n'));
  }
  const all = await Promise.all(
    shown.map((member) => (member instanceof Failure ? failureJson(member) : imageJson(member))),
  );
  await writeJson(flags.backingChain || files.length > 1 ? all : all[0]);
}

/** The facts of an image, and with `--backing-chain` those of its parents, down to the first that cannot be opened. */
async function factsOf(file: string, flags: Flags): Promise<Shown[]> {
  try {
    const { disk, withoutParent } = await open(file, flags);
    try {
      if (!disk.vhdx) return [await factsOfOther(file, disk)];
      const members = flags.backingChain ? chainOf(disk.vhdx) : [disk.vhdx];
      const facts: Shown[] = [];
      for (const [depth, member] of members.entries()) {
        const isLast = member.type === 'differencing' && member.parent === undefined;
        facts.push(await factsOfDisk(member, depth === 0 ? file : undefined, isLast ? withoutParent : undefined));
      }
      if (flags.backingChain && withoutParent) {
        facts.push(withoutParent, ...(await factsBelow(file, members.length, flags)));
      }
      return facts;
    } finally {
      await disk.close();
    }
  } catch (error) {
    const failure = error instanceof Failure ? error : failureOf(file, error);
    if (!failure) throw error;
    return flags.backingChain && error instanceof VhdxError
      ? [failure, ...(await factsBelow(file, 0, flags))]
      : [failure];
  }
}

/** The facts of the members below one that does not open, as far as it still says what its parent is. */
async function factsBelow(file: string, broken: number, flags: Flags): Promise<Shown[]> {
  const shown: Shown[] = [];
  let depth = 0;
  const top = await checkVhdx(file, openOptions(flags)).catch(() => undefined); // why was said before
  for (let report = top; report; report = report.parent, depth++) {
    const { path, status, findings } = report;
    if (depth <= broken || path === undefined) continue;
    if (status !== 'unreadable') return [...shown, ...(await factsOf(path, flags))];
    const fatal = findings.find(({ severity }) => severity === 'fatal');
    shown.push(new Failure(fatal ? `${fatal.structure}: ${fatal.message}` : 'does not open', { file: path }));
  }
  return shown;
}

/** Opens an image; with as much of its chain as opens, because much can be shown of that all the same. */
async function open(file: string, flags: Flags): Promise<{ disk: OpenedDisk; withoutParent?: Failure }> {
  try {
    return { disk: await openDisk(file, flags) };
  } catch (error) {
    if (!(error instanceof VhdxError) || flags.parent === false) throw error;
    const vhdx = await openVhdx(file, { ...openOptions(flags), incompleteChain: 'open' }).catch(() => undefined);
    if (!vhdx) throw error;
    if (flags.ignoreParentMismatch) warnOfDoubts(vhdx, file);
    const disk: OpenedDisk = { format: 'vhdx', source: vhdx, vhdx, guessed: false, close: () => vhdx.close() };
    return { disk, withoutParent: failureOf(file, error) as Failure };
  }
}

async function factsOfDisk(
  disk: VhdxDisk,
  file: string | undefined,
  withoutParent: Failure | undefined,
): Promise<ImageFacts> {
  const filename = file ?? disk.path ?? disk.name ?? '';
  return {
    disk,
    filename,
    format: 'vhdx',
    size: disk.size,
    fileSize: disk.info.fileSize,
    ...allocation(filename),
    partitions: await partitionsOf(disk),
    ...(withoutParent && { withoutParent }),
  };
}

async function factsOfOther(file: string, { format, source, vhd }: OpenedDisk): Promise<ImageFacts> {
  const whole = await openSource(file);
  const fileSize = whole.size;
  await whole.close?.();
  const partitions = await partitionsOf(source);
  return { ...(vhd && { vhd }), filename: file, format, size: source.size, fileSize, ...allocation(file), partitions };
}

/** The partition table; the reason if it cannot be read, because the other facts are known all the same. */
async function partitionsOf(source: Parameters<typeof readPartitionTable>[0]): Promise<PartitionTable | VhdxError> {
  try {
    return await readPartitionTable(source);
  } catch (error) {
    if (error instanceof VhdxError) return error;
    throw error;
  }
}

/** Bytes that a file takes on its disk. */
function allocation(path: string): { readonly allocated?: number } {
  const stats = isUrl(path) ? undefined : statSync(path, { throwIfNoEntry: false });
  return stats?.isFile() ? { allocated: stats.blocks * 512 } : {};
}

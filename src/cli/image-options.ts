import { type Command, Option } from 'commander';
import {
  detectFormat,
  type Finding,
  type OpenOptions,
  openDisk as openAnyDisk,
  openVhdx,
  type RandomAccessSource,
  type VhdDisk,
  type VhdxDisk,
} from '../index.js';
import { about, complain, Failure } from './failure.js';
import { parseCount } from './parse-count.js';
import type { ProgressFlags } from './progress.js';

/** A format that the command reads; `vpc` is a VHD. */
export type InputFormat = 'vhdx' | 'vpc' | 'raw';

/** How the parents of a differencing image are found. */
export interface ParentFlags {
  /** Files and folders named with `--parent`; `false` for `--no-parent`. */
  readonly parent?: readonly string[] | false;
  readonly followParents?: true;
  readonly ignoreParentMismatch?: true;
}

/** What the options that all subcommands share were given as. */
export interface ImageFlags extends ProgressFlags, ParentFlags {
  readonly format?: InputFormat;
  /** `false` for `--no-replay`. */
  readonly replay?: boolean;
  readonly strict?: true;
  /** The partition that is read instead of the whole disk. */
  readonly partition?: number;
}

/** What a subcommand accepts. */
interface Accepted {
  /** The formats of its images; VHDX alone if it is not given. */
  readonly formats?: readonly InputFormat[];
  /** Whether it has `--strict`, which is not for commands that look for faults. */
  readonly strict?: boolean;
  /** Whether it has `--partition`. */
  readonly partition?: boolean;
}

/** Parses a format: `vhd` and `vpc` are the same word. */
function parseFormat(text: string): string {
  return text === 'vhd' ? 'vpc' : text;
}

/** An option that takes a format. */
export function formatOption(flags: string, description: string, formats: readonly string[]): Option {
  const choices = formats.includes('vpc') ? [...formats, 'vhd'] : formats;
  const option = new Option(flags, description).choices([...choices]);
  const parseChoice = option.parseArg;
  return option.argParser((text: string) => parseFormat(String(parseChoice?.(text, undefined) ?? text)));
}

/** The option that chooses the form of the output. */
export function outputOption(): Option {
  return new Option('--output <form>', 'for people or for programs').choices(['human', 'json']).default('human');
}

/** Adds the options that say where the parents of a differencing image are. */
export function addParentOptions(command: Command): Command {
  const collect = (file: string, before: unknown) => [...(Array.isArray(before) ? before : []), file];
  return command
    .option(
      '--parent <path>',
      'file or folder with parents of a differencing image, for its whole chain; may be repeated',
      collect,
    )
    .option('--follow-parents', "open parents outside the image's folder too, if the image names them")
    .option('--ignore-parent-mismatch', 'read a parent that changed after the child was made; may give garbage');
}

/** Adds the options that all subcommands share: how images are opened, and how much is shown. */
export function addImageOptions(
  command: Command,
  { formats = ['vhdx'], strict = true, partition = false }: Accepted = {},
): Command {
  command.addOption(formatOption('-f, --format <format>', 'format of the image, instead of detecting it', formats));
  addParentOptions(command)
    .option('--no-parent', 'open a differencing image alone')
    .option('--no-replay', 'refuse a dirty image instead of replaying its log in memory');
  if (partition) command.option('--partition <number>', 'read this partition instead of the whole disk', parseCount);
  if (strict) command.option('--strict', 'refuse an image that breaks any rule');
  return command
    .option('-q, --quiet', 'show no progress and no notes')
    .option('-p, --progress', 'show progress even if standard error is not a terminal')
    .option('-U, --force-share', 'accepted for scripts of qemu-img: images are opened for reading and never locked');
}

/** The options of the library. */
export function openOptions(flags: ImageFlags): OpenOptions {
  const { parent, followParents, ignoreParentMismatch, replay, strict } = flags;
  return {
    parent,
    followParents: followParents ? 'anywhere' : 'folder',
    ignoreParentMismatch,
    replay: replay === false ? 'refuse' : 'memory',
    strict,
  };
}

/** Opens a VHDX image, does something with it and closes it. Errors become failures about the file. */
export function withDisk<T>(
  file: string,
  flags: ImageFlags,
  work: (disk: VhdxDisk) => Promise<T>,
  more: OpenOptions = {},
): Promise<T> {
  return about(file, async () => {
    const disk = await openVhdx(file, { ...openOptions(flags), ...more });
    warnOfDoubts(disk, file);
    try {
      return await work(disk);
    } finally {
      await disk.close();
    }
  });
}

/** A disk to read, of any format that the command knows. */
export interface OpenedDisk {
  readonly format: InputFormat;
  readonly source: RandomAccessSource;
  /** The disk of a VHDX image. */
  readonly vhdx?: VhdxDisk;
  /** The disk of a VHD. */
  readonly vhd?: VhdDisk;
  /** Whether the format was guessed, because nothing in the file says what it is. */
  readonly guessed: boolean;
  close(): Promise<void>;
}

/**
 * Opens a disk by the format that was asked for, or by the one that the file has. A file of a format that is recognised
 * and cannot be read is a failure; one that is not recognised is read as raw only if `guessRaw` says so.
 */
export async function openDisk(
  file: string,
  flags: ImageFlags,
  guessRaw = false,
  more: OpenOptions = {},
  formatFlag: '-f' | '-F' = '-f',
): Promise<OpenedDisk> {
  const whole = await openWholeDisk(file, flags, guessRaw, more, formatFlag);
  if (flags.partition === undefined) return whole;
  try {
    const { volumeOf } = await import('./files/partition-of.js');
    const source = await volumeOf(whole.source, file, flags.partition);
    return { format: 'raw', source, guessed: false, close: whole.close };
  } catch (error) {
    await whole.close();
    throw error;
  }
}

/** Opens a disk as {@link openDisk} does, whatever partition was asked for. */
export async function openWholeDisk(
  file: string,
  flags: ImageFlags,
  guessRaw = false,
  more: OpenOptions = {},
  formatFlag: '-f' | '-F' = '-f',
): Promise<OpenedDisk> {
  const { format } = flags;
  if (format === 'vhdx') return openAs(file, format, flags, more);
  if (format === 'raw') return openAs(file, format, flags, more);
  if (format === 'vpc') return openAs(file, format, flags, more);
  const detected = await detectFormat(file);
  if (detected?.format === 'vpc') return openAs(file, 'vpc', flags, more);
  if (!guessRaw || detected?.format === 'vhdx') return openAs(file, 'vhdx', flags, more);
  if (detected !== undefined && detected.format !== 'raw') {
    throw new Failure(`this is ${detected.description}; ${formatFlag} raw reads its bytes as they are`, { file });
  }
  return { ...(await openAs(file, 'raw', flags, more)), guessed: true };
}

async function openAs(file: string, format: InputFormat, flags: ImageFlags, more: OpenOptions): Promise<OpenedDisk> {
  const options = { ...openOptions(flags), ...more };
  if (format === 'vhdx') {
    const vhdx = await openVhdx(file, options); // by itself: what reads a VHD is loaded for a VHD
    warnOfDoubts(vhdx, file);
    return { format, source: vhdx, vhdx, guessed: false, close: () => vhdx.close() };
  }
  const { source, vhd, close } = await openAnyDisk(file, { ...options, format: format === 'vpc' ? 'vhd' : format });
  if (vhd) warnOfDoubts(vhd, file);
  return { format, source, ...(vhd && { vhd }), guessed: false, close };
}

/** Opens a disk as {@link openDisk} does, does something with it and closes it. Errors become failures about the file. */
export function withAnyDisk<T>(file: string, flags: ImageFlags, work: (disk: OpenedDisk) => Promise<T>): Promise<T> {
  return about(file, async () => {
    const disk = await openDisk(file, flags);
    try {
      return await work(disk);
    } finally {
      await disk.close();
    }
  });
}

/** Findings that put in doubt what is read, because an option overrode something or another program writes the file: standard error says it each time. */
const DOUBTS = /^(parent-mismatch|parent-unverified|file-being-written|salvage-.*)$/;

/** A member of a chain and what was found about it: a disk, or the report of a check. */
interface Examined {
  readonly findings: readonly Finding[];
  readonly name?: string;
  readonly path?: string;
  readonly parent?: Examined | undefined;
}

/** Says on standard error what puts in doubt what is read of a disk and its parents. */
export function warnOfDoubts(top: Examined, file: string): void {
  for (let member: Examined | undefined = top; member; member = member.parent) {
    const name = member === top ? file : (member.path ?? member.name ?? file);
    for (const { code, structure, message } of member.findings) {
      if (DOUBTS.test(code)) complain(new Failure(`warning: ${structure}: ${message}`, { file: name }));
    }
  }
}

/** The members of a chain, from the disk itself down to its base. */
export function chainOf<Disk extends { readonly parent: Disk | undefined }>(disk: Disk): Disk[] {
  const members: Disk[] = [];
  for (let member: Disk | undefined = disk; member; member = member.parent) members.push(member);
  return members;
}

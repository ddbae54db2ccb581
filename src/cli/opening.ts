import type { Command } from 'commander';
import { type OpenOptions, openVhdx, type VhdxDisk } from '../index.js';
import { about } from './failure.js';

/** What the options that all subcommands share were given as. */
export interface OpeningFlags {
  /** Files named by hand; `false` for `--no-parent`. */
  readonly parent?: readonly string[] | false;
  readonly followParents?: true;
  readonly ignoreParentMismatch?: true;
  /** `false` for `--no-replay`. */
  readonly replay?: boolean;
  readonly strict?: true;
}

/** Adds the options that say how images are opened; `strict` is not for commands that look for faults. */
export function addOpeningOptions(command: Command, { strict = true } = {}): Command {
  const collect = (file: string, before: unknown) => [...(Array.isArray(before) ? before : []), file];
  command
    .option(
      '--parent <path>',
      'file or folder with parents of a differencing image, for its whole chain; may be repeated',
      collect,
    )
    .option('--follow-parents', "open parents outside the image's folder too, where it says that they are")
    .option('--ignore-parent-mismatch', 'read a parent that changed after the child was made; may give garbage')
    .option('--no-parent', 'open a differencing image alone')
    .option('--no-replay', 'refuse a dirty image instead of replaying its log in memory');
  return strict ? command.option('--strict', 'refuse an image that breaks any rule') : command;
}

/** The same in the words of the library. */
export function openOptions(flags: OpeningFlags): OpenOptions {
  const { parent, followParents, ignoreParentMismatch, replay, strict } = flags;
  return {
    parent,
    followParents: followParents ? 'anywhere' : 'folder',
    ignoreParentMismatch,
    replay: replay === false ? 'refuse' : 'memory',
    strict,
  };
}

/** Opens an image, does something with it and closes it. What goes wrong is told of the file. */
export function withDisk<T>(file: string, flags: OpeningFlags, work: (disk: VhdxDisk) => Promise<T>): Promise<T> {
  return about(file, async () => {
    const disk = await openVhdx(file, openOptions(flags));
    try {
      return await work(disk);
    } finally {
      await disk.close();
    }
  });
}

/** The members of a chain, from the disk itself down to its base. */
export function chainOf(disk: VhdxDisk): VhdxDisk[] {
  const members: VhdxDisk[] = [];
  for (let member: VhdxDisk | undefined = disk; member; member = member.parent) members.push(member);
  return members;
}

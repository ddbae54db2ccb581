import { basename } from 'node:path';
import type { Command } from 'commander';
import { editVhdx, findChildren, VhdxError, type WritableVhdxDisk } from '../index.js';
import { about, complain, Failure, interruptible } from './failure.js';
import { addParentOptions, type ParentFlags, warnOfDoubts } from './image-options.js';
import type { ProgressFlags } from './progress.js';

/** The options of commands that write to a disk. */
export interface WriteFlags extends ProgressFlags, ParentFlags {}

/** Adds the options of commands that write to a disk: where parents are, and how much is shown. */
export function addWriteOptions(command: Command): Command {
  return addParentOptions(command)
    .option('-q, --quiet', 'show no progress and no notes')
    .option('-p, --progress', 'show progress even if standard error is not a terminal');
}

/**
 * Opens an image to be written, does something with it and closes it, also if that fails or is interrupted: the file is
 * clean then, and holds all that was written. Errors become failures about the file.
 */
export function withWritableDisk(
  file: string,
  { parent, followParents, ignoreParentMismatch }: WriteFlags,
  work: (disk: WritableVhdxDisk, signal: AbortSignal) => Promise<void>,
): Promise<void> {
  return about(file, () =>
    interruptible(async (signal) => {
      const disk = await editVhdx(file, {
        parent,
        followParents: followParents ? 'anywhere' : 'folder',
        ignoreParentMismatch,
        signal,
        onWarning: warningOf(file),
      });
      const failures: unknown[] = [];
      const keep = (error: unknown): void => void failures.push(error);
      await (async () => {
        warnOfDoubts(disk, file);
        await warnOfChildren(file, signal);
        await work(disk, signal);
      })().catch(keep);
      await disk.close().catch(keep);
      if (failures.length > 0) throw failures[0];
    }),
  );
}

/** Prints a warning about a file to standard error. */
export function warningOf(file: string): (message: string) => void {
  return (message) => complain(new Failure(`warning: ${message}`, { file }));
}

/** Children that a warning names. */
const NAMED = 5;

/** Says which children an image has that do not fit any more when it is changed: once, whatever there are. */
export async function warnOfChildren(file: string, signal: AbortSignal): Promise<void> {
  const warn = warningOf(file);
  try {
    const children = (await findChildren(file, { signal })).map((path) => basename(path));
    if (children.length === 0) return;
    const more = children.length > NAMED ? ` and ${children.length - NAMED} more` : '';
    const which = `${children.slice(0, NAMED).join(', ')}${more}`;
    warn(`is the parent of ${which}: a parent that was changed does not fit its children any more`);
  } catch (error) {
    if (!(error instanceof VhdxError)) throw error;
    warn(`its children could not be looked for: ${error.message}`);
  }
}

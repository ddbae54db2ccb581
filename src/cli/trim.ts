import type { Command } from 'commander';
import { addRangeOptions, changeRange, type RangeFlags } from './range-change.js';

const EXAMPLES = `
For contents that are not needed any more. Whole blocks give back their space in the file and read as zeros afterwards;
parts of blocks, blocks of a parent, and fixed disks stay as they are.
Exit codes: 0, and 1 if the range does not lie on the disk, and then nothing was changed, or if it could not be written.

  vhdx trim --offset 1G --length 64M disk.vhdx`;

/** Defines `vhdx trim`. */
export function define(command: Command): void {
  command.description('Gives back the space of a range of the disk.').argument('<file>', 'image');
  addRangeOptions(command)
    .addHelpText('after', EXAMPLES)
    .action((file: string, flags: RangeFlags) => changeRange('trim', file, flags));
}

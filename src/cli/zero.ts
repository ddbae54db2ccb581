import type { Command } from 'commander';
import { addRangeOptions, changeRange, type RangeFlags } from './range-change.js';

const EXAMPLES = `
Blocks that become zeros as a whole give back their space in the file, unless the disk is fixed.
Exit codes: 0, and 1 if the range does not lie on the disk, and then nothing was changed, or if it could not be written.

  vhdx zero --offset 1G --length 64M disk.vhdx`;

/** Defines `vhdx zero`. */
export function define(command: Command): void {
  command.description('Makes a range of the disk read as zeros.').argument('<file>', 'image');
  addRangeOptions(command)
    .addHelpText('after', EXAMPLES)
    .action((file: string, flags: RangeFlags) => changeRange('zero', file, flags));
}

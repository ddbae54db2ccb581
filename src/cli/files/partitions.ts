import type { Command } from 'commander';
import { jsonHead, kebabKeys } from '../../report/dialect.js';
import { readPartitionTable } from '../../volumes/index.js';
import { addImageOptions, type ImageFlags, outputOption } from '../image-options.js';
import { tableLines } from '../info-output.js';
import { writeJson } from '../json.js';
import { writeOut } from '../standard-output.js';
import { withDiskOf } from './volume.js';

interface Flags extends ImageFlags {
  readonly output: 'human' | 'json';
}

const EXAMPLES = `
The columns are number, first byte, length, and what it is. A table that is damaged is read from its backup, and said.
Exit codes: 0, also if there are no partitions, and 1 if the image does not open.

  vhdx partitions disk.vhdx`;

/** Defines `vhdx partitions`. */
export function define(command: Command): void {
  command.description('Lists the partitions of a disk.').argument('<file>', 'image').addOption(outputOption());
  addImageOptions(command, { formats: ['vhdx', 'raw', 'vpc'] })
    .addHelpText('after', EXAMPLES)
    .action((file: string, flags: Flags) =>
      withDiskOf(file, flags, async (source) => {
        const table = await readPartitionTable(source);
        if (flags.output === 'human') return writeOut(tableLines(table));
        await writeJson({ ...jsonHead(), filename: file, 'partition-table': kebabKeys(table) });
      }),
    );
}

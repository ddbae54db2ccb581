import { type Command, Option } from 'commander';
import { parseByteSize } from './byte-size.js';
import { humanMap, jsonMap, type MapFormat } from './map-text.js';
import { addOpeningOptions, chainOf, type OpeningFlags, withDisk } from './opening.js';
import { GatheredOutput } from './standard-output.js';

interface Flags extends OpeningFlags {
  readonly output: 'human' | 'json';
  readonly startOffset: number;
  readonly maxLength?: number;
}

const EXAMPLES = `
JSON is the array of qemu-img map: start, length, depth, present, zero, data, and offset in the file where there is
data. What nobody can read is present, neither zero nor data, and its damage says why.
Exit codes: 0, and 1 where the image does not open.

  vhdx map disk.vhdx
  vhdx map --output json disk.vhdx | jq '[.[] | select(.data).length] | add'
  vhdx map --start-offset 1T --max-length 1G disk.vhdx`;

/** Defines `vhdx map`. */
export function define(command: Command): void {
  command
    .description('Lists where the bytes of the disk are: in which file of its chain, at which place, or nowhere.')
    .argument('<file>', 'image')
    .addOption(
      new Option('--output <format>', 'for people or for programs').choices(['human', 'json']).default('human'),
    )
    .option('--start-offset <size>', 'first byte of the disk', parseByteSize, 0)
    .option('--max-length <size>', 'number of bytes at most', parseByteSize);
  addOpeningOptions(command).addHelpText('after', EXAMPLES).action(map);
}

async function map(file: string, flags: Flags): Promise<void> {
  await withDisk(file, flags, async (disk) => {
    const format: MapFormat = flags.output === 'json' ? jsonMap() : humanMap(chainOf(disk));
    const offset = Math.min(flags.startOffset, disk.size);
    const length = Math.min(flags.maxLength ?? disk.size, disk.size - offset);
    // There may be millions of extents: they are written as they come, and the map is never whole in memory.
    const output = new GatheredOutput();
    output.add(format.head);
    for await (const extent of disk.extents({ offset, length })) {
      if (!output.add(format.line(extent))) await output.send();
    }
    output.add(format.tail());
    await output.end();
  });
}

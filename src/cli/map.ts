import type { Command } from 'commander';
import type { Extent, VhdxDisk } from '../index.js';
import { jsonText } from '../report/dialect.js';
import { hex, parseByteSize } from './byte-size.js';
import { complain, failureOf } from './failure.js';
import { addImageOptions, chainOf, type ImageFlags, outputOption, withDisk } from './image-options.js';
import { failureJson } from './json.js';
import { BufferedOutput } from './standard-output.js';
import { printable } from './terminal.js';

interface Flags extends ImageFlags {
  readonly output: 'human' | 'json';
  readonly startOffset: number;
  readonly maxLength?: number;
}

const EXAMPLES = `
JSON is the array of qemu-img map: start, length, depth, present, zero, data, and offset in the file if there is data.
What cannot be read is present, neither zero nor data, and its damage says why.
Exit codes: 0, and 1 if the image does not open.

  vhdx map disk.vhdx
  vhdx map --output json disk.vhdx | jq '[.[] | select(.data).length] | add'
  vhdx map --start-offset 1T --max-length 1G disk.vhdx`;

/** Defines `vhdx map`. */
export function define(command: Command): void {
  command
    .description('Lists where the bytes of the disk are: in which file of its chain, at which offset, or nowhere.')
    .argument('<file>', 'image')
    .addOption(outputOption())
    .option('--start-offset <size>', 'first byte of the disk', parseByteSize, 0)
    .option('--max-length <size>', 'number of bytes at most', parseByteSize);
  addImageOptions(command).addHelpText('after', EXAMPLES).action(map);
}

async function map(file: string, flags: Flags): Promise<void> {
  await withDisk(file, flags, async (disk) => {
    const lines: MapLines = flags.output === 'json' ? jsonLines() : humanLines(chainOf(disk));
    const offset = Math.min(flags.startOffset, disk.size);
    const length = Math.min(flags.maxLength ?? disk.size, disk.size - offset);
    // There may be millions of extents: they are written as they come, and the map is never whole in memory.
    const output = new BufferedOutput();
    output.add(lines.head);
    try {
      for await (const extent of disk.extents({ offset, length })) {
        if (!output.add(lines.line(extent))) await output.send();
      }
    } catch (error) {
      const failure = failureOf(file, error);
      if (!failure) throw error;
      // Half a map is written already: an array stays one.
      output.add(lines.failure(failureJson(failure)));
      complain(failure);
      process.exitCode = 1;
    }
    output.add(lines.tail());
    await output.end();
  });
}

/** How a map is written: a head, a line for each extent, and a tail. */
interface MapLines {
  readonly head: string;
  readonly line: (extent: Extent) => string;
  /** What is written if the map cannot be completed. */
  readonly failure: (document: object) => string;
  readonly tail: () => string;
}

const column = (text: string) => text.padEnd(16);

/** A table for people, with the file in which each extent is. `members` are the chain, the disk itself first. */
function humanLines(members: readonly VhdxDisk[]): MapLines {
  const names = members.map(({ name }) => printable(name ?? '?'));
  return {
    head: `${['Offset', 'Length', 'Mapped to'].map(column).join('')}File\n`,
    line({ offset, length, kind, depth, fileOffset, code }) {
      const place = fileOffset === undefined ? (code ?? kind) : hex(fileOffset);
      return `${column(hex(offset))}${column(hex(length))}${column(place)}${names[depth]}\n`;
    },
    failure: () => '',
    tail: () => '',
  };
}

const STATES = {
  data: '"present": true, "zero": false, "data": true',
  zero: '"present": true, "zero": true, "data": false',
  unmapped: '"present": false, "zero": true, "data": false',
  damaged: '"present": true, "zero": false, "data": false',
} as const;

/** The array of `qemu-img map --output=json`. */
function jsonLines(): MapLines {
  let separator = '[';
  const item = (text: string): string => {
    const line = `${separator}${text}`;
    separator = ',\n';
    return line;
  };
  return {
    head: '',
    line({ offset, length, kind, depth, fileOffset, code }) {
      const more =
        fileOffset !== undefined ? `, "offset": ${fileOffset}` : code !== undefined ? `, "damage": "${code}"` : '';
      return item(`{ "start": ${offset}, "length": ${length}, "depth": ${depth}, ${STATES[kind]}${more}}`);
    },
    failure: (document) => item(jsonText(document)),
    // An empty disk has no extents.
    tail: () => (separator === '[' ? '[]\n' : ']\n'),
  };
}

import type { Extent, VhdxDisk } from '../index.js';
import { hex } from './byte-size.js';
import { printable } from './text.js';

/** How a map is written: what stands before it, a line for each extent, and what stands behind it. */
export interface MapFormat {
  readonly head: string;
  readonly line: (extent: Extent) => string;
  readonly tail: () => string;
}

const column = (text: string) => text.padEnd(16);

/** A table for people, with the file that each extent lies in. `members` are the chain, the disk itself first. */
export function humanMap(members: readonly VhdxDisk[]): MapFormat {
  const names = members.map(({ name }) => printable(name ?? '?'));
  return {
    head: `${['Offset', 'Length', 'Mapped to'].map(column).join('')}File\n`,
    line({ offset, length, kind, depth, fileOffset, code }) {
      const place = fileOffset === undefined ? (code ?? kind) : hex(fileOffset);
      return `${column(hex(offset))}${column(hex(length))}${column(place)}${names[depth]}\n`;
    },
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
export function jsonMap(): MapFormat {
  let separator = '[';
  return {
    head: '',
    line({ offset, length, kind, depth, fileOffset, code }) {
      const more =
        fileOffset !== undefined ? `, "offset": ${fileOffset}` : code !== undefined ? `, "damage": "${code}"` : '';
      const line = `${separator}{ "start": ${offset}, "length": ${length}, "depth": ${depth}, ${STATES[kind]}${more}}`;
      separator = ',\n';
      return line;
    },
    // An empty disk has no extents.
    tail: () => (separator === '[' ? '[]\n' : ']\n'),
  };
}

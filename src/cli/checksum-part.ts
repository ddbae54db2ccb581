import { crc32cCombine } from '../index.js';
import { Failure } from './failure.js';

/** The checksum of a part of a disk. Offsets and lengths in bytes. */
export interface ChecksumPart {
  readonly checksum: number;
  readonly offset: number;
  readonly length: number;
  /** Length of the whole disk. */
  readonly size: number;
  readonly name: string;
}

/** A checksum as people compare it: eight hexadecimal digits. */
export function checksumText(checksum: number): string {
  return checksum.toString(16).padStart(8, '0');
}

/** The line of a part: `HEX  OFFSET+LENGTH/SIZE  NAME`. */
export function partLine({ checksum, offset, length, size, name }: ChecksumPart): string {
  return `${checksumText(checksum)}  ${offset}+${length}/${size}  ${name}\n`;
}

/** Reads lines of parts. Empty lines are left out. */
export function parsePartLines(text: string, from: string): ChecksumPart[] {
  const lines = text.split(/\r?\n/).filter((line) => line.trim() !== '');
  return lines.map((line) => {
    const [, checksum, offset, length, size, name] = /^([0-9a-f]{8}) {2}(\d+)\+(\d+)\/(\d+) {2}(.+)$/i.exec(line) ?? [];
    if (checksum === undefined || name === undefined) {
      throw new Failure(`${from}: not a line of checksum --offset or --length: ${JSON.stringify(line.slice(0, 100))}`);
    }
    return {
      checksum: Number.parseInt(checksum, 16),
      offset: Number(offset),
      length: Number(length),
      size: Number(size),
      name,
    };
  });
}

/** Puts the parts of one disk together, in whatever order they come. Throws a {@link Failure} where they do not fill it exactly. */
export async function combineParts(name: string, parts: readonly [ChecksumPart, ...ChecksumPart[]]): Promise<number> {
  const [{ size }] = parts;
  const ordered = [...parts].sort((a, b) => a.offset - b.offset || a.length - b.length);
  let checksum = 0;
  let end = 0;
  let before: ChecksumPart | undefined;
  for (const part of ordered) {
    if (part.size !== size)
      throw new Failure(`${name}: parts of disks of different size, ${size} and ${part.size} bytes`);
    if (part.length === 0 || (before && isSame(before, part))) continue;
    if (part.offset > end) throw gap(name, end, part.offset);
    if (part.offset < end) throw new Failure(`${name}: parts overlap or differ at ${part.offset}`);
    checksum = await crc32cCombine(checksum, part.checksum, part.length);
    end += part.length;
    before = part;
  }
  if (end !== size)
    throw end < size ? gap(name, end, size) : new Failure(`${name}: parts reach ${end}, the disk has ${size} bytes`);
  return checksum;
}

/** A part that was summed twice, as a batch does that tries again. */
function isSame(a: ChecksumPart, b: ChecksumPart): boolean {
  return a.offset === b.offset && a.length === b.length && a.checksum === b.checksum;
}

function gap(name: string, from: number, to: number): Failure {
  return new Failure(`${name}: the part from ${from} to ${to} is missing`);
}

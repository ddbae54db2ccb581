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

/** The same with the checksum as text. */
type PartText = Omit<ChecksumPart, 'checksum'> & { readonly checksum: string };

/** A checksum as people compare it: eight hexadecimal digits. */
export function checksumText(checksum: number): string {
  return checksum.toString(16).padStart(8, '0');
}

/** The line of a disk: `HEX  NAME`. */
export function checksumLine(checksum: string, name: string): string {
  return namedLine(checksum, name);
}

/** The line of a part: `HEX  OFFSET+LENGTH/SIZE  NAME`. */
export function partLine({ checksum, offset, length, size, name }: PartText): string {
  return namedLine(`${checksum}  ${offset}+${length}/${size}`, name);
}

const ESCAPES: Readonly<Record<string, string>> = { '\\': '\\\\', '\n': '\\n', '\r': '\\r' };
const UNESCAPED: Readonly<Record<string, string>> = { '\\\\': '\\', '\\n': '\n', '\\r': '\r' };

/**
 * The border to lines of checksums, by the convention of `sha256sum`: a name with a backslash or a line break has them
 * escaped, and its line begins with a backslash. So no name can forge a line.
 */
function namedLine(start: string, name: string): string {
  const escaped = name.replaceAll(/[\\\n\r]/g, (char) => ESCAPES[char] ?? char);
  return `${escaped === name ? '' : '\\'}${start}  ${escaped}\n`;
}

/** Reads lines of parts. Empty lines are left out. */
export function parsePartLines(text: string, from: string): ChecksumPart[] {
  const lines = text.split(/\r?\n/).filter((line) => line.trim() !== '');
  return lines.map((line) => {
    const parts = /^(\\?)([0-9a-f]{8}) {2}(\d+)\+(\d+)\/(\d+) {2}(.+)$/is.exec(line);
    const [, backslash, checksum, offset, length, size, name] = parts ?? [];
    if (checksum === undefined || name === undefined) {
      const shown = JSON.stringify(line.slice(0, 100));
      throw new Failure(`not a line of checksum --offset or --length: ${shown}`, { file: from });
    }
    return {
      checksum: Number.parseInt(checksum, 16),
      offset: Number(offset),
      length: Number(length),
      size: Number(size),
      name: backslash === '' ? name : name.replaceAll(/\\[\\nr]/g, (pair) => UNESCAPED[pair] ?? pair),
    };
  });
}

/** Puts the parts of one disk together, in any order. Throws a {@link Failure} if they do not fill it exactly. */
export async function combineParts(name: string, parts: readonly [ChecksumPart, ...ChecksumPart[]]): Promise<number> {
  const [{ size }] = parts;
  const ordered = [...parts].sort((a, b) => a.offset - b.offset || a.length - b.length);
  let checksum = 0;
  let end = 0;
  let before: ChecksumPart | undefined;
  for (const part of ordered) {
    if (part.size !== size)
      throw new Failure(`parts of disks of different size, ${size} and ${part.size} bytes`, { file: name });
    if (part.length === 0 || (before && isSame(before, part))) continue;
    if (part.offset > end) throw gap(name, end, part.offset);
    if (part.offset < end) throw new Failure(`parts overlap or differ at ${part.offset}`, { file: name });
    checksum = await crc32cCombine(checksum, part.checksum, part.length);
    end += part.length;
    before = part;
  }
  if (end !== size)
    throw end < size
      ? gap(name, end, size)
      : new Failure(`parts reach ${end}, the disk has ${size} bytes`, { file: name });
  return checksum;
}

/** Whether a part is the same again, as in a batch that was retried. */
function isSame(a: ChecksumPart, b: ChecksumPart): boolean {
  return a.offset === b.offset && a.length === b.length && a.checksum === b.checksum;
}

function gap(name: string, from: number, to: number): Failure {
  return new Failure(`the part from ${from} to ${to} is missing`, { file: name });
}

import type { Extent, RandomAccessSource } from '../io/random-access.js';
import { Status } from './protocol.js';

/** A part of a range: what is stored, what reads as zeros without being stored, or what cannot be read. */
interface Part {
  readonly offset: number;
  readonly length: number;
  readonly kind: 'data' | 'hole' | 'damaged';
}

/** A part of a range, and the bits that `base:allocation` has for it. */
export interface Descriptor {
  readonly length: number;
  readonly status: number;
}

/** Descriptors of a reply at the most: 8 bytes each. What follows, the client asks for. */
const MAX_DESCRIPTORS = 1024;
/** Parts of a read at the most; the rest is read as data. */
const MAX_PARTS = 256;

const kindOf = ({ kind }: Extent): Part['kind'] => (kind === 'zero' || kind === 'unmapped' ? 'hole' : kind);

/** A range in parts, neighbours of one kind joined, as far as the disk knows. */
async function* partsOf(disk: RandomAccessSource, offset: number, length: number): AsyncGenerator<Part> {
  let last: Part | undefined;
  for await (const extent of disk.extents?.({ offset, length }) ?? []) {
    const part: Part = { offset: extent.offset, length: extent.length, kind: kindOf(extent) };
    if (last?.kind === part.kind) last = { ...last, length: last.length + part.length };
    else {
      if (last) yield last;
      last = part;
    }
  }
  yield last ?? { offset, length, kind: 'data' };
}

/** Cuts a range of a read into what has to be read, what is zeros, and what is damaged. */
export async function partsIn(disk: RandomAccessSource, offset: number, length: number): Promise<Part[]> {
  const parts: Part[] = [];
  for await (const part of partsOf(disk, offset, length)) {
    parts.push(part);
    const end = part.offset + part.length;
    if (parts.length < MAX_PARTS || end === offset + length) continue;
    parts.push({ offset: end, length: offset + length - end, kind: 'data' });
    break;
  }
  return parts;
}

/** Says of a range, from its start on, which parts are stored; with `one`, of the first part alone. */
export async function blockStatus(
  disk: RandomAccessSource,
  offset: number,
  length: number,
  one: boolean,
): Promise<Descriptor[]> {
  const descriptors: Descriptor[] = [];
  for await (const part of partsOf(disk, offset, length)) {
    descriptors.push({ length: part.length, status: part.kind === 'hole' ? Status.hole | Status.zero : 0 });
    if (one || descriptors.length === MAX_DESCRIPTORS) break;
  }
  return descriptors;
}

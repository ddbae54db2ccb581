import { MiB } from '../../base/units.js';
import {
  BAT_ENTRY_SIZE,
  type Geometry,
  PayloadState,
  readBatEntry,
  SECTOR_BITMAP_BLOCK_SIZE,
} from '../../format/bat.js';
import type { Space } from '../../image/space.js';
import type { RandomAccessSource, ReadOptions } from '../../io/random-access.js';
import { batPieces } from '../bat-pieces.js';
import type { EntrySet } from './compact-scan.js';

/** A block that moves towards the start of the file. Offsets and length in bytes. */
export interface Move {
  /** Number of its BAT entry; {@link THE_BAT} for the BAT itself. */
  readonly index: number;
  readonly from: number;
  readonly to: number;
  readonly length: number;
}

/** In place of the number of a BAT entry: the BAT region. */
export const THE_BAT = 0xffffffff;

/** Where the blocks are that may have to move. */
interface MovableImage {
  readonly source: RandomAccessSource;
  readonly geometry: Geometry;
  readonly bat: { readonly offset: number; readonly length: number };
  readonly space: Space;
  /** Entries that have given up their space, although the file may not say so yet. */
  readonly released: EntrySet | undefined;
}

/**
 * The blocks that lie, or reach, past the place where the file would end if it had no holes, each as its place in MiB
 * and the number of its BAT entry in one number, in ascending order: none of the others has to move.
 */
export async function blocksPast(image: MovableImage, options: ReadOptions): Promise<BigUint64Array> {
  const { source, geometry, bat, space, released } = image;
  const limit = space.used;
  const period = geometry.chunkRatio + 1;
  let found = new Uint32Array(1024);
  let length = 0;
  const add = (index: number, offset: number) => {
    if (length === found.length) {
      const longer = new Uint32Array(2 * length);
      longer.set(found);
      found = longer;
    }
    found[length++] = index; // the lower half of the number
    found[length++] = offset / MiB;
  };
  for await (const { first, count, view } of batPieces(source, bat.offset, 0, geometry.batEntries, options)) {
    for (let i = 0; i < count; i++) {
      const { state, offset } = readBatEntry(view, i * BAT_ENTRY_SIZE);
      if (offset === 0 || state < PayloadState.FullyPresent) continue;
      const index = first + i;
      if (offset + lengthOf(index, period, geometry) > limit && !released?.has(index)) add(index, offset);
    }
  }
  if (bat.offset + bat.length > limit) add(THE_BAT, bat.offset);
  return new BigUint64Array(found.slice(0, length).buffer).sort();
}

function lengthOf(index: number, period: number, { blockSize }: Geometry): number {
  return index % period === period - 1 ? SECTOR_BITMAP_BLOCK_SIZE : blockSize;
}

/**
 * Plans the moves, the highest block first, each into the lowest hole that it fits into, and takes the hole. Ends when
 * the highest block fits into none, or lies before a structure that stays: then the file cannot get shorter.
 *
 * What a move sets free is past everything that moves after it, so no move needs the space of one before.
 *
 * @param fixedEnd end of the last structure that stays where it is
 */
export function* planMoves(
  { geometry, bat, space }: Pick<MovableImage, 'geometry' | 'bat' | 'space'>,
  blocks: BigUint64Array,
  fixedEnd: number,
): Generator<Move> {
  const words = new Uint32Array(blocks.buffer);
  const period = geometry.chunkRatio + 1;
  /** Where the next hole is looked for, by length: holes before are taken. */
  const starts = new Map<number, number>();
  for (let i = blocks.length - 1; i >= 0; i--) {
    const index = words[2 * i] as number;
    const from = (words[2 * i + 1] as number) * MiB;
    const length = index === THE_BAT ? bat.length : lengthOf(index, period, geometry);
    if (from + length <= fixedEnd) return;
    const to = space.takeHole(length, starts.get(length) ?? MiB, from);
    if (to === undefined) return;
    starts.set(length, to + length);
    yield { index, from, to, length };
  }
}

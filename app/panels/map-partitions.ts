import type { Partition } from '../../src/volumes/index.js';
import { byId, el } from '../dom.js';
import type { MapView } from './map-view.js';

/**
 * For each cell of a view the place in the list of the partition that it holds most of, or -1. Of two that share a cell
 * evenly, as one within another does, the smaller counts.
 */
export function ownersOf(view: MapView, partitions: readonly Partition[]): Int32Array {
  const owner = new Int32Array(view.bins).fill(-1);
  const most = new Float64Array(view.bins);
  const end = view.offset + view.length;
  const largestFirst = [...partitions.keys()].sort((a, b) => lengthOf(partitions, b) - lengthOf(partitions, a));
  for (const place of largestFirst) {
    const { offset = 0, length = 0 } = partitions[place] ?? {};
    const [from, to] = [Math.max(view.offset, offset), Math.min(end, offset + length)];
    if (from >= to) continue;
    const first = Math.floor((from - view.offset) / view.binLength);
    const last = Math.ceil((to - view.offset) / view.binLength);
    for (let cell = first; cell < last; cell++) {
      const start = view.offset + cell * view.binLength;
      const share = Math.min(to, start + view.binLength) - Math.max(from, start);
      if (share < (most[cell] ?? 0)) continue;
      most[cell] = share;
      owner[cell] = place;
    }
  }
  return owner;
}

const lengthOf = (partitions: readonly Partition[], place: number) => partitions[place]?.length ?? 0;

/** What partitions a range of the disk lies in, in words: `partition 3`, `partitions 1 and 2`; empty if in none. */
export function partitionWords(partitions: readonly Partition[], offset: number, length: number): string {
  const inside = partitions.filter((one) => one.offset < offset + length && offset < one.offset + one.length);
  const numbers = inside.map(({ number }) => String(number));
  if (numbers.length > 4) return `${numbers.length} partitions`;
  const last = numbers.pop();
  if (last === undefined) return '';
  return numbers.length === 0 ? `partition ${last}` : `partitions ${numbers.join(', ')} and ${last}`;
}

/** The band below the strip that shows where partitions are on the whole disk. The table has it in words. */
export class PartitionBand {
  readonly #host = byId('map-partitions', HTMLDivElement);

  /** Shows the partitions of a disk of some bytes. */
  show(partitions: readonly Partition[], size: number): void {
    this.#host.replaceChildren(
      ...partitions.map(({ number, name, type, fileSystem, offset, length }, place) => {
        const what = name ?? fileSystem?.label ?? fileSystem?.name ?? type;
        const bar = el('span', { 'data-turn': place % 2 }, `${number} ${what}`);
        bar.style.setProperty('--from', `${(100 * offset) / size}%`);
        bar.style.setProperty('--share', `${(100 * length) / size}%`);
        return bar;
      }),
    );
  }
}

import { WriteTable } from './entries.js';

/**
 * Turns writes into writes that do not overlap, in the order of their offsets: where they overlap, the later one wins.
 *
 * @param order the writes, as numbers of rows of the table, in the order in which they are made
 * @param limit most rows of the result; undefined is returned if there would be more
 */
export function flattenWrites(writes: WriteTable, order: Uint32Array, limit: number): WriteTable | undefined {
  const { offset, length } = writes;
  const startOf = (place: number) => offset[order[place] as number] as number;
  const endOf = (place: number) => startOf(place) + (length[order[place] as number] as number);
  const starts = Uint32Array.from(order, (_, place) => place).sort((a, b) => startOf(a) - startOf(b));
  const borders = new Float64Array(2 * order.length);
  for (let place = 0; place < order.length; place++) {
    borders[2 * place] = startOf(place);
    borders[2 * place + 1] = endOf(place);
  }
  borders.sort();

  const active = new NewestFirst(order.length);
  const result = new WriteTable();
  let next = 0;
  for (let i = 0; i + 1 < borders.length; i++) {
    const from = borders[i] as number;
    const to = borders[i + 1] as number;
    for (; next < starts.length && startOf(starts[next] as number) <= from; next++) active.add(starts[next] as number);
    if (from === to) continue;
    const newest = active.newest((place) => endOf(place) <= from);
    if (newest !== undefined) appendPart(result, writes, order[newest] as number, from, to);
    if (result.count > limit) return undefined;
  }
  return result;
}

function appendPart(result: WriteTable, writes: WriteTable, row: number, from: number, to: number): void {
  const data = writes.data[row] as number;
  const last = result.count - 1;
  if (data !== 0) {
    // Data sectors are as long as they are aligned, so they are only ever replaced as a whole.
    result.add(from, to - from, writes.descriptor[row] as number, data - 1);
  } else if (
    last >= 0 &&
    result.data[last] === 0 &&
    (result.offset[last] as number) + (result.length[last] as number) === from
  ) {
    result.length[last] = to - (result.offset[last] as number);
  } else {
    result.add(from, to - from, writes.descriptor[row] as number, undefined);
  }
}

/** A heap of numbers, the greatest first. */
class NewestFirst {
  readonly #heap: Uint32Array;
  #size = 0;

  constructor(capacity: number) {
    this.#heap = new Uint32Array(capacity);
  }

  add(value: number): void {
    const heap = this.#heap;
    let at = this.#size++;
    heap[at] = value;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if ((heap[parent] as number) >= (heap[at] as number)) return;
      this.#swap(at, parent);
      at = parent;
    }
  }

  /** The greatest number that has not ended; those that have are dropped. */
  newest(hasEnded: (value: number) => boolean): number | undefined {
    while (this.#size > 0 && hasEnded(this.#heap[0] as number)) this.#dropFirst();
    return this.#size > 0 ? this.#heap[0] : undefined;
  }

  #dropFirst(): void {
    const heap = this.#heap;
    this.#size -= 1;
    heap[0] = heap[this.#size] as number;
    for (let at = 0; ; ) {
      let largest = at;
      for (const child of [2 * at + 1, 2 * at + 2]) {
        if (child < this.#size && (heap[child] as number) > (heap[largest] as number)) largest = child;
      }
      if (largest === at) return;
      this.#swap(at, largest);
      at = largest;
    }
  }

  #swap(a: number, b: number): void {
    const heap = this.#heap;
    [heap[a], heap[b]] = [heap[b] as number, heap[a] as number];
  }
}

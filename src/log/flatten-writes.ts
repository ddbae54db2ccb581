import { eventLoopYielder } from '../base/concurrency.js';
import { LOG_SECTOR_SIZE } from '../format/log.js';
import { WriteTable } from './entries.js';

/** Bits of the place of a write among at most 2^20 of them. */
const PLACE_BITS = 20;
/** Parts between two looks at the clock. */
const PARTS_AT_A_TIME = 4096;

/**
 * Turns writes into writes that do not overlap, in the order of their offsets: where they overlap, the later one wins.
 * Lets the event loop turn now and then.
 *
 * @param order the writes, as numbers of rows of the table, in the order in which they are made; 2^20 at most
 * @param limit most rows of the result; undefined is returned if there would be more
 */
export async function flattenWrites(
  writes: WriteTable,
  order: Uint32Array,
  limit: number,
  signal?: AbortSignal,
): Promise<WriteTable | undefined> {
  const { offset, length } = writes;
  const endOf = (place: number) => {
    const row = order[place] as number;
    return (offset[row] as number) + (length[row] as number);
  };
  const yieldToEventLoop = eventLoopYielder();
  const starts = placesByStart(writes, order);
  await yieldToEventLoop();
  const ends = new Float64Array(order.length);
  for (let place = 0; place < ends.length; place++) ends[place] = endOf(place);
  ends.sort();
  await yieldToEventLoop();

  const active = new NewestFirst(order.length);
  const result = new WriteTable();
  let next = 0;
  const startOfNext = () => offset[order[starts[next] as number] as number] ?? Number.POSITIVE_INFINITY;
  let from = startOfNext();
  for (let ended = 0, parts = 0; ended < ends.length; parts++) {
    if (parts % PARTS_AT_A_TIME === 0) {
      signal?.throwIfAborted();
      await yieldToEventLoop();
    }
    for (; startOfNext() <= from; next++) active.add(starts[next] as number);
    const to = Math.min(startOfNext(), ends[ended] as number);
    while ((ends[ended] as number) <= to) ended++;
    if (from < to) {
      const newest = active.newest((place) => endOf(place) <= from);
      if (newest !== undefined) appendPart(result, writes, order[newest] as number, from, to);
      if (result.count > limit) return undefined;
    }
    from = to;
  }
  return result;
}

/**
 * The places of writes in their order, sorted by their offsets. A comparison function for a million of them would hold
 * up everything else for half a second; numbers are sorted without one, and offset and place fit into 64 bits.
 */
function placesByStart({ offset }: WriteTable, order: Uint32Array): Uint32Array {
  const keys = new BigUint64Array(order.length);
  const halves = new Uint32Array(keys.buffer);
  for (let place = 0; place < order.length; place++) {
    const sector = (offset[order[place] as number] as number) / LOG_SECTOR_SIZE;
    halves[2 * place] = (sector % 2 ** (32 - PLACE_BITS)) * 2 ** PLACE_BITS + place;
    halves[2 * place + 1] = Math.floor(sector / 2 ** (32 - PLACE_BITS));
  }
  keys.sort();
  const places = new Uint32Array(order.length);
  for (let i = 0; i < places.length; i++) places[i] = (halves[2 * i] as number) % 2 ** PLACE_BITS;
  return places;
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

import type { OverlayChange } from './overlay.js';

/**
 * Turns writes, in the order in which they were made, into changes that do not overlap, in the order of their offsets:
 * where writes overlap, the later one shows.
 */
export function flattenWrites(writes: readonly OverlayChange[]): OverlayChange[] {
  const starts = writes.map((_, i) => i).sort((a, b) => byOffset(writes, a, b));
  const cuts = new Set<number>();
  for (const { offset, length } of writes) if (length > 0) cuts.add(offset).add(offset + length);
  const borders = Float64Array.from(cuts).sort();
  const active = new NewestFirst();
  const changes: OverlayChange[] = [];
  let next = 0;
  for (let i = 0; i + 1 < borders.length; i++) {
    const [from, to] = [borders[i] as number, borders[i + 1] as number];
    for (let w = starts[next]; w !== undefined && (writes[w] as OverlayChange).offset <= from; w = starts[next]) {
      active.add(w);
      next += 1;
    }
    const newest = active.newest((w) => {
      const write = writes[w] as OverlayChange;
      return write.offset + write.length <= from;
    });
    if (newest !== undefined) pushPart(changes, writes[newest] as OverlayChange, from, to);
  }
  return changes;
}

const byOffset = (writes: readonly OverlayChange[], a: number, b: number) =>
  (writes[a] as OverlayChange).offset - (writes[b] as OverlayChange).offset;

function pushPart(changes: OverlayChange[], write: OverlayChange, from: number, to: number): void {
  const last = changes.at(-1);
  if (write.from === undefined) {
    if (last && last.from === undefined && last.offset + last.length === from) {
      changes[changes.length - 1] = { offset: last.offset, length: to - last.offset };
    } else {
      changes.push({ offset: from, length: to - from });
    }
    return;
  }
  if (write.offset === from && write.length === to - from) changes.push(write);
  else throw new RangeError('a write of data is only ever replaced as a whole');
}

/** A heap of numbers, the greatest first. */
class NewestFirst {
  readonly #heap: number[] = [];

  add(value: number): void {
    const heap = this.#heap;
    let at = heap.push(value) - 1;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if ((heap[parent] as number) >= (heap[at] as number)) return;
      this.#swap(at, parent);
      at = parent;
    }
  }

  /** The greatest number that has not ended; those that have are dropped. */
  newest(hasEnded: (value: number) => boolean): number | undefined {
    while (this.#heap.length > 0 && hasEnded(this.#heap[0] as number)) this.#dropFirst();
    return this.#heap[0];
  }

  #dropFirst(): void {
    const heap = this.#heap;
    const last = heap.pop() as number;
    if (heap.length === 0) return;
    heap[0] = last;
    for (let at = 0; ; ) {
      let largest = at;
      for (const child of [2 * at + 1, 2 * at + 2]) {
        if (child < heap.length && (heap[child] as number) > (heap[largest] as number)) largest = child;
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

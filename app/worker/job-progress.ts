import { type JobProgress, KINDS, type MapBins } from '../protocol.js';

/** Kinds of bytes that cost a read. */
const READ = (['data', 'parent'] as const).map((kind) => KINDS.indexOf(kind));
/** Milliseconds between two reports. */
const REPORT_INTERVAL = 100;

/**
 * The progress of a job that goes through a disk, counted in bytes that must be read, because they take the time. Holes
 * cost nothing, and a disk may have 60 TiB of them.
 */
export class ReadProgress {
  /** Bytes to read before each bin, and at the end those of all. */
  readonly #before: Float64Array;
  readonly #binLength: number;
  readonly #size: number;

  /** `map` holds the sums over the whole disk; if they are not complete, every byte counts alike. */
  constructor(map: MapBins) {
    const complete = map.reached >= map.length;
    const bins = map.bytes.length / KINDS.length;
    this.#size = map.length;
    this.#binLength = complete ? map.binLength : Math.max(1, map.length);
    this.#before = new Float64Array((complete ? bins : 1) + 1);
    if (!complete) this.#before[1] = map.length;
    else {
      for (let bin = 0; bin < bins; bin++) {
        const read = READ.reduce((sum, kind) => sum + (map.bytes[bin * KINDS.length + kind] ?? 0), 0);
        this.#before[bin + 1] = (this.#before[bin] ?? 0) + read;
      }
    }
  }

  /** The progress when the disk is done up to an offset. */
  at(offset: number): JobProgress {
    const bin = Math.min(Math.floor(offset / this.#binLength), this.#before.length - 2);
    const from = this.#before[bin] ?? 0;
    const inBin = (this.#before[bin + 1] ?? 0) - from;
    const width = Math.min(this.#binLength, this.#size - bin * this.#binLength);
    const share = width > 0 ? Math.min(1, (offset - bin * this.#binLength) / width) : 1;
    return { done: offset, total: this.#size, read: from + inBin * share, toRead: this.#before.at(-1) ?? 0 };
  }
}

/** Passes reports on, at most ten a second. */
export function throttled<T>(report: (value: T) => void): (value: T) => void {
  let last = Number.NEGATIVE_INFINITY;
  return (value) => {
    const now = performance.now();
    if (now - last < REPORT_INTERVAL) return;
    last = now;
    report(value);
  };
}

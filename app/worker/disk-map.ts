import type { VhdxDisk } from '../../src/index.js';
import { KINDS, type Kind, type MapBins } from '../protocol.js';

/** Bins of the sums over the whole disk that are kept: a view that needs no finer ones costs nothing. */
const BASE_BINS = 65_536;
/** Bins that are summed at a time: so few that a picture grows while it is made. */
const SLICE = 2_048;
/** Milliseconds between two parts that are reported. */
const PACE = 60;

/** Sums that are being made: `reached` moves on. */
type GrowingBins = MapBins & { reached: number };

/** Called between steps; reports now and then what is there, and lets messages in. */
type Breathe = () => Promise<void>;

/** The narrowest width of a bin, `least` doubled so often, with which a length has at most `limit` bins. */
function binLengthFor(length: number, limit: number, least: number): number {
  let width = least;
  while (Math.ceil(length / width) > limit) width *= 2;
  return width;
}

function emptyBins(offset: number, length: number, binLength: number): GrowingBins {
  const count = Math.ceil(length / binLength);
  return { offset, length, binLength, bytes: new Float64Array(count * KINDS.length), reached: offset };
}

/**
 * What the bytes of a disk are, in bins. Sums over the whole disk are made once, in the core, and kept; what is finer
 * than they are is summed when it is looked at.
 */
export class DiskMap {
  readonly #disk: VhdxDisk;
  readonly #signal: AbortSignal;
  readonly #watchers = new Set<() => void>();
  #base: GrowingBins;
  #complete: Promise<void> | undefined;

  /** `signal` ends all work on the disk. */
  constructor(disk: VhdxDisk, signal: AbortSignal) {
    this.#disk = disk;
    this.#signal = signal;
    this.#base = this.#emptyBase();
  }

  /** The sums over the whole disk, as far as they are made. */
  get base(): MapBins {
    return this.#base;
  }

  /**
   * A range in bins; `onPart` gets what is there meanwhile. The width is the disk's sector size, doubled so often,
   * and the range begins at a multiple of it.
   */
  async view(
    offset: number,
    length: number,
    binLength: number,
    signal: AbortSignal,
    onPart: (bins: MapBins) => void,
  ): Promise<MapBins> {
    if (binLength < this.#base.binLength) {
      const bins = emptyBins(offset, length, binLength);
      await sum(
        this.#disk,
        bins,
        signal,
        paced(() => onPart(bins)),
      );
      return bins;
    }
    const watch = () => {
      if (!signal.aborted) onPart(this.#aggregate(offset, length, binLength));
    };
    this.#watchers.add(watch);
    try {
      this.#complete ??= this.#sumBase();
      await this.#complete;
    } finally {
      this.#watchers.delete(watch);
    }
    return this.#aggregate(offset, length, binLength);
  }

  #emptyBase(): GrowingBins {
    const { size, logicalSectorSize } = this.#disk;
    return emptyBins(0, size, binLengthFor(size, BASE_BINS, logicalSectorSize));
  }

  /** A failure is not kept: who asks again begins again. */
  async #sumBase(): Promise<void> {
    const tell = () => {
      for (const watch of this.#watchers) watch();
    };
    try {
      await sum(this.#disk, this.#base, this.#signal, paced(tell));
    } catch (error) {
      this.#complete = undefined;
      this.#base = this.#emptyBase();
      throw error;
    }
  }

  #aggregate(offset: number, length: number, binLength: number): MapBins {
    const view = emptyBins(offset, length, binLength);
    const base = this.#base;
    const perBin = binLength / base.binLength;
    const first = offset / base.binLength;
    const last = Math.min(base.bytes.length / KINDS.length, Math.ceil((offset + length) / base.binLength));
    for (let i = first; i < last; i++) {
      const place = Math.floor((i - first) / perBin) * KINDS.length;
      for (let kind = 0; kind < KINDS.length; kind++) {
        view.bytes[place + kind] = (view.bytes[place + kind] ?? 0) + (base.bytes[i * KINDS.length + kind] ?? 0);
      }
    }
    view.reached = Math.min(offset + length, Math.max(offset, base.reached));
    return view;
  }
}

function paced(tell: () => void): Breathe {
  let told = performance.now();
  return async () => {
    if (performance.now() - told < PACE) return;
    tell();
    await new Promise((resolve) => setTimeout(resolve));
    told = performance.now();
  };
}

/** Sums a range in the core, and extent by extent if a parent holds a part. */
async function sum(disk: VhdxDisk, bins: GrowingBins, signal: AbortSignal, yieldToEventLoop: Breathe): Promise<void> {
  const { offset, length, binLength } = bins;
  const wholeBins = Math.floor(length / binLength);
  for (let bin = 0; bin * binLength < length; ) {
    signal.throwIfAborted();
    // The core makes bins of one width; the last one may be shorter, and comes by itself.
    const count = Math.max(1, Math.min(SLICE, wholeBins - bin));
    const from = offset + bin * binLength;
    const to = Math.min(from + count * binLength, offset + length);
    const usage = await disk.usage({ offset: from, length: to - from, bins: count, signal });
    const inherits = (i: number) => (usage.parent[i] ?? 0) + (usage.partial[i] ?? 0) > 0;
    for (let i = 0; i < count; ) {
      const start = i;
      while (i < count && inherits(i)) i += 1;
      if (i > start)
        await addExtents(
          disk,
          bins,
          from + start * binLength,
          Math.min(from + i * binLength, to),
          signal,
          yieldToEventLoop,
        );
      if (i >= count) break;
      for (const kind of ['data', 'zero', 'unmapped', 'damaged'] as const) {
        bins.bytes[(bin + i) * KINDS.length + KINDS.indexOf(kind)] = usage[kind][i] ?? 0;
      }
      i += 1;
    }
    bins.reached = to;
    bin += count;
    await yieldToEventLoop();
  }
}

/** Adds what the extents of a range are to the bins that they lie in. */
async function addExtents(
  disk: VhdxDisk,
  bins: GrowingBins,
  from: number,
  to: number,
  signal: AbortSignal,
  yieldToEventLoop: Breathe,
): Promise<void> {
  const { binLength, bytes } = bins;
  for await (const extent of disk.extents({ offset: from, length: to - from, signal })) {
    const kind = KINDS.indexOf(kindOf(extent));
    const end = extent.offset + extent.length;
    for (let at = extent.offset; at < end; ) {
      const bin = Math.floor((at - bins.offset) / binLength);
      const next = Math.min(end, bins.offset + (bin + 1) * binLength);
      bytes[bin * KINDS.length + kind] = (bytes[bin * KINDS.length + kind] ?? 0) + (next - at);
      at = next;
    }
    bins.reached = end;
    await yieldToEventLoop();
  }
}

function kindOf({
  kind,
  depth,
  code,
}: {
  readonly kind: Exclude<Kind, 'parent' | 'absent'>;
  readonly depth: number;
  readonly code?: string;
}): Kind {
  if (kind === 'data' && depth > 0) return 'parent';
  if (kind === 'damaged' && code === 'parent-missing') return 'absent';
  return kind;
}

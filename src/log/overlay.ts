import { checkRead } from '../base/byte-range.js';
import { InFlight } from '../base/concurrency.js';
import { LEADING_BYTES, LOG_SECTOR_SIZE, TRAILING_BYTES } from '../format/log.js';
import type { RandomAccessSource, ReadOptions } from '../io/random-access.js';
import type { LogChanges } from './changes.js';
import type { ReplayPlan } from './plan.js';

/** Reads of one call that may be in flight at a time. */
const READS_IN_FLIGHT = 16;

/** The bytes of a sector that stand in the log's descriptor and not among its data. */
const DISPLACED = TRAILING_BYTES + LEADING_BYTES;

/** A part of a read: where its bytes are in the file, and what belongs into them if they are a change's. */
interface Part {
  readonly target: Uint8Array;
  readonly offset: number;
  readonly change?: { readonly displacedAt: number; readonly skip: number };
}

/**
 * A dirty file as it will be after the replay of its log; the file itself is not written. The bytes of the changes are
 * read from the log when they are needed and never copied, so it stays small whatever they hold.
 */
class OverlaySource implements RandomAccessSource {
  readonly size: number;
  readonly name?: string;
  /** Present if the file has it. */
  readonly readIntoSync?: NonNullable<RandomAccessSource['readIntoSync']>;
  readonly #base: RandomAccessSource;
  readonly #changes: LogChanges;

  constructor(base: RandomAccessSource, { changes, size }: ReplayPlan) {
    this.#base = base;
    this.#changes = changes;
    this.size = size;
    if (base.name !== undefined) this.name = base.name;
    if (base.readIntoSync !== undefined) this.readIntoSync = (target, offset) => this.#readSync(target, offset);
  }

  async readInto(target: Uint8Array, offset: number, options?: ReadOptions): Promise<void> {
    const reads = new InFlight(READS_IN_FLIGHT);
    for (const part of this.#partsOf(target, offset)) {
      if (reads.failed) break;
      await reads.add(this.#read(part, options));
    }
    // All of them end before this one does: nothing writes into the target of a read that has failed.
    await reads.settle();
  }

  async close(): Promise<void> {
    await this.#base.close?.();
  }

  /** What a read consists of: bytes of the file as it is, of changes, and zeros, which are filled in here. */
  *#partsOf(target: Uint8Array, offset: number): Generator<Part> {
    checkRead(this.size, target, offset);
    const changes = this.#changes;
    const end = offset + target.length;
    let at = offset;
    for (let i = changes.firstAfter(offset); at < end; i++) {
      const gapEnd = i < changes.count ? Math.min(end, changes.offset(i)) : end;
      if (gapEnd > at) yield* this.#stored(target.subarray(at - offset, gapEnd - offset), at);
      at = Math.max(at, gapEnd);
      if (i >= changes.count || at >= end) continue;
      const changeEnd = Math.min(end, changes.end(i));
      const part = target.subarray(at - offset, changeEnd - offset);
      const dataOffset = changes.dataOffset(i);
      const skip = at - changes.offset(i);
      if (dataOffset === undefined) part.fill(0);
      else yield { target: part, offset: dataOffset + skip, change: { displacedAt: changes.displacedOffset(i), skip } };
      at = changeEnd;
    }
  }

  /** What was not changed; past the end of the file there are zeros. */
  *#stored(target: Uint8Array, offset: number): Generator<Part> {
    const stored = Math.max(0, Math.min(target.length, this.#base.size - offset));
    target.fill(0, stored);
    if (stored > 0) yield { target: target.subarray(0, stored), offset };
  }

  async #read({ target, offset, change }: Part, options?: ReadOptions): Promise<void> {
    await this.#base.readInto(target, offset, options);
    if (!change) return;
    const displaced = new Uint8Array(DISPLACED);
    await this.#base.readInto(displaced, change.displacedAt, options);
    putBack(displaced, target, change.skip);
  }

  #readSync(target: Uint8Array, offset: number): void {
    for (const part of this.#partsOf(target, offset)) {
      this.#base.readIntoSync?.(part.target, part.offset);
      if (!part.change) continue;
      const displaced = new Uint8Array(DISPLACED);
      this.#base.readIntoSync?.(displaced, part.change.displacedAt);
      putBack(displaced, part.target, part.change.skip);
    }
  }
}

/** Puts the displaced bytes of a sector in their places, in its bytes from number `skip` on. */
function putBack(displaced: Uint8Array, target: Uint8Array, skip: number): void {
  const replace = (bytes: Uint8Array, place: number) => {
    for (let k = 0; k < bytes.length; k++) {
      const at = place + k - skip;
      if (at >= 0 && at < target.length) target[at] = bytes[k] as number;
    }
  };
  replace(displaced.subarray(TRAILING_BYTES), 0);
  replace(displaced.subarray(0, TRAILING_BYTES), LOG_SECTOR_SIZE - TRAILING_BYTES);
}

/** Lays a plan over the file that it was made for. The file belongs to the result, which closes it. */
export function overlay(base: RandomAccessSource, plan: ReplayPlan): RandomAccessSource {
  return new OverlaySource(base, plan);
}

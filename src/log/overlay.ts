import { checkRead } from '../base/byte-range.js';
import { InFlight } from '../base/concurrency.js';
import { LEADING_BYTES, LOG_SECTOR_SIZE, TRAILING_BYTES } from '../format/log.js';
import type { RandomAccessSource, ReadOptions } from '../io/random-access.js';
import type { LogChanges } from './changes.js';
import type { ReplayPlan } from './plan.js';

/** Reads of one call that may be in flight at a time. */
const READS_IN_FLIGHT = 16;

/**
 * A dirty file as it will be after the replay of its log; the file itself is not written. The bytes of the changes are
 * read from the log when they are needed and never copied, so it stays small whatever they hold.
 */
class OverlaySource implements RandomAccessSource {
  readonly size: number;
  readonly name?: string;
  readonly #base: RandomAccessSource;
  readonly #changes: LogChanges;

  constructor(base: RandomAccessSource, { changes, size }: ReplayPlan) {
    this.#base = base;
    this.#changes = changes;
    this.size = size;
    if (base.name !== undefined) this.name = base.name;
  }

  async readInto(target: Uint8Array, offset: number, options?: ReadOptions): Promise<void> {
    checkRead(this.size, target, offset);
    const changes = this.#changes;
    const end = offset + target.length;
    const reads = new InFlight(READS_IN_FLIGHT);
    let at = offset;
    for (let i = changes.firstAfter(offset); at < end && !reads.failed; i++) {
      const gapEnd = i < changes.count ? Math.min(end, changes.offset(i)) : end;
      if (gapEnd > at) await reads.add(this.#readBase(target.subarray(at - offset, gapEnd - offset), at, options));
      at = Math.max(at, gapEnd);
      if (i >= changes.count || at >= end) continue;
      const changeEnd = Math.min(end, changes.end(i));
      const part = target.subarray(at - offset, changeEnd - offset);
      await reads.add(this.#readChange(part, i, at - changes.offset(i), options));
      at = changeEnd;
    }
    // All of them end before this one does: nothing writes into the target of a read that has failed.
    await reads.settle();
  }

  async close(): Promise<void> {
    await this.#base.close?.();
  }

  /** Reads what was not changed; past the end of the file there are zeros. */
  async #readBase(target: Uint8Array, offset: number, options?: ReadOptions): Promise<void> {
    const stored = Math.max(0, Math.min(target.length, this.#base.size - offset));
    target.fill(0, stored);
    if (stored > 0) await this.#base.readInto(target.subarray(0, stored), offset, options);
  }

  /** Reads a change from its byte number `skip` on. */
  async #readChange(target: Uint8Array, i: number, skip: number, options?: ReadOptions): Promise<void> {
    const dataOffset = this.#changes.dataOffset(i);
    if (dataOffset === undefined) {
      target.fill(0);
      return;
    }
    await this.#base.readInto(target, dataOffset + skip, options);
    const displaced = new Uint8Array(TRAILING_BYTES + LEADING_BYTES);
    await this.#base.readInto(displaced, this.#changes.displacedOffset(i), options);
    const replace = (bytes: Uint8Array, place: number) => {
      for (let k = 0; k < bytes.length; k++) {
        const at = place + k - skip;
        if (at >= 0 && at < target.length) target[at] = bytes[k] as number;
      }
    };
    replace(displaced.subarray(TRAILING_BYTES), 0);
    replace(displaced.subarray(0, TRAILING_BYTES), LOG_SECTOR_SIZE - TRAILING_BYTES);
  }
}

/** Lays a plan over the file that it was made for. The file belongs to the result, which closes it. */
export function overlay(base: RandomAccessSource, plan: ReplayPlan): RandomAccessSource {
  return new OverlaySource(base, plan);
}

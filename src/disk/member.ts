import { checkBytes, checkRange } from '../base/byte-range.js';
import { hex } from '../base/bytes.js';
import { InFlight } from '../base/concurrency.js';
import { Kind, type RawExtent } from '../core/bat-calls.js';
import { VhdxError } from '../errors.js';
import type { OpenImage } from '../image/open-image.js';
import { DAMAGE, type Translator } from '../image/translator.js';
import type { Extent, RandomAccessSource, ReadOptions } from '../io/random-access.js';
import type { ArrivingSource } from '../io/sequential-reads.js';
import type { ReplayPlan } from '../log/plan.js';
import { finding } from '../rules.js';
import { inParent } from './chain-member.js';

/** Reads of one call that may be in flight at a time. */
const READS_IN_FLIGHT = 8;
/** Extents that are translated at a time. */
const BATCH = 1024;

const DONE = Promise.resolve();

/** The error of a call that goes through more extents than the caller allows, at an offset on the disk. */
export function tooManyExtents(limit: number, offset: number): VhdxError {
  const message = `there are more than the ${limit} extents that maxExtents allows, up to ${hex(offset)} on the disk`;
  return new VhdxError('limit-exceeded', message);
}

/** One image of a chain: its file as it is after replay, the translation through its BAT, and the next member below. */
export class Member {
  /** Virtual size in bytes. */
  readonly size: number;
  /** The parent; undefined if there is none, or if it was not available. */
  readonly parent: Member | undefined;
  readonly image: OpenImage;
  readonly #hasParent: boolean;
  readonly #translator: Translator;
  readonly #source: RandomAccessSource;
  /** Extents that one call may go through. */
  readonly maxExtents: number;
  /** What errors call its file. */
  readonly place: Pick<RandomAccessSource, 'name' | 'path'>;
  /** Reads at once; undefined if the disk was not opened for that. */
  readSync: ((target: Uint8Array, offset: number) => void) | undefined;
  /** The end of the file before its log was replayed. */
  readonly #storedEnd: number;
  #closed = false;

  constructor(
    image: OpenImage,
    parent: Member | undefined,
    maxExtents = Number.POSITIVE_INFINITY,
    place: Pick<RandomAccessSource, 'name' | 'path'> = image.source,
  ) {
    const { geometry } = image.layout;
    this.size = geometry.virtualSize;
    this.parent = parent;
    this.image = image;
    this.maxExtents = maxExtents;
    this.place = place;
    this.#hasParent = geometry.hasParent;
    this.#source = image.source;
    this.#translator = image.translator;
    this.#storedEnd = image.layout.storedSize;
  }

  /** Whether a file of the chain has bytes that arrive in chunks of its own. */
  get arrives(): boolean {
    const { arriving }: ArrivingSource = this.#source;
    return arriving !== undefined || (this.parent?.arrives ?? false);
  }

  /** Fills `target` with the disk's bytes from `offset` on. A read inside one extent is one read of the source. */
  readInto(target: Uint8Array, offset: number, options?: ReadOptions): Promise<void> {
    try {
      checkBytes(target);
      this.check(offset, target.length, options);
      if (target.length === 0) return DONE;
      const count = this.#translator.begin(offset, target.length);
      const extent = this.#translator.only(count, offset + target.length);
      if (extent === undefined) return this.#readExtents(target, offset, count, options);
      if (extent.kind === Kind.Data) return this.#source.readInto(target, extent.fileOffset, options);
      if (!this.readsAsZeros(extent)) return this.#readExtent(target, extent, options);
      target.fill(0);
      return DONE;
    } catch (error) {
      return Promise.reject(error);
    }
  }

  /**
   * Appends the extents of a range to `out`, those of parents among them, at least one and not many more than
   * `limit`, and returns the offset that it reached.
   */
  async resolve(
    offset: number,
    length: number,
    out: Extent[],
    limit: number,
    depth: number,
    options?: ReadOptions,
  ): Promise<number> {
    this.check(offset, length, options);
    const end = offset + length;
    let at = offset;
    while (at < end && (out.length < limit || at === offset)) {
      const batch: RawExtent[] = [];
      await this.#translator.translate(at, end - at, batch, BATCH, options);
      for (const extent of batch) {
        at = await this.#resolveExtent(extent, out, limit, depth, options);
        if (at < extent.offset + extent.length || out.length >= limit) break;
      }
    }
    return at;
  }

  /** Frees what the member and those below it hold. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    await this.image.close();
    await this.#source.close?.();
    await this.parent?.close();
  }

  /** Throws if a range cannot be read: the disk is closed, or has no such bytes. */
  check(offset: number, length: number, options?: ReadOptions): void {
    options?.signal?.throwIfAborted();
    if (this.#closed) throw new VhdxError('closed', 'the disk was closed');
    checkRange(this.size, offset, length);
  }

  /** Whether an extent is what the parent has there. */
  fallsThrough(extent: RawExtent): boolean {
    return extent.kind === Kind.NotPresent && this.#hasParent;
  }

  /** Whether an extent reads as zeros. */
  readsAsZeros(extent: RawExtent): boolean {
    return extent.kind <= Kind.Unmapped && !this.fallsThrough(extent);
  }

  async #readExtents(target: Uint8Array, offset: number, count: number, options?: ReadOptions): Promise<void> {
    const reads = new InFlight(READS_IN_FLIGHT);
    const end = offset + target.length;
    let begun: number | undefined = count;
    let extents = 0;
    try {
      for (let at = offset; at < end && !reads.failed; ) {
        const batch: RawExtent[] = [];
        at = await this.#translator.translate(at, end - at, batch, BATCH, options, begun);
        begun = undefined;
        extents += batch.length;
        this.limit(extents, at);
        for (const extent of batch) {
          if (reads.failed) break;
          const part = target.subarray(extent.offset - offset, extent.offset - offset + extent.length);
          if (this.readsAsZeros(extent)) part.fill(0);
          else await reads.add(this.#readExtent(part, extent, options));
        }
      }
    } catch (error) {
      reads.fail(error);
    }
    await reads.settle();
  }

  async #readExtent(part: Uint8Array, extent: RawExtent, options?: ReadOptions): Promise<void> {
    if (extent.kind === Kind.Data) return this.#source.readInto(part, extent.fileOffset, options);
    if (!this.fallsThrough(extent)) {
      const { damageError } = await import('../image/bat-findings.js'); // few images have any
      throw damageError(this.image.layout, extent);
    }
    if (!this.parent) throw this.parentMissing(extent);
    const there = this.lengthInParent(extent);
    part.fill(0, there);
    if (there > 0) await this.#readParent(this.parent, part.subarray(0, there), extent.offset, options);
  }

  /** Reads from the parent; its errors get the parent's name. */
  async #readParent(parent: Member, part: Uint8Array, offset: number, options?: ReadOptions): Promise<void> {
    try {
      await parent.readInto(part, offset, options);
    } catch (error) {
      throw parent.named(error);
    }
  }

  /** An error of this member as its child tells it: with the name of the file. */
  named(error: unknown): unknown {
    return error instanceof VhdxError ? inParent(error, this.place) : error;
  }

  /** Throws if a call goes through more extents than the caller allows, at an offset on the disk. */
  limit(extents: number, offset: number): void {
    if (extents > this.maxExtents) throw tooManyExtents(this.maxExtents, offset);
  }

  /** How much of an extent the parent has; past its end there are zeros. */
  lengthInParent({ offset, length }: RawExtent): number {
    return Math.max(0, Math.min(length, (this.parent?.size ?? 0) - offset));
  }

  /** Appends what an extent is and returns the offset that it reached; the parent may stop short. */
  async #resolveExtent(
    extent: RawExtent,
    out: Extent[],
    limit: number,
    depth: number,
    options?: ReadOptions,
  ): Promise<number> {
    const { offset, length, kind, fileOffset } = extent;
    const end = offset + length;
    if (kind === Kind.Data && fileOffset + length > this.#storedEnd) {
      await this.#pushStored(extent, out, depth);
    } else if (kind === Kind.Data) {
      pushExtent(out, { offset, length, kind: 'data', depth, fileOffset });
    } else if (kind === Kind.Zero) {
      pushExtent(out, { offset, length, kind: 'zero', depth });
    } else if (this.readsAsZeros(extent)) {
      pushExtent(out, { offset, length, kind: 'unmapped', depth });
    } else if (!this.fallsThrough(extent)) {
      pushExtent(out, { offset, length, kind: 'damaged', depth, code: DAMAGE[kind] ?? 'bat-reserved-state' });
    } else if (!this.parent) {
      pushExtent(out, { offset, length, kind: 'damaged', depth, code: 'parent-missing' });
    } else {
      const there = this.lengthInParent(extent);
      const reached = there > 0 ? await this.parent.resolve(offset, there, out, limit, depth + 1, options) : offset;
      if (reached < offset + there) return reached;
      if (reached < end) pushExtent(out, { offset: reached, length: end - reached, kind: 'unmapped', depth });
    }
    return end;
  }

  /** Appends an extent that reaches past the end of the file as it is now: what replay adds there is a hole. */
  async #pushStored({ offset, length, fileOffset }: RawExtent, out: Extent[], depth: number): Promise<void> {
    const replay = this.image.examination.replay as ReplayPlan;
    const { storedParts } = await import('../log/stored-parts.js'); // few images are dirty, and fewer grow
    for (const part of storedParts(replay, fileOffset, length)) {
      const place = { offset: offset + part.offset - fileOffset, length: part.length, depth };
      if (part.isStored) pushExtent(out, { ...place, kind: 'data', fileOffset: part.offset });
      else pushExtent(out, { ...place, kind: 'unmapped' });
    }
  }

  /** The error of a read that needs a parent that is not available. */
  parentMissing({ offset, length }: RawExtent): VhdxError {
    const message = `the disk's bytes at ${hex(offset)} are in its parent, and the parent is not available`;
    const place = { structure: 'Parent Locator', facts: { range: { offset, length } } };
    return new VhdxError('parent-missing', message, { ...place, finding: finding('parent-missing', message, place) });
  }
}

/** Appends an extent, or lengthens the last one where this one continues it. */
export function pushExtent(out: Extent[], extent: Extent): void {
  const last = out.at(-1);
  if (last && continues(last, extent)) out[out.length - 1] = { ...last, length: last.length + extent.length };
  else out.push(extent);
}

/** Whether `next` continues `last`, in the file too if it has data there. */
function continues(last: Extent, next: Extent): boolean {
  return (
    last.kind === next.kind &&
    last.depth === next.depth &&
    last.code === next.code &&
    last.offset + last.length === next.offset &&
    (last.fileOffset === undefined || last.fileOffset + last.length === next.fileOffset)
  );
}

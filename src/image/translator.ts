import { type FileRange, findOverlap } from '../base/byte-range.js';
import { eventLoopYielder } from '../base/concurrency.js';
import { MiB } from '../base/units.js';
import { Kind, PAGE_BYTES, pageOfBitmap, type RawExtent } from '../core/bat-calls.js';
import { bitmapEntryIndex, type Geometry, PayloadState, SECTOR_BITMAP_BLOCK_SIZE } from '../format/bat.js';
import type { RandomAccessSource, ReadOptions } from '../io/random-access.js';
import type { RuleCode } from '../rules.js';
import type { BatPages, MissingPage } from './bat-pages.js';

/** What a translator must know of an image. */
export interface TranslatorImage {
  readonly source: RandomAccessSource;
  readonly geometry: Geometry;
  /** File offset of the BAT, in bytes. */
  readonly batOffset: number;
  /** Log and regions, by their offsets: where no block may be. */
  readonly reserved: readonly FileRange[];
  /** Length of a dirty file before its log was replayed, in bytes: what replay adds past it is a hole. No limit otherwise. */
  readonly storedSize: number;
}

/** Bytes of the BAT, or of the sector bitmap block of a chunk, that are new. They lie in one page of 64 KiB. */
export interface MetadataChange {
  /** Undefined for the BAT. */
  readonly chunk?: number;
  /** From the start of the BAT or of the sector bitmap block, in bytes. */
  readonly offset: number;
  readonly bytes: Uint8Array;
}

/** The broken rule, by the kind of an extent that cannot be read. */
export const DAMAGE: Readonly<Record<number, RuleCode>> = {
  [Kind.ReservedState]: 'bat-reserved-state',
  [Kind.PartialWithoutParent]: 'bat-partial-without-parent',
  [Kind.OffsetMissing]: 'bat-offset-missing',
  [Kind.OffsetRange]: 'bat-offset-range',
  [Kind.PastEnd]: 'bat-past-end',
  [Kind.OverlapsStructure]: 'bat-overlap-structure',
  [Kind.BitmapState]: 'bitmap-state',
  [Kind.BitmapMissing]: 'bitmap-missing',
  [Kind.SharedPlace]: 'bat-block-overlap',
  [Kind.SharedBitmap]: 'bat-block-overlap',
};

const PAGES_PER_BITMAP = SECTOR_BITMAP_BLOCK_SIZE / PAGE_BYTES;

/** Appends an extent, or lengthens the last one if this one continues it. */
function pushRawExtent(out: RawExtent[], extent: RawExtent): void {
  const last = out.at(-1);
  const contiguous =
    last?.kind === extent.kind &&
    last.offset + last.length === extent.offset &&
    (extent.kind !== Kind.Data || last.fileOffset + last.length === extent.fileOffset);
  if (last && contiguous) out[out.length - 1] = { ...last, length: last.length + extent.length };
  else out.push(extent);
}

/**
 * Translates virtual offsets of one image into extents of its file. The core walks the pages of the BAT and of the
 * sector bitmaps that are loaded; if it lacks one, the page is loaded and it is called again.
 */
export class Translator {
  readonly #image: TranslatorImage;
  readonly #pages: BatPages;
  #sharedPlaces: readonly FileRange[] = [];

  constructor(image: TranslatorImage, pages: BatPages) {
    this.#image = image;
    this.#pages = pages;
  }

  /** Takes the places that two blocks claim, by their offsets: from now on such blocks are damaged. */
  refuse(sharedPlaces: readonly FileRange[]): void {
    this.#sharedPlaces = sharedPlaces;
  }

  /** Translates a range as far as the loaded pages go; returns the number of extents, good until the next call of the core. */
  begin(offset: number, length: number): number {
    return this.#pages.calls.translate(offset, length, this.#image.source.size);
  }

  /** The one extent that holds the whole range up to `end`, if the translation that has just begun gave `count` of 1. */
  only(count: number, end: number): RawExtent | undefined {
    const extent = this.#pages.calls.onlyExtent(count, end);
    if (extent === undefined || extent.kind === Kind.Partial) return undefined;
    return extent.kind === Kind.Data && this.#damageOf(extent) !== undefined ? undefined : extent;
  }

  /**
   * Appends the extents of a range to `out`, at least one and not many more than `limit`, and returns the offset that
   * it reached. Kinds are those of {@link Kind}.
   *
   * @param begun what {@link begin} gave for the range, if nothing was called since
   */
  async translate(
    offset: number,
    length: number,
    out: RawExtent[],
    limit: number,
    options?: ReadOptions,
    begun?: number,
  ): Promise<number> {
    const walk = this.#walk(offset, length, out, limit, options?.signal, begun);
    let yieldToEventLoop: ReturnType<typeof eventLoopYielder> | undefined;
    for (;;) {
      const { done, value } = walk.next();
      if (done) return value;
      await this.#pages.load(value, options);
      // A hole of terabytes is one extent: a caller that asks for it must be able to abort.
      yieldToEventLoop ??= eventLoopYielder();
      await yieldToEventLoop();
    }
  }

  /** {@link translate} at once, of a source that can be read so. */
  translateSync(offset: number, length: number, out: RawExtent[], limit: number, begun?: number): number {
    const walk = this.#walk(offset, length, out, limit, undefined, begun);
    for (;;) {
      const { done, value } = walk.next();
      if (done) return value;
      this.#pages.loadSync(value);
    }
  }

  /** Translates a range as {@link translate} says; yields the pages that it lacks, and goes on when they are loaded. */
  *#walk(
    offset: number,
    length: number,
    out: RawExtent[],
    limit: number,
    signal: AbortSignal | undefined,
    begun: number | undefined,
  ): Generator<MissingPage, number> {
    const end = offset + length;
    let at = offset;
    let first = begun;
    while (at < end && (out.length < limit || at === offset)) {
      signal?.throwIfAborted();
      const batch = this.#pages.calls.extents(first ?? this.begin(at, end - at));
      const { reached, missing } = this.#pages.calls.outcome();
      first = undefined;
      at = reached;
      for (const extent of batch) {
        let done = extent.offset + extent.length;
        if (extent.kind === Kind.Partial) done = yield* this.#split(extent, out, limit, signal);
        else if (extent.kind === Kind.Data) this.#pushChecked(extent, out);
        else pushRawExtent(out, extent);
        if (out.length >= limit) {
          at = done;
          break;
        }
      }
      if (missing >= 0 && at === reached && at < end) yield { page: missing };
    }
    return at;
  }

  /** Says that bytes of the BAT or of a sector bitmap block changed; they must stay as they are. */
  replace({ chunk, offset, bytes }: MetadataChange): void {
    if (chunk === undefined) {
      this.#pages.replaceBat(offset, bytes);
      return;
    }
    const page = chunk * PAGES_PER_BITMAP + Math.floor(offset / PAGE_BYTES);
    this.#pages.replaceBitmap(page, offset % PAGE_BYTES, bytes);
  }

  /**
   * Appends what a partially present extent, which is in one block, consists of, not much more than `limit`: a bitmap
   * can make very many extents of one block. Returns the offset that it reached.
   */
  *#split(
    extent: RawExtent,
    out: RawExtent[],
    limit: number,
    signal: AbortSignal | undefined,
  ): Generator<MissingPage, number> {
    const end = extent.offset + extent.length;
    let at = extent.offset;
    while (at < end && (out.length < limit || at === extent.offset)) {
      signal?.throwIfAborted();
      const file = extent.fileOffset + (at - extent.offset);
      const { calls } = this.#pages;
      const parts = calls.extents(calls.splitPartial(at, end - at, file, this.#image.source.size));
      const { reached, missing } = calls.outcome();
      for (const part of parts) {
        if (part.kind === Kind.Data) this.#pushChecked(part, out);
        else pushRawExtent(out, part);
      }
      at = reached;
      if (missing < 0) continue;
      const problem = yield* this.#loadBitmapPage(pageOfBitmap(missing));
      if (problem === undefined) continue;
      pushRawExtent(out, { offset: at, length: end - at, kind: problem, fileOffset: 0 });
      return end;
    }
    return at;
  }

  /** Loads a page of a sector bitmap block, or returns why it cannot. `page` counts from the start of the disk. */
  *#loadBitmapPage(page: number): Generator<MissingPage, number | undefined> {
    const { geometry, source } = this.#image;
    const index = bitmapEntryIndex(geometry, Math.floor(page / PAGES_PER_BITMAP));
    let entry = this.#pages.calls.bitmapEntry(index);
    while ('missing' in entry) {
      yield { page: entry.missing };
      entry = this.#pages.calls.bitmapEntry(index);
    }
    const { state, fileOffset } = entry;
    if (state === PayloadState.NotPresent) return Kind.BitmapMissing;
    if (state !== PayloadState.FullyPresent) return Kind.BitmapState;
    const offset = fileOffset + (page % PAGES_PER_BITMAP) * PAGE_BYTES;
    if (fileOffset < MiB || offset + PAGE_BYTES > source.size) return Kind.BitmapState;
    if (findOverlap(this.#image.reserved, fileOffset, SECTOR_BITMAP_BLOCK_SIZE)) return Kind.BitmapState;
    if (findOverlap(this.#sharedPlaces, fileOffset, SECTOR_BITMAP_BLOCK_SIZE)) return Kind.SharedBitmap;
    yield { page, bitmapAt: offset };
    return undefined;
  }

  /**
   * What is wrong with the payload blocks that hold some data: they overlap the log or a region, or share their place
   * with another block. Whole blocks: the part outside of such a place is as doubtful as the part inside.
   */
  #damageOf({ offset, length, fileOffset }: RawExtent): number | undefined {
    const { blockSize } = this.#image.geometry;
    const within = offset % blockSize;
    const blocks = Math.ceil((within + length) / blockSize) * blockSize;
    if (findOverlap(this.#image.reserved, fileOffset - within, blocks)) return Kind.OverlapsStructure;
    if (this.#sharedPlaces.length === 0) return undefined;
    return findOverlap(this.#sharedPlaces, fileOffset - within, blocks) && Kind.SharedPlace;
  }

  /** Appends data; block by block if some of it is damaged, which never happens in a sound image. */
  #pushChecked(extent: RawExtent, out: RawExtent[]): void {
    if (this.#damageOf(extent) === undefined) {
      pushRawExtent(out, extent);
      return;
    }
    const { blockSize } = this.#image.geometry;
    const end = extent.offset + extent.length;
    for (let at = extent.offset; at < end; ) {
      const next = Math.min((Math.floor(at / blockSize) + 1) * blockSize, end);
      const part = {
        offset: at,
        length: next - at,
        kind: extent.kind,
        fileOffset: extent.fileOffset + (at - extent.offset),
      };
      pushRawExtent(out, { ...part, kind: this.#damageOf(part) ?? part.kind });
      at = next;
    }
  }
}

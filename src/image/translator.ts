import { untilAborted } from '../base/abort.js';
import { type FileRange, findOverlap } from '../base/byte-range.js';
import { eventLoopYielder } from '../base/concurrency.js';
import { MiB } from '../base/units.js';
import type { Core } from '../core/instantiate.js';
import { type PageCache, pageCacheOf } from '../core/page-cache.js';
import {
  BAT_ENTRY_SIZE,
  bitmapEntryIndex,
  type Geometry,
  PayloadState,
  SECTOR_BITMAP_BLOCK_SIZE,
} from '../format/bat.js';
import type { RandomAccessSource, ReadOptions } from '../io/random-access.js';
import { Kind, pushRawExtent, type RawExtent } from './raw-extent.js';

/** What a translator must know of an image. */
export interface TranslatorImage {
  readonly source: RandomAccessSource;
  readonly geometry: Geometry;
  /** File offset of the BAT, in bytes. */
  readonly batOffset: number;
  /** Log and regions, by their offsets: where no block may lie. */
  readonly reserved: readonly FileRange[];
}

/** Bytes of a sector bitmap page. */
const BITMAP_PAGE_BYTES = 64 * 1024;
const BITMAP_PAGE = 0x80000000;
/** Pages of the BAT that are read ahead of somebody who goes through it. */
const PAGES_AHEAD = 8;
const PAGES_PER_BITMAP = SECTOR_BITMAP_BLOCK_SIZE / BITMAP_PAGE_BYTES;

/**
 * Translates virtual offsets of one image into extents of its file. The walking is done in the core, on pages of the
 * BAT and of the sector bitmaps in the core's memory; where it lacks one, the page is read and it is asked again.
 */
export class Translator {
  readonly #image: TranslatorImage;
  readonly #core: Core;
  readonly #pages: PageCache;
  /** The number under which the core keeps the image's pages. */
  readonly disk: number;
  readonly #blockShift: number;
  readonly #ratioShift: number;
  readonly #sectorShift: number;
  readonly #batPages: number;
  /** The page that is asked for next by somebody who goes through the BAT. */
  #nextPage = 1;
  readonly #header: number;
  readonly #extents: number;

  constructor(core: Core, image: TranslatorImage) {
    this.#core = core;
    this.#image = image;
    this.#pages = pageCacheOf(core);
    this.disk = this.#pages.addDisk();
    this.#blockShift = Math.log2(image.geometry.blockSize);
    this.#ratioShift = Math.log2(image.geometry.chunkRatio);
    this.#sectorShift = Math.log2(image.geometry.logicalSectorSize);
    this.#batPages = Math.ceil((image.geometry.batEntries * BAT_ENTRY_SIZE) / core.layout.pageBytes);
    this.#header = core.layout.extentsHeader / 8;
    this.#extents = core.layout.extents / 8;
  }

  /**
   * The one extent that holds a whole range, where the core knows it without reading anything; otherwise undefined.
   */
  translateNow(offset: number, length: number): RawExtent | undefined {
    if (this.#walkBat(offset, length) !== 1) return undefined;
    const floats = this.#core.floats;
    if (floats[this.#header] !== offset + length) return undefined;
    const extent = this.#extentAt(0);
    if (extent.kind === PayloadState.PartiallyPresent) return undefined;
    return extent.kind === Kind.Data && this.#blocksOverlapReserved(extent) ? undefined : extent;
  }

  /**
   * Appends the extents of a range to `out`, at least one and not many more than `limit`, and returns the offset that
   * it reached. Kinds are those of {@link Kind}.
   */
  async translate(
    offset: number,
    length: number,
    out: RawExtent[],
    limit: number,
    options?: ReadOptions,
  ): Promise<number> {
    const end = offset + length;
    let at = offset;
    let yieldToEventLoop: ReturnType<typeof eventLoopYielder> | undefined;
    while (at < end && (out.length < limit || at === offset)) {
      options?.signal?.throwIfAborted();
      const count = this.#walkBat(at, end - at);
      const { reached, missing } = this.#outcome();
      const batch = this.#takeExtents(count);
      at = reached;
      for (const extent of batch) {
        let done = extent.offset + extent.length;
        if (extent.kind === PayloadState.PartiallyPresent) done = await this.#split(extent, out, limit, options);
        else if (extent.kind === Kind.Data) this.#pushChecked(extent, out);
        else pushRawExtent(out, extent);
        if (out.length >= limit) {
          at = done;
          break;
        }
      }
      if (missing >= 0 && at === reached && at < end) {
        await this.loadBatPage(missing, options);
        // A hole of terabytes is one extent: whoever asks for it must be able to give it up.
        yieldToEventLoop ??= eventLoopYielder();
        await yieldToEventLoop();
      }
    }
    return at;
  }

  /** Length in bytes of the file as it is after replay: what lies behind it cannot be read. */
  get fileSize(): number {
    return this.#image.source.size;
  }

  /** Frees the image's pages. */
  close(): Promise<void> {
    return this.#pages.removeDisk(this.disk);
  }

  #walkBat(offset: number, length: number): number {
    const { geometry, source } = this.#image;
    return this.#core.exports.translate(
      this.disk,
      offset,
      length,
      this.#blockShift,
      this.#ratioShift,
      source.size,
      geometry.hasParent,
    );
  }

  #outcome(): { reached: number; missing: number } {
    const floats = this.#core.floats;
    return { reached: floats[this.#header] as number, missing: floats[this.#header + 1] as number };
  }

  #extentAt(index: number): RawExtent {
    const floats = this.#core.floats;
    const at = this.#extents + 4 * index;
    return {
      offset: floats[at] as number,
      length: floats[at + 1] as number,
      kind: floats[at + 2] as number,
      fileOffset: floats[at + 3] as number,
    };
  }

  #takeExtents(count: number): RawExtent[] {
    const extents: RawExtent[] = [];
    for (let i = 0; i < count; i++) extents.push(this.#extentAt(i));
    return extents;
  }

  /** Brings a page of the BAT into the core's memory; whoever goes through the BAT gets the next ones on the way too. */
  loadBatPage(page: number, options?: ReadOptions): Promise<void> {
    const load = this.#readBatPage(page);
    if (page === this.#nextPage) {
      const end = Math.min(page + 1 + PAGES_AHEAD, this.#batPages);
      for (let ahead = page + 1; ahead < end; ahead++) {
        // Whoever needs a page that could not be read ahead tries again, and is told.
        if (this.#core.exports.findPage(this.disk, ahead) === 0) this.#readBatPage(ahead).catch(() => undefined);
      }
      this.#nextPage = end;
    } else if (page > this.#nextPage || page + PAGES_AHEAD < this.#nextPage) {
      this.#nextPage = page + 1;
    }
    return untilAborted(load, options?.signal);
  }

  #readBatPage(page: number): Promise<void> {
    const { source, batOffset, geometry } = this.#image;
    return this.#pages.load(this.disk, page, async (slot) => {
      const start = page * slot.length;
      const length = Math.min(slot.length, geometry.batEntries * BAT_ENTRY_SIZE - start);
      await source.readInto(slot.subarray(0, length), batOffset + start);
      slot.fill(0, length);
    });
  }

  /**
   * Appends what a partially present extent, which lies in one block, consists of, not much more than `limit`: a bitmap
   * can make very many extents of one block. Returns the offset that it reached.
   */
  async #split(extent: RawExtent, out: RawExtent[], limit: number, options?: ReadOptions): Promise<number> {
    const end = extent.offset + extent.length;
    let at = extent.offset;
    while (at < end && (out.length < limit || at === extent.offset)) {
      options?.signal?.throwIfAborted();
      const file = extent.fileOffset + (at - extent.offset);
      const { source } = this.#image;
      const count = this.#core.exports.splitPartial(this.disk, at, end - at, file, this.#sectorShift, source.size);
      const { reached, missing } = this.#outcome();
      for (const part of this.#takeExtents(count)) {
        if (part.kind === Kind.Data) this.#pushChecked(part, out);
        else pushRawExtent(out, part);
      }
      at = reached;
      if (missing < 0) continue;
      const problem = await this.#loadBitmapPage(missing - BITMAP_PAGE, options);
      if (problem === undefined) continue;
      pushRawExtent(out, { offset: at, length: end - at, kind: problem, fileOffset: 0 });
      return end;
    }
    return at;
  }

  /** Loads a page of a sector bitmap block, or says why there is none. `page` counts from the start of the disk. */
  async #loadBitmapPage(page: number, options?: ReadOptions): Promise<number | undefined> {
    const { geometry, source } = this.#image;
    const index = bitmapEntryIndex(geometry, Math.floor(page / PAGES_PER_BITMAP));
    let state = this.#core.exports.sectorBitmapEntry(this.disk, index);
    for (let missing = this.#outcome().missing; missing >= 0; missing = this.#outcome().missing) {
      await this.loadBatPage(missing, options);
      state = this.#core.exports.sectorBitmapEntry(this.disk, index);
    }
    const block = this.#core.floats[this.#header + 2] as number;
    if (state === PayloadState.NotPresent) return Kind.BitmapMissing;
    if (state !== PayloadState.FullyPresent) return Kind.BitmapState;
    const offset = block + (page % PAGES_PER_BITMAP) * BITMAP_PAGE_BYTES;
    if (block < MiB || offset + BITMAP_PAGE_BYTES > source.size) return Kind.BitmapState;
    if (this.#overlapsReserved(block, SECTOR_BITMAP_BLOCK_SIZE)) return Kind.BitmapState;
    await untilAborted(
      this.#pages.load(this.disk, BITMAP_PAGE + page, (slot) => source.readInto(slot, offset)),
      options?.signal,
    );
    return undefined;
  }

  #overlapsReserved(fileOffset: number, length: number): boolean {
    return findOverlap(this.#image.reserved, fileOffset, length) !== undefined;
  }

  /**
   * Whether the payload blocks that hold some data overlap the log or a region. Whole blocks: what of one lies outside
   * the structure is as doubtful as what lies inside.
   */
  #blocksOverlapReserved({ offset, length, fileOffset }: RawExtent): boolean {
    const { blockSize } = this.#image.geometry;
    const within = offset % blockSize;
    return this.#overlapsReserved(fileOffset - within, Math.ceil((within + length) / blockSize) * blockSize);
  }

  /** Appends data; block by block where some of it lies on the log or on a region, which data never does. */
  #pushChecked(extent: RawExtent, out: RawExtent[]): void {
    if (!this.#blocksOverlapReserved(extent)) {
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
      pushRawExtent(out, this.#blocksOverlapReserved(part) ? { ...part, kind: Kind.OverlapsStructure } : part);
      at = next;
    }
  }
}

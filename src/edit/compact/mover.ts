import { viewOf } from '../../base/bytes.js';
import { InFlight } from '../../base/concurrency.js';
import { MiB } from '../../base/units.js';
import { BAT_ENTRY_SIZE, readBatEntry, writeBatEntry } from '../../format/bat.js';
import { PAGE_SIZE } from '../../image/page-layer.js';
import type { WriteSession } from '../../image/session.js';
import { writeBatCopy } from '../bat-move.js';
import type { JobImage } from '../job.js';
import { pagesOf, patchPages } from '../page-patches.js';
import type { StoredRegion } from '../stored-region.js';
import { type Move, THE_BAT } from './compact-moves.js';
import type { CompactOptions } from './compact-report.js';

/** Bytes that are copied before they are made durable, and their blocks led to their new places. */
const GROUP_BYTES = 256 * MiB;
/** Pieces of a copy, of 1 MiB each, that are under way at a time: all the memory that it takes. */
const PIECES_IN_FLIGHT = 8;
const PIECE = 1 * MiB;

/**
 * Moves blocks within the file, into holes that were taken for them. What a block holds is copied first; then its entry
 * leads to the new place, and a flush makes both durable in this order. Until then the old place is what counts.
 */
export class Mover {
  readonly #image: JobImage;
  readonly #session: WriteSession;
  readonly #bat: StoredRegion;
  readonly #options: CompactOptions;
  readonly #buffers: Uint8Array[] = [];
  #copies = new InFlight(PIECES_IN_FLIGHT);
  /** Moves whose copies are made or under way, and no entry leads to them. */
  #group: Move[] = [];
  #groupBytes = 0;

  constructor(image: JobImage, session: WriteSession, bat: StoredRegion, options: CompactOptions) {
    this.#image = image;
    this.#session = session;
    this.#bat = bat;
    this.#options = options;
  }

  /** Moves a block, sooner or later. */
  async move(move: Move): Promise<void> {
    this.#group.push(move);
    try {
      this.#options.signal?.throwIfAborted();
      await this.#session.begin(false);
      if (move.index === THE_BAT) {
        await this.#moveBat(move);
        return;
      }
      for (let at = 0; at < move.length && !this.#copies.failed; at += PIECE) {
        await this.#copies.add(this.#copy(move.from + at, move.to + at));
      }
      this.#groupBytes += move.length;
      if (this.#copies.failed || this.#groupBytes >= GROUP_BYTES) await this.end();
    } catch (error) {
      await this.#abandon();
      throw error;
    }
  }

  /** Ends the group: all blocks that were copied are in their new places, and that is durable. */
  async end(): Promise<void> {
    if (this.#group.length === 0) return;
    try {
      await this.#copies.settle();
      await this.#changeEntries();
    } catch (error) {
      await this.#abandon();
      throw error;
    }
    this.#groupBytes = 0;
    await this.#session.flush();
  }

  /** Gives back the places that nothing leads to, when nothing is written to them any more. */
  async #abandon(): Promise<void> {
    await this.#copies.settle().catch(() => undefined);
    for (const { to, length } of this.#group) this.#session.release(to, length);
    this.#group = [];
  }

  async #copy(from: number, to: number): Promise<void> {
    const bytes = this.#buffers.pop() ?? new Uint8Array(PIECE);
    try {
      await this.#image.source.readInto(bytes, from);
      await this.#session.writePayload(bytes, to);
    } finally {
      this.#buffers.push(bytes);
    }
  }

  /** Leads the entries of a group to the new places, those of a page at once. */
  async #changeEntries(): Promise<void> {
    const pages = new Map<number, Move[]>();
    for (const move of this.#group) {
      const at = this.#bat.offset + move.index * BAT_ENTRY_SIZE;
      const page = at - (at % PAGE_SIZE);
      pages.set(page, [...(pages.get(page) ?? []), move]);
    }
    for (const [page, moves] of pages) {
      await this.#session.change({
        pages: [page],
        change: (bytesOf) => {
          const view = viewOf(bytesOf(page));
          for (const { index, to } of moves) {
            const at = this.#bat.offset + index * BAT_ENTRY_SIZE - page;
            writeBatEntry(view, at, { ...readBatEntry(view, at), offset: to });
          }
          this.#group = this.#group.filter((move) => !moves.includes(move));
        },
        frees: moves.map(({ from, length }) => ({ offset: from, length })),
      });
    }
  }

  /** Moves the BAT itself: entries that are to change have changed before, and its copy is one of them all. */
  async #moveBat(move: Move): Promise<void> {
    const { from, to, length } = move;
    this.#group.pop();
    await this.end();
    this.#group.push(move);
    const stored = { source: this.#session.source, offset: from, length };
    await writeBatCopy(
      this.#session,
      stored,
      to,
      length,
      () => undefined,
      () => undefined,
    );
    const patches = this.#bat.place(to, length);
    await this.#session.change({
      pages: [...pagesOf(patches)],
      change: (bytesOf) => {
        patchPages(patches, bytesOf);
        this.#group = [];
      },
      frees: [{ offset: from, length }],
    });
    await this.#session.flush();
  }
}

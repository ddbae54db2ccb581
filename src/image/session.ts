import type { FileRange } from '../base/byte-range.js';
import { MiB } from '../base/units.js';
import type { Crc } from '../format/checksum.js';
import type { Headers } from '../format/header.js';
import type { RandomAccessFile, RandomAccessSource } from '../io/random-access.js';
import { HeaderSlots } from '../log/header-slots.js';
import { Journal, MAX_PAGES, type WriterIdentity } from '../log/journal.js';
import { SessionFile } from '../log/session-file.js';
import { PageLayer } from './page-layer.js';
import type { Allocation, Space } from './space.js';

/** The file grows in steps of this many bytes, because each new length must be made durable; it is cut when it closes. */
const GROWTH = 32 * MiB;

/** Changes to pages that become visible, and durable, together. */
export interface PageChange {
  /** File offsets of the pages, multiples of 4 KiB, none twice. */
  readonly pages: readonly number[];
  /** Changes the bytes of the pages; must not wait. */
  readonly change: (bytesOf: (offset: number) => Uint8Array) => void;
  /** Space that nothing refers to once the changes are made. */
  readonly frees?: readonly Freed[];
  /** End of the space that the pages refer to from now on, in bytes. */
  readonly end?: number;
}

/** Space that was in use. In bytes, multiples of 1 MiB. */
export interface Freed {
  readonly offset: number;
  readonly length: number;
}

/** What a session needs of a file that was examined. */
export interface SessionParts {
  readonly file: RandomAccessFile;
  readonly headers: Headers;
  readonly log: FileRange;
  readonly space: Space;
  readonly crc: Crc;
  readonly identity: WriterIdentity;
  /**
   * Resolves when all reads of the file that run now have ended: until then they may read space that was freed.
   * Undefined if there is none.
   */
  readonly readsEnded: () => Promise<unknown> | undefined;
  /**
   * The DataWriteGuid of the file once a change shows: `keep` leaves it as it is, for changes after which every read
   * gives what it gave before. A new one if it is not given.
   */
  readonly dataWriteGuid?: 'keep' | string | undefined;
}

/**
 * The only way to change an existing VHDX file: pages through the log, payload beside it, in the order that survives a
 * power cut at every write. Opening a session writes nothing; the first change does.
 *
 * ```
 *   begin()              headers with new GUIDs, the file cut to its last structure
 *   allocate(), payload  anything that nothing refers to yet
 *   change()             pages change in memory: reads see it at once
 *   flush()              payload durable, one log entry for all pages that changed, durable
 *   close()              pages in their places, no LogGuid, the file cut
 * ```
 */
export class WriteSession {
  /** The file with all changes, for everything that reads. */
  readonly source: RandomAccessSource;
  /** What sums its structures. */
  readonly crc: Crc;
  readonly #file: SessionFile;
  readonly #headers: HeaderSlots;
  readonly #journal: Journal;
  readonly #layer: PageLayer;
  readonly #space: Space;
  readonly #identity: WriterIdentity;
  readonly #readsEnded: () => Promise<unknown> | undefined;
  readonly #dataWriteGuid: string | undefined;
  #begun: Promise<void> | undefined;
  #begunVisibly: Promise<void> | undefined;
  /** Whether payload may be overwritten in place without waiting. */
  #isBegunVisibly = false;
  /** End of the last structure that durable or waiting pages refer to. */
  #structuresEnd: number;
  /** Space that the changes of pages that wait for a commit set free. */
  #freed: Freed[] = [];
  /** Space that is durably free, and that reads which began before may still look at. */
  readonly #limbo = new Set<readonly Freed[]>();
  /** Space that is free once the log has a new LogGuid. */
  #revoked: Freed[] = [];
  #growing: Promise<void> = Promise.resolve();
  /** The commit that has not closed its group yet: it takes along everything that is written until then. */
  #next: Promise<void> | undefined;
  #running: Promise<void> = Promise.resolve();

  constructor({ file, headers, log, space, crc, identity, readsEnded, dataWriteGuid }: SessionParts) {
    this.crc = crc;
    this.#file = new SessionFile(file);
    this.#headers = new HeaderSlots(this.#file, headers, crc);
    this.#journal = new Journal(this.#file, this.#headers, log, crc, identity);
    this.#layer = new PageLayer(file);
    this.#space = space;
    this.#identity = identity;
    this.#readsEnded = readsEnded;
    this.#dataWriteGuid = dataWriteGuid;
    this.#structuresEnd = space.end;
    this.source = {
      get size() {
        return file.size;
      },
      ...(file.name !== undefined && { name: file.name }),
      ...(file.path !== undefined && { path: file.path }),
      readInto: (target, offset, options) => this.#layer.readInto(target, offset, options),
    };
  }

  /** Whether {@link begin} has resolved for a change that shows. */
  get isBegunVisibly(): boolean {
    return this.#isBegunVisibly;
  }

  /** End of the last structure in bytes: how long the file will be when the session has ended. */
  get end(): number {
    return this.#space.end;
  }

  /**
   * Prepares the file for its first change: rejects if another program changed it since it was examined. Must come
   * before anything else is written.
   *
   * @param visible whether a read of the disk, its size or its metadata will show the change, which a child of the disk
   *   must notice: then DataWriteGuid is new ([MS-VHDX] 2.2.2), unless the session keeps it
   */
  async begin(visible: boolean): Promise<void> {
    this.#file.check();
    if (this.#isBegunVisibly) return;
    const shows = visible && this.#dataWriteGuid !== 'keep';
    if (this.#begun === undefined) {
      this.#begun = this.#begin(shows);
      this.#begun.catch(() => {
        if (this.#file.failure) return;
        // There was no room for the last block: nothing has changed that the next attempt would not change again.
        this.#begun = undefined;
        this.#begunVisibly = undefined;
      });
      if (shows) this.#begunVisibly = this.#begun;
    } else if (shows) {
      this.#begunVisibly ??= this.#begun.then(() => this.#showChange());
    }
    await (shows ? this.#begunVisibly : this.#begun);
    if (visible) this.#isBegunVisibly = true;
  }

  /** A page of 4 KiB as it is now. Read it before the next wait. */
  page(offset: number): Promise<Uint8Array> {
    return this.#layer.read(offset);
  }

  /** Takes space for a structure, which the file is long enough for when it resolves. Nothing refers to it yet. */
  async allocate(length: number): Promise<Allocation> {
    const allocation = this.#space.allocate(length);
    try {
      await this.#growTo(allocation.offset + length);
    } catch (error) {
      this.#space.free(allocation.offset, length);
      throw error;
    }
    return allocation;
  }

  /** Gives back space that nothing has ever referred to. */
  release(offset: number, length: number): void {
    this.#space.free(offset, length);
  }

  /** Writes bytes to space that the caller allocated or that a block owns, past the log. */
  writePayload(bytes: Uint8Array, offset: number): Promise<void> {
    return this.#file.writePayload(bytes, offset);
  }

  /** Changes pages, all at once. What they refer to must have been written before. */
  async change({ pages, change, frees = [], end = 0 }: PageChange): Promise<void> {
    await this.#layer.change(
      pages,
      MAX_PAGES,
      () => this.flush(),
      (bytesOf) => {
        this.#file.check();
        change(bytesOf);
        this.#freed.push(...frees);
        this.#structuresEnd = Math.max(this.#structuresEnd, end);
      },
    );
  }

  /** Makes everything durable that was written and changed before the call. Callers at one time share one commit. */
  flush(): Promise<void> {
    if (this.#begun === undefined) return Promise.resolve();
    this.#next ??= this.#schedule();
    return this.#next;
  }

  /** Ends the session: everything in its place, the log empty, the file as long as it must be. */
  async close(): Promise<void> {
    if (this.#begun === undefined) return;
    await this.flush();
    await this.#journal.close();
    for (const freed of [...this.#limbo, this.#revoked.splice(0)]) this.#reuse(freed);
    this.#limbo.clear();
    await this.#file.cut(this.#space.end);
    await this.#file.flush();
  }

  async #begin(visible: boolean): Promise<void> {
    await this.#headers.verify();
    const dataWriteGuid = visible ? { dataWriteGuid: this.#newDataWriteGuid() } : {};
    await this.#headers.updateBoth({ fileWriteGuid: this.#identity.guid(), ...dataWriteGuid });
    // What the tail holds is unknown: payload of a session that was cut off, for instance.
    await this.#file.cut(this.#space.end);
    await this.#growTo(this.#space.end);
  }

  async #showChange(): Promise<void> {
    await this.#headers.updateBoth({ dataWriteGuid: this.#newDataWriteGuid() });
  }

  #newDataWriteGuid(): string {
    return this.#dataWriteGuid ?? this.#identity.guid();
  }

  /** Lengthens the file, one call after the other: a shorter length must not come after a longer one. */
  #growTo(end: number): Promise<void> {
    const grown = this.#growing.then(async () => {
      if (this.#file.size >= end) return;
      try {
        await this.#file.extend(end + GROWTH);
      } catch {
        await this.#file.extend(end); // less may fit
      }
    });
    this.#growing = grown.catch(() => undefined);
    return grown;
  }

  #schedule(): Promise<void> {
    const commit = this.#running
      .catch(() => undefined)
      .then(() => this.#commit())
      .finally(() => {
        if (this.#next === commit) this.#next = undefined;
      });
    this.#running = commit;
    return commit;
  }

  async #commit(): Promise<void> {
    await this.#headers.verify();
    let freed: Freed[] = [];
    await this.#journal.commit(() => {
      this.#next = undefined;
      this.#layer.settle();
      if (this.#layer.changedPages === 0) return undefined;
      freed = this.#freed;
      this.#freed = [];
      return { pages: this.#layer.close(), structuresEnd: this.#structuresEnd };
    });
    this.#reuse(this.#revoked.splice(0));
    if (freed.length === 0) return;
    this.#limbo.add(freed);
    const reuse = () => {
      if (this.#limbo.delete(freed)) this.#reuse(freed);
    };
    const ended = this.#readsEnded();
    if (ended === undefined) reuse();
    else void ended.then(reuse);
  }

  /** Makes space available that was freed, if no entry of the log writes there. */
  #reuse(freed: readonly Freed[]): void {
    for (const range of freed) {
      const { offset, length } = range;
      if (this.#journal.writesInto(offset, length)) {
        this.#revoked.push(range);
        continue;
      }
      this.#layer.forget(offset, length);
      this.#space.free(offset, length);
    }
  }
}

import type { FileRange } from '../base/byte-range.js';
import { MiB } from '../base/units.js';
import type { Crc } from '../format/checksum.js';
import { randomGuid, ZERO_GUID } from '../format/guid.js';
import { encodeLogEntry, LOG_SECTOR_SIZE, logEntryLength } from '../format/log.js';
import type { HeaderSlots } from './header-slots.js';
import type { SessionFile } from './session-file.js';

/** Pages of 4 KiB that become durable together, and what the file must be like for them. */
export interface LogGroup {
  /** The pages by their file offsets. */
  readonly pages: ReadonlyMap<number, Uint8Array>;
  /** End of the last structure of the file, what the pages refer to included; in bytes, a multiple of 1 MiB. */
  readonly structuresEnd: number;
}

/** Where GUIDs and the first sequence number come from; injected by tests, so that a run can be repeated. */
export interface WriterIdentity {
  /** A new random GUID, lower case, no braces. */
  guid(): string;
  /** The sequence number of the first log entry; from 1 on. */
  firstSequenceNumber(): bigint;
}

/** Random GUIDs and a random first sequence number. */
export const randomIdentity: WriterIdentity = {
  guid: () => randomGuid(),
  firstSequenceNumber: () => BigInt(crypto.getRandomValues(new Uint32Array(1))[0] as number) + 1n,
};

/** Pages in an entry at most: all of their descriptors fit into one sector, which is what QEMU replays. */
export const MAX_PAGES = 126;

/**
 * The journal of a write session ([MS-VHDX] 2.3): makes groups of pages durable in the log before they are written to
 * their places.
 *
 * ```
 *   closed ──first commit()──► open ──commit()──► ... ──close()──► closed
 *                                │
 *                                └── a write or flush fails ──► failed: nothing is written any more
 * ```
 *
 * Invariants, by the numbers that the checks below carry:
 *
 * 1. A log entry is written only after everything that its pages refer to is durable (flush F1 of {@link commit}).
 * 2. A page is written to its place only after the entry that has it is durable (F2), and exactly as it was logged.
 * 3. The headers carry a LogGuid only while the ring holds a valid entry of that LogGuid: the empty entry at its start
 *    is durable first. Both headers are written, and again when the LogGuid is cleared.
 * 4. Every entry is its own Tail: F1 comes after the pages of the entry before are in their places, so that it makes
 *    them durable there, and nothing older ever has to be replayed.
 * 5. No entry goes round the ring's end: each lap has a LogGuid of its own and begins at ring offset 0. Until both
 *    headers name it, the last entry of the lap before, which is whole, is the one that counts.
 * 6. FlushedFileOffset is never greater than the file that the last flush left, LastFileOffset never greater than needed.
 * 7. Nothing is written past the log into space that an entry of the LogGuid writes to: see {@link writesInto}.
 * 8. After the first failed write or flush nothing more is written: what reached the disk is unknown, and only
 *    replaying the log from the file can tell.
 */
export class Journal {
  readonly #file: SessionFile;
  readonly #headers: HeaderSlots;
  readonly #log: FileRange;
  readonly #crc: Crc;
  readonly #identity: WriterIdentity;
  /** Length of the ring, in sectors of 4 KiB. */
  readonly #sectors: number;
  #guid = ZERO_GUID;
  /** The sector of the ring that the next entry is written to. */
  #head = 0;
  #sequenceNumber: bigint;
  /** Pages that an entry of the LogGuid has, by their file offsets. */
  #logged = new Set<number>();
  /** Writes the pages of the newest entry to their places. */
  #applying: Promise<void> = Promise.resolve();

  /** @param log the log's place in the file */
  constructor(file: SessionFile, headers: HeaderSlots, log: FileRange, crc: Crc, identity: WriterIdentity) {
    this.#file = file;
    this.#headers = headers;
    this.#log = log;
    this.#crc = crc;
    this.#identity = identity;
    this.#sectors = log.length / LOG_SECTOR_SIZE;
    this.#sequenceNumber = identity.firstSequenceNumber();
  }

  /** Whether the headers carry a LogGuid: the log must be replayed if the session ends here. */
  get isOpen(): boolean {
    return this.#guid !== ZERO_GUID;
  }

  /**
   * Whether an entry of the LogGuid writes into a range of the file. Those before the Tail are not replayed
   * ([MS-VHDX] 2.3.3), but QEMU does it: what is written past the log must not be there until the next lap.
   */
  writesInto(offset: number, length: number): boolean {
    if (length / LOG_SECTOR_SIZE < this.#logged.size) {
      for (let at = offset; at < offset + length; at += LOG_SECTOR_SIZE) if (this.#logged.has(at)) return true;
      return false;
    }
    for (const at of this.#logged) if (at >= offset && at < offset + length) return true;
    return false;
  }

  /**
   * Makes everything durable that was written to the file before the call, and the pages of a group with it. Resolves
   * at the commit point; the pages are written to their places afterwards. One call at a time.
   *
   * @param close takes the pages that wait, as they are at that moment; undefined if there are none
   */
  async commit(close: () => LogGroup | undefined): Promise<void> {
    await this.#applying; // what F1 makes durable, the next Tail leaves behind
    this.#file.check();
    const group = close();
    await this.#file.flush(); // F1
    if (!group) return;
    if (!this.isOpen || !this.#hasRoom(group.pages.size)) await this.#beginLap(group.structuresEnd);
    await this.#append(group); // F2, the commit point
    this.#applying = this.#apply(group);
    this.#applying.catch(() => undefined); // the next call says so
  }

  /** Clears the LogGuid of both headers after all pages are durable in their places. */
  async close(): Promise<void> {
    await this.#applying;
    await this.#file.flush();
    if (!this.isOpen) return;
    await this.#headers.updateBoth({ logGuid: ZERO_GUID });
    this.#guid = ZERO_GUID;
    this.#logged.clear();
  }

  /** Uses the ring from its start, under a new LogGuid, which the headers name once its first entry is durable. */
  async #beginLap(structuresEnd: number): Promise<void> {
    this.#head = 0;
    this.#guid = this.#identity.guid();
    await this.#append({ pages: new Map(), structuresEnd });
    await this.#headers.updateBoth({ logGuid: this.#guid });
    this.#logged.clear();
  }

  /** Whether an entry for so many pages fits before the ring's end. One sector stays empty: head and tail must differ. */
  #hasRoom(pages: number): boolean {
    return this.#head + logEntryLength(pages, pages) / LOG_SECTOR_SIZE < this.#sectors;
  }

  async #append({ pages, structuresEnd }: LogGroup): Promise<void> {
    assert(pages.size <= MAX_PAGES, 'an entry has one descriptor sector');
    const sector = this.#head;
    const bytes = encodeLogEntry(
      {
        logGuid: this.#guid,
        sequenceNumber: this.#sequenceNumber,
        tail: sector,
        flushedFileOffset: Math.floor(this.#file.durableSize / MiB) * MiB,
        lastFileOffset: structuresEnd,
        writes: [...pages].map(([offset, page]) => ({ offset, bytes: page })),
      },
      this.#crc,
    );
    assert(sector * LOG_SECTOR_SIZE + bytes.length <= this.#log.length, 'no entry goes round the end of the ring');
    assert(structuresEnd <= this.#file.durableSize, 'the file is as long as its structures need');
    await this.#file.write(bytes, this.#log.offset + sector * LOG_SECTOR_SIZE);
    for (const offset of pages.keys()) this.#logged.add(offset);
    this.#head += bytes.length / LOG_SECTOR_SIZE;
    this.#sequenceNumber += 1n;
    await this.#file.flush();
  }

  /** Writes pages to their places, neighbours in one write. */
  async #apply({ pages }: LogGroup): Promise<void> {
    const offsets = [...pages.keys()].sort((a, b) => a - b);
    const runs: number[][] = [];
    for (const offset of offsets) {
      const run = runs.at(-1);
      if (run && (run.at(-1) as number) + LOG_SECTOR_SIZE === offset) run.push(offset);
      else runs.push([offset]);
    }
    for (const run of runs) {
      const bytes = new Uint8Array(run.length * LOG_SECTOR_SIZE);
      for (const [i, offset] of run.entries()) bytes.set(pages.get(offset) as Uint8Array, i * LOG_SECTOR_SIZE);
      await this.#file.write(bytes, run[0] as number);
    }
  }
}

function assert(condition: boolean, what: string): asserts condition {
  if (!condition) throw new Error(`journal: ${what}`);
}

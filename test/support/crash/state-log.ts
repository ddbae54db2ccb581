import { CHUNK_SIZE, Chunk, PAGE_SIZE, type PageImage, ZERO_PAGE } from './page-image.js';
import {
  guidText,
  hasRightChecksum,
  type Memory,
  must,
  number64,
  remember,
  startsWith,
  viewOf,
} from './state-bytes.js';

/** The log as the current header describes it. */
export interface LogPlace {
  readonly offset: number;
  readonly length: number;
  readonly guid: string;
}

/** What a descriptor does to the file: new content for a page, or zeros for a range. */
export interface LoggedChange {
  readonly offset: number;
  readonly length: number;
  /** The page's new content; undefined for zeros. */
  readonly page: Uint8Array | undefined;
}

/** A valid log entry ([MS-VHDX] 2.3.1). */
export interface StateLogEntry {
  /** Offset in the ring. */
  readonly position: number;
  readonly length: number;
  readonly tail: number;
  readonly sequenceNumber: bigint;
  readonly flushedFileOffset: number;
  readonly lastFileOffset: number;
  readonly changes: readonly LoggedChange[];
}

/** What the first page of an entry says of itself. */
interface EntryHead {
  readonly guid: string;
  readonly length: number;
  readonly tail: number;
  readonly sequenceNumber: bigint;
  readonly count: number;
  readonly descriptorSectors: number;
}

const heads = new WeakMap<Uint8Array, EntryHead | 'none'>();

function headOf(first: Uint8Array): EntryHead | undefined {
  if (first === ZERO_PAGE) return undefined;
  let head = heads.get(first);
  if (head === undefined) {
    head = startsWith(first, 'loge') ? parseHead(first) : 'none';
    heads.set(first, head);
  }
  return head === 'none' ? undefined : head;
}

function parseHead(first: Uint8Array): EntryHead {
  const view = viewOf(first);
  const count = view.getUint32(24, true);
  return {
    guid: guidText(first, 32),
    length: view.getUint32(8, true),
    tail: view.getUint32(12, true),
    sequenceNumber: view.getBigUint64(16, true),
    count,
    descriptorSectors: Math.ceil((64 + 32 * count) / PAGE_SIZE),
  };
}

/** The LogGuid of what begins like an entry at an offset of the file. */
export function entryGuidAt(image: PageImage, offset: number): string | undefined {
  return headOf(image.page(offset / PAGE_SIZE))?.guid;
}

const entries: Memory<Map<number, StateLogEntry | undefined>> = new WeakMap();

/** Reads a log entry; undefined where none of this GUID is valid at this place. */
function readLogEntry(image: PageImage, log: LogPlace, position: number): StateLogEntry | undefined {
  const head = headOf(image.page((log.offset + position) / PAGE_SIZE));
  if (head === undefined || head.guid !== log.guid) return undefined;
  const { length, tail, sequenceNumber, descriptorSectors } = head;
  if (length === 0 || length % PAGE_SIZE !== 0 || length > log.length) return undefined;
  if (tail % PAGE_SIZE !== 0 || tail >= log.length || sequenceNumber === 0n) return undefined;
  if (descriptorSectors * PAGE_SIZE > length) return undefined;
  const pages = Array.from({ length: length / PAGE_SIZE }, (_, i) =>
    image.page((log.offset + ((position + i * PAGE_SIZE) % log.length)) / PAGE_SIZE),
  );
  const known = remember(entries, pages, () => new Map());
  if (!known.has(position)) known.set(position, parseEntry(pages, position, head));
  return known.get(position);
}

function parseEntry(pages: readonly Uint8Array[], position: number, head: EntryHead): StateLogEntry | undefined {
  if (!hasRightChecksum(pages)) return undefined;
  const changes = readChanges(pages, head.count, head.descriptorSectors, head.sequenceNumber);
  if (changes === undefined) return undefined;
  const view = viewOf(pages[0] as Uint8Array);
  return {
    position,
    length: head.length,
    tail: head.tail,
    sequenceNumber: head.sequenceNumber,
    flushedFileOffset: number64(view, 48, 'FlushedFileOffset'),
    lastFileOffset: number64(view, 56, 'LastFileOffset'),
    changes,
  };
}

function readChanges(
  pages: readonly Uint8Array[],
  count: number,
  descriptorSectors: number,
  sequenceNumber: bigint,
): LoggedChange[] | undefined {
  let data = descriptorSectors;
  const changes: LoggedChange[] = [];
  for (let i = 0; i < count; i++) {
    const at = 64 + 32 * i;
    const descriptor = (pages[Math.floor(at / PAGE_SIZE)] as Uint8Array).subarray(at % PAGE_SIZE);
    const view = viewOf(descriptor);
    if (view.getBigUint64(24, true) !== sequenceNumber) return undefined;
    const offset = number64(view, 16, 'a descriptor’s FileOffset');
    if (offset % PAGE_SIZE !== 0) return undefined;
    if (startsWith(descriptor, 'zero')) {
      const length = number64(view, 8, 'ZeroLength');
      if (length % PAGE_SIZE !== 0) return undefined;
      changes.push({ offset, length, page: undefined });
      continue;
    }
    const sector = pages[data++];
    if (!startsWith(descriptor, 'desc') || sector === undefined || !startsWith(sector, 'data')) return undefined;
    const sectorView = viewOf(sector);
    const high = BigInt(sectorView.getUint32(4, true));
    const low = BigInt(sectorView.getUint32(4092, true));
    if ((high << 32n) + low !== sequenceNumber) return undefined;
    const page = sector.slice();
    page.set(descriptor.subarray(8, 16), 0);
    page.set(descriptor.subarray(4, 8), 4092);
    changes.push({ offset, length: PAGE_SIZE, page });
  }
  return data === pages.length ? changes : undefined;
}

/** What is in the chunks of a log, by the GUID that is looked for. */
const contents: Memory<Map<string, Map<number, StateLogEntry>>> = new WeakMap();

/** All valid entries of the log's GUID, by their places. */
export function readLogEntries(image: PageImage, log: LogPlace): ReadonlyMap<number, StateLogEntry> {
  const byGuid = remember(contents, image.freeze().chunksIn(log.offset, log.length), () => new Map());
  let found = byGuid.get(log.guid);
  if (found === undefined) {
    found = new Map<number, StateLogEntry>();
    for (let position = 0; position < log.length; position += PAGE_SIZE) {
      const entry = readLogEntry(image, log, position);
      if (entry) found.set(position, entry);
    }
    byGuid.set(log.guid, found);
  }
  return found;
}

const sequences = new WeakMap<ReadonlyMap<number, StateLogEntry>, StateLogEntry[] | 'none'>();

/**
 * The active sequence ([MS-VHDX] 2.3.3), from the entry that the head's tail names to the head.
 * Throws where there is none.
 */
export function activeSequence(image: PageImage, log: LogPlace): StateLogEntry[] {
  const entries = readLogEntries(image, log);
  let sequence = sequences.get(entries);
  if (sequence === undefined) {
    sequence = findSequence(entries, log.length) ?? 'none';
    sequences.set(entries, sequence);
  }
  must(sequence !== 'none', () => `2.3.3: the log GUID is ${log.guid} and the log holds no valid sequence of it`);
  return sequence;
}

function findSequence(entries: ReadonlyMap<number, StateLogEntry>, length: number): StateLogEntry[] | undefined {
  const follower = ({ position, length: own, sequenceNumber }: StateLogEntry) => {
    const next = entries.get((position + own) % length);
    return next?.sequenceNumber === sequenceNumber + 1n ? next : undefined;
  };
  // A run from an entry that follows another one is part of the run from that, and no better.
  const followers = new Set([...entries.values()].map(follower));
  let best: StateLogEntry[] | undefined;
  for (const start of entries.values()) {
    if (followers.has(start)) continue;
    const run = [start];
    for (let covered = start.length; covered < length; ) {
      const next = follower(run.at(-1) as StateLogEntry);
      if (next === undefined) break;
      covered += next.length;
      if (covered > length) break;
      run.push(next);
    }
    const head = run.at(-1) as StateLogEntry;
    const tail = run.findIndex(({ position }) => position === head.tail);
    if (tail < 0) continue;
    if (best === undefined || head.sequenceNumber > (best.at(-1) as StateLogEntry).sequenceNumber) {
      best = run.slice(tail);
    }
  }
  return best;
}

/** Replays the active sequence ([MS-VHDX] 2.3.3): the file as it is afterwards. Nothing that it may not do is done. */
export function replayed(image: PageImage, log: LogPlace): PageImage {
  const sequence = activeSequence(image, log);
  const head = sequence.at(-1) as StateLogEntry;
  must(image.size >= head.flushedFileOffset, () => {
    return `2.3.3: the file has ${image.size} bytes, its log says that ${head.flushedFileOffset} were stable`;
  });
  must(head.flushedFileOffset % 2 ** 20 === 0, () => '2.3.1.1: FlushedFileOffset is not a multiple of 1 MiB');
  must(head.lastFileOffset % 2 ** 20 === 0, () => '2.3.1.1: LastFileOffset is not a multiple of 1 MiB');
  const after = image.fork();
  if (after.size < head.lastFileOffset) after.truncate(head.lastFileOffset);
  for (const entry of sequence) {
    for (const { offset, length } of entry.changes) {
      const where = () => `the log entry at ${entry.position} of the ring wants to change 0x${offset.toString(16)}`;
      must(offset >= 192 * 1024, () => `2.3: ${where()}, in the file identifier or a header`);
      must(offset + length <= log.offset || offset >= log.offset + log.length, () => `2.3: ${where()}, in the log`);
      must(offset + length <= after.size, () => `2.3.3: ${where()}, past the end of the file`);
    }
    for (const [index, changes] of changesByChunk(entry)) {
      after.setChunk(index, changedChunk(after.chunk(index), index, changes));
    }
  }
  return after;
}

type ChunkChanges = ReadonlyMap<number, Uint8Array>;

const byChunk = new WeakMap<StateLogEntry, Map<number, ChunkChanges>>();

/** The pages that an entry changes, by the chunk that they are in and their place in it. */
function changesByChunk(entry: StateLogEntry): ReadonlyMap<number, ChunkChanges> {
  let chunks = byChunk.get(entry) as Map<number, Map<number, Uint8Array>> | undefined;
  if (chunks === undefined) {
    chunks = new Map();
    for (const { offset, length, page } of entry.changes) {
      for (let at = offset; at < offset + length; at += PAGE_SIZE) {
        const chunk = chunks.get(Math.floor(at / CHUNK_SIZE)) ?? new Map<number, Uint8Array>();
        chunks.set(Math.floor(at / CHUNK_SIZE), chunk.set((at % CHUNK_SIZE) / PAGE_SIZE, page ?? ZERO_PAGE));
      }
    }
    byChunk.set(entry, chunks);
  }
  return chunks;
}

const changed = new WeakMap<ChunkChanges, WeakMap<Chunk, Map<number, Chunk>>>();

/** A chunk with changes; the same object for the same chunk and the same changes. */
function changedChunk(chunk: Chunk, index: number, changes: ChunkChanges): Chunk {
  const byBase = changed.get(changes) ?? new WeakMap<Chunk, Map<number, Chunk>>();
  changed.set(changes, byBase);
  const byIndex = byBase.get(chunk) ?? new Map<number, Chunk>();
  byBase.set(chunk, byIndex);
  let result = byIndex.get(index);
  if (result === undefined) {
    const pages = chunk.pages.slice();
    for (const [at, page] of changes) pages[at] = page;
    result = new Chunk(pages);
    byIndex.set(index, result);
  }
  return result;
}

import { PAGE_SIZE, type PageImage, ZERO_PAGE } from './page-image.js';
import { guidText, hasRightChecksum, must, number64, remember, startsWith, viewOf } from './state-bytes.js';

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

const changesOf = new WeakMap();

/** Reads a log entry; undefined where none of this GUID is valid at this place. */
function readLogEntry(image: PageImage, log: LogPlace, position: number): StateLogEntry | undefined {
  const first = image.page((log.offset + position) / PAGE_SIZE);
  if (first === ZERO_PAGE || !startsWith(first, 'loge')) return undefined;
  const view = viewOf(first);
  const length = view.getUint32(8, true);
  if (length === 0 || length % PAGE_SIZE !== 0 || length > log.length) return undefined;
  const tail = view.getUint32(12, true);
  const sequenceNumber = view.getBigUint64(16, true);
  const count = view.getUint32(24, true);
  const descriptorSectors = Math.ceil((64 + 32 * count) / PAGE_SIZE);
  if (tail % PAGE_SIZE !== 0 || tail >= log.length || sequenceNumber === 0n) return undefined;
  if (guidText(first, 32) !== log.guid || descriptorSectors * PAGE_SIZE > length) return undefined;
  const pages = Array.from({ length: length / PAGE_SIZE }, (_, i) =>
    image.page((log.offset + ((position + i * PAGE_SIZE) % log.length)) / PAGE_SIZE),
  );
  if (!hasRightChecksum(pages)) return undefined;
  const changes = remember(changesOf, pages, () => readChanges(pages, count, descriptorSectors, sequenceNumber));
  if (changes === undefined) return undefined;
  return {
    position,
    length,
    tail,
    sequenceNumber,
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

/** All valid entries of the log's GUID, by their places. */
export function readLogEntries(image: PageImage, log: LogPlace): Map<number, StateLogEntry> {
  const entries = new Map<number, StateLogEntry>();
  for (let position = 0; position < log.length; position += PAGE_SIZE) {
    const entry = readLogEntry(image, log, position);
    if (entry) entries.set(position, entry);
  }
  return entries;
}

/**
 * The active sequence ([MS-VHDX] 2.3.3), from the entry that the head's tail names to the head.
 * Throws where there is none.
 */
export function activeSequence(image: PageImage, log: LogPlace): StateLogEntry[] {
  const entries = readLogEntries(image, log);
  let best: StateLogEntry[] | undefined;
  for (const start of entries.values()) {
    const run = [start];
    for (let covered = start.length; covered < log.length; ) {
      const last = run.at(-1) as StateLogEntry;
      const next = entries.get((last.position + last.length) % log.length);
      if (!next || next.sequenceNumber !== last.sequenceNumber + 1n) break;
      covered += next.length;
      if (covered > log.length) break;
      run.push(next);
    }
    const head = run.at(-1) as StateLogEntry;
    const tail = run.findIndex(({ position }) => position === head.tail);
    if (tail < 0) continue;
    if (best === undefined || head.sequenceNumber > (best.at(-1) as StateLogEntry).sequenceNumber) {
      best = run.slice(tail);
    }
  }
  must(best !== undefined, () => `2.3.3: the log GUID is ${log.guid} and the log holds no valid sequence of it`);
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
  for (const { changes, position } of sequence) {
    for (const { offset, length, page } of changes) {
      const where = () => `the log entry at ${position} of the ring wants to change 0x${offset.toString(16)}`;
      must(offset >= 192 * 1024, () => `2.3: ${where()}, in the file identifier or a header`);
      must(offset + length <= log.offset || offset >= log.offset + log.length, () => `2.3: ${where()}, in the log`);
      must(offset + length <= after.size, () => `2.3.3: ${where()}, past the end of the file`);
      for (let at = offset; at < offset + length; at += PAGE_SIZE) after.setPage(at / PAGE_SIZE, page ?? ZERO_PAGE);
    }
  }
  return after;
}

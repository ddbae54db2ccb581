import type { CrashFile, FileOperation } from './crash-file.js';
import { crashPoints } from './crash-states.js';
import { PAGE_SIZE, type PageImage } from './page-image.js';
import { guidText, must, startsWith } from './state-bytes.js';
import { activeSequence, type LogPlace, readLogEntries, type StateLogEntry } from './state-log.js';
import { readHeaders, readState, type StateHeader, type StateView } from './state-reader.js';

const KiB = 1024;
const ZERO_GUID = '00000000-0000-0000-0000-000000000000';
const HEADERS = [64 * KiB, 128 * KiB] as const;

/** What is durable at a point of a trace, as far as the rules about single writes need it. */
interface Durable {
  readonly header: StateHeader;
  readonly log: LogPlace;
  readonly dirty: boolean;
  readonly sequence: readonly StateLogEntry[];
  /** Valid entries of the LogGuid before the Tail: QEMU replays them too. */
  readonly older: readonly StateLogEntry[];
  /** BAT, metadata, region tables and bitmap blocks: what is written through the log only. */
  readonly logged: readonly { readonly offset: number; readonly length: number }[];
}

/**
 * Looks at every write of a session to an existing file, and throws where one breaks a rule that no state of its own
 * need show:
 *
 * - the first change is a header with a new FileWriteGuid (W4); the file identifier stays (W11);
 * - never both headers in one barrier (W8), sequence numbers only grow (W6);
 * - metadata is written in place only from a durable entry of the active sequence, and just as it was logged (W18, W26);
 * - nothing else is written where an entry that may be replayed will write, nor is it cut off (I11), nor where an older
 *   entry of the same LogGuid does (W27);
 * - every durable entry's tail is a valid entry, and no LogGuid goes round the ring twice (I10, W25b).
 */
export function checkTrace(file: Pick<CrashFile, 'before' | 'trace'>): void {
  const first = readHeaders(file.before)[0] as StateHeader;
  let isFirst = true;
  let durableImage: PageImage | undefined;
  let durable: Durable | undefined;
  const slotsWritten = new Set<number>();
  for (const point of crashPoints(file)) {
    for (const event of point.events) {
      if (event.kind === 'flush-end') slotsWritten.clear();
      if (event.kind !== 'write' && event.kind !== 'truncate') continue;
      durable ??= describe(file.before);
      if (isFirst) {
        checkFirstWrite(event, first);
        isFirst = false;
      }
      checkOperation(event, durable);
      const slot = HEADERS.findIndex((at) => event.kind === 'write' && event.offset === at);
      if (slot >= 0) slotsWritten.add(slot);
      must(slotsWritten.size < 2, () => 'W8: both headers were written in one barrier');
    }
    if (point.durable !== durableImage) {
      durableImage = point.durable;
      durable = describe(point.durable);
      checkRing(point.durable, durable);
    }
  }
}

function describe(image: PageImage): Durable {
  const header = readHeaders(image)[0] as StateHeader;
  const log = { offset: header.logOffset, length: header.logLength, guid: header.logGuid };
  const dirty = header.logGuid !== ZERO_GUID;
  const sequence = dirty ? activeSequence(image, log) : [];
  const older = dirty ? [...readLogEntries(image, log).values()].filter((entry) => !sequence.includes(entry)) : [];
  const view: StateView = readState(image);
  const bitmaps = view.bat.owned.filter(({ what }) => what.startsWith('bitmap'));
  const tables = { offset: 192 * KiB, length: 128 * KiB };
  return { header, log, dirty, sequence, older, logged: [tables, ...view.regions, ...bitmaps] };
}

function checkFirstWrite({ kind, offset, parts }: FileOperation, before: StateHeader): void {
  const page = parts[0]?.page;
  const isHeader = kind === 'write' && HEADERS.some((at) => at === offset) && page !== undefined;
  must(isHeader && startsWith(page, 'head'), () => `W4: the first change is a ${kind} at 0x${offset.toString(16)}`);
  must(guidText(page, 16) !== before.fileWriteGuid, () => 'W4: the first header keeps the FileWriteGuid');
}

function checkOperation(operation: FileOperation, durable: Durable): void {
  const { offset, length, kind } = operation;
  const where = () => `the ${kind} of ${length} bytes at 0x${offset.toString(16)}`;
  if (kind === 'truncate') {
    const size = operation.newSize as number;
    for (const { changes, lastFileOffset } of durable.sequence) {
      for (const change of changes) {
        const end = change.offset + change.length;
        must(end <= size, () => `I11: the file is cut to ${size}, and replay would write up to ${end}`);
      }
      must(lastFileOffset <= size || !durable.dirty, () => `W31: the file is cut to ${size} below its log's length`);
    }
    return;
  }
  if (length === 0) return;
  must(offset >= 64 * KiB, () => `W11: ${where()} is in the file identifier`);
  const [slot1, slot2] = HEADERS;
  if (offset < 192 * KiB) {
    must((offset === slot1 || offset === slot2) && length === PAGE_SIZE, () => `W6: ${where()} is not a header`);
    return;
  }
  const { log } = durable;
  if (offset >= log.offset && offset + length <= log.offset + log.length) return;
  for (const { index, from, to, page } of operation.parts) {
    const at = index * PAGE_SIZE;
    const overlapping = durable.sequence.filter(({ changes }) =>
      changes.some((change) => change.offset < at + to && at + from < change.offset + change.length),
    );
    const isApplied = overlapping.some(({ changes }) => holds(changes, at, from, to, page));
    const mustBeLogged = durable.logged.some(
      (range) => range.offset < at + to && at + from < range.offset + range.length,
    );
    must(isApplied || !mustBeLogged, () => `W18, W26: ${where()} changes metadata and no durable entry says so`);
    must(isApplied || overlapping.length === 0, () => `I11: ${where()} would be overwritten by a replay`);
    if (mustBeLogged) continue;
    for (const { changes } of durable.older) {
      const isHit = changes.some((change) => change.offset < at + to && at + from < change.offset + change.length);
      must(!isHit, () => `W27: ${where()} is where an older entry of the log writes to`);
    }
  }
}

/** Whether a change of an entry gives a page, from `from` to `to`, just these bytes. */
function holds(changes: StateLogEntry['changes'], at: number, from: number, to: number, page: Uint8Array): boolean {
  return changes.some((change) => {
    if (change.offset > at || change.offset + change.length < at + PAGE_SIZE) return false;
    for (let i = from; i < to; i++) if (page[i] !== (change.page?.[i] ?? 0)) return false;
    return true;
  });
}

/** I10: each valid entry of the log's GUID names a valid entry as its tail, and numbers grow along the ring. */
function checkRing(image: PageImage, { log, dirty }: Durable): void {
  if (!dirty) return;
  const entries = readLogEntries(image, log);
  let before = 0n;
  for (const { position, tail, sequenceNumber } of entries.values()) {
    must(entries.has(tail), () => `I10: the entry at ${position} names ${tail} as its tail, where none is valid`);
    must(sequenceNumber > before, () => `W25b: LogGuid ${log.guid} went round the ring`);
    before = sequenceNumber;
  }
}

/** What a session leaves that was closed: both headers clean and of one mind (W13), no byte past the last structure. */
export function checkClosed(image: PageImage): void {
  const [current, other] = readHeaders(image);
  must(current !== undefined && other !== undefined, () => 'W6: a header is not valid');
  must(current.logGuid === ZERO_GUID && other.logGuid === ZERO_GUID, () => 'W13: a header still names the log');
  must(current.fileWriteGuid === other.fileWriteGuid, () => 'W6: the headers have different FileWriteGuids');
  must(current.dataWriteGuid === other.dataWriteGuid, () => 'W6: the headers have different DataWriteGuids');
  const { end } = readState(image);
  must(image.size === end, () => `W39: the file has ${image.size} bytes, its structures end at ${end}`);
}

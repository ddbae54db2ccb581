import { type FileRange, overlaps } from '../base/byte-range.js';
import { hex } from '../base/bytes.js';
import { MiB } from '../base/units.js';
import type { Core } from '../core/instance.js';
import { VhdxError } from '../errors.js';
import { LONGEST_FILE } from '../format/bat.js';
import type { Header } from '../format/header.js';
import { DISPLACED_OFFSET, FIRST_LOGGED_OFFSET, LOG_SECTOR_SIZE } from '../format/log.js';
import type { RandomAccessSource, ReadOptions } from '../io/random-access.js';
import { finding, type Report } from '../rules.js';
import { flattenWrites } from './flatten-writes.js';
import { type OverlayChange, overlay } from './overlay.js';
import { type LogEntry, LogRing, type PlacedDescriptor } from './ring.js';
import { findActiveSequence } from './sequence.js';

/** Changes that a log may make; a full log of 4 GiB makes fewer unless it was made to do harm. */
const MAX_CHANGES = 2 ** 20;

/** What replaying the log in memory did. Plain data. */
export interface ReplaySummary {
  /** How many log entries were applied. */
  readonly entries: number;
  /** Sequence number of the first of them, in decimal. */
  readonly firstSequenceNumber: string;
  /** Sequence number of the last of them, in decimal. */
  readonly lastSequenceNumber: string;
  /** 4 KiB sectors of data that were written. */
  readonly dataSectors: number;
  /** Bytes that were zeroed. */
  readonly zeroedBytes: number;
  /** Length of the file in bytes as it lies there. */
  readonly fileSizeBefore: number;
  /** Length of the file in bytes after replay. */
  readonly fileSizeAfter: number;
}

/** The file as it is after replay, and what replay did. */
export interface Replayed {
  readonly source: RandomAccessSource;
  readonly summary: ReplaySummary;
}

/**
 * Replays the log of a dirty image in memory ([MS-VHDX] 2.3.3): the whole active sequence is found and checked before
 * anything is applied, and nothing is written. Undefined, and a fatal finding, where that cannot be done.
 */
export async function replayLog(
  core: Core,
  source: RandomAccessSource,
  header: Header,
  log: FileRange,
  report: Report,
  options?: ReadOptions,
): Promise<Replayed | undefined> {
  return replayThrough(new LogRing(core, source, log, options), source, header, log, report);
}

async function replayThrough(
  ring: LogRing,
  source: RandomAccessSource,
  header: Header,
  log: FileRange,
  report: Report,
): Promise<Replayed | undefined> {
  const sequence = await findActiveSequence(ring, header.logGuid);
  if (!sequence) {
    report(
      finding(
        'log-no-sequence',
        `the image is dirty and its log holds no valid sequence for log GUID ${header.logGuid}`,
        log,
      ),
    );
    return undefined;
  }
  const head = await readValidEntry(ring, sequence.sectors.at(-1) as number, header);
  const size = checkSizes(head, ring, source.size, report);
  if (size === undefined) return undefined;

  let first: LogEntry | undefined;
  const writes: OverlayChange[] = [];
  for (const sector of sequence.sectors) {
    const entry = await readValidEntry(ring, sector, header);
    first ??= entry;
    for await (const descriptors of ring.readDescriptors(entry)) {
      if (!descriptors.every((descriptor) => checkTarget(descriptor, size, log, report))) return undefined;
      for (const descriptor of descriptors) writes.push(toChange(descriptor));
      if (writes.length > MAX_CHANGES) {
        report(finding('log-too-large', `the log makes more than ${MAX_CHANGES} changes`, log));
        return undefined;
      }
    }
  }
  const data = writes.filter((write) => write.from !== undefined);
  const summary = {
    entries: sequence.sectors.length,
    firstSequenceNumber: String(first?.sequenceNumber),
    lastSequenceNumber: String(head.sequenceNumber),
    dataSectors: data.length,
    zeroedBytes: writes.reduce((sum, write) => sum + (write.from === undefined ? write.length : 0), 0),
    fileSizeBefore: source.size,
    fileSizeAfter: size,
  };
  return { source: overlay(source, flattenWrites(writes), size), summary };
}

async function readValidEntry(ring: LogRing, sector: number, header: Header): Promise<LogEntry> {
  const entry = await ring.readEntry(sector, header.logGuid);
  if (entry) return entry;
  throw new VhdxError('source-changed', 'the log changed while it was being read', {
    structure: 'log',
    offset: ring.offsetOf(sector),
  });
}

/** Checks what the newest entry says about the file's length and returns the length after replay. */
function checkSizes(head: LogEntry, ring: LogRing, fileSize: number, report: Report): number | undefined {
  const place = { structure: head.structure, offset: ring.offsetOf(head.sector) };
  const { flushedFileOffset, lastFileOffset } = head;
  if (lastFileOffset > LONGEST_FILE) {
    report(finding('log-file-size', `LastFileOffset ${hex(lastFileOffset)} is where no file reaches`, place, 'fatal'));
    return undefined;
  }
  if (flushedFileOffset > fileSize) {
    const message = `the file had ${hex(flushedFileOffset)} bytes when its log was written and has ${hex(fileSize)}`;
    report(finding('log-truncated-file', message, place));
    return undefined;
  }
  if (flushedFileOffset % MiB !== 0 || lastFileOffset % MiB !== 0) {
    const message = `FlushedFileOffset ${hex(flushedFileOffset)} or LastFileOffset ${hex(lastFileOffset)} is not a multiple of 1 MiB`;
    report(finding('log-file-size', message, place));
  }
  return Math.max(fileSize, lastFileOffset);
}

function checkTarget(target: PlacedDescriptor, size: number, log: FileRange, report: Report): boolean {
  const end = target.offset + target.length;
  let wrong: string | undefined;
  if (target.offset < FIRST_LOGGED_OFFSET) wrong = 'the file identifier or a header';
  else if (target.length > 0 && overlaps(target, log)) wrong = 'the log itself';
  else if (end > size) wrong = `what lies behind the end of the file, ${hex(size)}`;
  if (wrong === undefined) return true;
  const message = `wants to overwrite ${hex(target.offset)} to ${hex(end)}: ${wrong}`;
  report(finding('log-target', message, { structure: target.structure, offset: target.descriptorOffset }));
  return false;
}

function toChange({ kind, offset, length, dataOffset, descriptorOffset }: PlacedDescriptor): OverlayChange {
  if (kind === 'zero') return { offset, length };
  return { offset, length: LOG_SECTOR_SIZE, from: dataOffset, displacedFrom: descriptorOffset + DISPLACED_OFFSET };
}

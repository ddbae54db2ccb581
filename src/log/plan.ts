import { type FileRange, overlaps } from '../base/byte-range.js';
import { hex } from '../base/bytes.js';
import { MiB } from '../base/units.js';
import { LONGEST_FILE } from '../format/bat.js';
import type { Crc } from '../format/checksum.js';
import type { Header } from '../format/header.js';
import { DESCRIPTOR_SIZE, FIRST_LOGGED_OFFSET } from '../format/log.js';
import type { RandomAccessSource, ReadOptions } from '../io/random-access.js';
import { type Finding, finding, type Report } from '../rules.js';
import { LogChanges } from './changes.js';
import { type EntryTable, MAX_WRITES, readEntries } from './entries.js';
import { flattenWrites } from './flatten-writes.js';
import { LogRing } from './ring.js';
import { findActiveSequence, type LogSequence } from './sequence.js';

/** What replaying a log does. Plain data. */
export interface ReplaySummary {
  /** How many log entries are applied. */
  readonly entries: number;
  /** Sequence number of the first of them, in decimal. */
  readonly firstSequenceNumber: string;
  /** Sequence number of the last of them, in decimal. */
  readonly lastSequenceNumber: string;
  /** 4 KiB sectors of data that are written. */
  readonly dataSectors: number;
  /** Bytes that are zeroed. */
  readonly zeroedBytes: number;
  /** Length of the file in bytes, before replay. */
  readonly fileSizeBefore: number;
  /** Length of the file in bytes after replay. */
  readonly fileSizeAfter: number;
}

/** What replaying a log would do to its file: for reading it is laid over the file, for repair it is applied to it. */
export interface ReplayPlan {
  readonly changes: LogChanges;
  /** Length of the file in bytes after replay. */
  readonly size: number;
  /** Whether the file is shorter than it was when its log was written: what is past its end is lost. */
  readonly isTruncated: boolean;
  readonly summary: ReplaySummary;
}

/** What the dirty members of one chain share, so that all of them together take at most 24 MiB: 24 bytes a change. */
export interface ChangeBudget {
  /** How many changes they may still make; 2^20 at first. */
  left?: number;
}

/** Options of a plan. */
export interface PlanOptions extends ReadOptions {
  /** What the dirty members of a chain share; it is reduced by the changes of the plan. */
  readonly changeBudget?: ChangeBudget | undefined;
  /** Whether the log of a file that was truncated is replayed all the same, as far as the file goes. */
  readonly truncated?: boolean | undefined;
}

/**
 * Plans the replay of the log of a dirty image ([MS-VHDX] 2.3.3). The log is read once; the whole active sequence is
 * found and checked, and nothing is written. Undefined, and a fatal finding, if the log cannot be replayed.
 */
export async function planReplay(
  crc: Crc,
  source: RandomAccessSource,
  header: Header,
  log: FileRange,
  report: Report,
  options: PlanOptions = {},
): Promise<ReplayPlan | undefined> {
  const { changeBudget: budget = {} } = options;
  const tooLarge = () => {
    const message = `the log, or the logs of the chain together, make more than ${MAX_WRITES} changes`;
    report(finding('log-too-large', message, log));
    return undefined;
  };
  const ring = new LogRing(source, log, options);
  const entries = await readEntries(crc, ring, header.logGuid);
  if (!entries) return tooLarge();
  const sequence = findActiveSequence(entries, ring.sectors);
  if (!sequence) {
    report(noSequence(entries, header, log));
    return undefined;
  }
  const size = checkSizes(entries, sequence.head, ring, source.size, report, options.truncated);
  if (size === undefined) return undefined;
  const order = collectWrites(entries, sequence, size, log, report);
  if (!order) return undefined;
  const left = budget.left ?? MAX_WRITES;
  const flat = await flattenWrites(entries.writes, order, left, options.signal);
  if (!flat) return tooLarge();
  budget.left = left - flat.count;
  // A file that was truncated is not made longer: zeros would stand for what was cut off.
  const isTruncated = (entries.flushedFileOffset[sequence.head] as number) > source.size;
  const sizeAfter = isTruncated ? source.size : size;
  const summary = {
    entries: sequence.count,
    firstSequenceNumber: String(entries.sequenceNumber[sequence.first]),
    lastSequenceNumber: String(entries.sequenceNumber[sequence.head]),
    ...countWrites(entries, order),
    fileSizeBefore: source.size,
    fileSizeAfter: sizeAfter,
  };
  return { changes: new LogChanges(log, flat), size: sizeAfter, isTruncated, summary };
}

/**
 * The finding for a log without a valid sequence. If it has no valid entry at all, it was announced in the headers and
 * never used, as QEMU leaves it when it is stopped at that moment: then nothing is lost with it.
 */
function noSequence(entries: EntryTable, header: Header, log: FileRange): Finding {
  const { count } = entries;
  const message =
    count === 0
      ? `the image is dirty, but its log has no valid entry for log GUID ${header.logGuid}: it was announced and never used, or is damaged`
      : `the image is dirty, but the ${count} valid entries of its log for log GUID ${header.logGuid} are no valid sequence: metadata may be half written`;
  return finding('log-no-sequence', message, { ...log, facts: { logEntries: count } });
}

const structureOf = (entries: EntryTable, i: number) => `log entry ${entries.sequenceNumber[i]}`;

/** Checks what the newest entry says about the file's length and returns the length after replay. */
function checkSizes(
  entries: EntryTable,
  head: number,
  ring: LogRing,
  fileSize: number,
  report: Report,
  truncated = false,
): number | undefined {
  const place = { structure: structureOf(entries, head), offset: ring.offsetOf(entries.sector[head] as number) };
  const flushed = entries.flushedFileOffset[head] as number;
  const last = entries.lastFileOffset[head] as number;
  if (last > LONGEST_FILE) {
    const message = `LastFileOffset ${hex(last)} is past the end of any possible file`;
    report(finding('log-file-size', message, place, 'fatal'));
    return undefined;
  }
  if (flushed > fileSize) {
    const message = `the file had ${hex(flushed)} bytes when its log was written and has ${hex(fileSize)}`;
    report(finding('log-truncated-file', message, place));
    if (!truncated) return undefined;
  }
  if (flushed % MiB !== 0 || last % MiB !== 0) {
    const message = `FlushedFileOffset ${hex(flushed)} or LastFileOffset ${hex(last)} is not a multiple of 1 MiB`;
    report(finding('log-file-size', message, place));
  }
  return Math.max(fileSize, last);
}

/** The writes of a sequence in the order in which they are made; undefined, and a finding, if one is not allowed. */
function collectWrites(
  entries: EntryTable,
  sequence: LogSequence,
  size: number,
  log: FileRange,
  report: Report,
): Uint32Array | undefined {
  const order = new Uint32Array(entries.writes.count);
  let count = 0;
  let i = sequence.first;
  for (let left = sequence.count; left > 0; left--) {
    const end = entries.endOfWrites(i);
    for (let row = entries.firstWrite[i] as number; row < end; row++) {
      if (!checkTarget(entries, i, row, size, log, report)) return undefined;
      order[count++] = row;
    }
    i = (i + 1) % entries.count;
  }
  return order.subarray(0, count);
}

function checkTarget(
  entries: EntryTable,
  entry: number,
  row: number,
  size: number,
  log: FileRange,
  report: Report,
): boolean {
  const { writes } = entries;
  const target = { structure: 'target', offset: writes.offset[row] as number, length: writes.length[row] as number };
  const end = target.offset + target.length;
  let forbidden: string | undefined;
  if (target.offset < FIRST_LOGGED_OFFSET) forbidden = 'the file identifier or a header';
  else if (target.length > 0 && overlaps(target, log)) forbidden = 'the log itself';
  else if (end > size) forbidden = `a place past the end of the file, ${hex(size)}`;
  if (forbidden === undefined) return true;
  const offset = log.offset + (writes.descriptor[row] as number) * DESCRIPTOR_SIZE;
  const message = `writes ${hex(target.offset)} to ${hex(end)}: ${forbidden}`;
  report(finding('log-target', message, { structure: structureOf(entries, entry), offset }));
  return false;
}

function countWrites({ writes }: EntryTable, order: Uint32Array): Pick<ReplaySummary, 'dataSectors' | 'zeroedBytes'> {
  let dataSectors = 0;
  let zeroedBytes = 0;
  for (const row of order) {
    if (writes.data[row] === 0) zeroedBytes += writes.length[row] as number;
    else dataSectors += 1;
  }
  return { dataSectors, zeroedBytes };
}

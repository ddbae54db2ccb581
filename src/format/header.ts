import type { FileRange } from '../base/byte-range.js';
import { hex, readU64, viewOf } from '../base/bytes.js';
import { KiB, MiB } from '../base/units.js';
import { finding, type Report } from '../rules.js';
import { type Crc, crcText, setStructureChecksum, structureChecksum } from './checksum.js';
import { readGuid, writeGuid, ZERO_GUID } from './guid.js';

/** Length in bytes of the header section at the start of the file ([MS-VHDX] 2.2). */
export const HEADER_SECTION_SIZE = 1 * MiB;
/** Length in bytes of a header. */
export const HEADER_SIZE = 4 * KiB;
/** File offsets of the two headers. */
export const HEADER_OFFSETS = [64 * KiB, 128 * KiB] as const;

const HEAD = 0x64616568; // "head"

/** One of the two headers ([MS-VHDX] 2.2.2). */
export interface Header {
  /** Which of the two. */
  readonly copy: 1 | 2;
  /** Unsigned 64-bit; the valid header with the higher number is the current one. */
  readonly sequenceNumber: bigint;
  readonly fileWriteGuid: string;
  readonly dataWriteGuid: string;
  /** {@link ZERO_GUID} if the log is empty. */
  readonly logGuid: string;
  readonly logVersion: number;
  readonly version: number;
  /** In bytes. */
  readonly logLength: number;
  /** In bytes from the start of the file. */
  readonly logOffset: number;
}

/** One of the two headers as the file has it, valid or not. */
export interface HeaderSlot {
  readonly copy: 1 | 2;
  /** In bytes from the start of the file. */
  readonly offset: number;
  /** Its {@link HEADER_SIZE} bytes. */
  readonly bytes: Uint8Array;
  /** The rule that makes it invalid; undefined for a valid one. */
  readonly fault?: 'header-signature' | 'header-checksum';
  /** Its fields; of an invalid header they are what happens to be there. */
  readonly header: Header;
}

/** Both headers of a file. */
export interface Headers {
  readonly slots: readonly [HeaderSlot, HeaderSlot];
  /** The current header; undefined, and a fatal finding, if there is none or its version is unknown. */
  readonly current?: Header;
}

/** Whether the signature of a header is at `at`. */
export function hasHeaderSignature(view: DataView, at = 0): boolean {
  return view.getUint32(at, true) === HEAD;
}

function readFields(view: DataView, copy: 1 | 2): Header {
  return {
    copy,
    sequenceNumber: view.getBigUint64(8, true),
    fileWriteGuid: readGuid(view, 16),
    dataWriteGuid: readGuid(view, 32),
    logGuid: readGuid(view, 48),
    logVersion: view.getUint16(64, true),
    version: view.getUint16(66, true),
    logLength: view.getUint32(68, true),
    logOffset: readU64(view, 72),
  };
}

/**
 * A header as bytes ([MS-VHDX] 2.2.2), with its checksum.
 *
 * @param base what the reserved bytes are taken from; zeros if it is not given
 */
export function encodeHeader(header: Omit<Header, 'copy'>, crc: Crc, base?: Uint8Array): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(HEADER_SIZE);
  if (base) bytes.set(base);
  const view = viewOf(bytes);
  view.setUint32(0, HEAD, true);
  view.setBigUint64(8, header.sequenceNumber, true);
  writeGuid(view, 16, header.fileWriteGuid);
  writeGuid(view, 32, header.dataWriteGuid);
  writeGuid(view, 48, header.logGuid);
  view.setUint16(64, header.logVersion, true);
  view.setUint16(66, header.version, true);
  view.setUint32(68, header.logLength, true);
  view.setBigUint64(72, BigInt(header.logOffset), true);
  setStructureChecksum(bytes, crc);
  return bytes;
}

function parseSlot(section: Uint8Array, copy: 1 | 2, crc: Crc, report: Report): HeaderSlot {
  const offset = HEADER_OFFSETS[copy - 1] as number;
  const bytes = section.slice(offset, offset + HEADER_SIZE);
  const view = viewOf(bytes);
  const slot = { copy, offset, bytes, header: readFields(view, copy) };
  const place = { structure: `header ${copy}`, offset };
  if (!hasHeaderSignature(view)) {
    report(finding('header-signature', 'does not begin with "head"', place));
    return { ...slot, fault: 'header-signature' };
  }
  const stored = view.getUint32(4, true);
  const computed = structureChecksum(bytes, crc);
  if (stored === computed) return slot;
  report(finding('header-checksum', `checksum is ${crcText(stored)}, computed ${crcText(computed)}`, place));
  return { ...slot, fault: 'header-checksum' };
}

/** Parses both headers and finds the current one. `section` holds the first 320 KiB of the file. */
export function parseHeaders(section: Uint8Array, crc: Crc, report: Report): Headers {
  const slots = [parseSlot(section, 1, crc, report), parseSlot(section, 2, crc, report)] as const;
  const current = currentHeader(slots, report);
  return { slots, ...(current && { current }) };
}

/**
 * The valid header with the higher sequence number. Equal numbers are legal if the headers are identical, as Disk2vhd
 * writes them.
 */
function currentHeader(slots: Headers['slots'], report: Report): Header | undefined {
  const [first, second] = slots.map(({ fault, header }) => (fault ? undefined : header));
  if (!first && !second) {
    report(finding('header-none-valid', 'neither copy is valid', { structure: 'headers', offset: HEADER_OFFSETS[0] }));
    return undefined;
  }
  if (!first || !second) return supported(first ?? (second as Header), report);
  if (first.sequenceNumber === second.sequenceNumber) {
    const same = slots[0].bytes.every((byte, i) => byte === slots[1].bytes[i]);
    if (same) return supported(first, report);
    const message = `both copies carry sequence number ${first.sequenceNumber} and differ`;
    report(finding('header-sequence-tie', message, { structure: 'headers', offset: HEADER_OFFSETS[0] }));
    return undefined;
  }
  const [current, older] = first.sequenceNumber > second.sequenceNumber ? [first, second] : [second, first];
  reportDifferences(current, older, report);
  return supported(current, report);
}

function supported(header: Header, report: Report): Header | undefined {
  if (header.version === 1) return header;
  const place = { structure: `header ${header.copy}`, offset: (HEADER_OFFSETS[header.copy - 1] as number) + 66 };
  report(finding('header-version', `version is ${header.version}, not 1`, place));
  return undefined;
}

function reportDifferences(current: Header, older: Header, report: Report): void {
  const fields = (['dataWriteGuid', 'logGuid', 'logVersion', 'version', 'logLength', 'logOffset'] as const).filter(
    (field) => current[field] !== older[field],
  );
  if (fields.length === 0) return;
  const place = { structure: `header ${older.copy}`, offset: HEADER_OFFSETS[older.copy - 1] as number };
  const message = `is older (sequence number ${older.sequenceNumber}, the current header has ${current.sequenceNumber}) and differs in ${fields.join(', ')}`;
  report(finding('header-copies-differ', message, place));
}

/** Whether the log must be replayed before anything else in the file is read. */
export function isDirty(header: Header): boolean {
  return header.logGuid !== ZERO_GUID;
}

/**
 * Checks the place that a header gives for the log ([MS-VHDX] 2.2.2, 2.3). What is fatal for a dirty image is a
 * warning for a clean one, whose log is not read. Returns the log's place if it is a possible one.
 */
export function checkLogPlace(header: Header, fileSize: number, report: Report): FileRange | undefined {
  const dirty = isDirty(header);
  const base = HEADER_OFFSETS[header.copy - 1] as number;
  const severity = dirty ? 'fatal' : 'warning';
  const structure = `header ${header.copy}`;
  const { logOffset, logLength, logVersion } = header;
  if (logVersion !== 0) {
    report(finding('log-version', `log version is ${logVersion}, not 0`, { structure, offset: base + 64 }, severity));
  }
  if (logLength % MiB !== 0 || (dirty && logLength === 0)) {
    const message = `log length ${hex(logLength)} is not a positive multiple of 1 MiB`;
    report(finding('log-length', message, { structure, offset: base + 68 }, severity));
    return undefined;
  }
  if (logLength === 0) return undefined;
  if (logOffset % MiB !== 0 || logOffset < MiB || logOffset > Number.MAX_SAFE_INTEGER) {
    const message = `log offset ${hex(logOffset)} is not 1 MiB aligned, or is inside the header section`;
    report(finding('log-offset', message, { structure, offset: base + 72 }, severity));
    return undefined;
  }
  if (logOffset + logLength > fileSize) {
    const message = `the log ends at ${hex(logOffset + logLength)}, the file at ${hex(fileSize)}`;
    report(finding('log-outside-file', message, { structure: 'log', offset: logOffset }, severity));
  }
  return { structure: 'log', offset: logOffset, length: logLength };
}

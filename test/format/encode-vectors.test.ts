// The bytes that a writer makes, against vectors that were built by hand and judged by 7-Zip and QEMU: their CRC-32C.
import { describe, expect, test } from 'vitest';
import { writeBatEntry } from '../../src/format/bat.js';
import { encodeFileIdentifier } from '../../src/format/file-identifier.js';
import { encodeHeader } from '../../src/format/header.js';
import { encodeLogEntry, type LogWrite } from '../../src/format/log.js';
import { encodeMetadata, encodeMetadataItems } from '../../src/format/metadata.js';
import { encodeParentLocator } from '../../src/format/parent-locator.js';
import { encodeRegionTable } from '../../src/format/region-table.js';
import { crc32cReference } from '../support/crc32c-reference.js';
import { GiB, KiB, MiB, ZERO_GUID } from '../support/encode-primitives.js';

const LOG_GUID = '00112233-4455-6677-8899-aabbccddeeff';
const BAT = '2dc27766-f623-4200-9d64-115e9bfd4a08';
const METADATA = '8b7ca206-4790-4b9a-b8fe-575f050f886e';

const repeated = (digit: string) => [8, 4, 4, 4, 12].map((length) => digit.repeat(length)).join('-');
const sum = (bytes: Uint8Array) => crc32cReference(bytes).toString(16).toUpperCase().padStart(8, '0');
/** The checksum that stands in a header, a region table or a log entry. */
const stored = (bytes: Uint8Array) => hexOf(bytes.slice(4, 8).reverse()).toUpperCase();
const hexOf = (bytes: Uint8Array) => Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');

const header = (sequenceNumber: bigint, logGuid = ZERO_GUID) =>
  encodeHeader(
    {
      sequenceNumber,
      fileWriteGuid: repeated('1'),
      dataWriteGuid: repeated('2'),
      logGuid,
      logVersion: 0,
      version: 1,
      logLength: MiB,
      logOffset: MiB,
    },
    crc32cReference,
  );

const regionTable = (batOffset: number, batLength: number) =>
  encodeRegionTable(
    [
      { guid: BAT, offset: batOffset, length: batLength, flags: 1 },
      { guid: METADATA, offset: 2 * MiB, length: MiB, flags: 1 },
    ],
    crc32cReference,
  );

const metadata = (virtualSize: number) =>
  encodeMetadata(
    encodeMetadataItems({
      blockSize: MiB,
      leaveBlocksAllocated: false,
      hasParent: false,
      virtualSize,
      logicalSectorSize: 512,
      physicalSectorSize: 4096,
      virtualDiskId: repeated('3'),
    }),
  );

const logEntry = (sequenceNumber: bigint, fileSize: number, writes: readonly LogWrite[]) =>
  encodeLogEntry(
    { tail: 0, sequenceNumber, logGuid: LOG_GUID, flushedFileOffset: fileSize, lastFileOffset: fileSize, writes },
    crc32cReference,
  );

/** A page of 4 KiB that begins with these bytes. */
const page = (start: Uint8Array) => {
  const bytes = new Uint8Array(4 * KiB);
  bytes.set(start.subarray(0, 4 * KiB));
  return bytes;
};

const batPage = () => {
  const bytes = page(new Uint8Array());
  writeBatEntry(new DataView(bytes.buffer), 0, { state: 6, offset: 4 * MiB });
  return bytes;
};

describe('the encoders make', () => {
  test('headers', () => {
    expect(header(0n)).toHaveLength(4096);
    expect(stored(header(0n))).toBe('FC716C55');
    expect(stored(header(1n))).toBe('7E89F022');
    expect(stored(header(2n, LOG_GUID))).toBe('20CC4EDB');
  });

  for (const [mebibytes, expected] of [
    [1, 'C66B8CAE'],
    [9, '10715361'],
    [513, 'B1C8636B'],
  ] as const) {
    test(`the region table of a BAT of ${mebibytes} MiB`, () => {
      const table = regionTable(3 * MiB, mebibytes * MiB);
      expect(table).toHaveLength(64 * KiB);
      expect(stored(table)).toBe(expected);
    });
  }

  test('an empty log entry', () => {
    const entry = logEntry(1n, 4 * MiB, []);
    expect(entry).toHaveLength(4096);
    expect(stored(entry)).toBe('63848303');
  });

  test('a log entry that writes a page of the BAT', () => {
    const entry = logEntry(2n, 5 * MiB, [{ offset: 3 * MiB, bytes: batPage() }]);
    expect(entry).toHaveLength(8192);
    expect(hexOf(entry.subarray(64, 96))).toBe('6465736300000000060040000000000000003000000000000200000000000000');
    expect(stored(entry)).toBe('439E37E5');
  });

  test('a log entry that zeroes a range', () => {
    const entry = logEntry(3n, 5 * MiB, [{ offset: 3 * MiB + 4096, length: MiB - 4096 }]);
    expect(entry).toHaveLength(4096);
    expect(stored(entry)).toBe('E4E33286');
  });

  test('the log entry that moves the BAT and sets a new size', () => {
    const table = regionTable(5 * MiB, 2 * MiB);
    const items = metadata(130 * GiB).subarray(64 * KiB);
    const entry = logEntry(2n, 7 * MiB, [
      { offset: 0x30000, bytes: page(table) },
      { offset: 0x40000, bytes: page(table) },
      { offset: 2 * MiB + 64 * KiB, bytes: page(items) },
    ]);
    expect(entry).toHaveLength(16384);
    expect(stored(entry)).toBe('26554B7F');
  });

  test('the metadata table and its items', () => {
    const region = metadata(64 * MiB);
    expect(sum(region.subarray(64 * KiB))).toBe('757583FD');
    expect(region).toHaveLength(64 * KiB + 40);
    expect(sum(region.subarray(0, 64 * KiB))).toBe('335F5972');
  });

  test('a parent locator', () => {
    const locator = encodeParentLocator([
      ['parent_linkage', `{${repeated('2')}}`],
      ['relative_path', '.\\parent.vhdx'],
      ['absolute_win32_path', '\\\\?\\C:\\vm\\parent.vhdx'],
    ]);
    expect(locator).toHaveLength(292);
    expect(sum(locator)).toBe('C933C25D');
  });

  test('a whole file', () => {
    const file = new Uint8Array(5 * MiB);
    file.set(encodeFileIdentifier('vhdx test'), 0);
    file.set(header(0n), 64 * KiB);
    file.set(header(1n), 128 * KiB);
    for (const offset of [192 * KiB, 256 * KiB]) file.set(regionTable(3 * MiB, MiB), offset);
    file.set(metadata(64 * MiB), 2 * MiB);
    file.set(batPage(), 3 * MiB);
    file.fill(0x5a, 4 * MiB);
    expect(sum(file)).toBe('5FDE72E0');
  });
});

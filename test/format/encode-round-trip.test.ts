// What is parsed and encoded again is what it was: unknown entries, reserved bits and stale bytes included.
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { readBatEntry, writeBatEntry } from '../../src/format/bat.js';
import { encodeFileIdentifier, hasVhdxSignature, readCreator } from '../../src/format/file-identifier.js';
import { guidMatcher, parseGuid, randomGuid, readGuid, writeGuid, ZERO_GUID } from '../../src/format/guid.js';
import { encodeHeader, parseHeaders } from '../../src/format/header.js';
import {
  DESCRIPTOR_SIZE,
  DISPLACED_OFFSET,
  encodeLogEntry,
  isDataSector,
  type LogWrite,
  logEntryLength,
  parseLogDescriptors,
  parseLogEntryHeader,
  restoreDataSector,
} from '../../src/format/log.js';
import {
  encodeFileParameters,
  encodeMetadataItems,
  encodeSectorSize,
  encodeVirtualDiskId,
  encodeVirtualDiskSize,
  parseMetadata,
} from '../../src/format/metadata.js';
import {
  encodeMetadataTable,
  listedItems,
  parseMetadataTable,
  readMetadataTableEntries,
} from '../../src/format/metadata-table.js';
import { encodeParentLocator, parseParentLocator } from '../../src/format/parent-locator.js';
import { encodeRegionTable, parseRegionTables, readRegionTableEntries } from '../../src/format/region-table.js';
import type { Finding } from '../../src/rules.js';
import { crc32cReference } from '../support/crc32c-reference.js';
import { asciiBytes, guidBytes, KiB, MiB, TiB, utf16Bytes } from '../support/encode-primitives.js';
import * as oracle from '../support/encode-structures.js';
import { propertyRuns } from '../support/property-runs.js';
import { expectSameBytes } from '../support/same-bytes.js';

const bytesOf = (length: number) => fc.uint8Array({ minLength: length, maxLength: length });
const u32 = fc.integer({ min: 0, max: 0xffffffff });
const u64 = fc.bigInt({ min: 0n, max: 2n ** 64n - 1n });
const guid = bytesOf(16).map((bytes) => readGuid(new DataView(bytes.buffer, bytes.byteOffset), 0));
const noFindings = (found: Finding) => expect.fail(found.message);

describe('a GUID', () => {
  test('is written as the specification stores it', () => {
    return fc.assert(
      fc.property(bytesOf(16), (bytes) => {
        const text = readGuid(new DataView(bytes.buffer, bytes.byteOffset), 0);
        const written = new Uint8Array(18);
        writeGuid(new DataView(written.buffer), 1, text);
        expect(written.subarray(1, 17)).toEqual(bytes);
        expect(guidBytes(text)).toEqual(bytes);
      }),
    );
  });

  test('is random, of version 4, and never zero', () => {
    const made = new Set(Array.from({ length: 100 }, () => randomGuid()));
    expect(made.size).toBe(100);
    for (const text of made)
      expect(text).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
    expect(randomGuid(() => {})).not.toBe(ZERO_GUID);
    expect(parseGuid(randomGuid((bytes) => void bytes.fill(0xff)))).toBe('ffffffff-ffff-4fff-bfff-ffffffffffff');
  });
});

describe('the file identifier', () => {
  test('keeps its creator', () => {
    const bytes = encodeFileIdentifier('vhdx 1.0');
    expect(hasVhdxSignature(bytes)).toBe(true);
    expect(bytes.subarray(8, 24)).toEqual(utf16Bytes('vhdx 1.0'));
    expect(readCreator(bytes)).toBe('vhdx 1.0');
    expect(readCreator(encodeFileIdentifier('x'.repeat(300)))).toBe('x'.repeat(256));
  });
});

describe('a header', () => {
  const anyHeader = fc.record({
    signature: fc.constant('head'),
    sequenceNumber: u64,
    fileWriteGuid: guid,
    dataWriteGuid: guid,
    logGuid: guid,
    logVersion: fc.integer({ min: 0, max: 0xffff }),
    version: fc.integer({ min: 0, max: 0xffff }),
    logLength: u32,
    logOffset: fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER }),
    reserved: fc.integer({ min: 0, max: 255 }),
  });

  const sectionOf = (first: Uint8Array, second: Uint8Array) => {
    const section = new Uint8Array(320 * KiB);
    section.set(first, 64 * KiB);
    section.set(second, 128 * KiB);
    return section;
  };

  test('is what it was, over its own bytes', () => {
    return fc.assert(
      fc.property(anyHeader, anyHeader, (first, second) => {
        const bytes = [oracle.encodeHeader(first), oracle.encodeHeader(second)] as const;
        const { slots } = parseHeaders(sectionOf(...bytes), crc32cReference, () => {});
        for (const [i, slot] of slots.entries()) {
          expect(slot.fault).toBeUndefined();
          expect(slot.bytes).toEqual(bytes[i]);
          expect(encodeHeader(slot.header, crc32cReference, slot.bytes)).toEqual(bytes[i]);
        }
      }),
      propertyRuns(25),
    );
  });

  test('has zeros for its reserved bytes in a new one', () => {
    const bytes = oracle.encodeHeader({ ...oracle.PLAIN_HEADER, sequenceNumber: 5n });
    const { current } = parseHeaders(sectionOf(bytes, bytes), crc32cReference, noFindings);
    expect(current && encodeHeader(current, crc32cReference)).toEqual(bytes);
  });

  test('that is not valid is given with its bytes and its fault', () => {
    const good = oracle.encodeHeader({ ...oracle.PLAIN_HEADER, sequenceNumber: 7n });
    const torn = good.slice().fill(1, 100, 101);
    const { slots, current } = parseHeaders(sectionOf(torn, good), crc32cReference, () => {});
    expect(slots.map(({ fault }) => fault)).toEqual(['header-checksum', undefined]);
    expect(slots[0].bytes).toEqual(torn);
    expect(slots[0].header.sequenceNumber).toBe(7n);
    expect(current?.copy).toBe(2);
    const blank = parseHeaders(sectionOf(good, new Uint8Array(4096)), crc32cReference, () => {});
    expect(blank.slots.map(({ fault }) => fault)).toEqual([undefined, 'header-signature']);
  });
});

describe('a region table', () => {
  const entries = fc.array(
    fc.record({
      id: guid,
      offset: fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER }),
      length: u32,
      flags: u32,
    }),
    { maxLength: 40 },
  );

  const tables = (first: Uint8Array, second: Uint8Array) => {
    const section = new Uint8Array(320 * KiB);
    section.set(first, 192 * KiB);
    section.set(second, 256 * KiB);
    return parseRegionTables(section, 8 * MiB, undefined, crc32cReference, () => {});
  };

  test('is what it was, over its own bytes: unknown regions, reserved words and stale entries too', () => {
    return fc.assert(
      fc.property(entries, u32, bytesOf(64), (list, reserved, stale) => {
        const table = oracle.encodeRegionTable({ signature: 'regi', reserved, entries: list });
        table.set(stale, 16 + 32 * list.length);
        oracle.withChecksum(table);
        const { copies } = tables(table, table);
        for (const copy of copies) {
          expect(copy.fault).toBeUndefined();
          expectSameBytes(copy.bytes, table);
          const again = encodeRegionTable(readRegionTableEntries(copy.bytes), crc32cReference, copy.bytes);
          expectSameBytes(again, table);
        }
      }),
      propertyRuns(15),
    );
  });

  test('that has nothing reserved needs no bytes to be made from', () => {
    const table = oracle.encodeRegionTable({
      signature: 'regi',
      reserved: 0,
      entries: [{ id: oracle.GUID.bat, offset: 3 * MiB, length: MiB, flags: 1 }],
    });
    expect(encodeRegionTable(readRegionTableEntries(table), crc32cReference)).toEqual(table);
  });

  test('that is not valid is given with its bytes and its fault', () => {
    const good = oracle.encodeRegionTable({ signature: 'regi', reserved: 0, entries: [] });
    const { copies } = tables(good.slice().fill(9, 500, 501), asciiBytes('nope'));
    expect(copies.map(({ fault }) => fault)).toEqual(['region-table-checksum', 'region-table-signature']);
  });
});

describe('a metadata table', () => {
  test('is what it was, over its own bytes: unknown items, reserved words and stale entries too', () => {
    const item = fc.record({
      id: guid,
      data: fc.constant(new Uint8Array()),
      flags: u32,
      offset: u32,
      length: u32,
      reserved: u32,
    });
    return fc.assert(
      fc.property(
        fc.array(item, { maxLength: 20 }),
        fc.integer({ min: 0, max: 255 }),
        bytesOf(64),
        (items, reserved, afterEntries) => {
          const table = oracle
            .encodeMetadata({
              signature: 'metadata',
              reserved,
              items: items.map((one) => ({ ...one, offset: 0 })),
              afterEntries,
            })
            .bytes.slice(0, 64 * KiB);
          const view = new DataView(table.buffer);
          for (const [i, { offset }] of items.entries()) view.setUint32(32 + 32 * i + 16, offset, true);
          expectSameBytes(encodeMetadataTable(readMetadataTableEntries(table), table), table);
        },
      ),
      propertyRuns(25),
    );
  });

  test('and its items are what they were', () => {
    const disk = {
      blockSize: 32 * MiB,
      leaveBlocksAllocated: true,
      hasParent: false,
      virtualSize: 64 * TiB,
      virtualDiskId: '12345678-9abc-def0-1234-56789abcdef0',
      logicalSectorSize: 4096,
      physicalSectorSize: 512,
    };
    const items = encodeMetadataItems(disk);
    const table = encodeMetadataTable(
      items.map(({ itemId, flags, bytes }, i) => ({
        itemId,
        flags,
        offset: 64 * KiB + 16 * i,
        length: bytes.length,
        reserved: 0,
      })),
    );
    const entries = parseMetadataTable(table, { structure: 'metadata region', offset: MiB, length: MiB }, noFindings);
    const again = parseMetadata(
      entries ?? [],
      listedItems(table),
      (entry) => items[(entry.offset - MiB - 64 * KiB) / 16]?.bytes as Uint8Array,
      noFindings,
    );
    expect(again).toEqual(disk);
  });

  test('items have the bytes that the specification gives them', () => {
    const file = { blockSize: 2 * MiB, leaveBlocksAllocated: false, hasParent: true };
    expect(Array.from(encodeFileParameters(file))).toEqual([0, 0, 0x20, 0, 2, 0, 0, 0]);
    expect(Array.from(encodeFileParameters(file, 0x80000004))).toEqual([0, 0, 0x20, 0, 6, 0, 0, 0x80]);
    expect(Array.from(encodeVirtualDiskSize(2 ** 40 + 512))).toEqual([0, 2, 0, 0, 0, 1, 0, 0]);
    expect(Array.from(encodeSectorSize(4096))).toEqual([0, 16, 0, 0]);
    expect(encodeVirtualDiskId(oracle.GUID.bat.toLowerCase())).toEqual(guidBytes(oracle.GUID.bat));
  });
});

describe('a parent locator', () => {
  test('is what it was', () => {
    const text = fc.string({ minLength: 1, maxLength: 40, unit: 'grapheme' }).filter((value) => !value.includes('\0'));
    return fc.assert(
      fc.property(fc.uniqueArray(fc.tuple(text, text), { maxLength: 8, selector: ([key]) => key }), (pairs) => {
        const ordered = pairs.filter(([key]) => !/^\d+$/.test(key));
        const bytes = oracle.encodeParentLocator({ entries: ordered.map(([key, value]) => ({ key, value })) });
        const locator = parseParentLocator(bytes, 0, () => {});
        expect(encodeParentLocator(Object.entries(locator?.entries ?? {}))).toEqual(bytes);
      }),
    );
  });

  test('has no empty text and none that is too long', () => {
    expect(() => encodeParentLocator([['relative_path', '']])).toThrow(RangeError);
    expect(() => encodeParentLocator([['relative_path', 'x'.repeat(32768)]])).toThrow(RangeError);
    expect(encodeParentLocator([['relative_path', 'x'.repeat(32767)]])).toHaveLength(32 + 26 + 65534);
  });
});

describe('a BAT entry', () => {
  test('is what it was, bit for bit', () => {
    return fc.assert(
      fc.property(bytesOf(8), (bytes) => {
        const view = new DataView(bytes.buffer, bytes.byteOffset);
        const entry = readBatEntry(view, 0);
        const raw = view.getBigUint64(0, true);
        expect([BigInt(entry.state), BigInt(entry.offset), BigInt(entry.reserved)]).toEqual([
          raw & 7n,
          raw & 0xfffffffffff00000n,
          (raw >> 3n) & 0x1ffffn,
        ]);
        const again = new Uint8Array(8);
        writeBatEntry(new DataView(again.buffer), 0, entry);
        expect(again).toEqual(bytes);
      }),
    );
  });
});

describe('a log entry', () => {
  const logGuid = '00112233-4455-6677-8899-aabbccddeeff';
  const fileOffset = fc.integer({ min: 0, max: 2 ** 40 }).map((sector) => sector * 4096);
  const write: fc.Arbitrary<LogWrite> = fc.oneof(
    fc.record({ offset: fileOffset, bytes: bytesOf(4096) }),
    fc.record({ offset: fileOffset, length: fileOffset }),
  );

  /** What an entry says, by the parsers. */
  function parse(bytes: Uint8Array): {
    header: NonNullable<ReturnType<typeof parseLogEntryHeader>>;
    writes: LogWrite[];
  } {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    const header = parseLogEntryHeader(view, 0, 256, guidMatcher(logGuid));
    if (!header) return expect.fail('not an entry');
    expect(header.sectors).toBe(bytes.length / 4096);
    const writes: LogWrite[] = [];
    let data = header.descriptorSectors;
    for (let index = 0; index < header.descriptorSectors; index++) {
      const descriptors = parseLogDescriptors(view, index * 4096, index, header);
      for (const { kind, offset, length, slot } of descriptors ?? expect.fail('not a descriptor')) {
        if (kind === 'zero') {
          writes.push({ offset, length });
          continue;
        }
        expect(isDataSector(view, data * 4096, header)).toBe(true);
        const page = bytes.slice(data * 4096, (data + 1) * 4096);
        restoreDataSector(page, bytes.subarray(index * 4096 + slot * DESCRIPTOR_SIZE + DISPLACED_OFFSET));
        writes.push({ offset, bytes: page });
        data += 1;
      }
    }
    return { header, writes };
  }

  test('is what it was', () => {
    return fc.assert(
      fc.property(
        fc.array(write, { maxLength: 6 }),
        fc.bigInt({ min: 1n, max: 2n ** 64n - 1n }),
        fc.integer({ min: 0, max: 255 }),
        (writes, sequenceNumber, tail) => {
          const entry = { tail, sequenceNumber, logGuid, flushedFileOffset: 0, lastFileOffset: 2 ** 45, writes };
          const bytes = encodeLogEntry(entry, crc32cReference);
          const parsed = parse(bytes);
          expect(parsed.writes).toEqual(writes);
          expect(parsed.header).toMatchObject({ tail, sequenceNumber, flushedFileOffset: 0, lastFileOffset: 2 ** 45 });
          expect(encodeLogEntry({ ...parsed.header, logGuid, writes: parsed.writes }, crc32cReference)).toEqual(bytes);
        },
      ),
      propertyRuns(25),
    );
  });

  test('has 126 descriptors in its first sector and 128 in each that follows', () => {
    const sectors = [0, 1, 126, 127, 254, 255].map((count) => logEntryLength(count, 0) / 4096);
    expect(sectors).toEqual([1, 1, 1, 2, 2, 3]);
    expect(logEntryLength(126, 126)).toBe(127 * 4096);
    const writes = Array.from({ length: 130 }, (_, i) => ({ offset: i * 4096, length: 4096 }));
    const entry = { tail: 0, sequenceNumber: 9n, logGuid, flushedFileOffset: 0, lastFileOffset: 0, writes };
    const bytes = encodeLogEntry(entry, crc32cReference);
    expect(bytes).toHaveLength(8192);
    expect(parse(bytes).writes).toEqual(writes);
  });
});

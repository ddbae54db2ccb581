import { describe, expect, test } from 'vitest';
import { dumpLines, parseOffset, parsePatterns } from '../../app/panels/bytes-text.js';
import { base64OfChecksum, parseChecksum } from '../../app/panels/checksum.js';
import { axisLabels } from '../../app/panels/map-axis.js';
import { ownersOf, partitionWords } from '../../app/panels/map-partitions.js';
import { boxOf, cellUnder, movedView, viewAround, wholeView, zoomedView } from '../../app/panels/map-view.js';
import { KINDS, type MapBins } from '../../app/protocol.js';
import { checksumText, durationText, rangeText, sentence, shareText, sizeText } from '../../app/wording.js';
import { chooseSubject, nameOf } from '../../app/worker/chain.js';
import { ReadProgress } from '../../app/worker/job-progress.js';
import type { DiskInfo } from '../../src/index.js';
import type { Partition } from '../../src/volumes/index.js';

const GiB = 1024 ** 3;
const TiB = 1024 ** 4;

describe('a pasted checksum', () => {
  // The CRC-32C of "123456789", as its published check value has it, and as an object store would show it.
  test.each([
    'e3069283',
    'E3069283',
    ' 0xE3069283\n',
    '4waSgw==',
    '4waSgw',
    'crc32c=4waSgw==',
    'crc32c: e3069283',
    '"4waSgw=="',
  ])('%j is understood', (text) => {
    expect(parseChecksum(text)).toBe(0xe3069283);
  });

  test.each(['', '123', 'e30692831', 'hello world', '4waSgA', '4waSgw=', 'sha256=abc', 'e306928g', 'AAAAAAAA=='])(
    '%j is refused',
    (text) => {
      expect(parseChecksum(text)).toBe(text === '4waSgA' ? 0xe3069280 : undefined);
    },
  );

  test.each([0, 1, 0x7fffffff, 0x80000000, 0xe3069283, 0xffffffff])('%i is the same in both notations', (crc) => {
    expect(parseChecksum(checksumText(crc))).toBe(crc);
    expect(parseChecksum(base64OfChecksum(crc))).toBe(crc);
  });
});

describe('an offset to go to', () => {
  test.each([
    ['0', 0],
    ['34', 34 * 512],
    ['1,024', 1024 * 512],
    ['0x1be', 0x1be],
    ['0X10', 16],
    ['3 GiB', 3 * GiB],
    ['3G', 3 * GiB],
    ['1.5 tb', 1.5 * TiB],
    ['512k', 512 * 1024],
  ])('%j is a byte offset', (text, offset) => {
    expect(parseOffset(text, 512)).toBe(offset);
  });

  test.each(['', 'here', '-1', '0x', '1.5', '3 parsecs'])('%j is none', (text) => {
    expect(parseOffset(text, 512)).toBeUndefined();
  });
});

test('what is looked for is a text in both encodings, or bytes', () => {
  expect(parsePatterns('Aé')).toEqual([Uint8Array.of(0x41, 0xc3, 0xa9), Uint8Array.of(0x41, 0, 0xe9, 0)]);
  expect(parsePatterns('0xDE ad\tbe')).toEqual([Uint8Array.of(0xde, 0xad, 0xbe)]);
  expect(parsePatterns('0xyz')).toHaveLength(2);
  for (const nothing of ['', '0x', '0x1', '0x12 3']) expect(parsePatterns(nothing)).toBeUndefined();
});

test('a dump has offsets, bytes in groups of eight, and text', () => {
  const bytes = Uint8Array.from({ length: 20 }, (_, i) => 0x40 + i);
  expect(dumpLines(bytes, 0x1f0, 16)).toEqual([
    '000001f0  40 41 42 43 44 45 46 47  48 49 4a 4b 4c 4d 4e 4f  @ABCDEFGHIJKLMNO',
    '00000200  50 51 52 53                                       PQRS',
  ]);
  expect(dumpLines(Uint8Array.of(0, 0x7f, 0xff), 2 ** 40, 8)).toEqual(['10000000000  00 7f ff                 ...']);
});

test('numbers are said as people say them', () => {
  expect([0, 1, 1023, 1024, 1536, 10 * GiB, 64 * TiB].map(sizeText)).toEqual([
    '0 bytes',
    '1 byte',
    '1023 bytes',
    '1 KiB',
    '1.5 KiB',
    '10 GiB',
    '64 TiB',
  ]);
  expect([shareText(0, 9), shareText(1, 9999), shareText(1, 2), shareText(9998, 9999), shareText(9, 9)]).toEqual([
    '0 %',
    '< 0.1 %',
    '50 %',
    '> 99.9 %',
    '100 %',
  ]);
  expect([shareText(998, 1000), shareText(994, 1000)]).toEqual(['99.8 %', '99.4 %']);
  expect([rangeText(0, 1.5 * 2 ** 20), rangeText(582_500_000, 582_600_000)]).toEqual([
    '0 bytes to 1.5 MiB',
    '0x22b83ea0 to 0x22b9c540',
  ]);
  expect(
    ['the file ends', 'lower.vhdx: BAT entry 1', 'http://localhost/a: not found', 'done. And more'].map(sentence),
  ).toEqual(['The file ends.', 'lower.vhdx: BAT entry 1.', 'http://localhost/a: not found.', 'Done. And more.']);
  expect([0.2, 1, 59, 600, 7200].map(durationText)).toEqual([
    'less than a second',
    '1 second',
    '59 seconds',
    '10 minutes',
    '2 hours',
  ]);
});

describe('of several files the one that is meant', () => {
  const image = (name: string, guid: string, parent?: string) => ({
    name,
    info: {
      type: parent === undefined ? 'dynamic' : 'differencing',
      header: { dataWriteGuid: guid },
      ...(parent !== undefined && { parentLocator: { parent_linkage: `{${parent.toUpperCase()}}` } }),
    } as unknown as DiskInfo,
  });
  const base = image('base', 'aa');
  const middle = image('middle', 'bb', 'aa');
  const top = image('top', 'cc', 'bb');

  test.each([
    ['the youngest, whatever their order', [base, top, middle], 1],
    ['the only one', [base], 0],
    ['one that opens', [{ name: 'broken' }, base], 1],
    ['the one with the longest chain', [image('other', 'dd'), base, middle], 2],
    ['the first, where none opens', [{ name: 'broken' }, { name: 'too' }], 0],
    ['any of a ring', [image('one', 'ee', 'ff'), image('two', 'ff', 'ee')], 0],
    ['the first of two children', [base, image('left', '11', 'aa'), image('right', '22', 'aa')], 1],
  ])('is %s', (_, images, chosen) => {
    expect(chooseSubject(images)).toBe(chosen);
  });

  test('is called by the last part of its address', () => {
    expect(nameOf('https://example.org/a/my%20disk.vhdx?sig=1#x')).toBe('my disk.vhdx');
    expect(nameOf('https://example.org/a/100%.vhdx')).toBe('100%.vhdx');
  });
});

describe('the way through a disk', () => {
  const bins = (data: readonly number[], reached = 4000): MapBins => {
    const bytes = new Float64Array(4 * KINDS.length);
    data.forEach((part, bin) => {
      bytes[bin * KINDS.length] = part;
    });
    return { offset: 0, length: 4000, binLength: 1000, bytes, reached };
  };

  test('is counted in what must be read', () => {
    const reads = new ReadProgress(bins([1000, 0, 0, 500]));
    expect(reads.at(0)).toEqual({ done: 0, total: 4000, read: 0, toRead: 1500 });
    expect(reads.at(500)).toMatchObject({ read: 500 });
    expect(reads.at(3000)).toMatchObject({ read: 1000 });
    expect(reads.at(4000)).toMatchObject({ done: 4000, read: 1500 });
  });

  test('is counted in all bytes while the map is not complete', () => {
    expect(new ReadProgress(bins([1000], 1000)).at(2000)).toEqual({
      done: 2000,
      total: 4000,
      read: 2000,
      toRead: 4000,
    });
  });
});

describe('partitions on the map', () => {
  const part = (number: number, offset: number, length: number): Partition => ({
    number,
    offset,
    length,
    type: 'Linux',
    typeId: '83',
    marks: [],
  });
  const parts = [part(1, 512, 1024), part(2, 4096, 8192), part(5, 8192, 2048)];
  const view = wholeView({ size: 16_384, sectorSize: 512, width: 800, height: 400 });

  test('own the cells that they fill most of, the inner one before the outer', () => {
    expect(view.binLength).toBe(512);
    const owners = [...ownersOf(view, parts)];
    expect(owners).toEqual([
      ...[-1, 0, 0, -1, -1, -1, -1, -1],
      ...[1, 1, 1, 1, 1, 1, 1, 1],
      ...[2, 2, 2, 2, 1, 1, 1, 1],
      ...[-1, -1, -1, -1, -1, -1, -1, -1],
    ]);
    const coarse = { ...view, binLength: 2048, bins: 8 };
    expect([...ownersOf(coarse, parts)]).toEqual([0, -1, 1, 1, 2, 1, -1, -1]);
    expect([...ownersOf({ ...view, offset: 8192, length: 1024, bins: 2 }, parts)]).toEqual([2, 2]);
  });

  test('are said in words', () => {
    expect(partitionWords(parts, 0, 512)).toBe('');
    expect(partitionWords(parts, 512, 512)).toBe('partition 1');
    expect(partitionWords(parts, 0, 8193)).toBe('partitions 1, 2 and 5');
    const many = Array.from({ length: 9 }, (_, i) => part(i + 1, i * 512, 512));
    expect(partitionWords(many, 0, 16_384)).toBe('9 partitions');
  });

  test('stand beside an axis whose labels differ', () => {
    const labels = axisLabels(view);
    expect(labels[0]).toEqual({ row: 0, text: '0' });
    expect(new Set(labels.map(({ text }) => text)).size).toBe(labels.length);
    const near = { ...view, offset: 60 * GiB, binLength: 512, bins: 32 };
    expect(axisLabels(near)[0]?.text).toBe('0xf00000000');
  });
});

describe('the grid of the map', () => {
  const frame = { size: 127 * GiB, sectorSize: 512, width: 1100, height: 272 };

  test('has a cell for each bin, and finds the cell under a point', () => {
    const view = wholeView(frame);
    expect(view).toMatchObject({ offset: 0, length: frame.size });
    expect(view.bins * view.binLength).toBeGreaterThanOrEqual(frame.size);
    for (const cell of [0, 1, view.columns, view.bins - 1]) {
      const { x, y, width, height } = boxOf(view, cell);
      expect(cellUnder(view, x + width / 2, y + height / 2)).toBe(cell);
    }
    // Rows begin at round places, and what is left over at the end is less than one.
    expect(view).toMatchObject({ columns: 64, rows: 16 });
    expect(wholeView({ ...frame, size: 512 * GiB, width: 300 })).toMatchObject({ bins: 512, columns: 32, rows: 16 });
    const odd = wholeView({ ...frame, size: 17 * 512 });
    expect(odd).toMatchObject({ bins: 17, columns: 8, rows: 3 });
    expect(cellUnder(odd, frame.width - 1, frame.height - 1)).toBeUndefined();
  });

  test('is full wherever the disk goes on', () => {
    for (const factor of [4, 64, 4096]) {
      const view = zoomedView(frame, wholeView(frame).binLength / factor, 60 * GiB);
      expect(view.bins).toBe(view.columns * view.rows);
      expect(view.length).toBe(view.bins * view.binLength);
    }
  });

  test('shows a range that was asked for, as close as it can', () => {
    for (const [offset, length] of [
      [0, 100 * GiB],
      [3 * GiB + 512, GiB],
      [126 * GiB, GiB],
      [512, 512],
    ] as const) {
      const view = viewAround(frame, offset, length);
      expect(view.offset).toBeLessThanOrEqual(offset);
      expect(view.offset + view.length).toBeGreaterThanOrEqual(offset + length);
      expect(view.binLength === 512 || view.length < 5 * length).toBe(true);
    }
  });

  test('keeps what was in the middle in the middle, and stays on the disk', () => {
    const near = zoomedView(frame, wholeView(frame).binLength / 16, 60 * GiB);
    expect(near.offset % near.binLength).toBe(0);
    expect(Math.abs(near.offset + near.length / 2 - 60 * GiB)).toBeLessThan(near.binLength);
    expect(movedView(frame, near, 10 ** 15).offset + near.length).toBe(frame.size);
    expect(movedView(frame, near, -1).offset).toBe(0);
    expect(zoomedView(frame, 1, 0).binLength).toBe(512);
  });

  test('shows a disk of one sector', () => {
    expect(wholeView({ ...frame, size: 512 })).toMatchObject({ bins: 1, length: 512, columns: 1, rows: 1 });
  });
});

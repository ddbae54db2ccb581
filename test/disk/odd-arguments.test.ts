// Odd values against every public function: each rejects or throws, with an error that says what is wrong, and none of
// them gives bytes, sums or sizes that look right. Sources have a table of their own, in test/io/odd-values.test.ts.
import { beforeAll, describe, expect, test } from 'vitest';
import * as vhdx from '../../src/index.js';
import { pattern } from '../support/block-content.js';
import { buildImage } from '../support/build-image.js';
import { MiB, ZERO_GUID } from '../support/encode-primitives.js';
import { STATE } from '../support/image-spec.js';

/** Anything may be passed where JavaScript calls. */
// biome-ignore lint/suspicious/noExplicitAny: that is what the table is about
type Odd = any;
type Call = (disk: vhdx.VhdxDisk, odd: Odd) => unknown;

const image = buildImage({ blocks: { 0: { state: STATE.fullyPresent, data: pattern(1) } } });
const sink: vhdx.RandomAccessSink = { truncate: async () => {}, write: async () => {} };

const NUMBERS = [-1, 0.5, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 53, '0', '1', null, true, 1n, [], {}];
const PAST_END = [8 * MiB + 1, ...NUMBERS];
const NO_BYTES = [
  new Uint16Array(4),
  new Uint8ClampedArray(4),
  new Float64Array(1),
  new DataView(new ArrayBuffer(8)),
  new ArrayBuffer(8),
  [0, 0],
  'text',
  null,
  undefined,
  { length: 4, byteLength: 4 },
];
const NO_INPUT = [undefined, null, 5, true, {}, [], Symbol('x'), () => {}, { size: 5 }, { readInto: () => {} }, ''];
const NO_TARGET = [undefined, null, 5, true, {}, [], ''];
const NO_DISK = [undefined, null, 5, 'disk.vhdx', true];
const NO_CHECKSUM = [-1, 0.5, Number.NaN, 2 ** 32, '0', null, 1n, {}];

/** A new image that can be written. */
async function newFile(): Promise<vhdx.RandomAccessFile> {
  const file = vhdx.memoryFile();
  await vhdx.createVhdx(file, { size: MiB });
  return file;
}

/** What reading all of something gives; rejects as it does. */
async function drain(all: AsyncIterable<unknown>): Promise<unknown[]> {
  const items: unknown[] = [];
  for await (const item of all) items.push(item);
  return items;
}

/** By the name of a function or a method: what is called, and with what odd values. */
const TABLE: Readonly<Record<string, readonly (readonly [what: string, odd: readonly unknown[], call: Call])[]>> = {
  read: [
    ['offset', PAST_END, (disk, odd) => disk.read(odd, 1)],
    ['length', PAST_END, (disk, odd) => disk.read(0, odd)],
    ['range', [8 * MiB, 8 * MiB - 1], (disk, odd) => disk.read(odd, 2)],
  ],
  readInto: [
    ['target', NO_BYTES, (disk, odd) => disk.readInto(odd, 0)],
    ['offset', [...PAST_END, undefined, 8 * MiB], (disk, odd) => disk.readInto(new Uint8Array(1), odd)],
  ],
  readSync: [
    ['offset', PAST_END, async (disk, odd) => disk.readSync(odd, 1)],
    ['length', PAST_END, async (disk, odd) => disk.readSync(0, odd)],
    ['range', [8 * MiB, 8 * MiB - 1], async (disk, odd) => disk.readSync(odd, 2)],
  ],
  readIntoSync: [
    ['target', NO_BYTES, async (disk, odd) => disk.readIntoSync(odd, 0)],
    ['offset', [...PAST_END, undefined, 8 * MiB], async (disk, odd) => disk.readIntoSync(new Uint8Array(1), odd)],
  ],
  stream: [
    ['offset', PAST_END, (disk, odd) => drain(disk.stream({ offset: odd }) as Odd)],
    ['length', PAST_END, (disk, odd) => drain(disk.stream({ length: odd }) as Odd)],
    ['type', ['', 'byte', null, 1, {}], async (disk, odd) => disk.stream({ type: odd })],
  ],
  extents: [
    ['offset', PAST_END, (disk, odd) => drain(disk.extents({ offset: odd }))],
    ['length', PAST_END, (disk, odd) => drain(disk.extents({ length: odd }))],
  ],
  checksum: [
    ['offset', PAST_END, (disk, odd) => disk.checksum({ offset: odd })],
    ['length', PAST_END, (disk, odd) => disk.checksum({ length: odd })],
    ['onProgress', [5, 'x', {}], (disk, odd) => disk.checksum({ onProgress: odd })],
  ],
  usage: [
    ['bins', [0, 10_001, undefined, ...NUMBERS], (disk, odd) => disk.usage({ bins: odd })],
    ['offset', PAST_END, (disk, odd) => disk.usage({ bins: 1, offset: odd })],
    ['length', PAST_END, (disk, odd) => disk.usage({ bins: 1, length: odd })],
    ['options', [undefined, null], (disk, odd) => disk.usage(odd)],
  ],
  check: [['signal', [5, 'x', {}], (disk, odd) => disk.check({ signal: odd })]],
  openVhdx: [['input', NO_INPUT, (_, odd) => vhdx.openVhdx(odd)]],
  checkVhdx: [['input', NO_INPUT, (_, odd) => vhdx.checkVhdx(odd)]],
  isVhdx: [['input', NO_INPUT, (_, odd) => vhdx.isVhdx(odd)]],
  detectFormat: [['input', NO_INPUT, (_, odd) => vhdx.detectFormat(odd)]],
  checksumFile: [
    ['input', NO_INPUT, (_, odd) => vhdx.checksumFile(odd)],
    ['offset', PAST_END, (_, odd) => vhdx.checksumFile(new Uint8Array(8 * MiB), { offset: odd })],
    ['length', PAST_END, (_, odd) => vhdx.checksumFile(new Uint8Array(8 * MiB), { length: odd })],
    ['onProgress', [5, 'x', {}], (_, odd) => vhdx.checksumFile(new Uint8Array(8), { onProgress: odd })],
  ],
  openSource: [['input', NO_INPUT, (_, odd) => vhdx.openSource(odd)]],
  slice: [
    ['offset', PAST_END, (disk, odd) => vhdx.slice(disk, odd)],
    ['length', PAST_END, (disk, odd) => vhdx.slice(disk, 0, odd)],
    ['source', NO_DISK, (_, odd) => vhdx.slice(odd, 0)],
  ],
  compareDisks: [
    ['a', NO_DISK, (disk, odd) => vhdx.compareDisks(odd, disk)],
    ['b', NO_DISK, (disk, odd) => vhdx.compareDisks(disk, odd)],
    ['onProgress', [5, 'x', {}], (disk, odd) => vhdx.compareDisks(disk, disk, { onProgress: odd })],
  ],
  exportDisk: [
    ['disk', NO_DISK, (_, odd) => vhdx.exportDisk(odd, sink)],
    ['sink', [undefined, null, 5, 'out.raw', {}, { truncate: 5 }], (disk, odd) => vhdx.exportDisk(disk, odd)],
    ['format', ['qcow2', '', 5, null, {}], (disk, odd) => vhdx.exportDisk(disk, sink, { format: odd })],
  ],
  exportStream: [
    ['disk', NO_DISK, async (_, odd) => drain(vhdx.exportStream(odd) as Odd)],
    ['format', ['qcow2', '', 5, null, {}], (disk, odd) => vhdx.exportStream(disk, { format: odd })],
  ],
  exportSize: [
    ['disk', NO_DISK, (_, odd) => vhdx.exportSize(odd)],
    ['format', ['qcow2', 'x', '', 5, null, {}], (disk, odd) => vhdx.exportSize(disk, odd)],
  ],
  crc32c: [
    ['bytes', [undefined, null, 5, 'text', [1, 2], {}], (_, odd) => vhdx.crc32c(odd)],
    ['initial', NO_CHECKSUM, (_, odd) => vhdx.crc32c(new Uint8Array(1), odd)],
  ],
  Crc32c: [
    ['initial', NO_CHECKSUM, (_, odd) => vhdx.Crc32c.create(odd)],
    ['bytes', [undefined, null, 5, 'text', [1, 2]], async (_, odd) => (await vhdx.Crc32c.create()).update(odd)],
  ],
  crc32cCombine: [
    ['a', NO_CHECKSUM, (_, odd) => vhdx.crc32cCombine(odd, 0, 1)],
    ['b', NO_CHECKSUM, (_, odd) => vhdx.crc32cCombine(0, odd, 1)],
    ['length', NUMBERS, (_, odd) => vhdx.crc32cCombine(0, 0, odd)],
  ],
  createVhdx: [
    ['target', [undefined, null, 5, true, {}, [], ''], (_, odd) => vhdx.createVhdx(odd, { size: MiB })],
    ['size', [...NUMBERS, undefined, 0, 65 * 2 ** 40], (_, odd) => vhdx.createVhdx(vhdx.memoryFile(), { size: odd })],
    ['type', ['vhd', '', 5, null], (_, odd) => vhdx.createVhdx(vhdx.memoryFile(), { size: MiB, type: odd })],
    [
      'block size',
      [0, 1, 3 * MiB, 512 * MiB, '1048576', Number.NaN],
      (_, odd) => vhdx.createVhdx(vhdx.memoryFile(), { size: MiB, blockSize: odd }),
    ],
  ],
  writeVhdx: [
    ['source', [undefined, null, 5, true, {}, [], ''], (_, odd) => vhdx.writeVhdx(odd, vhdx.memoryFile())],
    ['target', [undefined, null, 5, true, {}, [], ''], (_, odd) => vhdx.writeVhdx(new Uint8Array(512), odd)],
    [
      'format',
      [null, 5, 'qcow2', ''],
      (_, odd) => vhdx.writeVhdx(new Uint8Array(512), vhdx.memoryFile(), { format: odd }),
    ],
  ],
  vhdxStream: [['source', [undefined, null, 5, true, {}, [], ''], (_, odd) => vhdx.vhdxStream(odd)]],
  openDisk: [
    ['input', [undefined, null, 5, true, {}, [], ''], (_, odd) => vhdx.openDisk(odd)],
    ['format', [null, 5, 'qcow2', ''], (_, odd) => vhdx.openDisk(new Uint8Array(512), { format: odd })],
  ],
  editVhdx: [['target', NO_TARGET, (_, odd) => vhdx.editVhdx(odd)]],
  repairVhdx: [['target', NO_TARGET, (_, odd) => vhdx.repairVhdx(odd)]],
  mergeVhdx: [['child', NO_TARGET, (_, odd) => vhdx.mergeVhdx(odd)]],
  rebaseVhdx: [
    ['child', NO_TARGET, (_, odd) => vhdx.rebaseVhdx(odd, image.source())],
    ['parent', [null, 5, true, {}, ''], async (_, odd) => vhdx.rebaseVhdx(await newFile(), odd)],
  ],
  resizeVhdx: [
    ['target', NO_TARGET, (_, odd) => vhdx.resizeVhdx(odd, MiB)],
    ['size', [...NUMBERS, undefined, 0, 65 * 2 ** 40], async (_, odd) => vhdx.resizeVhdx(await newFile(), odd)],
  ],
  setVhdx: [
    ['target', NO_TARGET, (_, odd) => vhdx.setVhdx(odd, { newId: true })],
    ['id', ['', 'disk', 5, {}, ZERO_GUID], async (_, odd) => vhdx.setVhdx(await newFile(), { newId: odd })],
    ['sector size', ['512', 0, 1024, {}], async (_, odd) => vhdx.setVhdx(await newFile(), { physicalSectorSize: odd })],
  ],
  compactVhdx: [['target', NO_TARGET, (_, odd) => vhdx.compactVhdx(odd)]],
  combineChecks: [['parts', [undefined, null, 5, {}, [], [5], [{}]], (_, odd) => vhdx.combineChecks(odd)]],
  shardRange: [
    ['disk', NO_DISK, (_, odd) => vhdx.shardRange(odd, { index: 0, of: 1 })],
    ['shard', [null, 5, {}, { index: 1, of: 1 }, { index: '0', of: 1 }], (disk, odd) => vhdx.shardRange(disk, odd)],
  ],
  lockForWriting: [['path', [undefined, null, 5, true, {}, []], (_, odd) => vhdx.lockForWriting(odd)]],
  findChildren: [['path', [undefined, null, 5, true, {}, []], (_, odd) => vhdx.findChildren(odd)]],
  meaningOf: [['code', [undefined, null, 5, 'x', 'toString', {}], (_, odd) => vhdx.meaningOf(odd)]],
  initCore: [['module', [undefined, null, 5, new Uint8Array(8), {}], (_, odd) => vhdx.initCore(odd)]],
};

/** Functions whose arguments are tried elsewhere, and what is no function that takes any. */
const ELSEWHERE = ['VhdxDisk', 'VhdxError', 'lendBytes', 'memoryFile', 'openFile'];

test('the table has every public function, and every method of a disk that takes anything', () => {
  const methods = Object.getOwnPropertyNames(vhdx.VhdxDisk.prototype).filter(
    (name) => !/^(constructor|close)$/.test(name),
  );
  const functions = Object.entries(vhdx).filter(
    ([name, value]) => typeof value === 'function' && !ELSEWHERE.includes(name),
  );
  expect(Object.keys(TABLE).sort()).toEqual([...methods, ...functions.map(([name]) => name)].sort());
});

describe.each(Object.entries(TABLE))('%s', (_name, rows) => {
  let disk: vhdx.VhdxDisk;
  beforeAll(async () => {
    disk = await vhdx.openVhdx(image.toUint8Array(), { sync: true });
  });

  test.each(rows)('refuses an odd %s', async (_what, odd, call) => {
    const outcomes = await Promise.all(
      odd.map(async (value) => {
        try {
          return `gives ${JSON.stringify(await call(disk, value))?.slice(0, 80)}`;
        } catch (error) {
          const isKnown = error instanceof TypeError || error instanceof RangeError || error instanceof vhdx.VhdxError;
          return isKnown && error.message !== '' ? 'refused' : `throws ${error}`;
        }
      }),
    );
    const named = outcomes.map(
      (outcome, i) => `${Object.prototype.toString.call(odd[i])} ${String(odd[i])}: ${outcome}`,
    );
    expect(named.filter((line) => !line.endsWith(': refused'))).toEqual([]);
  });
});

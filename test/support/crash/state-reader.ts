import { PAGE_SIZE, type PageImage, ZERO_PAGE } from './page-image.js';
import { readBat, type StateBat } from './state-bat.js';
import {
  BrokenState,
  guidText,
  hasRightChecksum,
  type Memory,
  must,
  number64,
  remember,
  startsWith,
  viewOf,
} from './state-bytes.js';
import { replayed } from './state-log.js';
import { type Item, readMetadata, type StateMetadata } from './state-metadata.js';

const KiB = 1024;
const MiB = 1024 * KiB;
const ZERO_GUID = '00000000-0000-0000-0000-000000000000';
const BAT = '2dc27766-f623-4200-9d64-115e9bfd4a08';
const METADATA = '8b7ca206-4790-4b9a-b8fe-575f050f886e';

/** A valid header ([MS-VHDX] 2.2.2). */
export interface StateHeader {
  readonly slot: 1 | 2;
  readonly sequenceNumber: bigint;
  readonly fileWriteGuid: string;
  readonly dataWriteGuid: string;
  readonly logGuid: string;
  readonly logLength: number;
  readonly logOffset: number;
}

/** A range of the file that something owns. */
export interface Owned {
  readonly offset: number;
  readonly length: number;
  readonly what: string;
}

/** What a state says, after its log has been replayed in memory. */
export interface StateView {
  /** The file after replay. */
  readonly image: PageImage;
  readonly header: StateHeader;
  /** The valid headers, the current one first. */
  readonly headers: readonly StateHeader[];
  readonly dirty: boolean;
  readonly regions: readonly Owned[];
  readonly items: ReadonlyMap<string, Item>;
  readonly metadata: StateMetadata;
  readonly bat: StateBat;
  /** End of the last structure. */
  readonly end: number;
  /** A page of 4 KiB of the virtual disk; {@link ZERO_PAGE} itself where no block holds it. */
  page(index: number): Uint8Array;
  /**
   * Which of `count` logical sectors from `first` on are in this file, by their chunk's bitmap: a bit each, the lowest
   * for the first. All of them have their bits in one byte. Throws where the chunk has no bitmap.
   */
  readonly inFile: (first: number, count: number) => number;
}

/**
 * Reads a state as [MS-VHDX] says, and throws a {@link BrokenState} on everything that it forbids. Shares no code with
 * the library: it is what the library's writer is judged by. `parent` answers for what a child does not hold; with `oneRegionTable` one valid copy
 * of the region table is enough.
 */
export function readState(
  image: PageImage,
  parent?: Pick<StateView, 'page' | 'header' | 'metadata'>,
  options: { readonly oneRegionTable?: boolean } = {},
): StateView {
  image.freeze();
  must(startsWith(image.page(0), 'vhdxfile'), () => '2.2.1: the file does not begin with its signature');
  must(image.size >= 1 * MiB, () => `2.2: the file has ${image.size} bytes`);
  const headers = readHeaders(image);
  const header = headers[0] as StateHeader;
  const log = { offset: header.logOffset, length: header.logLength, guid: header.logGuid };
  must(log.offset % MiB === 0 && log.length % MiB === 0, () => '2.2.2: the log is not 1 MiB aligned');
  must(log.length > 0 && log.offset >= MiB, () => '2.2.2: there is no log');
  must(log.offset + log.length <= image.size, () => '2.2.2: the log leaves the file');
  const dirty = header.logGuid !== ZERO_GUID;
  const file = dirty ? replayed(image, log) : image;

  const regions = readRegions(file, options.oneRegionTable === true);
  const [bat, metadataRegion] = [BAT, METADATA].map((id) => regions.find(({ what }) => what === id));
  must(bat !== undefined && metadataRegion !== undefined, () => '2.2.3.2: BAT or metadata region is missing');
  const { items, metadata } = readMetadata(file, metadataRegion);
  if (parent !== undefined) checkParent(metadata, parent);
  const stateBat = readBat(file, bat, metadata);
  const end = endOf(stateBat, regions, header);
  must(end <= file.size, () => `2.1: the last structure ends at ${end}, the file at ${file.size}`);
  return {
    image: file,
    header,
    headers,
    dirty,
    regions,
    items,
    metadata,
    bat: stateBat,
    end,
    page: (index) => virtualPage(file, metadata, stateBat, index, parent),
    inFile: (first, count) => bitsOf(file, stateBat, first, count),
  };
}

const headersOf = new WeakMap<Uint8Array, WeakMap<Uint8Array, StateHeader[]>>();

/** The valid headers of a file, the current one first. Throws where none is, or nobody can tell which is current. */
export function readHeaders(image: PageImage): StateHeader[] {
  const [first, second] = ([1, 2] as const).map((slot) => image.page((slot * 64 * KiB) / PAGE_SIZE)) as [
    Uint8Array,
    Uint8Array,
  ];
  const bySecond = headersOf.get(first) ?? new WeakMap<Uint8Array, StateHeader[]>();
  headersOf.set(first, bySecond);
  let headers = bySecond.get(second);
  if (headers === undefined) {
    headers = parseHeaders([first, second]);
    bySecond.set(second, headers);
  }
  return headers;
}

function parseHeaders(pages: readonly Uint8Array[]): StateHeader[] {
  const valid: StateHeader[] = [];
  for (const [i, page] of pages.entries()) {
    const slot = i === 0 ? 1 : 2;
    if (!startsWith(page, 'head') || !hasRightChecksum([page])) continue;
    const view = viewOf(page);
    must(view.getUint16(66, true) === 1, () => `2.2.2: header ${slot} has version ${view.getUint16(66, true)}`);
    must(view.getUint16(64, true) === 0, () => `2.2.2: header ${slot} has log version ${view.getUint16(64, true)}`);
    valid.push({
      slot,
      sequenceNumber: view.getBigUint64(8, true),
      fileWriteGuid: guidText(page, 16),
      dataWriteGuid: guidText(page, 32),
      logGuid: guidText(page, 48),
      logLength: view.getUint32(68, true),
      logOffset: number64(view, 72, 'LogOffset'),
    });
  }
  const [first, second] = valid;
  must(first !== undefined, () => '2.2.2: neither header is valid');
  if (second === undefined) return valid;
  if (first.sequenceNumber === second.sequenceNumber) throw new BrokenState('2.2.2: both headers are equally current');
  return first.sequenceNumber > second.sequenceNumber ? valid : [second, first];
}

const regionsOf: Memory<Owned[]> = new WeakMap();
const tableOf: Memory<Owned[]> = new WeakMap();
const TABLES = (192 * KiB) / PAGE_SIZE;
const TABLE_PAGES = (64 * KiB) / PAGE_SIZE;

function readRegions(image: PageImage, oneIsEnough: boolean): Owned[] {
  const pages = image.chunk(0).pages.slice(TABLES, TABLES + 2 * TABLE_PAGES);
  if (!oneIsEnough) return remember(regionsOf, pages, () => parseRegions(pages));
  const tables = [pages.slice(0, TABLE_PAGES), pages.slice(TABLE_PAGES)] as const;
  const valid = tables.find((table) => startsWith(table[0] as Uint8Array, 'regi') && hasRightChecksum(table));
  must(valid !== undefined, () => '2.2.3: neither region table is valid');
  return remember(tableOf, valid, () => parseTable(joined(valid)));
}

function parseRegions(pages: readonly Uint8Array[]): Owned[] {
  const tables = [pages.slice(0, TABLE_PAGES), pages.slice(TABLE_PAGES)] as const;
  for (const [i, table] of tables.entries()) {
    must(startsWith(table[0] as Uint8Array, 'regi'), () => `2.2.3: region table ${i + 1} has no signature`);
    must(hasRightChecksum(table), () => `2.2.3: region table ${i + 1} has a wrong checksum`);
  }
  const [bytes, copy] = [joined(tables[0]), joined(tables[1])];
  must(
    bytes.every((byte, i) => byte === copy[i]),
    () => '2.2.3: the region tables differ',
  );
  return parseTable(bytes);
}

function joined(pages: readonly Uint8Array[]): Uint8Array {
  const bytes = new Uint8Array(pages.length * PAGE_SIZE);
  for (const [i, page] of pages.entries()) bytes.set(page, i * PAGE_SIZE);
  return bytes;
}

function parseTable(bytes: Uint8Array): Owned[] {
  const view = viewOf(bytes);
  const count = view.getUint32(8, true);
  must(count <= 2047, () => `2.2.3.1: the region table has ${count} entries`);
  const regions: Owned[] = [];
  for (let i = 0; i < count; i++) {
    const at = 16 + 32 * i;
    const region = {
      what: guidText(bytes, at),
      offset: number64(view, at + 16, 'a region’s FileOffset'),
      length: view.getUint32(at + 24, true),
    };
    const required = view.getUint32(at + 28, true);
    must(!regions.some(({ what }) => what === region.what), () => `2.2.3.2: two regions ${region.what}`);
    must(region.offset % MiB === 0 && region.length % MiB === 0, () => `2.2.3.2: region ${region.what} is misaligned`);
    must(region.length > 0, () => `2.2.3.2: region ${region.what} is empty`);
    const isKnown = region.what === BAT || region.what === METADATA;
    must(isKnown ? required === 1 : required === 0, () => `2.2.3.2: region ${region.what} has flags ${required}`);
    regions.push(region);
  }
  return regions;
}

const ends: Memory<number> = new WeakMap();

/** Where the last structure ends; throws where one lies upon another. */
function endOf(bat: StateBat, regions: readonly Owned[], header: StateHeader): number {
  return remember(ends, [bat, regions, header], () => {
    const all: Owned[] = [
      { offset: 0, length: MiB, what: 'header section' },
      { offset: header.logOffset, length: header.logLength, what: 'log' },
      ...regions,
      ...bat.owned,
    ].sort((a, b) => a.offset - b.offset);
    for (const [i, { offset, length, what }] of all.entries()) {
      const next = all[i + 1];
      must(next === undefined || offset + length <= next.offset, () => `2.1: ${what} and ${next?.what} overlap`);
    }
    return all.reduce((end, { offset, length }) => Math.max(end, offset + length), 0);
  });
}

function checkParent(metadata: StateMetadata, parent: Pick<StateView, 'header' | 'metadata'>): void {
  must(metadata.locator !== undefined, () => '2.6.2.6: a parent was given, and the image has no locator');
  const linkage = parent.header.dataWriteGuid;
  const { parent_linkage: first, parent_linkage2: second } = metadata.locator;
  must(linkage !== ZERO_GUID, () => '2.2.2: the parent has no DataWriteGuid');
  must(first === `{${linkage}}` || second === `{${linkage}}`, () => `2.6.2.6.3: ${first} is not the parent ${linkage}`);
  must(metadata.logicalSectorSize === parent.metadata.logicalSectorSize, () => '2.6.2.4: sector sizes differ');
}

function bitsOf(image: PageImage, bat: StateBat, first: number, count: number): number {
  const at = bat.bitOffset(first);
  const byte = image.page(Math.floor(at / PAGE_SIZE))[Math.floor(at % PAGE_SIZE)] as number;
  return (byte >> ((at % 1) * 8)) & (2 ** count - 1);
}

function virtualPage(
  image: PageImage,
  metadata: StateMetadata,
  bat: StateBat,
  index: number,
  parent: Pick<StateView, 'page' | 'metadata'> | undefined,
): Uint8Array {
  const { blockSize } = metadata;
  const block = Math.floor((index * PAGE_SIZE) / blockSize);
  const { state, offset } = bat.block(block);
  const fromParent = () => {
    if (parent === undefined) throw new BrokenState(`page ${index} lies in the parent, which was not given`);
    return index * PAGE_SIZE < parent.metadata.size ? parent.page(index) : ZERO_PAGE;
  };
  const own = () => image.page((offset + ((index * PAGE_SIZE) % blockSize)) / PAGE_SIZE);
  if (state === 6) return own();
  if (state === 0 && metadata.hasParent) return fromParent();
  if (state !== 7) return ZERO_PAGE;
  const { logicalSectorSize } = metadata;
  const count = PAGE_SIZE / logicalSectorSize;
  const bits = bitsOf(image, bat, index * count, count);
  if (bits === 2 ** count - 1) return own();
  return bits === 0 ? fromParent() : composed(own(), fromParent(), bits, logicalSectorSize);
}

/** Pages that were put together before: states have most of their pages in common. */
const composedOf = new WeakMap<Uint8Array, WeakMap<Uint8Array, Map<number, Uint8Array>>>();

/** The sectors of `own` whose bits are set, and the others of `below`. */
function composed(own: Uint8Array, below: Uint8Array, bits: number, sectorSize: number): Uint8Array {
  const byBelow = composedOf.get(own) ?? new WeakMap<Uint8Array, Map<number, Uint8Array>>();
  composedOf.set(own, byBelow);
  const byBits = byBelow.get(below) ?? new Map<number, Uint8Array>();
  byBelow.set(below, byBits);
  let page = byBits.get(bits);
  if (page === undefined) {
    page = below.slice();
    for (let at = 0; at < PAGE_SIZE; at += sectorSize) {
      if ((bits >> (at / sectorSize)) & 1) page.set(own.subarray(at, at + sectorSize), at);
    }
    byBits.set(bits, page);
  }
  return page;
}

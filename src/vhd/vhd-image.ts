import { hex } from '../base/bytes.js';
import { VhdxError } from '../errors.js';
import { parseVhdFooter, VHD_FOOTER_SIZE, type VhdFooter } from '../format/vhd-footer.js';
import {
  decodeLocator,
  NOT_STORED,
  parseVhdHeader,
  VHD_HEADER_SIZE,
  type VhdHeader,
  vhdBitmapSize,
} from '../format/vhd-header.js';
import type { RandomAccessSource, ReadOptions } from '../io/random-access.js';
import { type Finding, finding } from '../rules.js';

/** Bytes of a sector, which all offsets in a VHD are counted in. */
export const SECTOR = 512;
/** Most blocks that are read: those of the largest VHD in blocks of 128 KiB. */
const MAX_BLOCKS = 2 ** 24;
/** Longest text of a parent locator that is read, in bytes. */
const MAX_LOCATOR = 64 * 1024;
/** Programs whose images QEMU takes for as large as their geometry says. */
const BY_GEOMETRY = new Set(['vpc ', 'qemu']);

/** The blocks of a dynamic or differencing VHD. */
export interface VhdBlocks {
  readonly header: VhdHeader;
  /** Of each block: the sector of the file where its bitmap begins. */
  readonly bat: Uint32Array;
  /** Length in bytes of the bitmap of a block, after which its data comes. */
  readonly bitmapSize: number;
  /** Sectors of the file that more than one block claims. */
  readonly shared: ReadonlySet<number>;
}

/** A VHD as it was found: what its file says, and what is wrong with it and survivable. */
export interface VhdImage {
  readonly source: RandomAccessSource;
  readonly footer: VhdFooter;
  readonly type: NonNullable<VhdFooter['type']>;
  /** Where data may be: the end of the file, or its footer. */
  readonly dataEnd: number;
  /** Undefined of a fixed disk. */
  readonly blocks?: VhdBlocks;
  /** Of a differencing disk: the paths that lead to its parent, by the keys of a VHDX. */
  readonly locator: Readonly<Record<string, string>>;
  readonly findings: readonly Finding[];
}

/**
 * Reads the footers, the header and the BAT of a VHD.
 *
 * @throws VhdxError with the code of the rule that makes it unreadable
 */
export async function examineVhd(source: RandomAccessSource, options: ReadOptions): Promise<VhdImage> {
  const findings: Finding[] = [];
  const { footer, dataEnd } = await readFooter(source, findings, options);
  const { type, currentSize, geometrySize, creator } = footer;
  if (type === undefined || footer.version >>> 16 !== 1) {
    const what = type === undefined ? `disk type ${footer.typeNumber}` : `version ${hex(footer.version)}`;
    throw fatal('vhd-type', `${what} is not supported`, 'footer');
  }
  if (currentSize === 0 || currentSize % SECTOR !== 0 || !Number.isSafeInteger(currentSize)) {
    throw fatal('vhd-size', `the disk has ${currentSize} bytes, which is no whole number of sectors`, 'footer');
  }
  if (BY_GEOMETRY.has(creator) && geometrySize !== currentSize && geometrySize !== LARGEST_GEOMETRY) {
    const message = `the disk has ${currentSize} bytes, its geometry ${geometrySize}, which QEMU believes`;
    findings.push(finding('vhd-geometry', message, { structure: 'footer' }));
  }
  const common = { source, footer, type, dataEnd, findings, locator: {} };
  if (type === 'fixed') {
    if (currentSize <= dataEnd) return common;
    throw fatal('vhd-truncated', `the disk has ${currentSize} bytes, the file ${source.size}`, 'footer');
  }
  const blocks = await readBlocks(source, footer, options);
  const locator = type === 'differencing' ? await readLocators(source, blocks.header, options) : {};
  return { ...common, blocks, locator };
}

const LARGEST_GEOMETRY = 65535 * 16 * 255 * SECTOR;

async function readFooter(
  source: RandomAccessSource,
  findings: Finding[],
  options: ReadOptions,
): Promise<{ footer: VhdFooter; dataEnd: number }> {
  const { size } = source;
  const at = async (offset: number, length: number): Promise<VhdFooter | undefined> => {
    if (offset < 0 || offset + length > size) return undefined;
    const bytes = new Uint8Array(length);
    await source.readInto(bytes, offset, options);
    return parseVhdFooter(bytes);
  };
  for (const length of [VHD_FOOTER_SIZE, VHD_FOOTER_SIZE - 1]) {
    const footer = await at(size - length, length);
    if (footer === undefined) continue;
    const copy = footer.type === 'fixed' ? footer : await at(0, VHD_FOOTER_SIZE);
    if (copy?.uniqueId !== footer.uniqueId || copy.currentSize !== footer.currentSize) {
      const message = 'the copy of the footer at the start is not valid, or is another';
      findings.push(finding('vhd-footer-copy', message, { structure: 'footer', offset: 0 }));
    }
    return { footer, dataEnd: size - length };
  }
  const copy = await at(0, VHD_FOOTER_SIZE);
  if (copy === undefined || copy.type === 'fixed') {
    throw fatal('vhd-footer', 'neither the footer nor a copy of it is valid', 'footer', Math.max(0, size - 512));
  }
  const message = 'the footer at the end is not valid; its copy at the start is used';
  findings.push(finding('vhd-footer-copy', message, { structure: 'footer', offset: Math.max(0, size - 512) }));
  return { footer: copy, dataEnd: size };
}

async function readBlocks(source: RandomAccessSource, footer: VhdFooter, options: ReadOptions): Promise<VhdBlocks> {
  const { dataOffset, currentSize } = footer;
  const bad = (message: string) => fatal('vhd-header', message, 'dynamic disk header', dataOffset);
  if (!(dataOffset + VHD_HEADER_SIZE <= source.size)) throw bad('it is past the end of the file');
  const bytes = new Uint8Array(VHD_HEADER_SIZE);
  await source.readInto(bytes, dataOffset, options);
  const header = parseVhdHeader(bytes);
  if (header === undefined) throw bad('its signature or its checksum is not right');
  const { blockSize, batEntries, batOffset, version } = header;
  if (version >>> 16 !== 1) throw bad(`version ${hex(version)} is not supported`);
  if (blockSize < SECTOR || blockSize % SECTOR !== 0 || !Number.isInteger(Math.log2(blockSize))) {
    throw bad(`the block size is ${blockSize}, not a power of two from 512 up`);
  }
  const needed = Math.ceil(currentSize / blockSize);
  if (needed > MAX_BLOCKS) throw bad(`the disk has ${needed} blocks, more than ${MAX_BLOCKS} are not read`);
  if (needed > batEntries) {
    throw fatal('vhd-bat', `it has ${batEntries} entries, the disk ${needed} blocks`, 'BAT', batOffset);
  }
  if (!(batOffset + needed * 4 <= source.size))
    throw fatal('vhd-bat', 'it ends past the end of the file', 'BAT', batOffset);
  const table = new Uint8Array(needed * 4);
  await source.readInto(table, batOffset, options);
  const view = new DataView(table.buffer);
  const bat = Uint32Array.from({ length: needed }, (_, i) => view.getUint32(i * 4));
  return { header, bat, bitmapSize: vhdBitmapSize(blockSize), shared: sharedPlaces(bat, blockSize) };
}

/** The sectors at which blocks begin that overlap another one. */
function sharedPlaces(bat: Uint32Array, blockSize: number): ReadonlySet<number> {
  const shared = new Set<number>();
  const length = (vhdBitmapSize(blockSize) + blockSize) / SECTOR;
  const sorted = bat.filter((sector) => sector !== NOT_STORED).sort();
  let [reach, last] = [0, 0];
  for (const sector of sorted) {
    if (sector < reach) {
      shared.add(last);
      shared.add(sector);
    }
    [reach, last] = [sector + length, sector];
  }
  return shared;
}

/** The paths to the parent. A locator that leaves the file, or that no system here knows, says nothing. */
async function readLocators(
  source: RandomAccessSource,
  { locators, parentName }: VhdHeader,
  options: ReadOptions,
): Promise<Record<string, string>> {
  const found: Record<string, string> = {};
  for (const { code, length, offset } of locators) {
    const key =
      code.endsWith('u') || code === 'Wi2k'
        ? code[2] === 'r'
          ? 'relative_path'
          : 'absolute_win32_path'
        : 'relative_path';
    if (length > MAX_LOCATOR || !(offset + length <= source.size)) continue;
    const bytes = new Uint8Array(length);
    await source.readInto(bytes, offset, options);
    const text = decodeLocator(code, bytes);
    if (text !== undefined && text !== '') found[key] ??= text;
  }
  if (Object.keys(found).length === 0 && parentName !== '') found['relative_path'] = parentName;
  return found;
}

/** The error for a VHD that cannot be read. */
function fatal(
  code: 'vhd-type' | 'vhd-size' | 'vhd-truncated' | 'vhd-footer' | 'vhd-header' | 'vhd-bat',
  message: string,
  structure: string,
  offset?: number,
): VhdxError {
  return VhdxError.from(finding(code, message, { structure, ...(offset !== undefined && { offset }) }));
}

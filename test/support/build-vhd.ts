import { concatBytes, MiB } from './encode-primitives.js';

/** A block of a VHD: its bytes, and which of its sectors are here; all of them if that is not given. */
export interface VhdBlock {
  readonly data: Uint8Array;
  readonly sectors?: (sector: number) => boolean;
}

/** What a VHD is to be ([VHD 1.0]). */
export interface VhdSpec {
  readonly type?: 2 | 3 | 4 | number;
  /** Current size, in bytes. */
  readonly size?: number;
  /** Size at creation; another one if it is not given, so that it is noticed if it is used. */
  readonly originalSize?: number;
  readonly blockSize?: number;
  readonly blocks?: Readonly<Record<number, VhdBlock>>;
  /** Of a fixed disk: its bytes. */
  readonly content?: Uint8Array;
  readonly uniqueId?: Uint8Array;
  readonly parentId?: Uint8Array;
  readonly parentName?: string;
  /** Platform code and text of the parent locators. */
  readonly locators?: readonly (readonly [code: string, text: string])[];
  readonly creator?: string;
  readonly geometry?: readonly [cylinders: number, heads: number, sectors: number];
  readonly version?: number;
  readonly batEntries?: number;
  /** Sectors of the BAT to use instead, by block. */
  readonly bat?: Readonly<Record<number, number>>;
}

export const VHD_ID = Uint8Array.from({ length: 16 }, (_, i) => i + 1);
export const VHD_CHILD_ID = Uint8Array.from({ length: 16 }, (_, i) => i + 101);

const ascii = (text: string) => Uint8Array.from(text, (char) => char.charCodeAt(0));

function summed(bytes: Uint8Array, at: number): Uint8Array {
  let sum = 0;
  for (const byte of bytes) sum += byte;
  new DataView(bytes.buffer).setUint32(at, ~sum >>> 0);
  return bytes;
}

/** A footer. */
export function vhdFooter(spec: VhdSpec, dataOffset: bigint): Uint8Array {
  const { type = 3, size = 8 * MiB, uniqueId = VHD_ID, creator = 'win ', version = 0x10000 } = spec;
  const [cylinders, heads, sectors] = spec.geometry ?? [1, 1, 1];
  const bytes = new Uint8Array(512);
  const view = new DataView(bytes.buffer);
  bytes.set(ascii('conectix'));
  view.setUint32(8, 2);
  view.setUint32(12, version);
  view.setBigUint64(16, dataOffset);
  view.setUint32(24, 86_400);
  bytes.set(ascii(creator), 28);
  view.setUint32(32, 0x60001);
  bytes.set(ascii('Wi2k'), 36);
  view.setBigUint64(40, BigInt(spec.originalSize ?? size * 2));
  view.setBigUint64(48, BigInt(size));
  view.setUint16(56, cylinders);
  view.setUint8(58, heads);
  view.setUint8(59, sectors);
  view.setUint32(60, type);
  bytes.set(uniqueId, 68);
  return summed(bytes, 64);
}

const utf16 = (text: string, littleEndian: boolean): Uint8Array => {
  const bytes = new Uint8Array(2 * text.length);
  Array.from(text).forEach((char, i) => {
    new DataView(bytes.buffer).setUint16(2 * i, char.charCodeAt(0), littleEndian);
  });
  return bytes;
};

/** Where the blocks of a dynamic VHD begin: footer copy, header, eight sectors for locators, BAT. */
const LOCATORS_AT = 512 + 1024;

/** Makes a VHD, byte by byte. */
export function buildVhd(spec: VhdSpec = {}): Uint8Array {
  const { type = 3, size = 8 * MiB, blockSize = 2 * MiB, blocks = {}, locators = [], bat = {} } = spec;
  if (type === 2) {
    const content = spec.content ?? new Uint8Array(size);
    return concatBytes(content, vhdFooter({ ...spec, size }, 0xffffffffffffffffn));
  }
  const batEntries = spec.batEntries ?? Math.ceil(size / blockSize);
  const batOffset = LOCATORS_AT + 8 * 512;
  const table = new Uint8Array(Math.ceil((batEntries * 4) / 512) * 512).fill(0xff);
  const header = new Uint8Array(1024);
  const view = new DataView(header.buffer);
  header.set(ascii('cxsparse'));
  view.setBigUint64(8, 0xffffffffffffffffn);
  view.setBigUint64(16, BigInt(batOffset));
  view.setUint32(24, 0x10000);
  view.setUint32(28, batEntries);
  view.setUint32(32, blockSize);
  header.set(spec.parentId ?? new Uint8Array(16), 40);
  header.set(utf16(spec.parentName ?? '', false), 64);
  const locatorSpace = new Uint8Array(8 * 512);
  locators.forEach(([code, text], i) => {
    const bytes = code.endsWith('u') ? utf16(text, true) : ascii(text);
    const at = 576 + 24 * i;
    header.set(ascii(code), at);
    view.setUint32(at + 4, 1);
    view.setUint32(at + 8, bytes.length);
    view.setBigUint64(at + 16, BigInt(LOCATORS_AT + 512 * i));
    locatorSpace.set(bytes, 512 * i);
  });
  summed(header, 36);
  const stored: Uint8Array[] = [];
  let next = batOffset + table.length;
  const bitmapSize = Math.ceil(blockSize / 4096 / 512) * 512;
  for (const [number, { data, sectors = () => true }] of Object.entries(blocks)) {
    new DataView(table.buffer).setUint32(Number(number) * 4, next / 512);
    const bitmap = new Uint8Array(bitmapSize);
    for (let sector = 0; sector < blockSize / 512; sector++) {
      if (sectors(sector)) bitmap[sector >> 3] = (bitmap[sector >> 3] as number) | (0x80 >> (sector & 7));
    }
    const bytes = new Uint8Array(blockSize);
    bytes.set(data);
    stored.push(bitmap, bytes);
    next += bitmapSize + blockSize;
  }
  for (const [block, sector] of Object.entries(bat)) new DataView(table.buffer).setUint32(Number(block) * 4, sector);
  const footer = vhdFooter({ ...spec, size }, 512n);
  return concatBytes(footer, header, locatorSpace, table, ...stored, footer);
}

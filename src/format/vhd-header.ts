import { viewOf } from '../base/bytes.js';
import { hasVhdChecksum, readUniqueId } from './vhd-footer.js';

/** Length in bytes of the header of a dynamic or differencing VHD. */
export const VHD_HEADER_SIZE = 1024;
/** Sector number in the BAT of a block that is not stored. */
export const NOT_STORED = 0xffffffff;

/** Where the text of a parent locator is. */
interface Locator {
  /** Platform code: `W2ru`, `W2ku`, … */
  readonly code: string;
  /** In bytes. */
  readonly length: number;
  /** File offset. */
  readonly offset: number;
}

/** The header of a dynamic or differencing VHD ([VHD 1.0] "Dynamic Disk Header Format"). Sizes and offsets in bytes. */
export interface VhdHeader {
  readonly version: number;
  readonly batOffset: number;
  readonly batEntries: number;
  readonly blockSize: number;
  readonly parentId: string;
  /** Modification time of the parent's file, in seconds since 2000-01-01 UTC. */
  readonly parentTimestamp: number;
  /** Name of the parent's file. */
  readonly parentName: string;
  readonly locators: readonly Locator[];
}

/** Reads a header of 1,024 bytes; undefined if it has no signature or another checksum. */
export function parseVhdHeader(bytes: Uint8Array): VhdHeader | undefined {
  if (bytes.length < VHD_HEADER_SIZE || String.fromCharCode(...bytes.subarray(0, 8)) !== 'cxsparse') return undefined;
  if (!hasVhdChecksum(bytes, 36)) return undefined;
  const view = viewOf(bytes);
  const name = new TextDecoder('utf-16be').decode(bytes.subarray(64, 64 + 512));
  return {
    version: view.getUint32(24),
    batOffset: Number(view.getBigUint64(16)),
    batEntries: view.getUint32(28),
    blockSize: view.getUint32(32),
    parentId: readUniqueId(bytes, 40),
    parentTimestamp: view.getUint32(56),
    parentName: upToNul(name),
    locators: Array.from({ length: 8 }, (_, i) => 576 + 24 * i).flatMap((at) => {
      const code = String.fromCharCode(...bytes.subarray(at, at + 4));
      const length = view.getUint32(at + 8);
      return view.getUint32(at) === 0 ? [] : [{ code, length, offset: Number(view.getBigUint64(at + 16)) }];
    }),
  };
}

/** The text of a locator; undefined for the codes of systems that are not known here. */
export function decodeLocator(code: string, bytes: Uint8Array): string | undefined {
  if (code === 'W2ru' || code === 'W2ku') return upToNul(new TextDecoder('utf-16le').decode(bytes));
  if (code === 'Wi2r' || code === 'Wi2k') return upToNul(new TextDecoder('windows-1252').decode(bytes));
  return undefined;
}

function upToNul(text: string): string {
  const end = text.indexOf('\0');
  return end < 0 ? text : text.slice(0, end);
}

/** Length in bytes of the bitmap before the data of a block: a bit a sector, in whole sectors. */
export function vhdBitmapSize(blockSize: number): number {
  return Math.ceil(blockSize / 512 / 8 / 512) * 512;
}

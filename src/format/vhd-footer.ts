import { viewOf } from '../base/bytes.js';
import { MiB } from '../base/units.js';

/** Length in bytes of the footer of a VHD. */
export const VHD_FOOTER_SIZE = 512;

/** Largest disk that a VHD holds, in bytes: 2,040 GiB, of which Azure, Hyper-V and QEMU accept no byte more. */
export const MAX_VHD_SIZE = 2040 * 1024 * MiB;

/** Size in bytes that a disk has as a VHD for Azure: rounded up to 1 MiB. The footer follows it. */
export function vhdDiskSize(virtualSize: number): number {
  return Math.ceil(virtualSize / MiB) * MiB;
}

/** Cylinders, heads and sectors per track, by the calculation in the appendix of the VHD specification 1.0. */
function geometryOf(bytes: number): { cylinders: number; heads: number; sectors: number } {
  const total = Math.min(Math.floor(bytes / 512), 65535 * 16 * 255);
  if (total >= 65535 * 16 * 63) return { cylinders: Math.floor(total / 255 / 16), heads: 16, sectors: 255 };
  let sectors = 17;
  let tracks = Math.floor(total / sectors);
  let heads = Math.max(4, Math.floor((tracks + 1023) / 1024));
  if (tracks >= heads * 1024 || heads > 16) {
    [sectors, heads] = [31, 16];
    tracks = Math.floor(total / sectors);
  }
  if (tracks >= heads * 1024) {
    [sectors, heads] = [63, 16];
    tracks = Math.floor(total / sectors);
  }
  return { cylinders: Math.floor(tracks / heads), heads, sectors };
}

/**
 * The footer of a fixed VHD ([VHD 1.0] "Hard Disk Footer Format"), 512 bytes. The same disk gives the same footer: its
 * time stamp is the format's zero, 2000-01-01, and its unique id is the disk's own.
 *
 * @param size in bytes, a multiple of 1 MiB
 * @param id VirtualDiskId, or undefined for zeros
 */
export function fixedVhdFooter(size: number, id: string | undefined): Uint8Array<ArrayBuffer> {
  const footer = new Uint8Array(VHD_FOOTER_SIZE);
  const view = new DataView(footer.buffer);
  const text = (at: number, ascii: string) =>
    footer.set(
      Array.from(ascii, (char) => char.charCodeAt(0)),
      at,
    );
  const { cylinders, heads, sectors } = geometryOf(size);
  text(0, 'conectix');
  view.setUint32(8, 2); // Features: the reserved bit that is always set
  view.setUint32(12, 0x00010000); // File Format Version
  view.setBigUint64(16, 0xffffffffffffffffn); // Data Offset: none in a fixed disk
  text(28, 'win '); // Creator Application: of any other, QEMU takes the size from the geometry, which is rounded
  view.setUint32(32, 0x00010000); // Creator Version
  text(36, 'Wi2k'); // Creator Host OS
  view.setBigUint64(40, BigInt(size)); // Original Size
  view.setBigUint64(48, BigInt(size)); // Current Size
  view.setUint16(56, cylinders);
  view.setUint8(58, heads);
  view.setUint8(59, sectors);
  view.setUint32(60, 2); // Disk Type: fixed
  const hex = (id ?? '').replaceAll('-', '');
  for (let i = 0; i < hex.length / 2; i++) footer[68 + i] = Number.parseInt(hex.slice(2 * i, 2 * i + 2), 16);
  view.setUint32(64, ~footer.reduce((sum, byte) => sum + byte, 0) >>> 0);
  return footer;
}

/** Types of a VHD by the Disk Type of its footer. */
export const VHD_TYPES = { 2: 'fixed', 3: 'dynamic', 4: 'differencing' } as const;

/** What a footer says ([VHD 1.0] "Hard Disk Footer Format"). Sizes in bytes. */
export interface VhdFooter {
  readonly type: (typeof VHD_TYPES)[keyof typeof VHD_TYPES] | undefined;
  /** Disk Type as it is stored. */
  readonly typeNumber: number;
  /** File Format Version: 0x00010000. */
  readonly version: number;
  /** Where the dynamic header is, if the disk is not fixed. */
  readonly dataOffset: number;
  /** Seconds since 2000-01-01 UTC. */
  readonly timestamp: number;
  /** The program that wrote it, four characters. */
  readonly creator: string;
  /** Size of the disk. The geometry may say less, and is not used. */
  readonly currentSize: number;
  /** Size by cylinders, heads and sectors per track. */
  readonly geometrySize: number;
  /** In the form of a GUID. */
  readonly uniqueId: string;
}

const ascii = (bytes: Uint8Array, from: number, length: number): string =>
  String.fromCharCode(...bytes.subarray(from, from + length));

/** Sixteen bytes in the form of a GUID, in the order in which a VHD has them: none is little-endian. */
export function readUniqueId(bytes: Uint8Array, at: number): string {
  const digits = Array.from(bytes.subarray(at, at + 16), (byte) => byte.toString(16).padStart(2, '0')).join('');
  return [8, 12, 16, 20, 32].map((end, i) => digits.slice([0, 8, 12, 16, 20][i], end)).join('-');
}

/** Whether the sum of all bytes is what the checksum at an offset says: its one's complement, without itself. */
export function hasVhdChecksum(bytes: Uint8Array, at: number): boolean {
  const sum = bytes.reduce((total, byte, i) => (i >= at && i < at + 4 ? total : total + byte), 0);
  return viewOf(bytes).getUint32(at) === ~sum >>> 0;
}

/** Reads a footer of 512 bytes, or of 511 as before 2004; undefined if it has no signature or another checksum. */
export function parseVhdFooter(stored: Uint8Array): VhdFooter | undefined {
  const bytes = new Uint8Array(VHD_FOOTER_SIZE);
  bytes.set(stored.subarray(0, VHD_FOOTER_SIZE));
  if (ascii(bytes, 0, 8) !== 'conectix' || !hasVhdChecksum(bytes, 64)) return undefined;
  const view = viewOf(bytes);
  const typeNumber = view.getUint32(60);
  return {
    type: VHD_TYPES[typeNumber as keyof typeof VHD_TYPES],
    typeNumber,
    version: view.getUint32(12),
    dataOffset: Number(view.getBigUint64(16)),
    timestamp: view.getUint32(24),
    creator: ascii(bytes, 28, 4),
    currentSize: Number(view.getBigUint64(48)),
    geometrySize: view.getUint16(56) * view.getUint8(58) * view.getUint8(59) * 512,
    uniqueId: readUniqueId(bytes, 68),
  };
}

/**
 * The size in bytes of the disk in a fixed VHD, by its footer: the disk begins at the file's first byte. Undefined if the
 * footer is damaged or is not that of a fixed VHD in a file of this length.
 */
export function parseFixedVhdFooter(footer: Uint8Array, fileSize: number): number | undefined {
  const found = footer.length === VHD_FOOTER_SIZE ? parseVhdFooter(footer) : undefined;
  const size = found?.type === 'fixed' ? found.currentSize : undefined;
  return size !== undefined && size <= fileSize - VHD_FOOTER_SIZE ? size : undefined;
}

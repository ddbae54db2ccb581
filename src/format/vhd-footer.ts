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

/**
 * The size in bytes of the disk in a fixed VHD, by its footer: the disk begins at the file's first byte. Undefined if the
 * footer is damaged or is not that of a fixed VHD in a file of this length.
 */
export function parseFixedVhdFooter(footer: Uint8Array, fileSize: number): number | undefined {
  if (footer.length !== VHD_FOOTER_SIZE) return undefined;
  const view = viewOf(footer);
  const checksum = view.getUint32(64);
  const sum = footer.reduce((total, byte, i) => (i >= 64 && i < 68 ? total : total + byte), 0);
  const size = Number(view.getBigUint64(48));
  const isFixed = view.getUint32(60) === 2;
  return checksum === ~sum >>> 0 && isFixed && size <= fileSize - VHD_FOOTER_SIZE ? size : undefined;
}

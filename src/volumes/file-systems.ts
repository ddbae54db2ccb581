import { KiB } from '../base/units.js';

/** What the first bytes of a partition say it holds. */
export interface FileSystemKind {
  /** Such as `NTFS` or `ext4`. */
  readonly name: string;
  /** The volume's label, if it is stored at the start. */
  readonly label?: string;
}

/** Bytes at the start of a volume in which the signatures are: the last is that of Btrfs, at 64 KiB and 64 bytes. */
export const SIGNATURE_BYTES = 68 * KiB;

interface Signature {
  readonly offset: number;
  readonly bytes: string;
  readonly name: string | ((start: Uint8Array) => string);
  readonly label?: { readonly offset: number; readonly length: number };
}

const EXT = 1 * KiB;

/** In the order of trying: what encrypts or contains others comes before what may be inside it. */
const SIGNATURES: readonly Signature[] = [
  { offset: 3, bytes: '-FVE-FS-', name: 'BitLocker' },
  { offset: 0, bytes: 'LUKS\xba\xbe', name: 'LUKS, encrypted' },
  { offset: 3, bytes: 'NTFS    ', name: 'NTFS' },
  { offset: 3, bytes: 'EXFAT   ', name: 'exFAT' },
  { offset: 3, bytes: 'ReFS\0\0\0\0', name: 'ReFS' },
  { offset: 82, bytes: 'FAT32   ', name: 'FAT32', label: { offset: 71, length: 11 } },
  { offset: 54, bytes: 'FAT16   ', name: 'FAT16', label: { offset: 43, length: 11 } },
  { offset: 54, bytes: 'FAT12   ', name: 'FAT12', label: { offset: 43, length: 11 } },
  { offset: 0, bytes: 'XFSB', name: 'XFS', label: { offset: 108, length: 12 } },
  { offset: EXT + 56, bytes: '\x53\xef', name: extGeneration, label: { offset: EXT + 120, length: 16 } },
  { offset: 64 * KiB + 64, bytes: '_BHRfS_M', name: 'Btrfs', label: { offset: 64 * KiB + 299, length: 256 } },
  { offset: 512, bytes: 'LABELONE', name: 'LVM volume' },
  { offset: 4 * KiB - 10, bytes: 'SWAPSPACE2', name: 'Linux swap', label: { offset: 1052, length: 16 } },
  { offset: 0, bytes: 'hsqs', name: 'SquashFS' },
  { offset: 32 * KiB + 1, bytes: 'CD001', name: 'ISO 9660', label: { offset: 32 * KiB + 40, length: 32 } },
  { offset: EXT, bytes: 'H+\0\x04', name: 'HFS+' },
  { offset: 32, bytes: 'NXSB', name: 'APFS' },
];

/** Recognises a file system by its first 68 KiB, or fewer bytes if there are no more. Undefined if it is not a known one. */
export function recogniseFileSystem(start: Uint8Array): FileSystemKind | undefined {
  const found = SIGNATURES.find(({ offset, bytes }) =>
    [...bytes].every((char, i) => start[offset + i] === char.charCodeAt(0)),
  );
  if (!found) return undefined;
  const name = typeof found.name === 'string' ? found.name : found.name(start);
  const label = found.label && labelAt(start, found.label.offset, found.label.length);
  return { name, ...(label && label !== 'NO NAME' && { label }) };
}

function labelAt(start: Uint8Array, offset: number, length: number): string {
  return new TextDecoder()
    .decode(start.subarray(offset, offset + length))
    .replace(/\0.*$/s, '')
    .trim();
}

/** Distinguishes ext2, ext3 and ext4 by the features in their superblock: a journal, and extents. */
function extGeneration(start: Uint8Array): string {
  const view = new DataView(start.buffer, start.byteOffset, start.byteLength);
  const compatible = view.getUint32(EXT + 92, true);
  const incompatible = view.getUint32(EXT + 96, true);
  if (incompatible & 0x40) return 'ext4';
  return compatible & 4 ? 'ext3' : 'ext2';
}

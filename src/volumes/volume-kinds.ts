import { readU64, viewOf } from '../base/bytes.js';
import { KiB } from '../base/units.js';

/** What a volume is, and how it is called, as far as its own bytes say. */
export interface VolumeIdentity {
  /** Such as `NTFS` or `ext4`. */
  readonly name: string;
  /** The volume's label; undefined if it has none, or one that is not stored in a known place. */
  readonly label?: string;
  /** Its UUID or serial number, as `blkid` shows it. */
  readonly uuid?: string;
  /** Length in bytes by its own account, which may be less than its partition has. */
  readonly size?: number;
}

/** Bytes at the start of a volume in which everything is: the last is that of Btrfs, from 64 KiB on. */
export const IDENTITY_BYTES = 68 * KiB;

type Details = Pick<VolumeIdentity, 'label' | 'uuid' | 'size'>;

interface Kind {
  readonly name: string | ((view: DataView) => string);
  /** Where the signature may be, and what it is. */
  readonly offsets: readonly number[];
  readonly bytes: string;
  readonly details?: (view: DataView, found: number) => Details;
}

const EXT = 1 * KiB;
const BTRFS = 64 * KiB;
const ISO = 32 * KiB;
const SWAP_PAGES = [4, 8, 16, 64].map((size) => size * KiB - 10);
/** An LVM label is in one of the first four sectors. */
const LVM_SECTORS = [0, 512, 1024, 1536];

/** In the order of trying: what encrypts or contains others comes before what may be inside it. */
const KINDS: readonly Kind[] = [
  { name: 'BitLocker', offsets: [3], bytes: '-FVE-FS-' },
  { name: 'LUKS, encrypted', offsets: [0], bytes: 'LUKS\xba\xbe', details: ofLuks },
  { name: 'NTFS', offsets: [3], bytes: 'NTFS    ', details: ofNtfs },
  { name: 'exFAT', offsets: [3], bytes: 'EXFAT   ', details: ofExFat },
  { name: 'ReFS', offsets: [3], bytes: 'ReFS\0\0\0\0' },
  { name: 'FAT32', offsets: [82], bytes: 'FAT32   ', details: (view) => ofFat(view, 67) },
  { name: 'FAT16', offsets: [54], bytes: 'FAT16   ', details: (view) => ofFat(view, 39) },
  { name: 'FAT12', offsets: [54], bytes: 'FAT12   ', details: (view) => ofFat(view, 39) },
  { name: 'XFS', offsets: [0], bytes: 'XFSB', details: ofXfs },
  { name: extGeneration, offsets: [EXT + 56], bytes: '\x53\xef', details: ofExt },
  { name: 'Btrfs', offsets: [BTRFS + 64], bytes: '_BHRfS_M', details: ofBtrfs },
  { name: 'LVM volume', offsets: LVM_SECTORS, bytes: 'LABELONE', details: ofLvm },
  { name: 'Linux swap', offsets: SWAP_PAGES, bytes: 'SWAPSPACE2', details: ofSwap },
  { name: 'SquashFS', offsets: [0], bytes: 'hsqs', details: (view) => ({ size: readU64(view, 40) }) },
  { name: 'ISO 9660', offsets: [ISO + 1], bytes: 'CD001', details: ofIso9660 },
  { name: 'HFS+', offsets: [EXT], bytes: 'H+\0\x04', details: ofHfsPlus },
  { name: 'APFS', offsets: [32], bytes: 'NXSB', details: ofApfs },
];

/** Recognises a volume by its first 68 KiB, or fewer bytes if there are no more. Undefined if it is not a known one. */
export function recogniseVolume(start: Uint8Array): VolumeIdentity | undefined {
  const view = viewOf(start);
  for (const { name, offsets, bytes, details } of KINDS) {
    const found = offsets.find((offset) => [...bytes].every((char, i) => start[offset + i] === char.charCodeAt(0)));
    if (found === undefined) continue;
    const known = { name: typeof name === 'string' ? name : name(view) };
    try {
      return withoutEmpty({ ...known, ...details?.(view, found) });
    } catch (error) {
      if (error instanceof RangeError) return known; // it is cut off inside the structure
      throw error;
    }
  }
  return undefined;
}

function withoutEmpty({ name, label, uuid, size }: VolumeIdentity): VolumeIdentity {
  return {
    name,
    ...(label && label !== 'NO NAME' && { label }),
    ...(uuid && /[1-9a-z]/i.test(uuid) && { uuid }),
    ...(size && Number.isSafeInteger(size) && { size }),
  };
}

/** Text up to a zero byte, without spaces around it. */
function textAt(view: DataView, offset: number, length: number): string {
  const bytes = new Uint8Array(view.buffer, view.byteOffset + offset, length);
  return new TextDecoder().decode(bytes).replace(/\0.*$/s, '').trim();
}

function hexAt(view: DataView, offset: number, length: number): string {
  return Array.from({ length }, (_, i) =>
    view
      .getUint8(offset + i)
      .toString(16)
      .padStart(2, '0'),
  ).join('');
}

/** A UUID whose bytes are in the order of its digits. */
function uuidAt(view: DataView, offset: number): string {
  return hexAt(view, offset, 16).replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-');
}

/** A serial number of FAT or exFAT, as both Windows and Linux show it. */
function serialAt(view: DataView, offset: number): string {
  const digits = view.getUint32(offset, true).toString(16).toUpperCase().padStart(8, '0');
  return `${digits.slice(0, 4)}-${digits.slice(4)}`;
}

const u64BigEndian = (view: DataView, offset: number): number => Number(view.getBigUint64(offset));

function ofLuks(view: DataView): Details {
  const label = view.getUint16(6) === 2 ? textAt(view, 24, 48) : '';
  return { label, uuid: textAt(view, 168, 40) };
}

function ofNtfs(view: DataView): Details {
  const serial = view.getBigUint64(0x48, true).toString(16).toUpperCase().padStart(16, '0');
  // The last sector of the partition has the copy of the first one, and does not count.
  return { uuid: serial, size: readU64(view, 0x28) * view.getUint16(11, true) };
}

function ofExFat(view: DataView): Details {
  return { uuid: serialAt(view, 100), size: readU64(view, 72) * 2 ** view.getUint8(108) };
}

function ofFat(view: DataView, serial: number): Details {
  const sectors = view.getUint16(19, true) || view.getUint32(32, true);
  return {
    label: textAt(view, serial + 4, 11),
    uuid: serialAt(view, serial),
    size: sectors * view.getUint16(11, true),
  };
}

function ofXfs(view: DataView): Details {
  return { label: textAt(view, 108, 12), uuid: uuidAt(view, 32), size: u64BigEndian(view, 8) * view.getUint32(4) };
}

/** Distinguishes ext2, ext3 and ext4 by the features in their superblock: a journal, and extents. */
function extGeneration(view: DataView): string {
  const compatible = view.getUint32(EXT + 92, true);
  const incompatible = view.getUint32(EXT + 96, true);
  if (incompatible & 0x40) return 'ext4';
  return compatible & 4 ? 'ext3' : 'ext2';
}

function ofExt(view: DataView): Details {
  const is64Bit = (view.getUint32(EXT + 96, true) & 0x80) !== 0;
  const blocks = view.getUint32(EXT + 4, true) + (is64Bit ? view.getUint32(EXT + 0x150, true) * 2 ** 32 : 0);
  const size = blocks * KiB * 2 ** view.getUint32(EXT + 24, true);
  return { label: textAt(view, EXT + 120, 16), uuid: uuidAt(view, EXT + 104), size };
}

/** The size is that of the device, of which a file system may have several. */
function ofBtrfs(view: DataView): Details {
  const label = textAt(view, BTRFS + 299, 256);
  return { label, uuid: uuidAt(view, BTRFS + 32), size: readU64(view, BTRFS + 0xc9 + 8) };
}

function ofLvm(view: DataView, label: number): Details {
  const header = label + view.getUint32(label + 20, true);
  const id = textAt(view, header, 32);
  return {
    uuid: id.replace(/^(.{6})(.{4})(.{4})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-$5-$6-'),
    size: readU64(view, header + 32),
  };
}

function ofSwap(view: DataView, found: number): Details {
  const page = found + 10;
  return { label: textAt(view, 1052, 16), uuid: uuidAt(view, 1036), size: (view.getUint32(1028, true) + 1) * page };
}

function ofIso9660(view: DataView): Details {
  return { label: textAt(view, ISO + 40, 32), size: view.getUint32(ISO + 80, true) * view.getUint16(ISO + 128, true) };
}

function ofHfsPlus(view: DataView): Details {
  return { size: view.getUint32(EXT + 40) * view.getUint32(EXT + 44) };
}

function ofApfs(view: DataView): Details {
  return { uuid: uuidAt(view, 72), size: view.getUint32(36, true) * readU64(view, 40) };
}

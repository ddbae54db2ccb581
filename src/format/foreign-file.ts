import { type Finding, finding } from '../rules.js';

/** What a file that is not VHDX is. */
export interface ForeignFormat {
  /** The format by the word that `qemu-img` has for it, or by the usual ending of its file names. */
  readonly format: string;
  /** The same in words: `a qcow2 image`. */
  readonly description: string;
}

type Signature = readonly [offset: number, bytes: readonly number[], format: string, description: string];

const ascii = (text: string) => Array.from(text, (char) => char.charCodeAt(0));

const SIGNATURES: readonly Signature[] = [
  [0, ascii('conectix'), 'vpc', 'a VHD image (dynamic or differencing)'],
  [0, [...ascii('QFI'), 0xfb], 'qcow2', 'a qcow2 image'],
  [0, ascii('KDMV'), 'vmdk', 'a VMDK image'],
  [0, ascii('COWD'), 'vmdk', 'a VMDK image (ESX)'],
  [0, ascii('# Disk DescriptorFile'), 'vmdk', 'a VMDK descriptor'],
  [64, [0x7f, 0x10, 0xda, 0xbe], 'vdi', 'a VDI image'],
  [0, ascii('QED\0'), 'qed', 'a QED image'],
  [0, ascii('WithoutFreeSpace'), 'parallels', 'a Parallels image'],
  [0, ascii('WithouFreSpacExt'), 'parallels', 'a Parallels image'],
  [0, ascii('MSWIM\0\0\0'), 'wim', 'a WIM archive'],
  [0, ascii('EVF\x09\x0d\x0a\xff\0'), 'ewf', 'an EWF (EnCase) image'],
  [0, ascii('LUKS\xba\xbe'), 'luks', 'a LUKS container'],
  [0, [0x1f, 0x8b], 'gz', 'a gzip file: unpack it first'],
  [0, ascii('BZh'), 'bz2', 'a bzip2 file: unpack it first'],
  [0, [0xfd, ...ascii('7zXZ'), 0], 'xz', 'an xz file: unpack it first'],
  [0, [0x28, 0xb5, 0x2f, 0xfd], 'zst', 'a zstd file: unpack it first'],
  [0, ascii('PK\x03\x04'), 'zip', 'a zip archive: unpack it first'],
  [0, [...ascii('7z'), 0xbc, 0xaf, 0x27, 0x1c], '7z', 'a 7z archive: unpack it first'],
  [257, ascii('ustar'), 'tar', 'a tar archive: unpack it first'],
  [
    0,
    ascii('version https://git-lfs'),
    'git-lfs',
    'a Git LFS pointer, not the file itself: run "git lfs pull" to download it',
  ],
  [510, [0x55, 0xaa], 'raw', 'a raw disk or boot sector'],
];

const holds = (bytes: Uint8Array, offset: number, signature: readonly number[]) =>
  signature.every((byte, i) => bytes[offset + i] === byte);

/** The finding for a file that is not VHDX. `start` holds its first 520 bytes or fewer, `end` its last 512 or fewer. */
export function describeForeignFile(start: Uint8Array, end: Uint8Array): Finding {
  const other = recogniseFormat(start, end);
  const known = other === undefined ? unknownFile(start) : `this is ${other.description}`;
  return finding('file-signature', `not a VHDX file: ${known}`, { structure: 'file identifier', offset: 0 });
}

function unknownFile(start: Uint8Array): string {
  if (start.length === 0) return 'the file is empty';
  return start.every((byte) => byte === 0)
    ? 'it begins with zeros: a copy or download that is not complete, or a blank raw disk'
    : 'the file does not begin with "vhdxfile"';
}

/**
 * Names the format of a file that is not VHDX by its first 520 and last 512 bytes; undefined if it is not known. A raw
 * disk is known only if it has a boot sector.
 */
export function recogniseFormat(start: Uint8Array, end: Uint8Array): ForeignFormat | undefined {
  if (holds(end, 0, ascii('conectix')) && !holds(start, 0, ascii('conectix'))) {
    return { format: 'vpc', description: 'a VHD image (fixed)' };
  }
  const known = SIGNATURES.find(([offset, bytes]) => holds(start, offset, bytes));
  if (known) return { format: known[2], description: known[3] };
  if (/^\s*<(?:!doctype html|html)\b/i.test(new TextDecoder().decode(start.subarray(0, 64)))) {
    return {
      format: 'html',
      description: 'a web page (HTML), not the file itself: the download needs another address',
    };
  }
  const text = new TextDecoder('utf-16le').decode(start.subarray(0, 64));
  return /^.?\s*\{/.test(text) && text.includes('"')
    ? { format: 'vhds', description: 'a VHD set (.vhds); open the .avhdx file that it names' }
    : undefined;
}

import { type Finding, finding } from '../rules.js';

const ascii = (text: string) => Array.from(text, (char) => char.charCodeAt(0));

const AT_START: ReadonlyArray<readonly [offset: number, signature: readonly number[], name: string]> = [
  [0, ascii('conectix'), 'a VHD image (dynamic or differencing)'],
  [0, [...ascii('QFI'), 0xfb], 'a qcow2 image'],
  [0, ascii('KDMV'), 'a VMDK image'],
  [0, ascii('COWD'), 'a VMDK image (ESX)'],
  [0, ascii('# Disk DescriptorFile'), 'a VMDK descriptor'],
  [64, [0x7f, 0x10, 0xda, 0xbe], 'a VDI image'],
  [0, ascii('QED\0'), 'a QED image'],
  [0, ascii('WithoutFreeSpace'), 'a Parallels image'],
  [0, ascii('MSWIM\0\0\0'), 'a WIM archive'],
  [0, ascii('EVF\x09\x0d\x0a\xff\0'), 'an EWF (EnCase) image'],
  [0, ascii('LUKS\xba\xbe'), 'a LUKS container'],
  [0, [0x1f, 0x8b], 'a gzip file: unpack it first'],
  [0, ascii('BZh'), 'a bzip2 file: unpack it first'],
  [0, [0xfd, ...ascii('7zXZ'), 0], 'an xz file: unpack it first'],
  [0, [0x28, 0xb5, 0x2f, 0xfd], 'a zstd file: unpack it first'],
  [0, ascii('PK\x03\x04'), 'a zip archive: unpack it first'],
  [0, [...ascii('7z'), 0xbc, 0xaf, 0x27, 0x1c], 'a 7z archive: unpack it first'],
  [510, [0x55, 0xaa], 'a raw disk or boot sector'],
];

const holds = (bytes: Uint8Array, offset: number, signature: readonly number[]) =>
  signature.every((byte, i) => bytes[offset + i] === byte);

/** The finding for a file that is not VHDX. `start` holds its first 520 bytes or fewer, `end` its last 512 or fewer. */
export function describeForeignFile(start: Uint8Array, end: Uint8Array): Finding {
  const other = recogniseOtherFormat(start, end);
  const known = other === undefined ? 'the file does not begin with "vhdxfile"' : `this is ${other}`;
  const what = start.length === 0 ? 'the file is empty' : known;
  return finding('file-signature', `not a VHDX file: ${what}`, { structure: 'file identifier', offset: 0 });
}

/** Names the format of a file by its first 520 and last 512 bytes; undefined if it is not known. */
function recogniseOtherFormat(start: Uint8Array, end: Uint8Array): string | undefined {
  if (holds(end, 0, ascii('conectix')) && !holds(start, 0, ascii('conectix'))) return 'a VHD image (fixed)';
  const known = AT_START.find(([offset, signature]) => holds(start, offset, signature));
  if (known) return known[2];
  const text = new TextDecoder('utf-16le').decode(start.subarray(0, 64));
  return /^.?\s*\{/.test(text) && text.includes('"')
    ? 'a VHD set (.vhds); open the .avhdx file that it names'
    : undefined;
}

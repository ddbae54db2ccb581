import { crc32 } from '../../support/crc32.js';
import { asciiBytes, guidBytes, utf16Bytes } from '../../support/encode-primitives.js';

/** A partition to write into a table, in sectors. */
export interface GptPartition {
  readonly type: string;
  readonly name: string;
  readonly first: number;
  readonly last: number;
}

/** The first 34 sectors of a disk with a GPT (UEFI 2.10, 5.3), and its last 33: protective MBR, header, 128 entries. */
export function encodeGpt(
  sectors: number,
  sectorSize: number,
  partitions: readonly GptPartition[],
): { readonly start: Uint8Array; readonly end: Uint8Array } {
  const entries = new Uint8Array(Math.ceil((128 * 128) / sectorSize) * sectorSize);
  partitions.forEach(({ type, name, first, last }, i) => {
    const view = new DataView(entries.buffer, 128 * i, 128);
    entries.set(guidBytes(type), 128 * i);
    entries.set(guidBytes(`7b1f0d00-52aa-4c1e-9b10-0000000000${(16 + i).toString(16)}`), 128 * i + 16);
    view.setBigUint64(32, BigInt(first), true);
    view.setBigUint64(40, BigInt(last), true);
    entries.set(utf16Bytes(name), 128 * i + 56);
  });
  const entrySectors = entries.length / sectorSize;
  const header = (own: number, other: number, entriesAt: number): Uint8Array => {
    const bytes = new Uint8Array(sectorSize);
    const view = new DataView(bytes.buffer);
    bytes.set(asciiBytes('EFI PART'), 0);
    view.setUint32(8, 0x10000, true);
    view.setUint32(12, 92, true);
    view.setBigUint64(24, BigInt(own), true);
    view.setBigUint64(32, BigInt(other), true);
    view.setBigUint64(40, BigInt(2 + entrySectors), true);
    view.setBigUint64(48, BigInt(sectors - 2 - entrySectors), true);
    bytes.set(guidBytes('5d3c9f10-8e44-4b0a-a3a6-1f2e3d4c5b6a'), 56);
    view.setBigUint64(72, BigInt(entriesAt), true);
    view.setUint32(80, 128, true);
    view.setUint32(84, 128, true);
    view.setUint32(88, crc32(entries.subarray(0, 128 * 128)), true);
    view.setUint32(16, crc32(bytes.subarray(0, 92)), true);
    return bytes;
  };
  const start = new Uint8Array((2 + entrySectors) * sectorSize);
  start.set([0, 0, 2, 0, 0xee, 0xff, 0xff, 0xff, 1, 0, 0, 0, 0xff, 0xff, 0xff, 0xff], 446);
  start.set([0x55, 0xaa], 510);
  start.set(header(1, sectors - 1, 2), sectorSize);
  start.set(entries, 2 * sectorSize);
  const end = new Uint8Array((1 + entrySectors) * sectorSize);
  end.set(entries, 0);
  end.set(header(sectors - 1, 1, sectors - 1 - entrySectors), entries.length);
  return { start, end };
}

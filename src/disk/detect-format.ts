import type { Advice } from '../errors.js';
import { hasVhdxSignature } from '../format/file-identifier.js';
import { parseFixedVhdFooter, VHD_FOOTER_SIZE } from '../format/vhd-footer.js';
import type { SourceOptions } from '../io/named-input.js';
import { openSource, type VhdxInput } from '../io/open.js';

/** To take the bytes of the file for those of the disk. */
export const AS_RAW: Advice = { hint: 'raw', text: "format: 'raw' takes its bytes as they are" };

/** What a file is, as far as its first and last bytes say. */
export interface DetectedFormat {
  /**
   * The format by the word that `qemu-img` has for it: `vhdx`, `vpc` (VHD), `qcow2`, `vmdk`, `vdi`, `raw`; of what is not
   * a disk image the usual ending of its file names, such as `gz`. `raw` is certain only for a disk with a boot sector.
   */
  readonly format: string;
  /** The same in words: `a qcow2 image`. */
  readonly description: string;
  /** Of a fixed VHD with a valid footer: size in bytes of its disk, which begins at the first byte of the file. */
  readonly diskSize?: number;
}

/** Bytes that tell formats apart, at the start of a file. */
const START = 520;

/**
 * Recognises the format of a file by its first and last bytes; undefined if it is none that is known. Nothing else is
 * checked: an image of that format need not open.
 *
 * @throws VhdxError if the input cannot be read
 */
export async function detectFormat(input: VhdxInput, options: SourceOptions = {}): Promise<DetectedFormat | undefined> {
  const source = await openSource(input, options);
  try {
    const start = new Uint8Array(Math.min(START, source.size));
    const end = new Uint8Array(Math.min(VHD_FOOTER_SIZE, source.size));
    await source.readInto(start, 0, options);
    if (hasVhdxSignature(start)) return { format: 'vhdx', description: 'a VHDX image' };
    await source.readInto(end, source.size - end.length, options);
    const { recogniseFormat } = await import('../format/foreign-file.js'); // most files are VHDX
    const found = recogniseFormat(start, end);
    const diskSize = found?.format === 'vpc' ? parseFixedVhdFooter(end, source.size) : undefined;
    return found && { ...found, ...(diskSize !== undefined && { diskSize }) };
  } finally {
    await source.close?.();
  }
}

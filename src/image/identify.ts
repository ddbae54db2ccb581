import { crcOf } from '../core/crc32c.js';
import type { Core } from '../core/instance.js';
import { hasVhdxSignature } from '../format/file-identifier.js';
import { givenGuid } from '../format/guid.js';
import { HEADER_OFFSETS, HEADER_SIZE, parseHeaders } from '../format/header.js';
import type { RandomAccessSource, ReadOptions } from '../io/random-access.js';

/** A file that may be the parent of an image. */
export interface Candidate {
  readonly source: RandomAccessSource;
  /** DataWriteGuid of its current header; undefined if there is none, or it is zero. */
  readonly dataWriteGuid: string | undefined;
  /** Whether it has a valid header of a VHDX file. */
  readonly isVhdx: boolean;
}

/** Bytes from the start of a file to the end of its second header. */
const HEADERS_END = HEADER_OFFSETS[1] + HEADER_SIZE;

/** Reads the headers of a file, and closes it where that fails. */
export async function identify(core: Core, source: RandomAccessSource, options: ReadOptions): Promise<Candidate> {
  try {
    const section = new Uint8Array(HEADERS_END);
    await source.readInto(section.subarray(0, Math.min(HEADERS_END, source.size)), 0, options);
    const crc = crcOf(core);
    const header = hasVhdxSignature(section) ? parseHeaders(section, crc, () => {}).current : undefined;
    return { source, dataWriteGuid: givenGuid(header?.dataWriteGuid), isVhdx: header !== undefined };
  } catch (error) {
    await source.close?.();
    throw error;
  }
}

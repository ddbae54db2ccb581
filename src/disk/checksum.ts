import type { Core } from '../core/instantiate.js';
import type { Member } from './member.js';
import type { ProgressOptions, RangeOptions } from './range.js';
import { coreBuffers, readAhead } from './read-ahead.js';

/**
 * CRC-32C of a range of a disk. Payload is read straight into the core's memory, with reads under way while a piece is
 * summed; holes are not read, their checksum is computed in logarithmic time.
 */
export async function checksumOf(
  core: Core,
  disk: Member,
  offset: number,
  length: number,
  { signal, onProgress }: RangeOptions & ProgressOptions,
): Promise<number> {
  const { exports } = core;
  let crc = 0;
  let done = 0;
  for await (const piece of readAhead(disk, offset, length, coreBuffers(core.buffers), { signal })) {
    crc = piece.buffer ? exports.crc32c(crc, piece.buffer.address, piece.length) : exports.crc32cZeros(crc, piece.length);
    done += piece.length;
    onProgress?.({ done, total: length });
  }
  return crc;
}

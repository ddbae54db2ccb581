// @ts-check
/** The floor of a disk's checksum: a raw file, read by `fs.read` straight into the core's memory and summed there. */
import { openSync, read, statSync } from 'node:fs';

/**
 * @param {string} path
 * @param {import('../src/core/instance.js').Core} core
 * @returns {() => Promise<number>}
 */
export function flatChecksum(path, core) {
  const file = openSync(path, 'r');
  const { size } = statSync(path);
  const { bufferBytes, size: count } = core.buffers;
  const address = core.buffers.address;
  const buffers = Array.from({ length: count }, (_, i) =>
    core.bytes.subarray(address + i * bufferBytes, address + (i + 1) * bufferBytes),
  );
  const fill = (/** @type {number} */ piece) =>
    new Promise((resolve, reject) => {
      const length = Math.min(bufferBytes, size - piece * bufferBytes);
      const buffer = /** @type {Uint8Array} */ (buffers[piece % count]);
      read(file, buffer, 0, length, piece * bufferBytes, (error, got) => {
        if (error || got !== length) reject(error ?? new Error('a short read'));
        else resolve(undefined);
      });
    });
  return async () => {
    const pieces = Math.ceil(size / bufferBytes);
    /** @type {Promise<unknown>[]} */
    const reads = Array.from({ length: Math.min(count, pieces) }, (_, i) => fill(i));
    let crc = 0;
    for (let piece = 0; piece < pieces; piece++) {
      await reads[piece];
      const length = Math.min(bufferBytes, size - piece * bufferBytes);
      crc = core.exports.crc32c(crc, address + (piece % count) * bufferBytes, length);
      if (piece + count < pieces) reads.push(fill(piece + count));
    }
    return crc;
  };
}

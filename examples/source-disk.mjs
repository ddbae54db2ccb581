import { Disk } from 'file-disk';

/**
 * Makes a disk for balena's libraries of whatever can be read at any place: a `VhdxDisk`, or a partition of one.
 * The source is never written: what they write, such as the time of an access, is kept in memory.
 */
export class SourceDisk extends Disk {
  /** @param {import('vhdx').RandomAccessSource} source */
  constructor(source) {
    super(true, true); // read only, and what is written is kept to be read again
    this.source = source;
  }

  async _getCapacity() {
    return this.source.size;
  }

  /** @param {Buffer} buffer @param {number} start @param {number} length @param {number} offset */
  async _read(buffer, start, length, offset) {
    await this.source.readInto(buffer.subarray(start, start + length), offset);
    return { bytesRead: length, buffer };
  }

  /** @returns {Promise<never>} */
  async _write() {
    throw new Error('an image is never written');
  }

  async _flush() {}
}

const SECTOR = 512;

/**
 * Makes a hard disk for the emulator v86 of whatever can be read at any place, such as a disk that `openVhdx` opened.
 * What the guest writes goes to `target`, which is the same disk, opened by `editVhdx`. Without one, the source is never
 * written: it is kept in memory, sector by sector, and ends with the emulator.
 *
 * @param {import('vhdx').RandomAccessSource} source
 * @param {Pick<import('vhdx').WritableVhdxDisk, 'write'>} [target]
 */
export function v86Disk(source, target) {
  const written = new Map();
  let first; // the sector with the partition table: v86 looks for the disk's geometry there

  // v86 knows no disk that fails: a read or a write that rejects ends the program.
  const get = async (offset, length, done) => {
    const bytes = new Uint8Array(length);
    await source.readInto(bytes, offset);
    for (let at = 0; at < length; at += SECTOR) bytes.set(written.get(offset + at) ?? [], at);
    if (offset === 0) first = bytes.slice(0, SECTOR);
    done(bytes);
  };

  return {
    byteLength: source.size,
    load() {
      this.onload({}); // v86 has put it here
    },
    get,
    get_and_cache: get,
    get_from_cache: (offset) => (offset === 0 ? first : undefined),
    async set(offset, bytes, done) {
      if (target) await target.write(bytes, offset);
      else for (let at = 0; at < bytes.length; at += SECTOR) written.set(offset + at, bytes.slice(at, at + SECTOR));
      done();
    },
    get_buffer: (done) => done(), // too large to be had as one
    get_state: () => [[...written]],
    set_state([sectors]) {
      for (const [offset, bytes] of sectors) written.set(offset, bytes);
    },
  };
}

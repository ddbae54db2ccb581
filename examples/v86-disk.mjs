const SECTOR = 512;

/** Whether a source can be read without a promise; a disk can that was opened for it. @param {import('vhdx').RandomAccessSource} source */
function readsSync(source) {
  try {
    source.readIntoSync?.(new Uint8Array(0), 0);
    return source.readIntoSync !== undefined;
  } catch {
    return false;
  }
}

/**
 * Makes a hard disk for the emulator v86 of whatever can be read at any place, such as a disk that `openVhdx` opened.
 * A disk that is opened with `sync: true` is read so. What the guest writes goes to `target`, which is the same disk, opened by `editVhdx`. Without one, the source is never
 * written: it is kept in memory, sector by sector, and ends with the emulator.
 *
 * @param {import('vhdx').RandomAccessSource} source
 * @param {Pick<import('vhdx').WritableVhdxDisk, 'write'>} [target]
 */
export function v86Disk(source, target) {
  const written = new Map();
  const isSync = target === undefined && readsSync(source);
  let first; // the sector with the partition table: v86 looks for the disk's geometry there

  // v86 knows no disk that fails: a read or a write that rejects ends the program.
  const get = async (offset, length, done) => {
    const bytes = new Uint8Array(length);
    // At once if it can be: the guest waits for nothing then, and a read costs a twentieth.
    if (isSync) source.readIntoSync?.(bytes, offset);
    else await source.readInto(bytes, offset);
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

import { randomBytes } from 'node:crypto';
import { constants, type Stats } from 'node:fs';
import { access, type FileHandle, open, readdir, realpath, rename, unlink } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { lockForWriting, openFile, type RandomAccessFile, type RandomAccessSink, VhdxError } from '../index.js';
import { about, BrokenPipe, complain, Failure, isSystemError } from './failure.js';

/** Work that fills a sink. */
export type Fill = (sink: RandomAccessSink) => Promise<void>;

/** Work that fills a new file, which it may write to at any offset, and which has another name until it is complete. */
export type FillFile = (file: RandomAccessFile, partial: string) => Promise<void>;

/** What follows the name of a file that is being written: something random, and the process of the writer. */
const PARTIAL = /^\.[0-9a-f]{8}-\d+\.partial$/;

/** How a file is written as a whole. */
export interface WholeFile {
  /** The file that is replaced, if there is one: its mode and owner stay. */
  readonly replaced: Stats | undefined;
  /** Whether its name must be durable at the end; its bytes are `fill`'s to flush. */
  readonly durable: boolean;
}

/**
 * Writes a file under a name that ends in `.partial`, and gives it its own name when it is complete: a half-written file
 * never looks like a complete one, and what was there before stays until then. If that fails, the file is removed. Other
 * processes that write the same file are kept out by its lock.
 */
export async function writeFileWhole(out: string, { replaced, durable }: WholeFile, fill: FillFile): Promise<void> {
  // Through a link: what it leads to is replaced, and not the link.
  const path = replaced ? await about(out, () => realpath(out)) : out;
  const { warning, release } = await about(path, () => lockForWriting(path, { isNew: !replaced }));
  if (warning !== undefined) complain(new Failure(`warning: ${warning}`, { file: path }));
  try {
    await writeLocked(path, { replaced, durable }, fill);
  } finally {
    await release();
  }
}

async function writeLocked(path: string, { replaced, durable }: WholeFile, fill: FillFile): Promise<void> {
  const { partial, handle } = await about(path, () => begin(path, replaced));
  try {
    const file = await openFile(partial, { write: true });
    try {
      await fill(underName(file, path), partial);
    } finally {
      await file.close?.();
    }
    await about(path, async () => {
      // Last, because writing takes some bits of the mode away.
      if (replaced) await keepOwnerAndMode(handle, replaced, path);
      await handle.close();
      await rename(partial, path);
      if (durable) await syncFolder(dirname(path));
    });
  } catch (error) {
    await handle.close().catch(() => undefined);
    await unlink(partial).catch(() => undefined);
    throw error;
  }
}

async function begin(path: string, replaced: Stats | undefined) {
  if (replaced) await access(path, constants.W_OK);
  await removeStale(path);
  const partial = `${path}.${randomBytes(4).toString('hex')}-${process.pid}.partial`;
  const handle = await open(partial, 'wx', replaced ? 0o600 : 0o666);
  return { partial, handle };
}

/** Removes what a writer that is gone has left: one that is at work has the lock. */
async function removeStale(path: string): Promise<void> {
  const folder = dirname(path);
  const name = basename(path);
  for (const other of await readdir(folder)) {
    if (other.startsWith(name) && PARTIAL.test(other.slice(name.length))) await unlink(join(folder, other));
  }
}

/** What systems and file systems answer that cannot sync a folder, Windows among them. */
const NO_FOLDER_SYNC = new Set(['EINVAL', 'ENOTSUP', 'EISDIR', 'EPERM', 'EACCES', 'EBADF']);

/** Makes the names in a folder durable, if the system can. */
async function syncFolder(folder: string): Promise<void> {
  let handle: FileHandle | undefined;
  try {
    handle = await open(folder, 'r');
    await handle.sync();
  } catch (error) {
    if (!(isSystemError(error) && NO_FOLDER_SYNC.has(error.code))) throw error;
  } finally {
    await handle?.close();
  }
}

async function keepOwnerAndMode(handle: FileHandle, { uid, gid, mode }: Stats, path: string): Promise<void> {
  const own = await handle.stat();
  if (own.uid !== uid || own.gid !== gid) {
    await handle
      .chown(uid, gid)
      .catch(() => complain(`${path}: its owner cannot be kept, only root may give files away`));
  }
  // After that, because a change of the owner takes some bits away too.
  await handle.chmod(mode & 0o7777);
}

/** A file under the name that it gets when it is complete: in errors, and to be compared with what is read. */
function underName(file: RandomAccessFile, path: string): RandomAccessFile {
  const named = <T>(work: Promise<T>): Promise<T> =>
    work.catch((error: unknown) => {
      if (!(error instanceof VhdxError)) throw error;
      throw new VhdxError(error.code, error.reason, { file: path, cause: error });
    });
  return {
    get size() {
      return file.size;
    },
    path,
    readInto: (target, offset, options) => named(file.readInto(target, offset, options)),
    truncate: (size) => named(file.truncate(size)),
    write: (bytes, offset) => named(file.write(bytes, offset)),
    flush: () => named(file.flush()),
  };
}

const ZEROS = new Uint8Array(1024 * 1024);

/** Turns writes at growing offsets into one sequence of bytes, with zeros for what is left out: for pipes and devices. */
export async function writeInSequence(append: (bytes: Uint8Array) => Promise<void>, fill: Fill): Promise<void> {
  let position = 0;
  let size = 0;
  let last = Promise.resolve();
  const padTo = async (end: number): Promise<void> => {
    while (position < end) {
      const zeros = ZEROS.subarray(0, Math.min(ZEROS.length, end - position));
      await append(zeros);
      position += zeros.length;
    }
  };
  const next = async (bytes: Uint8Array, offset: number): Promise<void> => {
    if (offset < position) throw new RangeError(`a pipe is at ${position} and cannot go back to ${offset}`);
    await padTo(offset);
    await append(bytes);
    position += bytes.length;
  };
  await fill({
    async truncate(length) {
      size = length;
    },
    write(bytes, offset) {
      last = last.then(() => next(bytes, offset));
      return last;
    },
  });
  await padTo(size);
}

/** Milliseconds between two attempts to open a named pipe without a reader. */
const REOPEN_AFTER = 50;

/** Writes to what is there already and is not a file: a block device, a named pipe. */
export async function writeToDevice(path: string, stats: Stats, fill: Fill): Promise<void> {
  const handle = await about(path, () => (stats.isFIFO() ? openPipe(path) : open(path, constants.O_WRONLY)));
  try {
    await writeInSequence((bytes) => about(path, () => append(handle, bytes)), fill);
    // A device reports late what it could not keep.
    if (stats.isBlockDevice()) await about(path, () => handle.sync());
  } finally {
    await handle.close();
  }
}

async function append(handle: FileHandle, bytes: Uint8Array): Promise<void> {
  try {
    await handle.writeFile(bytes);
  } catch (error) {
    if (isSystemError(error) && error.code === 'EPIPE')
      throw new BrokenPipe('the reader has closed the pipe', { cause: error });
    throw error;
  }
}

/**
 * Opens a named pipe when it has a reader. Waiting for one in `open` would block a thread, and with it the end of the
 * process.
 */
async function openPipe(path: string): Promise<FileHandle> {
  for (;;) {
    try {
      const probe = await open(path, constants.O_WRONLY | constants.O_NONBLOCK);
      // There is a reader, so this one does not wait; and its writes do, which is what writes to a pipe should.
      const handle = await open(path, constants.O_WRONLY);
      await probe.close();
      return handle;
    } catch (error) {
      if (!isSystemError(error) || error.code !== 'ENXIO') throw error;
      await setTimeout(REOPEN_AFTER);
    }
  }
}

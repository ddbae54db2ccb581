import { createHash } from 'node:crypto';
import { constants, type Stats } from 'node:fs';
import { access, type FileHandle, open, readdir, realpath, rename, unlink } from 'node:fs/promises';
import { hostname } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { openFile, type RandomAccessFile, type RandomAccessSink, VhdxError } from '../index.js';
import { about, BrokenPipe, complain, Failure, isSystemError } from './failure.js';

/** Work that fills a sink. */
export type Fill = (sink: RandomAccessSink) => Promise<void>;

/** Work that fills a new file, which it may write to at any offset. */
export type FillFile = (file: RandomAccessFile) => Promise<void>;

/** This machine in a file's name: process numbers mean nothing on another one. */
const MACHINE = createHash('sha256').update(hostname()).digest('hex').slice(0, 8);

/** What follows the name of a file that is being written: the machine and the process of the writer. */
const PARTIAL = /^\.([0-9a-f]{8})-(\d+)\.partial$/;

/**
 * Writes a file under a name that ends in `.partial`, and gives it its own name when it is complete: a half-written file
 * never looks like a complete one, and what was there before stays until then. If that fails, the file is removed.
 *
 * @param replaced the file that is replaced, if there is one: its mode and owner stay
 * @param force whether to remove what another process is writing, or seems to be
 */
export async function writeFileWhole(
  out: string,
  replaced: Stats | undefined,
  force: boolean,
  fill: FillFile,
): Promise<void> {
  const { path, partial, handle } = await about(out, () => begin(out, replaced, force));
  try {
    const file = await openFile(partial, { write: true });
    try {
      await fill(underName(file, path));
    } finally {
      await file.close?.();
    }
    await about(path, async () => {
      // Last, because writing takes some bits of the mode away.
      if (replaced) await keepOwnerAndMode(handle, replaced, path);
      await handle.close();
      await rename(partial, path);
    });
  } catch (error) {
    await handle.close().catch(() => undefined);
    await unlink(partial).catch(() => undefined);
    throw error;
  }
}

async function begin(out: string, replaced: Stats | undefined, force: boolean) {
  // Through a link: what it leads to is replaced, and not the link.
  const path = replaced ? await realpath(out) : out;
  if (replaced) await access(path, constants.W_OK);
  await removeStale(path, force);
  const partial = `${path}.${MACHINE}-${process.pid}.partial`;
  const handle = await open(partial, 'wx', replaced ? 0o600 : 0o666);
  return { path, partial, handle };
}

/** Removes what a writer that is gone has left. Refuses if the writer may be at work, unless `force` says otherwise. */
async function removeStale(path: string, force: boolean): Promise<void> {
  const folder = dirname(path);
  const name = basename(path);
  for (const other of await readdir(folder)) {
    if (!other.startsWith(name)) continue;
    const [, machine, pid] = PARTIAL.exec(other.slice(name.length)) ?? [];
    if (machine === undefined) continue;
    const writer = machine === MACHINE ? `process ${pid}` : `process ${pid} of another machine`;
    if (!force && (machine !== MACHINE || isRunning(Number(pid)))) {
      throw new Failure(`is being written by ${writer}; --force removes it`, { file: join(folder, other) });
    }
    await unlink(join(folder, other));
  }
}

function isRunning(pid: number): boolean {
  if (pid === process.pid) return false; // a number that was given out again: nothing of this process is there yet
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    // EPERM: it is there, and another user's.
    return !(isSystemError(error) && error.code === 'ESRCH');
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

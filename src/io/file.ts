import { builtinModule } from '../base/builtin-module.js';
import { isInside } from '../base/paths.js';
import { VhdxError } from '../errors.js';
import { call, DescriptorFile, type FileSystem } from './descriptor-file.js';
import type { RandomAccessFile, RandomAccessSource } from './random-access.js';
import { readFailed, systemCode, unsupported, writeFailed } from './system-error.js';

/** What is needed of a Node `FileHandle`: its descriptor, which is negative once the handle is closed. */
export interface FileHandleLike {
  /** The open file's descriptor. */
  readonly fd: number;
  /** Distinguishes a handle from other things with a descriptor; not called. */
  read(...parameters: never[]): unknown;
}

/** How to open a file. */
export interface OpenFileOptions {
  /** Whether it is going to be changed. */
  readonly write?: boolean | undefined;
  /** Makes a new file, which can be written; the error `exists` if there is something of that name. */
  readonly create?: boolean | undefined;
}

type Stats = InstanceType<FileSystem['Stats']>;
/** What a file is known by, whatever its names are. */
type Identity = { readonly dev: bigint; readonly ino: bigint };

/**
 * Opens a file or a block device for reading, or reads through a Node `FileHandle`; in Node, Bun and Deno.
 * A file opened here is closed by `close()`; a handle that was handed over stays open and stays the caller's.
 *
 * @param input path, or an open handle
 * @throws VhdxError `read-failed` when it cannot be opened or is not something with bytes at offsets;
 *   `unsupported-input` where there is no file system
 */
export async function fileSource(input: string | FileHandleLike): Promise<RandomAccessSource> {
  if (typeof input === 'string') return openPath(input);
  const { fs } = fileSystem();
  const size = await sizeOf(fs, input.fd, 'the file');
  return new DescriptorFile({ fs, handle: input, size, writable: false });
}

/**
 * Opens or makes a file by its path; in Node, Bun and Deno.
 *
 * @throws VhdxError `read-failed` when there is no such file or it is not something with bytes at offsets; to write,
 *   also `read-only`, `exists`, `no-space`, `write-failed`; `unsupported-input` where there is no file system
 */
export async function openPath(input: string, options: OpenFileOptions = {}): Promise<RandomAccessFile> {
  const { fs, paths } = fileSystem();
  const path = paths.resolve(input);
  const writable = options.write === true || options.create === true;
  const fd = options.create === true ? await create(fs, path) : await openExisting(fs, path, writable);
  try {
    if (options.create === true) await syncFolder(fs, paths.dirname(path));
    const size = await sizeOf(fs, fd, path);
    return new DescriptorFile({ fs, handle: { fd }, size, place: { path, name: paths.basename(path) }, writable });
  } catch (error) {
    await call<void>((done) => fs.close(fd, (failure) => done(failure ?? null)));
    if (options.create === true) await call<void>((done) => fs.unlink(path, (failure) => done(failure)));
    throw error;
  }
}

/**
 * Opens a file for reading that must be inside a folder, whatever is done to the names meanwhile: what counts is where
 * the file is that was opened, not what its path led to a moment before. Links that stay in the folder are followed.
 *
 * @throws VhdxError `read-failed` also for a file outside the folder, and for one that was exchanged while it was opened
 */
export async function openInside(input: string, folder: string): Promise<RandomAccessSource> {
  const { fs, paths } = fileSystem();
  const path = paths.resolve(input);
  let fd: number | undefined;
  try {
    const real = await realPath(fs, path);
    if (!isInside(real, await realPath(fs, folder)))
      throw new VhdxError('read-failed', 'is outside the folder', { file: path });
    refuseOddities(await call((done) => fs.lstat(real, done)), path);
    const opened = await call<number>((done) => fs.open(real, flagsOf(fs, false) | noLinks(fs), done));
    fd = opened;
    const size = await sizeOf(fs, opened, path);
    if (!(await isOpenedFrom(fs, opened, real))) {
      throw new VhdxError('read-failed', 'was exchanged while it was being opened', { file: path });
    }
    return new DescriptorFile({
      fs,
      handle: { fd },
      size,
      place: { path, name: paths.basename(path) },
      writable: false,
    });
  } catch (cause) {
    if (fd !== undefined) fs.close(fd, () => {});
    throw cause instanceof VhdxError ? cause : readFailed(path, cause);
  }
}

const realPath = (fs: FileSystem, path: string): Promise<string> => call((done) => fs.realpath(path, done));

/** Of macOS: no part of the path may be a link. Node has no name for it. */
const O_NOFOLLOW_ANY = 0x2000_0000;

/** The flags that make opening a path fail where it goes through a link, as far as the system has them. */
function noLinks(fs: FileSystem): number {
  return (fs.constants.O_NOFOLLOW ?? 0) | (globalThis.process?.platform === 'darwin' ? O_NOFOLLOW_ANY : 0);
}

/** The flags for a file that is there. To open a pipe without O_NONBLOCK waits, perhaps for ever, for a writer. */
function flagsOf({ constants }: FileSystem, writable: boolean): number {
  const access = writable ? constants.O_RDWR : constants.O_RDONLY;
  return access | (constants.O_NONBLOCK ?? 0) | (constants.O_NOCTTY ?? 0);
}

/**
 * Whether a descriptor is open on the file of a path without links. Linux gives the path of a descriptor. Elsewhere the
 * path is looked up again: that it has no links, and leads to the file that was opened.
 */
async function isOpenedFrom(fs: FileSystem, fd: number, real: string): Promise<boolean> {
  const own = await call<string>((done) => fs.readlink(`/proc/self/fd/${fd}`, done)).catch(() => undefined);
  if (own !== undefined) return own === real;
  const opened = await call<Identity>((done) => fs.fstat(fd, { bigint: true }, done));
  const found = await call<Identity>((done) => fs.lstat(real, { bigint: true }, done));
  return opened.dev === found.dev && opened.ino === found.ino && (await realPath(fs, real)) === real;
}

function fileSystem() {
  const fs = builtinModule('fs');
  const paths = builtinModule('path');
  if (fs !== undefined && paths !== undefined) return { fs, paths };
  throw unsupported('there is no file system here');
}

async function openExisting(fs: FileSystem, path: string, writable: boolean): Promise<number> {
  try {
    // Before opening too: to open a device or a terminal may do something to it.
    refuseOddities(await call((done) => fs.stat(path, done)), path);
  } catch (cause) {
    throw cause instanceof VhdxError ? cause : readFailed(path, cause);
  }
  try {
    return await call((done) => fs.open(path, flagsOf(fs, writable), done));
  } catch (cause) {
    throw writable ? writeFailed(path, cause) : readFailed(path, cause);
  }
}

async function create(fs: FileSystem, path: string): Promise<number> {
  try {
    return await call((done) => fs.open(path, 'wx+', done));
  } catch (cause) {
    throw writeFailed(path, cause, undefined, systemCode(cause) === 'ENOENT' ? 'the folder does not exist' : undefined);
  }
}

/** What systems and file systems answer that cannot sync a folder, Windows among them. */
const NO_FOLDER_SYNC = new Set(['EINVAL', 'ENOTSUP', 'EISDIR', 'EPERM', 'EACCES', 'EBADF']);

/** Makes the names in a folder durable, if the system can: without that a power cut may lose a file that was flushed. */
async function syncFolder(fs: FileSystem, folder: string): Promise<void> {
  let fd: number | undefined;
  try {
    const opened = await call<number>((done) => fs.open(folder, 'r', done));
    fd = opened;
    await call<void>((done) => fs.fsync(opened, (error) => done(error)));
  } catch (cause) {
    if (!NO_FOLDER_SYNC.has(systemCode(cause))) throw writeFailed(folder, cause);
  } finally {
    if (fd !== undefined) fs.close(fd, () => {});
  }
}

function refuseOddities(stats: Stats, who: string): void {
  if (stats.isFile() || stats.isBlockDevice()) return;
  if (stats.isDirectory()) throw new VhdxError('read-failed', 'is a folder, not a file', { file: who });
  throw new VhdxError('read-failed', 'is not a file but a pipe, a socket or a terminal', { file: who });
}

/** Length in bytes of what a descriptor is open on. */
async function sizeOf(fs: FileSystem, fd: number, who: string): Promise<number> {
  try {
    const stats = await call<Stats>((done) => fs.fstat(fd, done));
    refuseOddities(stats, who);
    if (stats.isFile() || stats.size > 0) return stats.size;
    const scratch = new Uint8Array(4096);
    const size = await deviceSize((offset) =>
      call((done) => fs.read(fd, scratch, 0, scratch.byteLength, offset, (error, count) => done(error, count))),
    );
    if (Number.isFinite(size)) return size;
  } catch (cause) {
    throw cause instanceof VhdxError ? cause : readFailed(who, cause);
  }
  throw new VhdxError('read-failed', 'the device has no end', { file: who });
}

/** Unit of the search for a device's end, in bytes: no device has larger sectors. */
const STEP = 4096;

/** Far more than any device has, in steps. A device that still delivers here has no end. */
const LIMIT = 2 ** 53 / STEP / 2;

/**
 * Finds the length of something that does not report it, such as a block device, by reading at ever larger offsets:
 * first doubling the offset, then halving the interval in which the end must be.
 *
 * @param readAt reads up to 4096 bytes at an offset and returns how many there were; none past the end
 * @returns the length in bytes; `Infinity` for something without an end
 */
export async function deviceSize(readAt: (offset: number) => Promise<number>): Promise<number> {
  if ((await readAt(0)) === 0) return 0;
  let present = 0; // the last step known to hold bytes
  let absent = 1; // a step known, or about to be known, to hold none
  while ((await readAt(absent * STEP)) > 0) {
    present = absent;
    absent *= 2;
    if (absent > LIMIT) return Infinity;
  }
  while (absent - present > 1) {
    const middle = Math.floor((present + absent) / 2);
    if ((await readAt(middle * STEP)) > 0) present = middle;
    else absent = middle;
  }
  return present * STEP + (await readAt(present * STEP));
}

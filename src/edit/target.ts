import { builtinModule } from '../base/builtin-module.js';
import { VhdxError } from '../errors.js';
import type { OpenFileOptions } from '../io/file.js';
import { lockFile, type WriteLock } from '../io/lock.js';
import { openSource } from '../io/open.js';
import type { OpfsFileHandle, SyncAccessHandleLike } from '../io/opfs.js';
import type { RandomAccessFile, RandomAccessSource } from '../io/random-access.js';
import type { PickedFileHandle } from '../io/swap-file.js';
import { refuseUrl } from '../io/system-error.js';

/** What is needed of a `FileSystemFileHandle`. */
export type BrowserFileHandle = PickedFileHandle & OpfsFileHandle;

/**
 * What is written:
 *
 * - a path (Node, Bun, Deno);
 * - a `FileSystemFileHandle` of the origin private file system, in a dedicated worker: it is changed in place;
 * - a `FileSystemFileHandle` that a person picked, or any in a page: its changes are swapped in as a whole at the end,
 *   and nothing is durable before;
 * - an open `FileSystemSyncAccessHandle` or `RandomAccessFile`, which stays the caller's to close.
 */
export type VhdxTarget = string | RandomAccessFile | SyncAccessHandleLike | BrowserFileHandle;

/** A target by what it is. */
export type TargetKind =
  | { readonly kind: 'path'; readonly path: string }
  | { readonly kind: 'handle'; readonly handle: BrowserFileHandle }
  | { readonly kind: 'file'; readonly file: RandomAccessFile };

/**
 * Says what a target is.
 *
 * @throws VhdxError `unsupported-input` for what cannot be written
 */
export async function targetKind(target: VhdxTarget): Promise<TargetKind> {
  if (typeof target === 'string') {
    refuseUrl(target);
    return { kind: 'path', path: target };
  }
  // By their members and not by their class: what comes from another frame is an instance of that one's classes.
  const has = (...names: string[]) =>
    typeof target === 'object' &&
    target !== null &&
    names.every((name) => typeof Reflect.get(target, name) === 'function');
  if (has('readInto', 'write', 'truncate', 'flush')) return { kind: 'file', file: target as RandomAccessFile };
  if (has('read', 'write', 'truncate', 'getSize', 'flush')) {
    const { syncHandleFile } = await import('../io/opfs.js');
    return { kind: 'file', file: syncHandleFile(target as SyncAccessHandleLike) };
  }
  if (has('getFile')) return { kind: 'handle', handle: target as BrowserFileHandle };
  const what = Object.prototype.toString.call(target).slice(8, -1);
  const message = `${what} cannot be written: hand over a path, a file handle or an object with readInto, write, truncate and flush`;
  throw new VhdxError('unsupported-input', message);
}

/** Opens a path; a page never does. */
export async function openPath(path: string, options: OpenFileOptions): Promise<RandomAccessFile> {
  const file = await import('../io/file.js');
  return file.openPath(path, options);
}

/** Opens a file of the origin private file system in a dedicated worker; undefined for another file, or in a page. */
export async function openInOrigin(handle: BrowserFileHandle): Promise<RandomAccessFile | undefined> {
  const { openOpfsFile } = await import('../io/opfs.js');
  return openOpfsFile(handle).catch((error: unknown) => {
    if (error instanceof VhdxError && error.code === 'unsupported-input') return undefined;
    throw error;
  });
}

/** Keeps other pages of this origin from writing to a picked file; a file is known there by its name alone. */
export async function lockPicked({ name }: PickedFileHandle): Promise<WriteLock> {
  const { lockInPage } = await import('../io/page-lock.js');
  return lockInPage(name);
}

/** A target that is only read: then it may be one that cannot be written, or that another program writes. */
async function readableTarget(target: VhdxTarget): Promise<RandomAccessSource> {
  const found = await targetKind(target);
  if (found.kind === 'path') return openSource(found.path);
  return openSource(found.kind === 'handle' ? await found.handle.getFile() : found.file);
}

/** Reads a target that is not changed; it is closed afterwards if it was opened for that. */
export async function lookAt<T>(target: VhdxTarget, work: (source: RandomAccessSource) => Promise<T>): Promise<T> {
  const source = await readableTarget(target);
  try {
    return await work(source);
  } finally {
    await source.close?.();
  }
}

/** Whether two paths lead to one file, through links too. Paths that lead to nothing are not the same. */
export function isSameFile(a: string, b: string): boolean {
  const fs = builtinModule('fs');
  const identity = (path: string) => fs?.statSync(path, { bigint: true, throwIfNoEntry: false });
  const [one, other] = [identity(a), identity(b)];
  return one !== undefined && other !== undefined && one.dev === other.dev && one.ino === other.ino;
}

/** A file that is there and is changed in place. */
export interface OpenTarget {
  readonly file: RandomAccessFile;
  /** Why other programs are not kept from writing to it, if they are not. */
  readonly warning?: string;
  /** Ends the work: swaps the changes in, if that is how the file is written, and frees what was opened here. */
  finish(): Promise<void>;
  /** Ends work that failed: frees what was opened here. A file that is swapped in stays as it was. */
  abandon(): Promise<void>;
}

/** How a target is to be opened. */
export interface OpenTargetOptions {
  /** Whether a flush must make durable what was written: then a file that is swapped in as a whole will not do. */
  readonly durable?: boolean;
  /** Called with the warning of the {@link OpenTarget}, if it has one. */
  readonly onWarning?: ((message: string) => void) | undefined;
}

/**
 * Opens a file to be changed in place, and keeps others from writing to it: by `FILE.lock` other programs that respect
 * it, by the browser's own lock other pages of the origin.
 *
 * @throws VhdxError `locked` if another program writes to it; `read-failed` if there is none, `read-only`,
 *   `unsupported-input`; or the code of the file's failure
 */
export async function openTarget(
  target: VhdxTarget,
  { durable = false, onWarning }: OpenTargetOptions = {},
): Promise<OpenTarget> {
  const found = await targetKind(target);
  if (found.kind === 'file') return { file: found.file, finish: async () => {}, abandon: async () => {} };
  if (found.kind === 'path') {
    const opened = await whileLocked(await lockFile(found.path), () => openPath(found.path, { write: true }));
    if (opened.warning !== undefined) onWarning?.(opened.warning);
    return opened;
  }
  const inOrigin = await openInOrigin(found.handle);
  if (inOrigin) {
    const close = async () => inOrigin.close?.();
    return { file: inOrigin, finish: close, abandon: close };
  }
  if (durable) {
    const message =
      'a file that was picked is swapped in as a whole, so that nothing is durable while it is open: copy it to the origin private file system and open it in a dedicated worker, or save a changed copy';
    throw new VhdxError('unsupported-input', message, { file: found.handle.name });
  }
  const { pickedFile } = await import('../io/picked-file.js');
  const opened = await whileLocked(await lockPicked(found.handle), () => pickedFile(found.handle));
  if (opened.warning !== undefined) onWarning?.(opened.warning);
  return opened;
}

/** Does work on an opened target, and ends it: as work that failed if it rejects. */
export async function workOn<T>(
  { file, finish, abandon }: OpenTarget,
  work: (file: RandomAccessFile) => Promise<T>,
): Promise<T> {
  let result: T;
  try {
    result = await work(file);
  } catch (error) {
    await abandon();
    throw error;
  }
  await finish();
  return result;
}

/** A file that is opened while a lock is held, which is released when the file is closed. */
async function whileLocked(
  lock: WriteLock,
  open: () => Promise<RandomAccessFile & { discard?(): Promise<void> }>,
): Promise<OpenTarget> {
  try {
    const file = await open();
    const ending = (close: () => Promise<void> | undefined) => async () => {
      try {
        await close();
      } finally {
        await lock.release();
      }
    };
    return {
      file,
      ...(lock.warning !== undefined && { warning: lock.warning }),
      finish: ending(() => file.close?.()),
      abandon: ending(() => (file.discard ? file.discard() : file.close?.())),
    };
  } catch (error) {
    await lock.release();
    throw error;
  }
}

/** The path of a target, if it has one. */
export function pathOf(target: VhdxTarget): string | undefined {
  if (typeof target === 'string') return target;
  return 'path' in target ? target.path : undefined;
}

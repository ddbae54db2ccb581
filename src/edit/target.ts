import { builtinModule } from '../base/builtin-module.js';
import { VhdxError } from '../errors.js';
import type { OpenFileOptions } from '../io/file.js';
import { lockFile } from '../io/lock.js';
import type { RandomAccessFile } from '../io/random-access.js';

/** What is written: a path (Node, Bun, Deno), or a file that was opened for it, which stays the caller's to close. */
export type VhdxTarget = string | RandomAccessFile;

/** Opens a path; a page never does. */
async function openPath(path: string, options: OpenFileOptions): Promise<RandomAccessFile> {
  const file = await import('../io/file.js');
  return file.openPath(path, options);
}

/** A new file that is being written. */
export interface NewFile {
  readonly file: RandomAccessFile;
  /** Ends the work on it. */
  finish(): Promise<void>;
  /** Leaves nothing behind that looks like an image. */
  abandon(): Promise<void>;
}

/**
 * Opens an empty file to be written: a new one, or with `overwrite` an old one, whose bytes are gone when the promise
 * settles. Made durable before anything else is written, so that a crash cannot mix the old image with the new one.
 *
 * @throws VhdxError `exists` if there is a file, or bytes in it; or the code of the file's failure
 */
export async function openNewFile(target: VhdxTarget, overwrite: boolean): Promise<NewFile> {
  if (typeof target !== 'string') {
    if (target.size > 0 && !overwrite) throw new VhdxError('exists', 'the file is not empty', nameOf(target));
    await clear(target);
    return { file: target, finish: async () => {}, abandon: () => clear(target) };
  }
  const created = await createFile(target, overwrite);
  if (created) {
    const abandon = async () => {
      await created.close?.();
      await remove(target);
    };
    return { file: created, finish: async () => created.close?.(), abandon };
  }
  const { file, release } = await openTarget(target);
  try {
    await clear(file);
  } catch (error) {
    await release();
    throw error;
  }
  const abandon = async () => {
    await clear(file);
    await release();
  };
  return { file, finish: release, abandon };
}

/** A new file; undefined if there is one already and it may be overwritten. */
async function createFile(path: string, overwrite: boolean): Promise<RandomAccessFile | undefined> {
  try {
    return await openPath(path, { create: true });
  } catch (error) {
    if (overwrite && error instanceof VhdxError && error.code === 'exists') return undefined;
    throw error;
  }
}

async function clear(file: RandomAccessFile): Promise<void> {
  if (file.size === 0) return;
  await file.truncate(0);
  await file.flush();
}

async function remove(path: string): Promise<void> {
  await new Promise<void>((resolve) => {
    const fs = builtinModule('fs');
    if (fs) fs.unlink(path, () => resolve());
    else resolve();
  });
}

function nameOf({ name }: RandomAccessFile): { readonly file?: string } {
  return name === undefined ? {} : { file: name };
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
  /** Frees what was opened here; a file that was handed over stays open. */
  release(): Promise<void>;
}

/**
 * Opens a file to be changed in place, and keeps other programs that respect `FILE.lock` from writing to it.
 *
 * @throws VhdxError `locked` if another program writes to it; `read-failed` if there is none, `read-only`; or the code of the file's failure
 */
export async function openTarget(target: VhdxTarget): Promise<OpenTarget> {
  if (typeof target !== 'string') return { file: target, release: async () => {} };
  const lock = await lockFile(target);
  try {
    const file = await openPath(target, { write: true });
    const release = async () => {
      await file.close?.();
      await lock.release();
    };
    return { file, release, ...(lock.warning !== undefined && { warning: lock.warning }) };
  } catch (error) {
    await lock.release();
    throw error;
  }
}

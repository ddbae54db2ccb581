import { builtinModule } from '../../base/builtin-module.js';
import { VhdxError } from '../../errors.js';
import type { RandomAccessFile } from '../../io/random-access.js';
import {
  type BrowserFileHandle,
  lockPicked,
  openInOrigin,
  openPath,
  openTarget,
  targetKind,
  type VhdxTarget,
} from '../target.js';

/** What can be done with a new file: it is written at any offset, and not read. */
export type WrittenFile = Pick<RandomAccessFile, 'truncate' | 'write' | 'flush'>;

/** A new file that is being written. */
export interface NewFile {
  readonly file: WrittenFile;
  /** Ends the work on it. */
  finish(): Promise<void>;
  /** Leaves nothing behind that looks like an image. */
  abandon(): Promise<void>;
}

/** How a new file is to be opened. */
export interface NewFileOptions {
  /** Whether it may take the place of one that is there. */
  readonly overwrite: boolean;
  /** Called if others are not kept from writing to it, with the reason. */
  readonly onWarning?: ((message: string) => void) | undefined;
}

/**
 * Opens an empty file to be written: a new one, or with `overwrite` an old one, whose bytes are gone when the promise
 * settles. Made durable before anything else is written, so that a crash cannot mix the old image with the new one. A
 * file that was picked keeps its bytes until the new ones are swapped in.
 *
 * @throws VhdxError `exists` if there is a file, or bytes in it; or the code of the file's failure
 */
export async function openNewFile(target: VhdxTarget, options: NewFileOptions): Promise<NewFile> {
  const found = await targetKind(target);
  if (found.kind === 'path') return (await createFile(found.path, options)) ?? overwriteFile(found.path, options);
  if (found.kind === 'handle') return newFileOfHandle(found.handle, options);
  const { file } = found;
  await makeEmpty(file, options);
  return { file, finish: async () => {}, abandon: () => clear(file) };
}

/** A new file; undefined if there is one already and it may be overwritten. */
async function createFile(path: string, { overwrite }: NewFileOptions): Promise<NewFile | undefined> {
  try {
    const file = await openPath(path, { create: true });
    const abandon = async () => {
      await file.close?.();
      await remove(path);
    };
    return { file, finish: async () => file.close?.(), abandon };
  } catch (error) {
    if (overwrite && error instanceof VhdxError && error.code === 'exists') return undefined;
    throw error;
  }
}

async function overwriteFile(path: string, { onWarning }: NewFileOptions): Promise<NewFile> {
  const { file, finish, abandon } = await openTarget(path, { onWarning });
  return emptied(file, { overwrite: true }, finish, abandon);
}

async function newFileOfHandle(handle: BrowserFileHandle, options: NewFileOptions): Promise<NewFile> {
  const inOrigin = await openInOrigin(handle);
  if (inOrigin) {
    const close = async () => inOrigin.close?.();
    return emptied(inOrigin, options, close, close);
  }
  if (!options.overwrite && (await handle.getFile()).size > 0) throw notEmpty(handle);
  const { newPickedFile } = await import('../../io/swap-file.js');
  const lock = await lockPicked(handle);
  try {
    const file = await newPickedFile(handle);
    const finish = () => file.close().finally(() => lock.release());
    return { file, finish, abandon: () => file.discard().finally(() => lock.release()) };
  } catch (error) {
    await lock.release();
    throw error;
  }
}

/** Empties a file that was opened here, and closes it again if that fails. */
async function emptied(
  file: RandomAccessFile,
  options: NewFileOptions,
  finish: () => Promise<void>,
  close: () => Promise<void>,
): Promise<NewFile> {
  try {
    await makeEmpty(file, options);
  } catch (error) {
    await close();
    throw error;
  }
  const abandon = async () => {
    await clear(file);
    await close();
  };
  return { file, finish, abandon };
}

async function makeEmpty(file: RandomAccessFile, { overwrite }: NewFileOptions): Promise<void> {
  if (file.size > 0 && !overwrite) throw notEmpty(file);
  await clear(file);
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

function notEmpty({ name }: { readonly name?: string }): VhdxError {
  return new VhdxError('exists', 'the file is not empty', name === undefined ? {} : { file: name });
}

import { VhdxError } from '../errors.js';

/** An error of a read of one of several files, with the file's name where it is about its format and has no name yet. */
export function toldOf(file: string | undefined, error: unknown): unknown {
  const isNameless = error instanceof VhdxError && error.isAboutFormat && error.file === undefined;
  return isNameless && file !== undefined ? error.inFile(file) : error;
}

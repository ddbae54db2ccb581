import type { VhdxInput } from '../io/open.js';
import type { OpenDisk, OpenDiskOptions } from './disk-format.js';

/**
 * Opens a disk of whatever format. An open disk is taken as it is, and so is a source that knows its holes, because that
 * is a disk or a part of one.
 *
 * @throws VhdxError as `openVhdx` does; `unsupported-input` for a format that is recognised and cannot be read; RangeError
 *   for another `format` than these
 */
export async function openDisk(input: VhdxInput, options: OpenDiskOptions = {}): Promise<OpenDisk> {
  const { openAnyDisk } = await import('./any-disk.js'); // pages that only open VHDX do not load it
  return openAnyDisk(input, options);
}

import type { VhdxInput } from '../io/open.js';
import type { StreamOptions, VhdxStream } from './create/write-options.js';

/**
 * Makes a VHDX of the content of a disk as a stream, for an upload, a download or a pipe: forward only, its length known
 * before the first byte.
 *
 * What is stored is found out first: by the extents of a source that knows them, without reading its payload, and of
 * another by reading each block up to its first byte that is not zero; `onProgress` reports that. Blocks of zeros are
 * not read again. With `parent` both disks are compared twice: to find what differs, and to send it. A file that is
 * changed before the end of the stream makes it fail.
 *
 * @throws VhdxError as `writeVhdx`; the stream fails with `source-changed` if a file of the source was changed
 */
export async function vhdxStream(source: VhdxInput, options: StreamOptions = {}): Promise<VhdxStream> {
  const { streamImage } = await import('./create/stream-image.js'); // pages that only read do not load it
  return streamImage(source, options);
}

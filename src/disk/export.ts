import type { Progress } from '../base/options.js';
import { loadCore } from '../core/load.js';
import { VhdxError } from '../errors.js';
import { fixedVhdFooter, MAX_VHD_SIZE, VHD_FOOTER_SIZE, vhdDiskSize } from '../format/vhd-footer.js';
import type { RandomAccessSink, RandomAccessSource } from '../io/random-access.js';
import type { CopyOptions } from './copy.js';
import { piecesOfSource } from './pieces.js';
import type { DamagedRange } from './salvage.js';
import { CHUNK, chunksOf, chunksOfSource, streamOfChunks } from './stream.js';

/** What a disk can be turned into: its bytes and nothing else, or the fixed VHD that Azure takes. */
export type ExportFormat = 'raw' | 'vhd';

/** Options of {@link exportDisk} and {@link exportStream}. */
export interface ExportOptions extends CopyOptions {
  /** `'raw'` if it is not given. */
  readonly format?: ExportFormat | undefined;
}

/** What can be exported: an open disk, or any source, of which every byte is one of the disk. */
export interface ExportedDisk extends RandomAccessSource {
  /** Of an open disk: in bytes. 512 if it is not given. */
  readonly logicalSectorSize?: number;
  /** Of an open disk: its identity, which a VHD gets too. */
  readonly id?: string | undefined;
}

/**
 * Length in bytes of what a disk becomes.
 *
 * @throws TypeError when it is no disk; RangeError for a format that is none of {@link ExportFormat}; VhdxError as {@link exportDisk} for a disk that a
 *   VHD cannot hold
 */
export function exportSize(disk: ExportedDisk, format: ExportFormat = 'raw'): number {
  checkFormat(disk, format);
  return format === 'raw' ? disk.size : vhdDiskSize(disk.size) + VHD_FOOTER_SIZE;
}

/**
 * Writes a disk to a sink, sparsely: holes and zeros inside data are not written. Memory stays bounded, several reads
 * and writes are in flight; when it rejects, none of them is any more.
 *
 * @throws VhdxError as reading the disk does, unless `onDamage` takes what is damaged; `logical-sector-size` for a VHD
 *   of a disk with sectors of 4,096 bytes, which a VHD cannot have
 */
export async function exportDisk(
  disk: ExportedDisk,
  sink: RandomAccessSink,
  options: ExportOptions = {},
): Promise<void> {
  const { format = 'raw' } = options;
  checkFormat(disk, format);
  // To nothing first: what a file held before must not show through the holes.
  await sink.truncate(0);
  await sink.truncate(exportSize(disk, format));
  const [core, { copySparsely }] = await Promise.all([loadCore(), import('./copy.js')]); // most pages export nothing
  await copySparsely(core, disk, sink, options);
  if (format === 'vhd') await sink.write(fixedVhdFooter(vhdDiskSize(disk.size), disk.id), vhdDiskSize(disk.size));
}

/**
 * What a disk becomes, as a stream of chunks of at most 4 MiB: for a pipe, an upload or a download. Progress is reported
 * when a chunk was taken. The stream fails as {@link exportDisk} rejects.
 */
export function exportStream(disk: ExportedDisk, options: ExportOptions = {}): ReadableStream<Uint8Array> {
  const { format = 'raw', signal, onProgress, onDamage } = options;
  checkFormat(disk, format);
  const chunks = onDamage
    ? salvaged(disk, signal, onDamage)
    : chunksOfSource(disk, { offset: 0, length: disk.size }, signal);
  const content = streamOfChunks(onProgress ? counted(chunks, disk.size, onProgress) : chunks);
  if (format === 'raw') return content;
  const size = vhdDiskSize(disk.size);
  const tail = new Uint8Array(size - disk.size + VHD_FOOTER_SIZE);
  tail.set(fixedVhdFooter(size, disk.id), size - disk.size);
  return content.pipeThrough(new TransformStream({ flush: (controller) => controller.enqueue(tail) }));
}

/** The bytes of a disk, with zeros for what cannot be read. */
async function* salvaged(
  disk: ExportedDisk,
  signal: AbortSignal | undefined,
  onDamage: (range: DamagedRange) => void,
): AsyncGenerator<Uint8Array, void> {
  const { Salvager } = await import('./salvage.js'); // for few images
  const pieces = piecesOfSource(disk, { size: CHUNK, signal, skipDamage: true });
  yield* chunksOf(disk, pieces, signal, new Salvager(disk, onDamage, signal));
}

/** Passes chunks on, and reports how many bytes were taken. */
async function* counted(
  chunks: AsyncGenerator<Uint8Array, void>,
  total: number,
  onProgress: (progress: Progress) => void,
): AsyncGenerator<Uint8Array, void> {
  let done = 0;
  for await (const chunk of chunks) {
    yield chunk;
    done += chunk.length;
    onProgress({ done, total });
  }
}

function checkFormat(disk: ExportedDisk, format: ExportFormat): void {
  if (!Number.isSafeInteger(disk?.size) || typeof disk.readInto !== 'function') {
    throw new TypeError('what is exported must be a disk or a source');
  }
  if (format === 'raw') return;
  if (format !== 'vhd') throw new RangeError(`format must be 'raw' or 'vhd', not '${String(format)}'`);
  if ((disk.logicalSectorSize ?? 512) !== 512) {
    const message = 'a VHD has sectors of 512 bytes, this disk has sectors of 4096: no partition would be found in it';
    throw new VhdxError('logical-sector-size', message, { structure: 'Logical Sector Size' });
  }
  if (disk.size > MAX_VHD_SIZE) {
    const message = `a VHD holds at most 2040 GiB (${MAX_VHD_SIZE} bytes), this disk has ${disk.size} bytes`;
    throw new VhdxError('virtual-disk-size', message, { structure: 'Virtual Disk Size' });
  }
}

import { InFlight } from '../base/concurrency.js';
import type { ProgressOptions } from '../base/options.js';
import { nonzeroBytes, zeroBytes } from '../core/buffer-bytes.js';
import type { LeasedBuffer } from '../core/buffers.js';
import { VhdxError } from '../errors.js';
import { fixedVhdFooter, MAX_VHD_SIZE, VHD_FOOTER_SIZE, vhdDiskSize } from '../format/vhd-footer.js';
import type { RandomAccessSink } from '../io/random-access.js';
import { readPiece } from './checksum.js';
import type { VhdxDisk } from './disk.js';
import { isHole, type Piece, piecesOf } from './pieces.js';
import { coreBuffers, readAhead } from './read-ahead.js';
import { type DamagedRange, isLocal, Salvager } from './salvage.js';

/** What a disk can be turned into: its bytes and nothing else, or the fixed VHD that Azure takes. */
export type ExportFormat = 'raw' | 'vhd';

/** Options of {@link exportDisk}. */
export interface ExportOptions extends ProgressOptions {
  /** `'raw'` where it is not given. */
  readonly format?: ExportFormat | undefined;
  /** Gives the export up. */
  readonly signal?: AbortSignal | undefined;
  /** Takes the ranges that cannot be read, in order, which become zeros; without it the first of them rejects. */
  readonly onDamage?: ((range: DamagedRange) => void) | undefined;
}

/** Zeros inside data are left out in units of this many bytes. */
const GRANULE = 32 * 1024;

/**
 * Length in bytes of what a disk becomes.
 *
 * @throws TypeError when it is no disk; RangeError for a format that is none of {@link ExportFormat}; VhdxError as {@link exportDisk} for a disk that a
 *   VHD cannot hold
 */
export function exportSize(disk: VhdxDisk, format: ExportFormat = 'raw'): number {
  if (!Number.isSafeInteger(disk?.size)) throw new TypeError('what is exported must be a disk');
  checkFormat(disk, format);
  return format === 'raw' ? disk.size : vhdDiskSize(disk.size) + VHD_FOOTER_SIZE;
}

/**
 * Writes a disk to a sink, sparsely: holes and zeros inside data are not written. Memory stays bounded, several reads
 * and writes are under way at a time; when it rejects, none of them is any more.
 *
 * @throws VhdxError as reading the disk does, unless `onDamage` takes what is damaged; `logical-sector-size` for a VHD
 *   of a disk with sectors of 4,096 bytes, which a VHD cannot have
 */
export async function exportDisk(disk: VhdxDisk, sink: RandomAccessSink, options: ExportOptions = {}): Promise<void> {
  const { format = 'raw', signal, onProgress, onDamage } = options;
  const { core, member } = disk;
  checkFormat(disk, format);
  // To nothing first: what a file held before must not show through the holes.
  await sink.truncate(0);
  await sink.truncate(exportSize(disk, format));
  const salvager = onDamage && new Salvager(disk, onDamage, signal);
  const pieces = piecesOf(member, 0, disk.size, {
    size: core.buffers.bufferBytes,
    signal,
    skipDamage: salvager !== undefined,
  });
  const read = async (piece: Piece, buffer: LeasedBuffer): Promise<void> => {
    try {
      await readPiece(member, piece, buffer, signal);
    } catch (error) {
      if (!salvager || !isLocal(error)) throw error;
      await salvager.read(piece, buffer.bytes);
    }
  };
  // A piece is written as soon as it is read and the writing of the one before it has begun.
  let begun: Promise<unknown> = Promise.resolve();
  const copy = async (piece: Piece, [buffer]: readonly LeasedBuffer[]): Promise<void> => {
    if (!buffer) throw new RangeError('no buffer was lent');
    const before = begun;
    const beginning = read(piece, buffer)
      .then(() => before)
      .then(() => ({ writing: writeSparsely(disk, sink, piece, buffer) }));
    begun = beginning;
    await (await beginning).writing;
  };
  const supply = coreBuffers(core.buffers);
  for await (const { piece } of readAhead(pieces, { supply, isHole, read: copy, signal })) {
    salvager?.tell(piece);
    onProgress?.({ done: piece.offset + piece.length, total: disk.size });
  }
  salvager?.end();
  if (format === 'vhd') await sink.write(fixedVhdFooter(vhdDiskSize(disk.size), disk.id), vhdDiskSize(disk.size));
}

/** Begins at once to write the parts of a piece that are not zeros; settles when none is being written any more. */
function writeSparsely(
  { core }: VhdxDisk,
  sink: RandomAccessSink,
  { offset, length }: Piece,
  buffer: LeasedBuffer,
): Promise<void> {
  const writes = new InFlight(Number.POSITIVE_INFINITY);
  try {
    for (let at = 0; at < length; ) {
      const left = length - at;
      const zeros = zeroBytes(core, buffer, at, left);
      at += zeros === left ? zeros : zeros - (zeros % GRANULE);
      const data = nonzeroBytes(core, buffer, at, length - at, GRANULE);
      // A sink in plain JavaScript may return no promise.
      if (data > 0) void writes.add(Promise.resolve(sink.write(buffer.bytes.subarray(at, at + data), offset + at)));
      at += data;
    }
  } catch (error) {
    writes.fail(error);
  }
  return writes.settle();
}

/** What a disk becomes, as a stream of chunks of at most 1 MiB: for a pipe, an upload or a download. */
export function exportStream(
  disk: VhdxDisk,
  options: { format?: ExportFormat | undefined; signal?: AbortSignal | undefined } = {},
): ReadableStream<Uint8Array> {
  const { format = 'raw', signal } = options;
  checkFormat(disk, format);
  const content = disk.stream({ signal });
  if (format === 'raw') return content;
  const size = vhdDiskSize(disk.size);
  const tail = new Uint8Array(size - disk.size + VHD_FOOTER_SIZE);
  tail.set(fixedVhdFooter(size, disk.id), size - disk.size);
  return content.pipeThrough(new TransformStream({ flush: (controller) => controller.enqueue(tail) }));
}

function checkFormat(disk: VhdxDisk, format: ExportFormat): void {
  if (format === 'raw') return;
  if (format !== 'vhd') throw new RangeError(`format must be 'raw' or 'vhd', not '${String(format)}'`);
  if (disk.logicalSectorSize !== 512) {
    const message = 'a VHD has sectors of 512 bytes, this disk has sectors of 4096: no partition would be found in it';
    throw new VhdxError('logical-sector-size', message, { structure: 'Logical Sector Size' });
  }
  if (disk.size > MAX_VHD_SIZE) {
    const message = `a VHD holds at most 2040 GiB (${MAX_VHD_SIZE} bytes), this disk has ${disk.size} bytes`;
    throw new VhdxError('virtual-disk-size', message, { structure: 'Virtual Disk Size' });
  }
}

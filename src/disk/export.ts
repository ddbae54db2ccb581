import type { LeasedBuffer } from '../core/buffers.js';
import { VhdxError } from '../errors.js';
import type { RuleCode } from '../rules.js';
import { readPiece } from './checksum.js';
import type { VhdxDisk } from './disk.js';
import { isHole, type Piece, piecesOf } from './pieces.js';
import type { ProgressOptions } from './range.js';
import { coreBuffers, readAhead } from './read-ahead.js';
import { fixedVhdFooter, VHD_FOOTER_SIZE, vhdDiskSize } from './vhd-footer.js';

/** What a disk can be turned into: its bytes and nothing else, or the fixed VHD that Azure takes. */
export type ExportFormat = 'raw' | 'vhd';

/** Something that can be written at any place, such as a file. */
export interface RandomAccessSink {
  /** Gives it a length in bytes; what is not written then reads as zeros. */
  truncate(size: number): Promise<void>;
  /** Writes bytes, which are the caller's again when the promise settles. */
  write(bytes: Uint8Array<ArrayBuffer>, offset: number): Promise<void>;
}

/** A range of the disk that could not be read. In bytes. */
export interface DamagedRange {
  /** First byte of the range. */
  readonly offset: number;
  /** How many bytes are lost. */
  readonly length: number;
  /** Why. */
  readonly code: RuleCode | VhdxError['code'];
}

/** Options of {@link exportDisk}. */
export interface ExportOptions extends ProgressOptions {
  /** `'raw'` where it is not given. */
  readonly format?: ExportFormat | undefined;
  /** Gives the export up. */
  readonly signal?: AbortSignal | undefined;
  /** Takes the ranges that cannot be read, which become zeros; without it the first of them rejects. */
  readonly onDamage?: ((range: DamagedRange) => void) | undefined;
}

/** Zeros inside data are left out in units of this many bytes. */
const GRANULE = 32 * 1024;
/** What is tried to read of a piece that cannot be read as a whole, in bytes. */
const SALVAGE_UNIT = 4096;

/** Length in bytes of what a disk becomes. */
export function exportSize(disk: VhdxDisk, format: ExportFormat = 'raw'): number {
  return format === 'raw' ? disk.size : vhdDiskSize(disk.size) + VHD_FOOTER_SIZE;
}

/**
 * Writes a disk to a sink, sparsely: holes and zeros inside data are not written. Memory stays bounded, several reads
 * are under way while a piece is written.
 *
 * @throws VhdxError as reading the disk does, unless `onDamage` takes what is damaged; `logical-sector-size` for a VHD
 *   of a disk with sectors of 4,096 bytes, which a VHD cannot have
 */
export async function exportDisk(disk: VhdxDisk, sink: RandomAccessSink, options: ExportOptions = {}): Promise<void> {
  const { format = 'raw', signal, onProgress, onDamage } = options;
  const { core, member } = disk;
  checkFormat(disk, format);
  await sink.truncate(exportSize(disk, format));
  const damage = onDamage && mergeDamage(onDamage);
  const pieces = piecesOf(member, 0, disk.size, {
    size: core.buffers.bufferBytes,
    signal,
    onDamage:
      damage &&
      ((extent) => damage.add({ offset: extent.offset, length: extent.length, code: extent.code ?? 'read-failed' })),
  });
  const read = async (piece: Piece, [buffer]: readonly LeasedBuffer[]): Promise<void> => {
    try {
      await readPiece(member, piece, buffer, signal);
    } catch (error) {
      if (!damage || !(error instanceof VhdxError)) throw error;
      await salvage(piece.offset, piece.length, buffer?.bytes as Uint8Array<ArrayBuffer>);
    }
  };
  const salvage = async (offset: number, length: number, bytes: Uint8Array): Promise<void> => {
    for (let at = 0; at < length; at += SALVAGE_UNIT) {
      const part = bytes.subarray(at, Math.min(at + SALVAGE_UNIT, length));
      try {
        await disk.readInto(part, offset + at, { signal });
      } catch (error) {
        if (!(error instanceof VhdxError)) throw error;
        part.fill(0);
        damage?.add({ offset: offset + at, length: part.length, code: error.code });
      }
    }
  };
  for await (const { piece, buffer } of readAhead(pieces, {
    supply: coreBuffers(core.buffers),
    isHole,
    read,
    signal,
  })) {
    const lent = buffer?.[0];
    if (lent) await writeSparsely(disk, sink, lent.bytes.subarray(0, piece.length), lent.address, piece.offset);
    onProgress?.({ done: piece.offset + piece.length, total: disk.size });
  }
  damage?.flush();
  if (format === 'vhd') await sink.write(fixedVhdFooter(vhdDiskSize(disk.size), disk.id), vhdDiskSize(disk.size));
}

/** Writes the parts of some bytes, which lie in the core's memory, that are not zeros. */
async function writeSparsely(
  disk: VhdxDisk,
  sink: RandomAccessSink,
  bytes: Uint8Array<ArrayBuffer>,
  address: number,
  offset: number,
): Promise<void> {
  const { exports } = disk.core;
  for (let at = 0; at < bytes.length; ) {
    const left = bytes.length - at;
    const zeros = exports.zeroPrefix(address + at, left);
    at += zeros === left ? zeros : zeros - (zeros % GRANULE);
    const data = exports.nonzeroPrefix(address + at, bytes.length - at, GRANULE);
    if (data > 0) await sink.write(bytes.subarray(at, at + data), offset + at);
    at += data;
  }
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
  if (format !== 'vhd') throw new RangeError(`there is no export to ${JSON.stringify(format)}: take 'raw' or 'vhd'`);
  if (disk.logicalSectorSize === 512) return;
  const message = 'a VHD has sectors of 512 bytes, this disk has sectors of 4096: no partition would be found in it';
  throw new VhdxError('logical-sector-size', message, { structure: 'Logical Sector Size' });
}

/** Joins damaged ranges that follow one another, and passes them on. */
function mergeDamage(tell: (range: DamagedRange) => void) {
  let held: DamagedRange | undefined;
  const flush = () => {
    if (held) tell(held);
    held = undefined;
  };
  return {
    flush,
    add(range: DamagedRange) {
      if (held?.code === range.code && held.offset + held.length === range.offset) {
        held = { ...held, length: held.length + range.length };
      } else {
        flush();
        held = range;
      }
    },
  };
}

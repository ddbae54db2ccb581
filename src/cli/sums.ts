import { createHash } from 'node:crypto';
import { checksumFile, openSource, type Progress, type RandomAccessSource } from '../index.js';
import { checksumText } from './checksum-lines.js';
import type { CrewDisk } from './crew/tasks.js';
import type { Crew } from './crew/threads.js';
import { about } from './failure.js';
import type { OpenedDisk } from './image-options.js';

/** The checksums that there are, and how many bytes they have. */
export const ALGORITHMS = { crc32c: 4, sha256: 32, sha1: 20, md5: 16 } as const;
/** The name of a checksum. */
export type Algorithm = keyof typeof ALGORITHMS;

/** Bytes of a disk, or of a file as it is. */
export type Summed = Partial<OpenedDisk> & Pick<OpenedDisk, 'source' | 'format'>;

/** A range, and who wants to know how far it is summed. */
interface SumOptions {
  readonly offset: number;
  readonly length: number;
  readonly onProgress: ((progress: Progress) => void) | undefined;
  /** Threads that do it, as far as they can: no hash but the CRC-32C has parts that can be put together. */
  readonly crew: Crew<readonly [CrewDisk]> | undefined;
}

/** A checksum in hexadecimal. The CRC-32C of a disk costs what its data costs; the others read holes too. */
export async function sumOf(summed: Summed, algorithm: Algorithm, options: SumOptions): Promise<string> {
  const { source } = summed;
  if (algorithm === 'crc32c') return checksumText(await crc32cOf(summed, options));
  const hash = createHash(algorithm);
  await feed(source, options, hash);
  return hash.digest('hex');
}

async function crc32cOf({ source, vhdx, vhd }: Summed, { crew, ...options }: SumOptions): Promise<number> {
  if (crew) {
    const { checksumByCrew } = await import('./crew/jobs.js');
    const sum = await checksumByCrew(crew, options);
    if (sum !== undefined) return sum;
  }
  const disk = vhdx ?? vhd;
  return disk ? disk.checksum(options) : checksumFile(source, options);
}

/** Opens a file as it is, whatever it is, does something with it and closes it. Errors become failures about the file. */
export function withFileItself<T>(file: string, work: (opened: Summed) => Promise<T>): Promise<T> {
  return about(file, async () => {
    const source = await openSource(file);
    return work({ source, format: 'raw' }).finally(() => source.close?.());
  });
}

/** Bytes of a raw source that are read while as many are summed. */
const PIECE = 4 * 1024 * 1024;

/** Hands a range of a source to a checksum, piece by piece. */
async function feed(
  source: RandomAccessSource,
  { offset: start, length: total, onProgress }: SumOptions,
  hash: { update(bytes: Uint8Array): unknown },
): Promise<void> {
  let [current, spare] = [new Uint8Array(PIECE), new Uint8Array(PIECE)];
  const read = async (done: number, buffer: Uint8Array): Promise<Uint8Array> => {
    const piece = buffer.subarray(0, Math.min(PIECE, total - done));
    await source.readInto(piece, start + done);
    return piece;
  };
  let next = read(0, current);
  for (let done = 0; done < total; ) {
    const piece = await next;
    done += piece.length;
    if (done < total) next = read(done, spare);
    next.catch(() => undefined); // handled when it is awaited
    hash.update(piece);
    [current, spare] = [spare, current];
    onProgress?.({ done, total });
  }
  await next;
}

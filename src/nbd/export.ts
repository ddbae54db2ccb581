import type { RandomAccessSource, ReadOptions } from '../io/random-access.js';
import { ExportFlag } from './protocol.js';

/** A disk that can be written while it is served, such as a `WritableVhdxDisk`. */
export interface WritableNbdDisk extends RandomAccessSource {
  write(bytes: Uint8Array, offset: number, options?: ReadOptions): Promise<void>;
  /** Makes a range read as zeros. */
  zero(offset: number, length: number, options?: ReadOptions): Promise<void>;
  /** Says that the contents of a range are not needed any more. */
  trim(offset: number, length: number, options?: ReadOptions): Promise<void>;
  /** Makes everything durable that was written before the call. */
  flush(): Promise<void>;
  /** A disk whose blocks are all allocated, which no zeros give back, is fixed. */
  readonly type?: string;
  /** Of a dynamic disk: what can be given back at a time, in bytes. */
  readonly blockSize?: number;
}

/** A disk and how it is served. */
export interface NbdExport {
  /** What clients call it; the first export also has the name `''`. */
  readonly name: string;
  /** Whatever can be read. It is not closed. */
  readonly disk: RandomAccessSource | WritableNbdDisk;
  /** For people who list the exports. */
  readonly description?: string | undefined;
  /** Serves a disk that could be written for reading alone. */
  readonly readOnly?: boolean | undefined;
}

/** The disk of an export if clients may write to it. */
export function writableOf({ disk, readOnly }: NbdExport): WritableNbdDisk | undefined {
  if (readOnly) return undefined;
  return 'write' in disk && 'zero' in disk && 'trim' in disk && 'flush' in disk ? disk : undefined;
}

/** Largest request in bytes: what the protocol wants of every server. */
export const MAX_REQUEST = 32 * 1024 * 1024;
/** In bytes; smaller requests are served too, at the cost of larger ones. */
export const PREFERRED_BLOCK = 4096;

/** What an export says it can do. */
export function flagsOf(served: NbdExport, structured: boolean): number {
  const { hasFlags, readOnly, sendFlush, sendFua, sendTrim, sendWriteZeroes, sendFastZero } = ExportFlag;
  const { canMultiConn, sendCache, sendDf } = ExportFlag;
  // A flush is about all that was written to the disk, on whatever connection.
  const always = hasFlags | canMultiConn | sendCache | (structured ? sendDf : 0);
  if (!writableOf(served)) return always | readOnly;
  return always | sendFlush | sendFua | sendTrim | sendWriteZeroes | sendFastZero;
}

/** Whether a range can be zeroed without writing its bytes. */
export function isFastToZero({ type, blockSize }: WritableNbdDisk, offset: number, length: number): boolean {
  if (type === undefined || type === 'fixed' || blockSize === undefined) return false;
  return offset % blockSize === 0 && length % blockSize === 0;
}

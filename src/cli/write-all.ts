import type { FileHandle } from 'node:fs/promises';
import { Failure } from './failure.js';

/** Writes all of the bytes: the system may take fewer at a time, at the end of a device for instance. */
export async function writeAll(handle: FileHandle, bytes: Uint8Array, offset: number): Promise<void> {
  for (let done = 0; done < bytes.length; ) {
    const { bytesWritten } = await handle.write(bytes, done, bytes.length - done, offset + done);
    if (bytesWritten === 0) throw new Failure('the system wrote nothing');
    done += bytesWritten;
  }
}

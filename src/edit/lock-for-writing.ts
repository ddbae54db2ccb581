import type { LockOptions, WriteLock } from '../io/lock.js';

/**
 * Makes this process the only one that writes a file, among those that use this library: for a caller that replaces or
 * writes a file by itself. The functions that write do so on their own. In Node, Bun and Deno.
 *
 * @param path of the file, which may have several names; `FILE.lock` is made beside it
 * @throws VhdxError `locked` if another process writes the file, or a lock of the operating system is on it (Linux)
 */
export async function lockForWriting(path: string, options: LockOptions = {}): Promise<WriteLock> {
  const { lockFile } = await import('../io/lock.js'); // pages have no paths
  return lockFile(path, options);
}

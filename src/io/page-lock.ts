import { VhdxError } from '../errors.js';
import type { WriteLock } from './lock.js';

/**
 * Makes this page or worker the only one of its origin that writes a file, by `navigator.locks`. Without these, or in a
 * page that has no origin, the lock has a warning and keeps no one out.
 *
 * @param name what the file is called in its origin
 * @throws VhdxError `locked` when another page or worker, or another part of this one, has it
 */
export function lockInPage(name: string): Promise<WriteLock> {
  const locks: LockManager | undefined = globalThis.navigator?.locks;
  const without = (why: string): WriteLock => ({
    warning: `${name} could not be locked (${why}), so another page may write the file too`,
    release: async () => {},
  });
  if (locks === undefined) return Promise.resolve(without('navigator.locks is missing'));
  return new Promise((resolve, reject) => {
    const hold = (lock: Lock | null): Promise<void> | undefined => {
      if (lock === null) {
        reject(new VhdxError('locked', 'is being written by another page or worker of this origin', { file: name }));
        return undefined;
      }
      // The lock is held until this promise settles, and for a moment after: the next one would find it taken.
      return new Promise((free) => {
        resolve({
          release: () => {
            free();
            return released;
          },
        });
      });
    };
    const released: Promise<void> = locks
      .request(`vhdx:${name}`, { ifAvailable: true }, hold)
      .then(undefined, (cause: unknown) => resolve(without(String(cause))));
  });
}

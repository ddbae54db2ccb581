/**
 * One writer at a time. A file that is being written has `FILE.lock` beside it, made so that only one process can succeed
 * (O_EXCL), which names its owner. A lock whose owner is gone is taken over:
 *
 * 1. The new owner makes `FILE.lock.taking`, by the same rules. Two cannot do so.
 * 2. It reads the old lock again. If that has another token by now, another process was faster and holds the lock.
 * 3. It renames a new lock over the old one, in one step, and removes what it made in 1.
 *
 * So a lock is removed by its owner alone, and none is replaced but the one that was found to be dead. Who has the lock
 * removes what a process left behind that ended while it took one over: as long as the lock has a living owner nobody is let in by it.
 */
import { builtinModule } from '../base/builtin-module.js';
import { VhdxError } from '../errors.js';
import { call, type FileSystem } from './descriptor-file.js';
import { isGone, type LockOwner, lockPathOf, lockPathOfNew, parseOwner, thisOwner } from './lock-owner.js';
import { systemCode, writeFailed } from './system-error.js';
import { systemLockOn } from './system-locks.js';

/** The right to be the only writer of a file. */
export interface WriteLock {
  /** Why others are not kept out, if the lock could not be made. */
  readonly warning?: string;
  /** Lets others write; never rejects. */
  release(): Promise<void>;
}

/** What a lock is for. */
export interface LockOptions {
  /** Whether the file is going to be made, and nothing of its name is there. */
  readonly isNew?: boolean | undefined;
}

/**
 * How long a lock file may be without its content, in milliseconds: it is made and filled in two steps, between which a
 * process may end. (Moving one with its content into place would leave other files behind, which nobody removes.)
 */
const FILLING = 2000;
/** Pause before a lock file without content is read again, in milliseconds. */
const PAUSE = 50;
/** The token of a lock file that was never filled. */
const NO_TOKEN = 'unfilled';

/** When a lock file cannot be made, but the file beside it can perhaps be written. */
const CANNOT_MAKE = new Set(['EACCES', 'EPERM', 'EROFS', 'ENOSPC', 'EDQUOT', 'ENAMETOOLONG']);

/**
 * Makes this process the only one that writes a file; in Node, Bun and Deno. Two calls in one process exclude each
 * other too. If the folder cannot be written to the lock has a warning and keeps no one out.
 *
 * @param path a file; links are followed, so that all names of a file but hard links have one lock
 * @param options `isNew`: the file is not there yet, and this process is going to make it
 * @throws VhdxError `locked` when another process has it, or a lock of the operating system is on it (Linux);
 *   `write-failed`
 */
export async function lockFile(path: string, { isNew = false }: LockOptions = {}): Promise<WriteLock> {
  const fs = builtinModule('fs');
  if (fs === undefined) throw new VhdxError('unsupported-input', 'there is no file system here');
  const lockPath = await (isNew ? lockPathOfNew(fs, path) : lockPathOf(fs, path)).catch((cause) => {
    const noFolder = isNew && systemCode(cause) === 'ENOENT' ? 'the folder does not exist' : undefined;
    throw writeFailed(path, cause, undefined, noFolder);
  });
  const holder = isNew ? undefined : await systemLockOn(fs, path);
  if (holder !== undefined) throw new VhdxError('locked', `is locked by ${holder}`, { file: path });
  try {
    const owner = await acquire(fs, lockPath, path);
    await Promise.all([claimOf(lockPath), freshOf(lockPath)].map((left) => remove(fs, left)));
    return { release: () => release(fs, lockPath, owner) };
  } catch (cause) {
    if (cause instanceof VhdxError || !CANNOT_MAKE.has(systemCode(cause))) {
      throw cause instanceof VhdxError ? cause : writeFailed(lockPath, cause);
    }
    const warning = `${lockPath} could not be made (${systemCode(cause)}), so another program may write the file too`;
    return { warning, release: async () => {} };
  }
}

/** Who holds a lock file, as the end of a sentence; undefined if there is none, or its owner is gone. */
export async function ownerOf(lockPath: string): Promise<string | undefined> {
  const fs = builtinModule('fs');
  const { owner } = fs ? await readLock(fs, lockPath) : {};
  return fs === undefined || owner === undefined || isGone(fs, owner) ? undefined : nameOf(owner);
}

/** Makes the lock, or takes it over. */
async function acquire(fs: FileSystem, lockPath: string, file: string): Promise<LockOwner> {
  const owner = thisOwner(fs);
  // Each round another lock was there and is gone now, was without content, or was found dead.
  for (let round = 0; round < 10 + (2 * FILLING) / PAUSE; round++) {
    if (await create(fs, lockPath, owner)) {
      // Unless it took so long to fill it that another process has taken it over.
      if ((await readLock(fs, lockPath)).token === owner.token) return owner;
      continue;
    }
    const found = await readLock(fs, lockPath);
    if (found.token === undefined) continue; // released meanwhile
    if (!isDead(fs, found)) {
      if (found.age === undefined) throw lockedBy(found.owner, lockPath, file);
      await new Promise((resolve) => setTimeout(resolve, PAUSE));
      continue;
    }
    await takeOver(fs, lockPath, found.token, owner, file);
    if ((await readLock(fs, lockPath)).token === owner.token) return owner;
  }
  throw lockedBy(undefined, lockPath, file);
}

/** What a process makes that takes a lock over. */
const claimOf = (lockPath: string): string => `${lockPath}.taking`;
/** The lock that it moves into place. */
const freshOf = (lockPath: string): string => `${lockPath}.taking.new`;

/** Removes what a process may have left behind. */
async function remove(fs: FileSystem, path: string): Promise<void> {
  await call<void>((done) => fs.unlink(path, (error) => done(error))).catch(() => {});
}

async function takeOver(fs: FileSystem, lockPath: string, dead: string, owner: LockOwner, file: string): Promise<void> {
  const claimPath = claimOf(lockPath);
  const claim = await acquire(fs, claimPath, file);
  const fresh = freshOf(lockPath);
  try {
    const found = await readLock(fs, lockPath);
    if (found.token !== dead || !isDead(fs, found)) return;
    await remove(fs, fresh);
    if (await create(fs, fresh, owner)) await call<void>((done) => fs.rename(fresh, lockPath, (error) => done(error)));
  } finally {
    await release(fs, claimPath, claim);
  }
}

/** Makes a lock file of an owner; false if there is one. */
async function create(fs: FileSystem, lockPath: string, owner: LockOwner): Promise<boolean> {
  let fd: number;
  try {
    fd = await call<number>((done) => fs.open(lockPath, 'wx', done));
  } catch (cause) {
    if (systemCode(cause) === 'EEXIST') return false;
    throw cause;
  }
  try {
    await call<void>((done) => fs.writeFile(fd, `${JSON.stringify(owner)}\n`, (error) => done(error)));
    return true;
  } catch (cause) {
    await call<void>((done) => fs.unlink(lockPath, (error) => done(error))).catch(() => {});
    throw cause;
  } finally {
    await call<void>((done) => fs.close(fd, (error) => done(error ?? null)));
  }
}

/** What a lock file says. */
interface FoundLock {
  /** Its token; that of one without content is {@link NO_TOKEN}. Undefined if there is no such file. */
  readonly token?: string;
  readonly owner?: LockOwner;
  /** Of one without content: how long it has been so, in milliseconds. */
  readonly age?: number;
}

async function readLock(fs: FileSystem, lockPath: string): Promise<FoundLock> {
  try {
    const owner = parseOwner(await call<string>((done) => fs.readFile(lockPath, 'utf8', done)));
    if (owner !== undefined) return { token: owner.token, owner };
    const { size, mtimeMs } = await call<{ size: number; mtimeMs: number }>((done) => fs.stat(lockPath, done));
    // Something that is no lock of this program is not touched, however old it is.
    return size === 0 ? { token: NO_TOKEN, age: Date.now() - mtimeMs } : { token: NO_TOKEN };
  } catch (cause) {
    if (systemCode(cause) === 'ENOENT') return {};
    throw cause;
  }
}

function isDead(fs: FileSystem, { owner, age = 0 }: FoundLock): boolean {
  return owner === undefined ? age > FILLING : isGone(fs, owner);
}

/** Removes a lock file, if it is still the owner's. */
async function release(fs: FileSystem, lockPath: string, owner: LockOwner): Promise<void> {
  try {
    if ((await readLock(fs, lockPath)).token !== owner.token) return;
    await call<void>((done) => fs.unlink(lockPath, (error) => done(error)));
  } catch {
    // It stays, and is taken over once this process has ended.
  }
}

function nameOf({ host, pid, since }: LockOwner): string {
  return `process ${pid} on ${host} since ${since}`;
}

function lockedBy(owner: LockOwner | undefined, lockPath: string, file: string): VhdxError {
  const holder = owner === undefined ? 'another program' : nameOf(owner);
  return new VhdxError('locked', `is being written by ${holder}; if it is not, remove ${lockPath}`, { file });
}

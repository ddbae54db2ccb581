import { call, type FileSystem } from './descriptor-file.js';

/**
 * Says which lock of the operating system another process has on a file, such as those of QEMU; undefined if there is
 * none, or if the system does not show its locks (only Linux does, proc_locks(5)). This library takes none itself.
 *
 * @param path an existing file
 * @returns what holds it, as the end of a sentence: `process 123`
 */
export async function systemLockOn(fs: FileSystem, path: string): Promise<string | undefined> {
  const locks = await call<string>((done) => fs.readFile('/proc/locks', 'utf8', done)).catch(() => '');
  if (locks === '') return undefined;
  const { dev, ino } = await call<{ dev: bigint; ino: bigint }>((done) => fs.stat(path, { bigint: true }, done));
  const found = parseLocks(locks).filter((lock) => lock.ino === ino && lock.pid !== globalThis.process.pid);
  if (found.length === 0) return undefined;
  const devices = [deviceOf(dev), await mountedDevice(fs, path)];
  const lock = found.find(({ device }) => devices.includes(device));
  // Locks of an open file description belong to no process.
  return lock && (lock.pid > 0 ? `process ${lock.pid}` : 'another program');
}

/** A lock that is held. */
interface SystemLock {
  readonly pid: number;
  /** Major and minor number, in decimal. */
  readonly device: string;
  /** Inode number. */
  readonly ino: bigint;
}

/** The lines of /proc/locks, such as `1: OFDLCK ADVISORY  READ -1 fe:00:2146342 100 100`; "->" is one that waits. */
function parseLocks(text: string): SystemLock[] {
  return text.split('\n').flatMap((line) => {
    const [, kind = '', , , pid = '', place = ''] = line.trim().split(/\s+/);
    if (kind === '' || kind === '->') return [];
    const [major = '', minor = '', ino = ''] = place.split(':');
    if (!/^\d+$/.test(ino)) return [];
    return [
      { pid: Number(pid), device: `${Number.parseInt(major, 16)}:${Number.parseInt(minor, 16)}`, ino: BigInt(ino) },
    ];
  });
}

/** Major and minor number of a device, as glibc packs them. */
function deviceOf(dev: bigint): string {
  const major = ((dev >> 8n) & 0xfffn) | ((dev >> 32n) & ~0xfffn);
  const minor = (dev & 0xffn) | ((dev >> 12n) & ~0xffn);
  return `${major}:${minor}`;
}

/** The device of the mount that a file is in: btrfs and others report another one for their files. */
async function mountedDevice(fs: FileSystem, path: string): Promise<string> {
  let fd: number | undefined;
  try {
    const opened = await call<number>((done) => fs.open(path, 'r', done));
    fd = opened;
    const info = await call<string>((done) => fs.readFile(`/proc/self/fdinfo/${opened}`, 'utf8', done));
    const id = /^mnt_id:\s*(\d+)/m.exec(info)?.[1];
    const mounts = await call<string>((done) => fs.readFile('/proc/self/mountinfo', 'utf8', done));
    for (const line of mounts.split('\n')) {
      const [mount, , device] = line.split(' ');
      if (mount === id && device !== undefined) return device;
    }
    return '';
  } catch {
    return '';
  } finally {
    if (fd !== undefined) fs.close(fd, () => {});
  }
}

import { builtinModule } from '../base/builtin-module.js';
import { call, type FileSystem } from './descriptor-file.js';
import { systemCode } from './system-error.js';

/** A process that holds a lock, as its lock file names it. */
export interface LockOwner {
  /** Name of the machine. */
  readonly host: string;
  /** Linux: what distinguishes two machines of one name; empty if it has none. */
  readonly machine: string;
  /** Linux: this run of the machine. */
  readonly boot: string;
  /** Linux: what the process id belongs to; containers have their own. */
  readonly namespace: string;
  /** Process id. */
  readonly pid: number;
  /** Linux: when the process began, in ticks since the machine did; distinguishes it from a later process of the same id. */
  readonly ticks: string;
  /** When the lock was made, for people. */
  readonly since: string;
  /** Unique to this lock. */
  readonly token: string;
}

/** This process as the owner of a new lock. */
export function thisOwner(fs: FileSystem): LockOwner {
  const { pid } = globalThis.process; // not by its bare name, for which some bundlers want a polyfill
  return {
    ...thisMachine(fs),
    pid,
    ticks: ticksOf(fs, pid),
    since: new Date().toISOString(),
    token: crypto.randomUUID(),
  };
}

function thisMachine(fs: FileSystem) {
  return {
    host: builtinModule('os')?.hostname() ?? '',
    machine: textOf(() => fs.readFileSync('/etc/machine-id', 'utf8')),
    boot: textOf(() => fs.readFileSync('/proc/sys/kernel/random/boot_id', 'utf8')),
    namespace: textOf(() => fs.readlinkSync('/proc/self/ns/pid')),
  };
}

/** The owner that the text of a lock file names; undefined if it is malformed. */
export function parseOwner(text: string): LockOwner | undefined {
  try {
    const { host, machine, boot, namespace, pid, ticks, since, token } = JSON.parse(text);
    const texts = [host, machine, boot, namespace, ticks, since, token];
    if (!texts.every((value) => typeof value === 'string') || !Number.isSafeInteger(pid) || pid <= 0) return undefined;
    if (!/^[\w-]{1,64}$/.test(token)) return undefined; // it becomes part of a file name
    return { host, machine, boot, namespace, pid, ticks, since, token };
  } catch {
    return undefined;
  }
}

/** Whether the process is certain not to run any more: it was of this machine, and is not there, or is another one. */
export function isGone(fs: FileSystem, owner: LockOwner): boolean {
  const here = thisMachine(fs);
  if (owner.host !== here.host || owner.machine !== here.machine) return false;
  // Without an id two machines of one name cannot be told apart, so that another boot may be another machine.
  if (owner.boot !== here.boot) return here.machine !== '';
  if (owner.namespace !== here.namespace) return false;
  try {
    globalThis.process.kill(owner.pid, 0);
  } catch (cause) {
    return systemCode(cause) === 'ESRCH';
  }
  return owner.ticks !== '' && owner.ticks !== ticksOf(fs, owner.pid);
}

/** When a process began, as Linux counts: field 22 of proc_pid_stat(5). The name before may have spaces and brackets. */
function ticksOf(fs: FileSystem, pid: number): string {
  const stat = textOf(() => fs.readFileSync(`/proc/${pid}/stat`, 'utf8'));
  return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? '';
}

/** What the system says about itself, without the line end; empty if it does not. It is in memory: to wait for it takes longer than to read it. */
function textOf(read: () => string): string {
  try {
    return read().trim();
  } catch {
    return '';
  }
}

/** The lock file of a file. Links are followed, so that all names of a file but hard links have one. */
export async function lockPathOf(fs: FileSystem, path: string): Promise<string> {
  // The system's own call: the other asks for each folder of the path in turn.
  return `${await call<string>((done) => fs.realpath.native(path, done))}.lock`;
}

/** The lock file of a file that is to be made: its folder is there, and nothing of its name. */
export async function lockPathOfNew(fs: FileSystem, path: string): Promise<string> {
  const paths = builtinModule('path');
  const folder = await call<string>((done) => fs.realpath.native(paths?.dirname(path) ?? '.', done));
  return `${paths?.join(folder, paths.basename(path))}.lock`;
}

import { describeUrl, isUrlText, parseUrl } from '../base/url.js';
import { type Advice, type OperationCode, VhdxError } from '../errors.js';

/** On Windows an attached disk, or that of a running virtual machine, can be opened by no one else. */
const IN_USE =
  globalThis.process?.platform === 'win32'
    ? 'in use by another program (it is attached, or its virtual machine runs)'
    : 'in use by another program';

/** What the codes of the operating system mean, for people. */
const REASONS: Readonly<Record<string, string>> = {
  ENOENT: 'no such file',
  ENOTDIR: 'no such file: a part of the path is not a folder',
  EISDIR: 'is a folder, not a file',
  EACCES: 'permission denied',
  EPERM: 'permission denied',
  EROFS: 'the file system is read-only',
  EBUSY: IN_USE,
  ETXTBSY: IN_USE,
  EEXIST: 'exists already',
  ELOOP: 'symbolic links that go round in a circle',
  ENAMETOOLONG: 'the name is too long',
  EMFILE: 'too many open files',
  ENFILE: 'too many open files',
  ENOSPC: 'no space left on the device',
  EDQUOT: 'the disk quota is used up',
  EFBIG: 'the file system does not allow a file of this size',
  EIO: 'the device failed (input/output error)',
};

/** Codes of the operating system that have a code of their own here when something is written. */
const WRITE_CODES: Readonly<Record<string, OperationCode>> = {
  EEXIST: 'exists',
  EBUSY: 'locked',
  ETXTBSY: 'locked',
  EACCES: 'read-only',
  EPERM: 'read-only',
  EROFS: 'read-only',
  ENOSPC: 'no-space',
  EDQUOT: 'no-space',
  EFBIG: 'no-space',
};

/** The code of an error of the operating system, such as `ENOENT`; empty if it has none. */
export function systemCode(cause: unknown): string {
  return cause instanceof Error && 'code' in cause ? String(cause.code) : '';
}

/** The error `read-failed` for an error of the operating system. */
export function readFailed(who: string, cause: unknown, offset?: number): VhdxError {
  return new VhdxError('read-failed', reasonOf(cause), { file: who, offset, cause });
}

/** The error for a write that the operating system refused: `exists`, `locked`, `read-only`, `no-space` or `write-failed`. */
export function writeFailed(who: string, cause: unknown, offset?: number, reason = reasonOf(cause)): VhdxError {
  const code = WRITE_CODES[systemCode(cause)] ?? 'write-failed';
  return new VhdxError(code, reason, { file: who, offset, cause });
}

function reasonOf(cause: unknown): string {
  return REASONS[systemCode(cause)] ?? (cause instanceof Error ? cause.message : String(cause));
}

const HAND_OVER: Advice = {
  hint: 'input',
  text: 'hand over a File, an http(s) URL, the bytes, a path (if there is a file system) or an object with size and readInto',
};

/** The error for an input that cannot be read here, whatever it holds. */
export function unsupported(what: string, cause?: unknown): VhdxError {
  return new VhdxError('unsupported-input', what, { cause, advice: [HAND_OVER] });
}

/** Refuses a URL where only a path will do: as a path it would be a strange one, and messages would repeat its secrets. */
export function refuseUrl(path: string): void {
  if (!isUrlText(path)) return;
  const url = parseUrl(path);
  throw new VhdxError('unsupported-input', `${url ? describeUrl(url) : 'a URL'} is no path of a file`);
}

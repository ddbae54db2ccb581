/** Where a path in a parent locator leads, or why it is not followed. */
export interface ParentPath {
  /** Which key of the locator it comes from; `same folder` for the guess that takes only the file's name. */
  readonly key: string;
  /** As it stands in the image. */
  readonly text: string;
  /** Absolute path on this machine; undefined where it names no place here. */
  readonly path?: string;
  /** Why it is not followed, where it is not. */
  readonly refused?: 'network or device path' | 'no such place on this system';
}

/** The functions of the path module that are needed. */
interface Paths {
  readonly sep: string;
  dirname(path: string): string;
  resolve(...parts: string[]): string;
}

const KEYS = ['relative_path', 'volume_path', 'absolute_win32_path'] as const;

const isWindowsAbsolute = (text: string) =>
  /^[a-z]:[\\/]/i.test(text) || /^[\\/]{2}[?.][\\/](volume\{[^\\/]*\}|[a-z]:)[\\/]/i.test(text);
// Two separators in front are a server or a namespace of devices, through which servers can be reached as well.
const isNetworkOrDevice = (text: string) => /^[\\/]{2}|^[\\/]\?\?[\\/]/.test(text) && !isWindowsAbsolute(text);

/** The last part of a path of either kind. */
function baseName(text: string): string {
  return text.split(/[\\/]/).findLast((part) => part !== '') ?? '';
}

/**
 * The places where the parent of a child may be, in the order of [MS-VHDX] 2.6.2.6.3, and behind them the guess that a
 * moved chain needs: a file of the same name in the child's own folder.
 */
export function parentPaths(locator: Readonly<Record<string, string>>, childPath: string, paths: Paths): ParentPath[] {
  const folder = paths.dirname(childPath);
  const windows = paths.sep === '\\';
  const found: ParentPath[] = [];
  for (const key of KEYS) {
    const text = locator[key];
    if (text === undefined || text === '') continue;
    if (isNetworkOrDevice(text)) {
      found.push({ key, text, refused: 'network or device path', ...(windows && { path: text }) });
    } else if (isWindowsAbsolute(text)) {
      found.push(windows ? { key, text, path: text } : { key, text, refused: 'no such place on this system' });
    } else {
      found.push({ key, text, path: paths.resolve(folder, windows ? text : text.replaceAll('\\', '/')) });
    }
  }
  const names = new Set(
    found.map(({ text }) => baseName(text)).filter((name) => name !== '' && name !== '.' && name !== '..'),
  );
  for (const name of names) {
    const path = paths.resolve(folder, name);
    if (!found.some((other) => other.path === path)) found.push({ key: 'same folder', text: name, path });
  }
  return found;
}

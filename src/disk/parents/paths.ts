import { builtinModule } from '../../base/builtin-module.js';
import { isInside } from '../../base/paths.js';
import type { FileSystem } from '../../io/descriptor-file.js';
import type { RandomAccessSource } from '../../io/random-access.js';

/** Where a path in a parent locator leads, or why it is not followed. */
export interface ParentPath {
  /** Which key of the locator it comes from; `same folder` for the guess that takes only the file's name. */
  readonly key: string;
  /** As the image has it. */
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
export function baseName(text: string): string {
  return text.split(/[\\/]/).findLast((part) => part !== '') ?? '';
}

/**
 * The places where the parent of a child may be, in the order of [MS-VHDX] 2.6.2.6.3, and after them the guess that a
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

/** Why a place is not looked at. */
export interface Refusal {
  readonly why: string;
  /** Whether the option `followParents` would allow it. */
  readonly followable: boolean;
}

/** Why a place is not looked at, or undefined if it is. `within` is the folder that must hold it; undefined for anywhere. */
export function whyRefused({ path, refused }: ParentPath, within: string | undefined): Refusal | undefined {
  if (path === undefined || (refused && within !== undefined)) {
    const why = refused === 'network or device path' ? `a ${refused}` : (refused ?? 'no path');
    return { why, followable: path !== undefined };
  }
  if (within === undefined) return undefined;
  const outside = { why: `${path} is outside the child's folder`, followable: true };
  if (!isInside(path, within)) return outside;
  const fs = builtinModule('fs');
  try {
    // Opening it decides; this says what is wrong with a link.
    if (fs && !isInside(fs.realpathSync(path), fs.realpathSync(within))) return outside;
  } catch {
    // It does not exist; trying to open it says so.
  }
  return undefined;
}

/** Opens a file that must be inside a folder, if one is given. */
export async function openPlace(path: string, within: string | undefined): Promise<RandomAccessSource> {
  const { fileSource, openInside } = await import('../../io/file.js'); // a page never opens a path
  return within === undefined ? fileSource(path) : openInside(path, within);
}

/** Most files that are tried for one path. */
const MAX_ALIKE = 16;

/**
 * The files whose paths differ from one in case or Unicode form only: other systems take such names for the same.
 * Links to folders are not followed. `within` is the folder that holds them; undefined for anywhere.
 */
export async function likeNamed(path: string, within: string | undefined): Promise<string[]> {
  const [fs, paths] = [builtinModule('fs'), builtinModule('path')];
  if (!fs || !paths) return [];
  const root = within ?? paths.parse(path).root;
  let found = [root];
  for (const part of paths.relative(root, path).split(paths.sep)) {
    const next: string[] = [];
    for (const folder of found) {
      const entries = await folderEntries(fs, folder, folder === root);
      const alike = entries.filter((name) => folded(name) === folded(part));
      next.push(...alike.map((name) => paths.join(folder, name)));
    }
    found = next.slice(0, MAX_ALIKE);
  }
  return found.filter((other) => other !== path);
}

/** Names in a folder; none if it is a link, but for the root of the search, and if it cannot be listed. */
async function folderEntries(fs: FileSystem, folder: string, isRoot: boolean): Promise<string[]> {
  try {
    if (!isRoot && !(await fs.promises.lstat(folder)).isDirectory()) return [];
    return await fs.promises.readdir(folder);
  } catch {
    return [];
  }
}

const folded = (name: string): string => name.normalize('NFC').toLowerCase().normalize('NFC');

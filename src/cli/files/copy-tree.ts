import { chmod, mkdir, open, rm, symlink, utimes } from 'node:fs/promises';
import { join } from 'node:path';
import type { RandomAccessSource, VhdxError } from '../../index.js';
import { type FilePlace, type FileStat, type FileSystem, isAboutOneFile, walkFiles } from '../../volumes/index.js';
import { about, Failure } from '../failure.js';
import { writeAll } from '../write-all.js';

/** Bytes that are copied at a time. */
export const PIECE = 1024 * 1024;

/** How things are copied. */
export interface CopyOptions {
  /** Whether symbolic links are. */
  readonly links: boolean;
  readonly signal: AbortSignal;
  /** What errors of the image are about. */
  readonly image: string;
  /** Called with each file that is of a kind that cannot be copied. */
  readonly onSkip: (path: string, kind: string) => void;
  /** Called with what of a directory cannot be read; the rest is copied. */
  readonly onUnreadable: (path: string, error: VhdxError) => void;
}

/** Characters that no name has on Windows, and names of devices there. */
const WINDOWS = /[<>:"\\|?*]|[. ]$|^(con|prn|aux|nul|com\d|lpt\d)(\.|$)/i;

/** Whether a file cannot be called so: it would be another one, or none. */
function isNoName(name: string): boolean {
  if (name === '' || name === '.' || name === '..' || name.includes('/') || name.includes('\0')) return true;
  return process.platform === 'win32' && WINDOWS.test(name);
}

/**
 * Copies a file, a link or a directory with everything below to a path where nothing is. Each folder is made here, and
 * each file is new, so that nothing leads out of it, whatever the names and links in the image are.
 */
export async function copyTree(fs: FileSystem, path: string, target: string, options: CopyOptions): Promise<void> {
  const stat = await fs.stat(path);
  if (stat.kind !== 'directory') return copyOne(fs, path, path, target, stat, options);
  await about(target, () => mkdir(target)); // which fails if anything is there
  const shownOf = (names: readonly string[]) => [path.replace(/\/$/, ''), ...names].join('/');
  const onDamage = (names: readonly string[], error: VhdxError) => options.onUnreadable(shownOf(names), error);
  for await (const { names, entry, isLeft } of walkFiles(fs, path, { ...options, onDamage })) {
    options.signal.throwIfAborted();
    const [name = '', to] = [names.at(-1), join(target, ...names)];
    const shown = shownOf(names);
    if (isNoName(name)) throw new Failure(`${shown}: this cannot be the name of a file here; --tar keeps it`);
    try {
      const found = await fs.stat(entry, options);
      if (isLeft)
        await about(to, () => keep(to, found)); // after what was made in it
      else if (found.kind === 'directory') await about(to, () => mkdir(to));
      else await copyOne(fs, entry, shown, to, found, options);
    } catch (error) {
      const cause = error instanceof Failure ? error.cause : error;
      if (!isAboutOneFile(cause)) throw error;
      options.onUnreadable(shown, cause);
    }
  }
  await about(target, () => keep(target, stat));
}

/** Copies what is no directory. */
async function copyOne(
  fs: FileSystem,
  place: FilePlace,
  name: string,
  target: string,
  stat: FileStat,
  options: CopyOptions,
): Promise<void> {
  if (stat.kind === 'symlink') {
    const { image, links } = options;
    if (links) await about(target, async () => symlink(await about(image, () => fs.readlink(place)), target));
    return;
  }
  if (stat.kind !== 'file') return options.onSkip(name, stat.kind);
  const source = await fs.open(place);
  await about(target, () => copyFile(source, target, stat, options));
}

async function copyFile(
  source: RandomAccessSource,
  target: string,
  stat: FileStat,
  { image, signal }: CopyOptions,
): Promise<void> {
  const handle = await open(target, 'wx');
  const buffer = new Uint8Array(Math.min(PIECE, source.size));
  try {
    for await (const { offset, length, kind } of source.extents?.({ signal }) ?? []) {
      if (kind !== 'data') continue;
      for (let done = 0; done < length; done += PIECE) {
        const bytes = buffer.subarray(0, length - done);
        await about(image, () => source.readInto(bytes, offset + done, { signal }));
        await writeAll(handle, bytes, offset + done);
      }
    }
    await handle.truncate(source.size);
    await handle.close();
  } catch (error) {
    await handle.close().catch(() => undefined);
    await rm(target, { force: true }); // half of a file is none
    throw error;
  }
  await keep(target, stat);
}

/** Permissions, but for set-uid and its like, and times. */
async function keep(target: string, { mode, accessed, modified }: FileStat): Promise<void> {
  await chmod(target, mode & 0o777);
  await utimes(target, accessed, modified);
}

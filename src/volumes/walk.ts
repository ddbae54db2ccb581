import { VhdxError } from '../errors.js';
import type { ReadOptions } from '../io/random-access.js';
import type { DirectoryEntry, FileKind, FilePlace, FileSystem } from './file-system.js';

/** A file below a directory. */
export interface WalkedFile {
  /** The names on the way to it, its own last. They are those of the file system: a damaged one may have any. */
  readonly names: readonly string[];
  readonly entry: DirectoryEntry;
  readonly kind: FileKind;
  /** Of a directory, which comes twice: whether all that is in it has come. */
  readonly isLeft: boolean;
}

/** Options of {@link walkFiles}. */
export interface WalkOptions extends ReadOptions {
  /** Whether the names of a directory come in their order, unless there are more than 50,000; otherwise as they are stored. */
  readonly sorted?: boolean | undefined;
  /** Whether what is in directories below is left out. */
  readonly flat?: boolean | undefined;
  /**
   * Takes what cannot be read of a directory, which is then left: the names on the way to it, and why. Without it the
   * first such error ends the walk.
   */
  readonly onDamage?: ((names: readonly string[], error: VhdxError) => void) | undefined;
}

/** Names of a directory that are sorted. */
const SORTED = 50_000;

/**
 * Whether an error of a file system is about one file or directory, so that the others may be read: it is damaged there, or
 * a feature of it is not read here.
 */
export function isAboutOneFile(error: unknown): error is VhdxError {
  if (!(error instanceof VhdxError)) return false;
  return error.isAboutFormat || error.code === 'file-system-damaged' || error.code === 'file-system-unsupported';
}

/**
 * Goes through everything below a directory. A directory comes before what is in it, and once more after that. Links are
 * not followed.
 *
 * @throws VhdxError `file-system-damaged` if a directory has two names, by which a walk would not end; and what
 *   `fs.list` rejects with
 */
export function walkFiles(fs: FileSystem, place: FilePlace, options: WalkOptions = {}): AsyncGenerator<WalkedFile> {
  return walk(fs, place, options, [], new Set());
}

async function* walk(
  fs: FileSystem,
  place: FilePlace,
  options: WalkOptions,
  way: readonly string[],
  seen: Set<number>,
): AsyncGenerator<WalkedFile> {
  const { sorted, flat, onDamage } = options;
  const entries = fs.list(place, options);
  try {
    for await (const entry of sorted ? inOrder(entries) : entries) {
      const names = [...way, entry.name];
      const kind = await kindOf(fs, entry, names, options);
      yield { names, entry, kind, isLeft: false };
      if (kind !== 'directory' || flat) continue;
      if (seen.has(entry.inode)) refuseSecondName(entry, names, options);
      else {
        seen.add(entry.inode);
        yield* walk(fs, entry, options, names, seen);
      }
      yield { names, entry, kind, isLeft: true };
    }
  } catch (error) {
    if (!onDamage || !isAboutOneFile(error)) throw error;
    onDamage(way, error);
  }
}

/** The kind of a file whose directory does not have it. */
async function kindOf(
  fs: FileSystem,
  entry: DirectoryEntry,
  names: readonly string[],
  options: WalkOptions,
): Promise<FileKind> {
  if (entry.kind !== 'unknown') return entry.kind;
  try {
    return (await fs.stat(entry, options)).kind;
  } catch (error) {
    if (!options.onDamage || !isAboutOneFile(error)) throw error;
    options.onDamage(names, error);
    return 'unknown';
  }
}

function refuseSecondName({ inode }: DirectoryEntry, names: readonly string[], { onDamage }: WalkOptions): void {
  const message = `directory of inode ${inode}: ${names.join('/')} is another name of it`;
  const error = new VhdxError('file-system-damaged', message);
  if (!onDamage) throw error;
  onDamage(names, error);
}

async function* inOrder(entries: AsyncGenerator<DirectoryEntry>): AsyncGenerator<DirectoryEntry> {
  let kept: DirectoryEntry[] | undefined = [];
  for await (const entry of entries) {
    if (!kept) yield entry;
    else if (kept.push(entry) > SORTED) {
      yield* kept;
      kept = undefined;
    }
  }
  yield* (kept ?? []).sort((a, b) => (a.name < b.name ? -1 : 1));
}

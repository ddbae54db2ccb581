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
}

/** Names of a directory that are sorted. */
const SORTED = 50_000;

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
  const entries = fs.list(place, options);
  for await (const entry of options.sorted ? inOrder(entries) : entries) {
    const kind = entry.kind === 'unknown' ? (await fs.stat(entry, options)).kind : entry.kind;
    const names = [...way, entry.name];
    yield { names, entry, kind, isLeft: false };
    if (kind !== 'directory' || options.flat) continue;
    if (seen.has(entry.inode)) {
      const name = names.join('/');
      throw new VhdxError('file-system-damaged', `directory of inode ${entry.inode}: ${name} is another name of it`);
    }
    seen.add(entry.inode);
    yield* walk(fs, entry, options, names, seen);
    yield { names, entry, kind, isLeft: true };
  }
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

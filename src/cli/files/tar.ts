import { once } from 'node:events';
import { type Pack, pack } from 'tar-stream';
import type { RandomAccessSource } from '../../index.js';
import type { FilePlace, FileSystem } from '../../volumes/index.js';
import { failureOf } from '../failure.js';
import { type CopyOptions, PIECE } from './copy-tree.js';

/** A file, a link or a directory with everything below as a tar archive; without owners, and holes are zeros in it. */
export async function* tarOf(fs: FileSystem, path: string, options: CopyOptions): AsyncGenerator<Uint8Array> {
  const archive = pack();
  archive.on('error', () => {}); // whoever iterates over it has it
  const name = path
    .split('/')
    .filter((part) => part !== '' && part !== '.' && part !== '..')
    .at(-1);
  add(archive, fs, path, name ?? '.', options).then(
    () => archive.finalize(),
    (error: unknown) => archive.destroy(failureOf(options.image, error) ?? (error as Error)),
  );
  yield* archive as AsyncIterable<Uint8Array>;
}

/** What the archive says of every file. */
interface Head {
  readonly name: string;
  readonly mode: number;
  readonly mtime: Date;
}

async function add(archive: Pack, fs: FileSystem, place: FilePlace, name: string, options: CopyOptions): Promise<void> {
  options.signal.throwIfAborted();
  const stat = await fs.stat(place);
  const head = { name, mode: stat.mode & 0o777, mtime: stat.modified };
  switch (stat.kind) {
    case 'directory':
      archive.entry({ ...head, type: 'directory' }, '');
      // A name that would be a path is one of a damaged file system, or of an attacker.
      for await (const entry of fs.list(place))
        await add(archive, fs, entry, `${name}/${entry.name.replaceAll('/', '\u2215')}`, options);
      return;
    case 'symlink':
      if (options.links) archive.entry({ ...head, type: 'symlink', linkname: await fs.readlink(place) }, '');
      return;
    case 'file':
      return addFile(archive, await fs.open(place), head, options.signal);
    default:
      options.onSkip(name, stat.kind);
  }
}

async function addFile(archive: Pack, source: RandomAccessSource, head: Head, signal: AbortSignal): Promise<void> {
  const entry = archive.entry({ ...head, type: 'file', size: source.size });
  entry.on('error', () => {}); // of the archive, whose reader has it
  for (let at = 0; at < source.size; at += PIECE) {
    const bytes = Buffer.alloc(Math.min(PIECE, source.size - at));
    await source.readInto(bytes, at, { signal });
    if (!entry.write(bytes)) await once(entry, 'drain');
  }
  entry.end(null);
  await once(entry, 'finish');
}

import { once } from 'node:events';
import { type Pack, pack } from 'tar-stream';
import type { RandomAccessSource, VhdxError } from '../../index.js';
import { type FilePlace, type FileSystem, isAboutOneFile, walkFiles } from '../../volumes/index.js';
import { failureOf } from '../failure.js';
import { type CopyOptions, PIECE } from './copy-tree.js';

/** A file, a link or a directory with everything below as a tar archive; without owners, and holes are zeros in it. */
export async function* tarOf(fs: FileSystem, path: string, options: CopyOptions): AsyncGenerator<Uint8Array> {
  const archive = pack();
  archive.on('error', () => {}); // the loop over it throws it
  addAll(archive, fs, path, options).then(
    () => archive.finalize(),
    (error: unknown) => archive.destroy(failureOf(options.image, error) ?? (error as Error)),
  );
  yield* archive as AsyncIterable<Uint8Array>;
}

async function addAll(archive: Pack, fs: FileSystem, path: string, options: CopyOptions): Promise<void> {
  const parts = path.split('/').filter((part) => part !== '' && part !== '.' && part !== '..');
  const top = parts.at(-1) ?? '.';
  await add(archive, fs, path, top, options);
  if ((await fs.stat(path)).kind !== 'directory') return;
  // A name that would be a path is one of a damaged file system, or of an attacker.
  const nameOf = (names: readonly string[]) => [top, ...names.map((one) => one.replaceAll('/', '\u2215'))].join('/');
  const onDamage = (names: readonly string[], error: VhdxError) => options.onUnreadable(nameOf(names), error);
  for await (const { names, entry, isLeft } of walkFiles(fs, path, { ...options, onDamage })) {
    if (isLeft) continue;
    try {
      await add(archive, fs, entry, nameOf(names), options);
    } catch (error) {
      if (!isAboutOneFile(error)) throw error;
      onDamage(names, error);
    }
  }
}

async function add(archive: Pack, fs: FileSystem, place: FilePlace, name: string, options: CopyOptions): Promise<void> {
  options.signal.throwIfAborted();
  const { kind, mode, modified } = await fs.stat(place);
  const head = { name, mode: mode & 0o777, mtime: modified };
  if (kind === 'directory') archive.entry({ ...head, type: 'directory' }, '');
  else if (kind === 'file') await addFile(archive, await fs.open(place), head, options);
  else if (kind !== 'symlink') options.onSkip(name, kind);
  else if (options.links) archive.entry({ ...head, type: 'symlink', linkname: await fs.readlink(place) }, '');
}

/** What the archive says of every file. */
interface Head {
  readonly name: string;
  readonly mode: number;
  readonly mtime: Date;
}

/** What cannot be read of a file is zeros in the archive, which has said already how long the file is. */
async function addFile(
  archive: Pack,
  source: RandomAccessSource,
  head: Head,
  { signal, onUnreadable }: CopyOptions,
): Promise<void> {
  const entry = archive.entry({ ...head, type: 'file', size: source.size });
  entry.on('error', () => {}); // of the archive, whose reader has it
  for (let at = 0; at < source.size; at += PIECE) {
    const bytes = Buffer.alloc(Math.min(PIECE, source.size - at));
    await source.readInto(bytes, at, { signal }).catch((error: unknown) => {
      if (!isAboutOneFile(error)) throw error;
      bytes.fill(0);
      onUnreadable(head.name, error);
    });
    if (!entry.write(bytes)) await once(entry, 'drain');
  }
  entry.end(null);
  await once(entry, 'finish');
}

import { downloadZip } from 'client-zip';
import { type RandomAccessSource, slice } from '../../src/index.js';
import {
  canOpenVolume,
  type DirectoryEntry,
  type FileSystem,
  isAboutOneFile,
  openVolume,
  readPartitionTable,
  walkFiles,
} from '../../src/volumes/index.js';
import type { FileListing, FilePreview, JobProgress, ListedFile, Methods, Saved, VolumeName } from '../protocol.js';
import { sizeText } from '../wording.js';
import { previewOf } from './preview.js';
import { BlobSink, fileSink } from './sinks.js';

/** Entries of a directory that a listing has; the rest is counted. */
const LISTED = 5000;
/** Bytes that are copied at a time. */
const PIECE = 1024 * 1024;

/** A part of the disk that may have files. */
interface Volume extends VolumeName {
  readonly source: RandomAccessSource;
}

/** The files in a disk: in its partitions, or in all of it. */
export class DiskFiles {
  readonly #disk: RandomAccessSource;
  readonly #open = new Map<number, Promise<FileSystem>>();
  #volumes: Promise<readonly Volume[]> | undefined;

  constructor(disk: RandomAccessSource) {
    this.#disk = disk;
  }

  /** The names in a directory, folders first. */
  async list({ volume, path }: Methods['files']['parameters'], signal: AbortSignal): Promise<FileListing> {
    const volumes = await this.#allVolumes(signal);
    const names = volumes.map(({ label, kind }) => ({ label, kind }));
    if (volumes.length === 0) return { volumes: names, notes: [], entries: [], more: 0 };
    const fs = await this.#fileSystem(volume, signal);
    const found = [];
    let more = 0;
    for await (const entry of fs.list(path, { signal })) {
      if (found.length < LISTED) found.push(entry);
      else more++;
    }
    const entries = await Promise.all(found.map((entry) => listedFile(fs, entry, signal)));
    const rank = ({ kind }: { kind: string }) => (kind === 'directory' ? 0 : 1);
    entries.sort((a, b) => rank(a) - rank(b) || (a.name < b.name ? -1 : 1));
    return { volumes: names, notes: fs.notes, entries, more };
  }

  /** What can be shown of a file without leaving the page. */
  async preview({ volume, path }: Methods['previewFile']['parameters'], signal: AbortSignal): Promise<FilePreview> {
    const fs = await this.#fileSystem(volume, signal);
    return previewOf(await fs.open(path, { signal }), signal);
  }

  /** Saves a file as it is, or a folder with everything below as a zip archive. */
  async save(
    { volume, path, target }: Methods['saveFiles']['parameters'],
    signal: AbortSignal,
    report: (progress: JobProgress) => void,
  ): Promise<Saved> {
    const fs = await this.#fileSystem(volume, signal);
    const { kind } = await fs.stat(path, { signal });
    const base =
      path
        .split('/')
        .filter((part) => part !== '')
        .at(-1) ?? 'files';
    const sink = target ? await fileSink(target) : new BlobSink();
    const leftOut: string[] = [];
    try {
      if (kind === 'directory') await writeZip(zipFiles(fs, path, signal, leftOut), sink, signal, report);
      else await writeFile(await fs.open(path, { signal }), sink, signal, report);
      await sink.close();
    } catch (error) {
      await sink.abort().catch(() => undefined);
      throw error;
    }
    const name = target?.name ?? (kind === 'directory' ? `${base}.zip` : base);
    return { name, lost: 0, leftOut, ...(sink instanceof BlobSink && { blob: sink.blob }) };
  }

  #allVolumes(signal: AbortSignal): Promise<readonly Volume[]> {
    this.#volumes ??= volumesOf(this.#disk, signal);
    this.#volumes.catch(() => {
      this.#volumes = undefined;
    });
    return this.#volumes;
  }

  async #fileSystem(index: number, signal: AbortSignal): Promise<FileSystem> {
    const volume = (await this.#allVolumes(signal))[index];
    if (!volume) throw new RangeError('there is no such partition');
    const opened = this.#open.get(index) ?? openVolume(volume.source);
    this.#open.set(index, opened);
    opened.catch(() => this.#open.delete(index));
    return opened;
  }
}

/** What of a disk has a file system that is read. */
async function volumesOf(disk: RandomAccessSource, signal: AbortSignal): Promise<Volume[]> {
  const { partitions, fileSystem } = await readPartitionTable(disk, { signal });
  if (partitions.length === 0) {
    const isWhole = fileSystem !== undefined && canOpenVolume(fileSystem);
    return isWhole ? [{ label: 'The whole disk', kind: fileSystem.name, source: disk }] : [];
  }
  return partitions.flatMap((partition) => {
    const { number, name, offset, length, fileSystem: found } = partition;
    if (!found || !canOpenVolume(found) || offset + length > disk.size) return [];
    const what = name ?? found.label;
    const label = `Partition ${number}${what ? ` “${what}”` : ''}, ${sizeText(length)}`;
    return [{ label, kind: found.name, source: slice(disk, offset, length) }];
  });
}

/** A name of a directory, with why the file cannot be read where it cannot. */
async function listedFile(fs: FileSystem, entry: DirectoryEntry, signal: AbortSignal): Promise<ListedFile> {
  const { name, kind: told } = entry;
  try {
    const { kind, size, modified } = await fs.stat(entry, { signal });
    const target = kind === 'symlink' ? await fs.readlink(entry, { signal }) : undefined;
    return { name, kind, size, modified, ...(target !== undefined && { target }) };
  } catch (error) {
    if (!isAboutOneFile(error)) throw error;
    return { name, kind: told, size: 0, problem: error.reason };
  }
}

type Sink = Awaited<ReturnType<typeof fileSink>> | BlobSink;

async function writeFile(
  source: RandomAccessSource,
  sink: Sink,
  signal: AbortSignal,
  report: (progress: JobProgress) => void,
): Promise<void> {
  const total = source.size;
  await sink.truncate(total);
  for (let at = 0; at < total; at += PIECE) {
    const bytes = new Uint8Array(Math.min(PIECE, total - at));
    await source.readInto(bytes, at, { signal });
    await sink.write(bytes, at);
    const done = at + bytes.length;
    report({ done, total, read: done, toRead: total });
  }
}

/** A file of the archive, in the shape that the library wants. */
interface ZipFile {
  readonly name: string;
  readonly lastModified: Date;
  readonly input?: ReadableStream<Uint8Array>;
  readonly size?: number;
}

async function writeZip(
  files: AsyncIterable<ZipFile>,
  sink: Sink,
  signal: AbortSignal,
  report: (progress: JobProgress) => void,
): Promise<void> {
  const body = downloadZip(files as AsyncIterable<never>).body;
  if (!body) throw new RangeError('this browser makes no streams');
  let done = 0;
  const reader = body.getReader();
  for (let part = await reader.read(); !part.done; part = await reader.read()) {
    signal.throwIfAborted();
    await sink.truncate(done + part.value.length);
    await sink.write(part.value as Uint8Array<ArrayBuffer>, done);
    done += part.value.length;
    report({ done, total: 0, read: done, toRead: 0 });
  }
}

/** All files below a folder; links and what is no file are left out, and a name that would be a path is none. */
async function* zipFiles(
  fs: FileSystem,
  path: string,
  signal: AbortSignal,
  leftOut: string[],
): AsyncGenerator<ZipFile> {
  const nameOf = (names: readonly string[]) => names.map((one) => one.replaceAll(/[/\\]/g, '\u2215')).join('/');
  const onDamage = (names: readonly string[]) => void leftOut.push(nameOf(names));
  for await (const { names, entry, kind, isLeft } of walkFiles(fs, path, { signal, onDamage })) {
    if (isLeft || (kind !== 'directory' && kind !== 'file')) continue;
    const file = await zipFile(fs, entry, nameOf(names), signal).catch((error: unknown) => {
      if (!isAboutOneFile(error)) throw error;
      onDamage(names);
    });
    if (file) yield file;
  }
}

async function zipFile(fs: FileSystem, entry: DirectoryEntry, name: string, signal: AbortSignal): Promise<ZipFile> {
  const { kind, modified: lastModified } = await fs.stat(entry, { signal });
  if (kind === 'directory') return { name: `${name}/`, lastModified };
  const source = await fs.open(entry, { signal });
  return { name, lastModified, size: source.size, input: streamOf(source, signal) };
}

function streamOf(source: RandomAccessSource, signal: AbortSignal): ReadableStream<Uint8Array> {
  let at = 0;
  return new ReadableStream({
    async pull(controller) {
      const bytes = new Uint8Array(Math.min(PIECE, source.size - at));
      await source.readInto(bytes, at, { signal });
      at += bytes.length;
      if (bytes.length > 0) controller.enqueue(bytes);
      if (at === source.size) controller.close();
    },
  });
}

import { type RepairReport, repairVhdx, type SwapFile, VhdxError, type VhdxTarget } from '../../src/index.js';
import type { JobProgress, Methods, Repaired, RepairPlan } from '../protocol.js';
import { problemOf } from './problem.js';

/** Bytes of a file that are copied at a time. */
const PIECE = 4 * 1024 * 1024;

const NO_IMAGE: ReadonlySet<string> = new Set(['file-signature', 'file-too-small']);

/** Says what a repair would do. Nothing is written. */
export async function planRepair(file: File, discardLog: boolean, signal: AbortSignal): Promise<RepairPlan> {
  try {
    const { repairs } = await repairVhdx(asTarget(file), { dryRun: true, discardLog, signal });
    return { repairs: repairs.map(({ message }) => message), discardsLog: discardLog };
  } catch (error) {
    if (!(error instanceof VhdxError && error.isAboutFormat)) throw error;
    // Of what is no image there is nothing to say about a repair.
    if (NO_IMAGE.has(error.code)) return { repairs: [], discardsLog: false };
    const canDiscard = error.hints?.includes('discard-log') ?? false;
    return { repairs: [], discardsLog: discardLog || canDiscard, refusal: problemOf(error).sentence };
  }
}

/**
 * Repairs the file itself: it is swapped in as a whole when all of it is done.
 *
 * @param name of the file that is open; the handle must lead to the same one
 */
export async function repairInPlace(
  name: string,
  { target, asOpened, discardLog }: Methods['repair']['parameters'],
  signal: AbortSignal,
): Promise<Repaired> {
  const now = await target.getFile();
  if (now.name !== name) throw new RangeError(`this is another file than the one that is open: choose ${name}`);
  if (now.size !== asOpened.size || now.lastModified !== asOpened.lastModified) {
    throw new RangeError(`${name} was changed since it was opened, or is another file of that name: open it again`);
  }
  return repaired(await repairVhdx(target, { discardLog, signal }), { name });
}

/** Saves a copy of a file and repairs it: into a file that was picked, or as a blob. The file stays as it is. */
export async function saveRepaired(
  file: File,
  target: FileSystemFileHandle | null,
  discardLog: boolean,
  signal: AbortSignal,
  onProgress: (progress: JobProgress) => void,
): Promise<Repaired> {
  const patched = new PatchedBlob(file);
  const createWritable = async () =>
    target ? copyInto(file, await target.createWritable(), signal, onProgress) : patched;
  const report = await repairVhdx({ ...asTarget(file), createWritable }, { discardLog, signal });
  return repaired(report, target ? { name: target.name } : { name: file.name, blob: patched.blob });
}

const repaired = ({ repairs }: RepairReport, { name, blob }: { name: string; blob?: Blob }): Repaired => ({
  name,
  repairs: repairs.map(({ message }) => message),
  ...(blob && { blob }),
});

/** A file that was opened as what a repair takes: a picked file that nothing can be written to. */
function asTarget(file: File) {
  return { name: file.name, getFile: async () => file } satisfies VhdxTarget;
}

/** Copies a file into the new content of another one, which is changed afterwards. */
async function copyInto(
  file: File,
  swap: FileSystemWritableFileStream,
  signal: AbortSignal,
  onProgress: (progress: JobProgress) => void,
): Promise<FileSystemWritableFileStream> {
  try {
    for (let done = 0; done < file.size; ) {
      signal.throwIfAborted();
      const data = await file.slice(done, done + PIECE).arrayBuffer();
      await swap.write({ type: 'write', position: done, data });
      done += data.byteLength;
      onProgress({ done, total: file.size, read: done, toRead: file.size });
    }
    return swap;
  } catch (error) {
    await swap.abort().catch(() => undefined);
    throw error;
  }
}

/** The bytes of a file with some of them replaced, as a blob: what stays the same is not read. */
class PatchedBlob implements SwapFile {
  readonly #file: File;
  readonly #patches = new Map<number, Uint8Array<ArrayBuffer>>();
  #kept: number;
  #size: number;

  constructor(file: File) {
    this.#file = file;
    this.#kept = file.size;
    this.#size = file.size;
  }

  async write({ position, data }: { position: number; data: Uint8Array<ArrayBuffer> }): Promise<void> {
    this.#patches.set(position, data.slice());
    this.#size = Math.max(this.#size, position + data.length);
  }

  async truncate(size: number): Promise<void> {
    this.#kept = Math.min(this.#kept, size);
    this.#size = size;
  }

  async close(): Promise<void> {}

  async abort(): Promise<void> {
    this.#patches.clear();
  }

  /** All of it, with the patches, none of which overlaps another, in their places. */
  get blob(): Blob {
    const parts: BlobPart[] = [];
    let position = 0;
    const keepTo = (end: number) => {
      const kept = Math.max(position, Math.min(end, this.#kept));
      parts.push(this.#file.slice(position, kept), new Uint8Array(end - kept));
      position = end;
    };
    for (const [at, bytes] of [...this.#patches].sort(([a], [b]) => a - b)) {
      keepTo(at);
      parts.push(bytes);
      position += bytes.length;
    }
    keepTo(this.#size);
    return new Blob(parts, { type: 'application/octet-stream' });
  }
}

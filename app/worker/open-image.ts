import {
  Crc32c,
  checkVhdx,
  exportDisk,
  openSource,
  openVhdx,
  type RandomAccessSource,
  type VhdxDisk,
  VhdxError,
} from '../../src/index.js';
import { readContents } from '../contents/contents.js';
import type { Contents } from '../contents/table.js';
import type {
  BytesView,
  Candidate,
  ChainMember,
  CheckSummary,
  Input,
  MapBins,
  Methods,
  Opened,
  Saved,
  Work,
} from '../protocol.js';
import { chooseSubject, missingParent, nameOf, survey } from './chain.js';
import { DiskMap } from './disk-map.js';
import { FindingsBook } from './findings-book.js';
import { describeOrigin } from './origin.js';
import { problemOf } from './problem.js';
import { BlobSink, type ClosableSink, fileSink } from './sinks.js';
import { atPace, Workload } from './workload.js';

const MiB = 1024 * 1024;
/** Bytes of a file that are read while as many are summed. */
const PIECE = 4 * MiB;
/** Largest file that is gathered for a download, where the browser lets no page write files. */
const LARGEST_DOWNLOAD = 256 * 1024 * MiB;
/** How one call is followed and ended. */
export interface Call<Tell> {
  readonly signal: AbortSignal;
  readonly tell: (tell: Tell) => void;
}

/** A file beside the one that is shown. */
interface Other extends Candidate {
  readonly input: Input;
}

/** The files that were handed over last, and the disk that is shown of them. */
export class OpenImage {
  readonly opened: Opened;
  readonly #input: Input;
  readonly #candidates: readonly Input[];
  readonly #disk: VhdxDisk | undefined;
  readonly #map: DiskMap | undefined;
  readonly #end = new AbortController();
  #book: FindingsBook | undefined;
  #file: Promise<RandomAccessSource> | undefined;

  private constructor(opened: Opened, inputs: readonly Input[], disk: VhdxDisk | undefined) {
    this.opened = opened;
    this.#input = inputs[opened.subject] as Input;
    this.#candidates = inputs.filter((_, i) => i !== opened.subject);
    this.#disk = disk;
    this.#map = disk && new DiskMap(disk, this.#end.signal);
  }

  /** Finds out which of the files is meant, and opens it with the others as its parents. */
  static async open(inputs: readonly Input[], wanted: number | undefined, signal: AbortSignal): Promise<OpenImage> {
    const candidates =
      inputs.length > 1 ? await survey(inputs, signal) : inputs.map((input): Candidate => ({ name: nameOf(input) }));
    const subject = wanted ?? chooseSubject(candidates);
    const input = inputs[subject];
    if (input === undefined) throw new RangeError('no file was handed over');
    const others = candidates.flatMap((candidate, i) =>
      i === subject ? [] : [{ ...candidate, input: inputs[i] as Input }],
    );
    try {
      const { disk, missing } = await openWithParents(input, others, signal);
      const listed = candidates.map((candidate, i) => (i === subject ? { ...candidate, info: disk.info } : candidate));
      const chain: ChainMember[] = [];
      for (let member: VhdxDisk | undefined = disk; member; member = member.parent) {
        chain.push({ name: member.name ?? candidates[subject]?.name ?? '', info: member.info });
      }
      return new OpenImage(
        { candidates: listed, subject, chain, ...(missing !== undefined && { missing }) },
        inputs,
        disk,
      );
    } catch (error) {
      signal.throwIfAborted();
      // Of what cannot even be read there is nothing to show.
      if (!(error instanceof VhdxError && error.isAboutFormat)) throw error;
      return new OpenImage({ candidates, subject, chain: [], problem: problemOf(error) }, inputs, undefined);
    }
  }

  /** Ends all work and lets go of the files. */
  async close(): Promise<void> {
    this.#end.abort(new DOMException('other files were opened', 'AbortError'));
    await this.#disk?.close();
    await (await this.#file?.catch(() => undefined))?.close?.();
  }

  /** A signal that fires when a call is given up or the image is closed. */
  within(signal: AbortSignal): AbortSignal {
    return AbortSignal.any([signal, this.#end.signal]);
  }

  async check({ signal, tell }: Call<Methods['check']['tell']>): Promise<CheckSummary> {
    const options = { signal, onProgress: atPace(tell) };
    const report = this.#disk
      ? await this.#disk.check(options)
      : await checkVhdx(this.#input, { ...options, parent: this.#candidates.length > 0 ? this.#candidates : false });
    this.#book = new FindingsBook(report);
    return this.#book.summary;
  }

  findings({ group, from, to }: Methods['findings']['take']): Methods['findings']['give'] {
    return this.#book?.list(group, from, to) ?? [];
  }

  map({ offset, length, binLength }: Methods['map']['take'], { signal, tell }: Call<MapBins>): Promise<MapBins> {
    if (!this.#map) throw new RangeError('there is no disk');
    return this.#map.view(offset, length, binLength, signal, tell);
  }

  contents(signal: AbortSignal): Promise<Contents> {
    const disk = this.#opened();
    const read = async (offset: number, length: number) => {
      try {
        return await disk.read(offset, length, { signal });
      } catch (error) {
        if (error instanceof VhdxError && error.isAboutFormat) return undefined;
        throw error;
      }
    };
    return readContents(read, disk.size, disk.logicalSectorSize);
  }

  async bytes({ of, offset, length }: Methods['bytes']['take'], signal: AbortSignal): Promise<BytesView> {
    if (of === 'disk') {
      const disk = this.#opened();
      const end = Math.min(disk.size, offset + length);
      const bytes = await disk.read(offset, Math.max(0, end - offset), { signal });
      const origin = await describeOrigin(disk, this.opened.chain, offset, bytes.length, signal);
      return { offset, bytes, size: disk.size, origin };
    }
    const file = await this.#openFile();
    const start = Math.min(offset, file.size);
    const bytes = new Uint8Array(Math.min(length, file.size - start));
    await file.readInto(bytes, start, { signal });
    return {
      offset: start,
      bytes,
      size: file.size,
      origin: `The file ${file.name ?? nameOf(this.#input)} as it lies there, of ${file.size} bytes.`,
    };
  }

  async checksum(of: 'disk' | 'file', { signal, tell }: Call<Work>): Promise<number> {
    const onWork = atPace(tell);
    if (of === 'file') return sumSource(await this.#openFile(), onWork, signal);
    const disk = this.#opened();
    const workload = this.#workload();
    return disk.checksum({ signal, onProgress: ({ done }) => onWork(workload.at(done)) });
  }

  async save({ format, target }: Methods['save']['take'], { signal, tell }: Call<Work>): Promise<Saved> {
    const disk = this.#opened();
    const name = `${nameOf(this.#input).replace(/\.a?vhdx$/i, '')}.${format === 'raw' ? 'img' : 'vhd'}`;
    if (!target && disk.size > LARGEST_DOWNLOAD) {
      throw new RangeError(
        'this browser cannot write files, and a disk above 256 GiB is too large to download: take a browser with a file picker, or the vhdx command',
      );
    }
    const workload = this.#workload();
    const onWork = atPace(tell);
    const blobs = target ? undefined : new BlobSink();
    const sink: ClosableSink = target ? await fileSink(target) : (blobs as BlobSink);
    try {
      await exportDisk(disk, sink, { format, signal, onProgress: ({ done }) => onWork(workload.at(done)) });
      await sink.close();
    } catch (error) {
      await sink.abort().catch(() => undefined);
      throw error;
    }
    return { name: target?.name ?? name, ...(blobs && { blob: blobs.blob }) };
  }

  #opened(): VhdxDisk {
    if (!this.#disk) throw new RangeError('there is no disk to read');
    return this.#disk;
  }

  #workload(): Workload {
    const disk = this.#opened();
    return new Workload(
      this.#map?.base ?? { offset: 0, length: disk.size, binLength: disk.size, bytes: new Float64Array(), reached: 0 },
    );
  }

  /** The file itself, apart from the disk in it. */
  #openFile(): Promise<RandomAccessSource> {
    this.#file ??= openSource(this.#input);
    this.#file.catch(() => {
      this.#file = undefined;
    });
    return this.#file;
  }
}

/** Opens a disk with its parents; alone, and with a word about what is missing, where they are not to be had. */
async function openWithParents(
  input: Input,
  others: readonly Other[],
  signal: AbortSignal,
): Promise<{ disk: VhdxDisk; missing?: string }> {
  const parent = others.filter(({ info }) => info !== undefined).map((other) => other.input);
  let refusal: string | undefined;
  if (parent.length > 0) {
    try {
      return { disk: await openVhdx(input, { parent, signal }) };
    } catch (error) {
      if (!(error instanceof VhdxError) || !error.code.startsWith('parent-')) throw error;
      if (error.code !== 'parent-missing' && error.code !== 'parent-mismatch') refusal = problemOf(error).sentence;
    }
  }
  const disk = await openVhdx(input, { parent: false, signal });
  const missing = refusal ?? missingParent({ name: nameOf(input), info: disk.info }, others);
  return { disk, ...(missing !== undefined && { missing }) };
}

/** CRC-32C of a whole file. A piece is read while the one before it is summed. */
async function sumSource(source: RandomAccessSource, tell: (work: Work) => void, signal: AbortSignal): Promise<number> {
  const crc = await Crc32c.create();
  const read = async (offset: number, buffer: Uint8Array<ArrayBuffer>) => {
    const piece = buffer.subarray(0, Math.max(0, Math.min(PIECE, source.size - offset)));
    await source.readInto(piece, offset, { signal });
    return piece;
  };
  let [current, spare] = [new Uint8Array(PIECE), new Uint8Array(PIECE)];
  let next = read(0, current);
  for (let offset = 0; offset < source.size; offset += PIECE) {
    const piece = await next;
    if (offset + PIECE < source.size) next = read(offset + PIECE, spare);
    next.catch(() => undefined); // heard at the next turn
    crc.update(piece);
    [current, spare] = [spare, current];
    const done = Math.min(offset + PIECE, source.size);
    tell({ done, total: source.size, read: done, toRead: source.size });
  }
  return crc.digest();
}

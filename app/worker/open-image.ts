import {
  type CheckReport,
  checksumFile,
  checkVhdx,
  openSource,
  openVhdx,
  type Progress,
  type RandomAccessSource,
  type VhdxDisk,
  VhdxError,
} from '../../src/index.js';
import { jsonText } from '../../src/report/dialect.js';
import { type Hashes, imageReport } from '../../src/report/image-report.js';
import { type PartitionTable, readPartitionTable } from '../../src/volumes/index.js';
import type {
  BytesView,
  Candidate,
  ChainMember,
  CheckSummary,
  Found,
  Input,
  JobProgress,
  MapBins,
  Methods,
  MissingParent,
  Opened,
  Saved,
} from '../protocol.js';
import { checksumText } from '../wording.js';
import { viewDisk, viewPlain } from './bytes-view.js';
import { chooseSubject, missingParent, nameOf, survey } from './chain.js';
import { DiskMap } from './disk-map.js';
import { DiskFiles } from './files.js';
import { GroupedFindings } from './grouped-findings.js';
import { ReadProgress, throttled } from './job-progress.js';
import { problemOf } from './problem.js';
import { openOther, saveDisk } from './saving.js';
import { search } from './search.js';

/** How one call is cancelled, and where it reports its progress. */
export interface Call<Progress> {
  readonly signal: AbortSignal;
  readonly onProgress: (progress: Progress) => void;
}

/** Which of the files to open, and how. */
interface Wanted {
  /** The one to show, if the user has chosen it. */
  readonly subject?: number | undefined;
  /** Whether to open an image that is damaged as a whole, by what its structures still say. */
  readonly salvage: boolean;
}

/** A file beside the one that is shown. */
interface Other extends Candidate {
  readonly input: Input;
}

/** The files that were opened last, and the disk that is shown of them. */
export class OpenImage {
  readonly opened: Opened;
  readonly #input: Input;
  readonly #candidates: readonly Input[];
  readonly #disk: VhdxDisk | undefined;
  /** The disk in a file that is no VHDX. */
  readonly #other: RandomAccessSource | undefined;
  readonly #map: DiskMap | undefined;
  readonly #end = new AbortController();
  #found: GroupedFindings | undefined;
  #checked: { readonly report: CheckReport; readonly date: Date } | undefined;
  /** What was summed so far. */
  #hashes: { readonly file?: Hashes; readonly disk?: Hashes } = {};
  #files: DiskFiles | undefined;
  #file: Promise<RandomAccessSource> | undefined;

  private constructor(
    opened: Opened,
    inputs: readonly Input[],
    disk: VhdxDisk | undefined,
    other?: RandomAccessSource,
  ) {
    this.#other = other;
    this.opened = opened;
    this.#input = inputs[opened.subject] as Input;
    this.#candidates = inputs.filter((_, i) => i !== opened.subject);
    this.#disk = disk;
    this.#map = disk && new DiskMap(disk, this.#end.signal);
  }

  /** Chooses the file to show, and opens it with the others as its parents. */
  static async open(
    inputs: readonly Input[],
    { subject: wanted, salvage }: Wanted,
    signal: AbortSignal,
  ): Promise<OpenImage> {
    const candidates =
      inputs.length > 1 ? await survey(inputs, signal) : inputs.map((input): Candidate => ({ name: nameOf(input) }));
    const subject = wanted ?? chooseSubject(candidates);
    const input = inputs[subject];
    if (input === undefined) throw new RangeError('no file was given');
    const others = candidates.flatMap((candidate, i) =>
      i === subject ? [] : [{ ...candidate, input: inputs[i] as Input }],
    );
    try {
      const { disk, missing } = await openWithParents(input, others, salvage, signal);
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
      // There is nothing to show of a file that cannot be read.
      if (!(error instanceof VhdxError && error.isAboutFormat)) throw error;
      const canSalvage = error.hints?.includes('salvage') ?? false;
      const found =
        error.code === 'file-signature'
          ? await openOther(
              input,
              others.map((other) => other.input),
              signal,
            )
          : undefined;
      const opened = { candidates, subject, chain: [], problem: problemOf(error), canSalvage };
      return new OpenImage({ ...opened, ...(found && { other: found.other }) }, inputs, undefined, found?.source);
    }
  }

  /** The file that is shown, as the user handed it over. */
  get file(): File {
    if (typeof this.#input === 'string') throw new RangeError('an image on a server cannot be repaired from here');
    return this.#input;
  }

  /** Cancels all work and closes the files. */
  async close(): Promise<void> {
    this.#end.abort(new DOMException('other files were opened', 'AbortError'));
    await this.#disk?.close();
    await this.#other?.close?.();
    await (await this.#file?.catch(() => undefined))?.close?.();
  }

  /** A signal that fires when a call is cancelled or the image is closed. */
  within(signal: AbortSignal): AbortSignal {
    return AbortSignal.any([signal, this.#end.signal]);
  }

  async check({ signal, onProgress }: Call<Methods['check']['progress']>): Promise<CheckSummary> {
    const options = { signal, onProgress: throttled(onProgress) };
    const date = new Date();
    const report = this.#disk
      ? await this.#disk.check(options)
      : await checkVhdx(this.#input, { ...options, parent: this.#candidates.length > 0 ? this.#candidates : false });
    this.#found = await GroupedFindings.of(report);
    this.#checked = { report, date };
    return this.#found.summary;
  }

  /** The report of `vhdx check --report`. Throws if the check is not done. */
  async report(): Promise<string> {
    if (!this.#checked) throw new RangeError('the check is not done yet');
    const { report: check, date } = this.#checked;
    const input = this.#input;
    const document = await imageReport({
      filename: nameOf(input),
      format: 'vhdx',
      modified: typeof input === 'string' ? undefined : new Date(input.lastModified),
      check,
      hashes: this.#hashes,
      date,
      runtime: navigator.userAgent,
    });
    return `${jsonText(document, 2)}\n`;
  }

  findings({ group, from, to }: Methods['findings']['parameters']): Methods['findings']['result'] {
    return this.#found?.list(group, from, to) ?? [];
  }

  map(
    { offset, length, binLength }: Methods['map']['parameters'],
    { signal, onProgress }: Call<MapBins>,
  ): Promise<MapBins> {
    if (!this.#map) throw new RangeError('there is no disk');
    return this.#map.view(offset, length, binLength, signal, onProgress);
  }

  partitions(signal: AbortSignal): Promise<PartitionTable> {
    return readPartitionTable(this.#source(), { signal });
  }

  /** The files in the disk. */
  get files(): DiskFiles {
    this.#files ??= new DiskFiles(this.#source());
    return this.#files;
  }

  async bytes({ of, offset, length }: Methods['bytes']['parameters'], signal: AbortSignal): Promise<BytesView> {
    if (of === 'disk' && this.#disk) return viewDisk(this.#disk, this.opened.chain, offset, length, signal);
    const source = of === 'disk' ? this.#source() : await this.#openFile();
    const itself = of === 'disk' ? 'The disk in' : 'The file';
    const origin = `${itself} ${source.name ?? nameOf(this.#input)}, of ${source.size} bytes.`;
    return viewPlain(source, origin, offset, length, signal);
  }

  async search(
    { of, patterns, from }: Methods['search']['parameters'],
    { signal, onProgress }: Call<JobProgress>,
  ): Promise<Found> {
    const report = throttled(onProgress);
    return search(of === 'disk' ? this.#source() : await this.#openFile(), patterns, from, {
      signal,
      onProgress: ({ done, total }) => report({ done, total, read: done, toRead: total }),
    });
  }

  async checksum(of: 'disk' | 'file', call: Call<JobProgress>): Promise<number> {
    const checksum = await this.#sum(of, call);
    this.#hashes = { ...this.#hashes, [of]: { crc32c: checksumText(checksum) } };
    return checksum;
  }

  async #sum(of: 'disk' | 'file', { signal, onProgress }: Call<JobProgress>): Promise<number> {
    const report = throttled(onProgress);
    const disk = this.#disk;
    if (of === 'file' || !disk) {
      const simple = ({ done, total }: Progress) => report({ done, total, read: done, toRead: total });
      const source = of === 'file' ? await this.#openFile() : this.#source();
      return checksumFile(source, { signal, onProgress: simple });
    }
    const reads = this.#reads();
    return disk.checksum({ signal, onProgress: ({ done }) => report(reads.at(done)) });
  }

  async save(parameters: Methods['save']['parameters'], { signal, onProgress }: Call<JobProgress>): Promise<Saved> {
    const report = throttled(onProgress);
    if (this.#other || parameters.part) {
      const simple = ({ done, total }: Progress) => report({ done, total, read: done, toRead: total });
      return saveDisk(this.#source(), nameOf(this.#input), parameters, { signal, onProgress: simple });
    }
    const reads = this.#reads();
    const onRead = ({ done }: Progress) => report(reads.at(done));
    return saveDisk(this.#opened(), nameOf(this.#input), parameters, { signal, onProgress: onRead });
  }

  /** The disk, of whatever format. */
  #source(): RandomAccessSource {
    return this.#other ?? this.#opened();
  }

  #opened(): VhdxDisk {
    if (!this.#disk) throw new RangeError('there is no disk to read');
    return this.#disk;
  }

  #reads(): ReadProgress {
    const disk = this.#opened();
    return new ReadProgress(
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

/** Opens a disk with its parents; alone, and with what is missing, if they are not available. */
async function openWithParents(
  input: Input,
  others: readonly Other[],
  isSalvage: boolean,
  signal: AbortSignal,
): Promise<{ disk: VhdxDisk; missing?: MissingParent }> {
  const options = { signal, salvage: isSalvage ? ('unverified' as const) : undefined };
  const parent = others.filter(({ info }) => info !== undefined).map((other) => other.input);
  const disk = await openVhdx(input, { ...options, parent, incompleteChain: 'open' });
  let last = disk;
  while (last.parent) last = last.parent;
  const { parentError: error } = last;
  if (!error) return { disk };
  const isUnknown = error.code === 'parent-missing' || error.code === 'parent-mismatch';
  const missing = isUnknown
    ? missingParent({ name: nameOf(input), info: disk.info }, others)
    : { sentence: problemOf(error).sentence };
  return { disk, ...(missing !== undefined && { missing }) };
}

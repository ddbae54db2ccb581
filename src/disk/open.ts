import { loadCore } from '../core/core.js';
import type { Core } from '../core/instantiate.js';
import { VhdxError } from '../errors.js';
import { BAT_ENTRY_SIZE } from '../format/bat.js';
import { hasVhdxSignature } from '../format/file-identifier.js';
import { ZERO_GUID } from '../format/guid.js';
import { MiB } from '../format/sizes.js';
import { finding, RULES, type RuleCode } from '../rules.js';
import { type SourceOptions, sourceFrom, type VhdxInput } from '../source/from-input.js';
import type { RandomAccessSource } from '../source/source.js';
import { scanBat } from './bat-scan.js';
import {
  type CheckOptions,
  type CheckReport,
  checkExamined,
  translatorImage,
  withFinding,
  withParent,
} from './check.js';
import { VhdxDisk } from './disk.js';
import { type CompleteExamination, type Examination, examine, isComplete } from './examine.js';
import type { OpenOptions } from './options.js';
import { type Candidate, ParentFinder } from './parents.js';

/** Members that a chain may have. */
const MAX_MEMBERS = 256;
/** A BAT of this many bytes or fewer is checked when the image is opened; a longer one by {@link VhdxDisk.check}. */
const MAX_BAT_CHECKED_AT_OPEN = 1 * MiB;

/**
 * Opens a VHDX image: fixed, dynamic or differencing, clean or dirty. Nothing is written: the log of a dirty image is
 * replayed in memory.
 *
 * @param input a path (Node, Bun, Deno), an http(s) URL, a Blob or File, bytes, or any {@link RandomAccessSource}
 * @throws VhdxError with the code of the first fatal finding, `parent-missing` and the like where a chain is not whole,
 *   or the code of the input's failure
 */
export async function openVhdx(input: VhdxInput, options: OpenOptions = {}): Promise<VhdxDisk> {
  const core = await loadCore();
  const opener = new ChainOpener(core, options);
  try {
    return await opener.open(await sourceFrom(input, options));
  } finally {
    await opener.close();
  }
}

/** Tells whether an input begins with the signature of a VHDX file; nothing else is looked at. */
export async function isVhdx(input: VhdxInput, options: SourceOptions = {}): Promise<boolean> {
  const source = await sourceFrom(input, options);
  try {
    const start = new Uint8Array(Math.min(8, source.size));
    await source.readInto(start, 0, options);
    return hasVhdxSignature(start);
  } finally {
    await source.close?.();
  }
}

/**
 * Checks an image and the chain below it, also one that does not open: what is wrong is in the report and nothing of
 * it is thrown. Reads the metadata and never the payload.
 *
 * @throws VhdxError where the input cannot be read
 */
export async function checkVhdx(input: VhdxInput, options: OpenOptions & CheckOptions = {}): Promise<CheckReport> {
  const core = await loadCore();
  const opener = new ChainOpener(core, options);
  try {
    return await opener.check(await sourceFrom(input, options), options);
  } finally {
    await opener.close();
  }
}

/** Opens or checks the members of one chain, from the top down. */
class ChainOpener {
  readonly #core: Core;
  readonly #options: OpenOptions;
  readonly #parents: ParentFinder;
  /** What tells the members apart, so that none comes twice. */
  readonly #members: string[] = [];

  constructor(core: Core, options: OpenOptions) {
    this.#core = core;
    this.#options = options;
    this.#parents = new ParentFinder(core, options);
  }

  async open(input: RandomAccessSource): Promise<VhdxDisk> {
    return this.#openMember(await this.#examine(input));
  }

  async check(input: RandomAccessSource, options: CheckOptions): Promise<CheckReport> {
    return this.#checkMember(await this.#examine(input), options);
  }

  close(): Promise<void> {
    return this.#parents.close();
  }

  async #examine(input: RandomAccessSource): Promise<Candidate> {
    try {
      return { input, examination: await examine(this.#core, input, this.#options.replay ?? 'memory', this.#options) };
    } catch (error) {
      await input.close?.();
      throw error;
    }
  }

  /** Opens a member and those below it; closes its file where that fails. */
  async #openMember({ input, examination }: Candidate): Promise<VhdxDisk> {
    let parent: VhdxDisk | undefined;
    try {
      if (!isComplete(examination)) throw firstFatal(examination);
      this.#enter(input, examination);
      if (this.#options.strict || examination.geometry.batEntries * BAT_ENTRY_SIZE <= MAX_BAT_CHECKED_AT_OPEN) {
        const { findings } = await scanBat(this.#core, translatorImage(examination), this.#options);
        examination.findings.push(...findings);
      }
      parent = await this.#openParent(input, examination);
      if (this.#options.strict) refuseFindings(examination);
      const parts = {
        core: this.#core,
        examination,
        fileSize: input.size,
        name: input.name,
        path: pathOf(input),
        parent,
      };
      return new VhdxDisk(parts);
    } catch (error) {
      await parent?.close();
      await input.close?.();
      throw error;
    }
  }

  async #openParent(input: RandomAccessSource, examination: CompleteExamination): Promise<VhdxDisk | undefined> {
    const { metadata, findings } = examination;
    if (!metadata.hasParent) return undefined;
    if (this.#options.parent === false) {
      findings.push(
        finding('parent-missing', 'the image was opened without its parent', { structure: 'Parent Locator' }),
      );
      return undefined;
    }
    const candidate = await this.#parents.find({ input, examination, depth: this.#members.length });
    const name = candidate.input.name ?? 'the parent';
    if (!isComplete(candidate.examination)) {
      await candidate.input.close?.();
      throw damagedParent(name, firstFatal(candidate.examination));
    }
    const parent = await this.#openMember(candidate);
    const problem = parentProblem(examination, candidate.examination, name);
    if (problem) {
      await parent.close();
      throw problem;
    }
    if (parent.size < metadata.virtualSize) {
      const message = `${name} has ${parent.size} bytes, the child ${metadata.virtualSize}`;
      findings.push(finding('parent-smaller', message, { structure: 'Virtual Disk Size' }));
    }
    return parent;
  }

  async #checkMember({ input, examination }: Candidate, options: CheckOptions): Promise<CheckReport> {
    try {
      const report = await checkExamined(this.#core, examination, input.size, options);
      if (!isComplete(examination) || !examination.metadata.hasParent) return report;
      return await this.#checkParent(report, input, examination, options);
    } finally {
      await input.close?.();
    }
  }

  async #checkParent(
    report: CheckReport,
    input: RandomAccessSource,
    examination: CompleteExamination,
    options: CheckOptions,
  ): Promise<CheckReport> {
    const told = examination.findings.length;
    try {
      this.#enter(input, examination);
      if (this.#options.parent === false)
        throw new VhdxError('parent-missing', 'the parent was not looked for', { structure: 'Parent Locator' });
      const candidate = await this.#parents.find({ input, examination, depth: this.#members.length });
      const problem =
        isComplete(candidate.examination) &&
        parentProblem(examination, candidate.examination, candidate.input.name ?? 'the parent');
      const below = await this.#checkMember(candidate, options);
      if (problem) throw problem;
      const guesses = examination.findings.slice(told);
      return withParent(guesses.reduce(withFinding, report), below);
    } catch (error) {
      if (!(error instanceof VhdxError) || !(error.code in RULES)) throw error;
      const place = { structure: error.structure ?? 'Parent Locator' };
      return withFinding(
        report,
        finding(error.code as RuleCode, error.message.replace(/^Parent Locator: /, ''), place),
      );
    }
  }

  /** Takes an image into the chain. Rejects one that is in it already, and one too many. */
  #enter(input: RandomAccessSource, { header }: CompleteExamination): void {
    const { fileWriteGuid, dataWriteGuid } = header;
    const path = pathOf(input);
    const written = fileWriteGuid !== ZERO_GUID && dataWriteGuid !== ZERO_GUID;
    const identities = [
      ...(path === undefined ? [] : [`path ${path}`]),
      ...(written ? [`guids ${fileWriteGuid} ${dataWriteGuid}`] : []),
    ];
    const name = input.name ?? 'an image';
    const place = { structure: 'Parent Locator' };
    if (identities.some((identity) => this.#members.some((member) => member.split('\n').includes(identity)))) {
      throw VhdxError.from(finding('parent-cycle', `the chain of parents comes back to ${name}`, place));
    }
    this.#members.push(identities.join('\n'));
    if (this.#members.length > MAX_MEMBERS) {
      throw VhdxError.from(finding('parent-depth', `the chain has more than ${MAX_MEMBERS} members`, place));
    }
  }
}

function pathOf(input: RandomAccessSource): string | undefined {
  return 'path' in input && typeof input.path === 'string' ? input.path : undefined;
}

function firstFatal({ findings }: Examination): VhdxError {
  const fatal = findings.find(({ severity }) => severity === 'fatal');
  if (!fatal) throw new Error('an image without a fatal finding did not open');
  return VhdxError.from(fatal);
}

function refuseFindings({ findings }: Examination): void {
  const first = findings.find(({ severity }) => severity !== 'info');
  if (first) throw VhdxError.from(first);
}

function damagedParent(name: string, cause: VhdxError): VhdxError {
  return new VhdxError('parent-damaged', `parent ${name}: ${cause.message}`, {
    structure: cause.structure,
    offset: cause.offset,
    cause,
  });
}

/** Why two images cannot be read as one chain, although the parent is the one that the child names. */
function parentProblem(child: CompleteExamination, parent: CompleteExamination, name: string): VhdxError | undefined {
  const [own, other] = [child.metadata.logicalSectorSize, parent.metadata.logicalSectorSize];
  if (own === other) return undefined;
  const message = `${name} has logical sectors of ${other} bytes, the child of ${own}`;
  return VhdxError.from(finding('parent-sector-size', message, { structure: 'Logical Sector Size' }));
}

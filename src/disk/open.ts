import { MiB } from '../base/units.js';
import { loadCore } from '../core/load.js';
import { VhdxError } from '../errors.js';
import { BAT_ENTRY_SIZE } from '../format/bat.js';
import { hasVhdxSignature } from '../format/file-identifier.js';
import { type Examination, isComplete } from '../image/examine.js';
import { OpenImage } from '../image/open-image.js';
import { openSource, type SourceOptions, type VhdxInput } from '../io/open.js';
import { finding } from '../rules.js';
import { type Candidate, type ChainMember, pathOf } from './candidate.js';
import { Chain, parentFindings } from './chain.js';
import type { CheckOptions, CheckReport } from './check.js';
import { VhdxDisk } from './disk.js';
import type { OpenOptions } from './options.js';

/** A BAT of this many bytes or fewer is checked when the image is opened; a longer one by {@link VhdxDisk.check}. */
const MAX_BAT_CHECKED_AT_OPEN = 1 * MiB;

/**
 * Opens a VHDX image: fixed, dynamic or differencing, clean or dirty. Nothing is written: the log of a dirty image is
 * replayed in memory.
 *
 * @param input a path (Node, Bun, Deno), an http(s) URL, a Blob or File, bytes, or any `RandomAccessSource`
 * @throws VhdxError with the code of the first fatal finding, `parent-missing` and the like where a chain is not whole,
 *   or the code of the input's failure
 */
export async function openVhdx(input: VhdxInput, options: OpenOptions = {}): Promise<VhdxDisk> {
  const chain = new Chain(await loadCore(), options);
  try {
    return await openMember(chain, await chain.examine(await openSource(input, options)));
  } finally {
    await chain.close();
  }
}

/** Tells whether an input begins with the signature of a VHDX file; nothing else is looked at. */
export async function isVhdx(input: VhdxInput, options: SourceOptions = {}): Promise<boolean> {
  const source = await openSource(input, options);
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
  const [core, { checkChain }] = await Promise.all([loadCore(), import('./check-chain.js')]);
  return checkChain(core, await openSource(input, options), options);
}

/** Opens a member of a chain and those below it; closes its file where that fails. */
async function openMember(chain: Chain, { input, examination }: Candidate): Promise<VhdxDisk> {
  const { core, options } = chain;
  let parent: VhdxDisk | undefined;
  let image: OpenImage | undefined;
  try {
    if (!isComplete(examination)) throw firstFatal(examination);
    chain.enter({ input, examination });
    image = new OpenImage(core, examination);
    if (options.strict || examination.geometry.batEntries * BAT_ENTRY_SIZE <= MAX_BAT_CHECKED_AT_OPEN) {
      await image.scanBat(options);
    }
    if (examination.metadata.hasParent) parent = await openParent(chain, { input, examination });
    if (options.strict) refuseFindings(image);
    return new VhdxDisk({ image, fileSize: input.size, name: input.name, path: pathOf(input), parent });
  } catch (error) {
    await parent?.close();
    await image?.close();
    await input.close?.();
    throw error;
  }
}

async function openParent(chain: Chain, child: ChainMember): Promise<VhdxDisk | undefined> {
  const { findings } = child.examination;
  if (chain.options.parent === false) {
    const message = 'the image was opened without its parent';
    findings.push(finding('parent-missing', message, { structure: 'Parent Locator' }));
    return undefined;
  }
  const candidate = await chain.findParent(child);
  const name = candidate.input.name ?? 'the parent';
  if (!isComplete(candidate.examination)) {
    await candidate.input.close?.();
    throw damagedParent(name, firstFatal(candidate.examination));
  }
  const found = parentFindings(child.examination, candidate.examination, name);
  const fatal = found.find(({ severity }) => severity === 'fatal');
  if (fatal) {
    await candidate.input.close?.();
    throw VhdxError.from(fatal);
  }
  findings.push(...found);
  return openMember(chain, candidate);
}

function firstFatal({ findings }: Examination): VhdxError {
  const fatal = findings.find(({ severity }) => severity === 'fatal');
  if (!fatal) throw new Error('an image without a fatal finding did not open');
  return VhdxError.from(fatal);
}

function refuseFindings({ findings }: OpenImage): void {
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

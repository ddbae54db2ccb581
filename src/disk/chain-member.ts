import type { Core } from '../core/instance.js';
import { VhdxError, type VhdxErrorDetails } from '../errors.js';
import { type CompleteExamination, type Examination, isComplete } from '../image/examination.js';
import { examine } from '../image/examine.js';
import type { RandomAccessSource } from '../io/random-access.js';
import type { ChangeBudget } from '../log/plan.js';
import { type Finding, finding } from '../rules.js';
import type { OpenOptions } from './open-options.js';

/** The place of what is wrong between a child and its parent. */
export const LOCATOR = { structure: 'Parent Locator' } as const;

/** A member of a chain as it was found. */
export interface ChainMember {
  /** Its file. */
  readonly source: RandomAccessSource;
  /** What the file says about itself. */
  readonly examination: Examination;
  /** How many members are above it. */
  readonly depth: number;
  /** What is wrong or worth knowing about it and its parent. */
  readonly findings: Finding[];
  /** Why it cannot be read together with its parent; undefined where it can, and where it has or wants none. */
  problem?: VhdxError;
}

/** Closes the files of members. */
export async function closeMembers(members: readonly ChainMember[]): Promise<void> {
  for (const { source } of members) await source.close?.();
}

/** Which member an error is about. The member at the top is not named: it is what the caller opened. */
export function memberDetails(
  { source, depth }: Pick<ChainMember, 'source' | 'depth'>,
  { untrusted }: OpenOptions,
): { depth: number; file?: string | undefined; path?: string | undefined } {
  if (depth === 0) return { depth };
  return { depth, file: source.name ?? `parent ${depth}`, path: untrusted ? undefined : source.path };
}

/** The same error as one about one of several files. What it says about that already stays. */
export function inFile(
  error: VhdxError,
  { file, path, depth }: Pick<VhdxErrorDetails, 'file' | 'path' | 'depth'>,
): VhdxError {
  if (error.file !== undefined && error.depth !== undefined) return error;
  const place = error.file === undefined ? { file, path } : {};
  return placed(error, { ...place, depth: error.depth ?? depth });
}

/** The same error as a child reports it that met it in its parent: about the parent, or about a member below that. */
export function inParent(
  error: VhdxError,
  { name, path }: { readonly name?: string; readonly path?: string },
): VhdxError {
  const place = error.file === undefined ? { file: name ?? 'the parent', path } : {};
  return placed(error, { ...place, depth: (error.depth ?? 0) + 1 });
}

function placed(error: VhdxError, place: VhdxErrorDetails): VhdxError {
  return new VhdxError(error.code, error.reason, { ...error, ...place, cause: error.cause ?? error });
}

/** A member that can be read. */
export interface ReadableMember extends ChainMember {
  readonly examination: CompleteExamination;
  /** Why it is opened without its parent. */
  parentError?: VhdxError;
}

/** Options of a walk. */
export interface WalkOptions extends OpenOptions {
  /** Goes on below a member that does not open, if it still says what its parent is. */
  readonly pastDamage?: boolean;
  /** The member at the top is locked by this process itself. */
  readonly isLocked?: boolean;
}

/** Whether a member has a parent that is to be looked for. One that is to be read alone gets a finding that says so. */
export function wantsParent({ examination, findings }: ChainMember, options: WalkOptions): boolean {
  if (!examination.metadata?.hasParent || !(isComplete(examination) || options.pastDamage)) return false;
  if (options.parent !== false) return true;
  // Nothing is wrong with an image that was to be read alone.
  findings.push(finding('parent-missing', 'the image was opened without its parent', LOCATOR, 'info'));
  return false;
}

/** Examines a file as a member of a chain, and looks meanwhile whether another program, or another part of this one, writes it. */
export async function examineMember(
  core: Core,
  source: RandomAccessSource,
  depth: number,
  options: WalkOptions & { readonly changeBudget: ChangeBudget },
): Promise<ChainMember> {
  const writers = depth === 0 && options.isLocked ? [] : writersOf(source, options.untrusted === true);
  try {
    const examination = await examine(core, source, options.replay ?? 'memory', options);
    return { source, examination, depth, findings: await writers };
  } catch (error) {
    throw error instanceof VhdxError ? inFile(error, memberDetails({ source, depth }, options)) : error;
  }
}

async function writersOf({ path }: RandomAccessSource, anonymous: boolean): Promise<Finding[]> {
  if (path === undefined) return []; // in a page, for instance
  const { writerFindings } = await import('../io/writer-of.js');
  return writerFindings(path, anonymous);
}

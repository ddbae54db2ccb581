import type { Core } from '../core/instance.js';
import { VhdxError } from '../errors.js';
import { givenGuid } from '../format/guid.js';
import { type CompleteExamination, examine, isComplete } from '../image/examine.js';
import { identify } from '../image/identify.js';
import type { RandomAccessSource } from '../io/random-access.js';
import type { ChangeBudget } from '../log/plan.js';
import { type Finding, finding } from '../rules.js';
import { type ChainMember, closeMembers, inFile, LOCATOR, memberDetails } from './chain-member.js';
import { openInput } from './open-input.js';
import type { OpenOptions } from './open-options.js';
import type { ParentFinder } from './parents.js';

/** Members that a chain may have. */
const MAX_MEMBERS = 256;

/** Options of a walk. */
export interface WalkOptions extends OpenOptions {
  /** Goes on below a member that does not open, if it still says what its parent is. */
  readonly pastDamage?: boolean;
}

/**
 * Examines an image and the chain below it, from the top down, as far as it leads. A fault of the format never
 * rejects: it is in the members. The caller closes their sources.
 */
export async function walkChain(core: Core, top: RandomAccessSource, options: WalkOptions): Promise<ChainMember[]> {
  const members: ChainMember[] = [];
  const identities = new Set<string>();
  const changeBudget: ChangeBudget = {};
  let finder: ParentFinder | undefined;
  let source: RandomAccessSource | undefined = top;
  try {
    while (source !== undefined) {
      const child = members.at(-1);
      const member: ChainMember | undefined = await examineMember(core, source, members.length, {
        ...options,
        changeBudget,
      }).catch((error) => keepFailure(child, error, options));
      if (member === undefined) break;
      const unfit = findUnfit(member, identities);
      const problem = child && unfit ? VhdxError.from(unfit, memberDetails(child, options)) : undefined;
      const refused = problem ?? (child && isComplete(member.examination) && finder?.verify(child, member));
      if (child && refused) {
        child.problem = refused;
        break;
      }
      members.push(member);
      source = undefined;
      if (child) relate(child, member, options);
      if (!member.examination.metadata?.hasParent || !(isComplete(member.examination) || options.pastDamage)) break;
      if (options.parent === false) {
        // Nothing is wrong with an image that was to be read alone.
        member.findings.push(finding('parent-missing', 'the image was opened without its parent', LOCATOR, 'info'));
        break;
      }
      finder ??= await parentFinder(core, options);
      const found: RandomAccessSource | VhdxError | undefined = await finder
        .find(member)
        .catch((error) => keepFailure(member, error, options));
      if (found instanceof VhdxError) member.problem = found;
      else source = found;
    }
    return members;
  } catch (error) {
    await closeMembers(members);
    throw error;
  } finally {
    await source?.close?.();
    await finder?.close();
  }
}

/** Few images have a parent, so what looks for one is loaded then. */
async function parentFinder(core: Core, options: OpenOptions): Promise<ParentFinder> {
  const { ParentFinder } = await import('./parents.js');
  const opener = { open: openInput, identify: identify.bind(undefined, core) };
  return new ParentFinder(opener, options);
}

async function examineMember(
  core: Core,
  source: RandomAccessSource,
  depth: number,
  options: OpenOptions & { readonly changeBudget: ChangeBudget },
): Promise<ChainMember> {
  try {
    const examination = await examine(core, source, options.replay ?? 'memory', options);
    return { source, examination, depth, findings: [] };
  } catch (error) {
    throw error instanceof VhdxError ? inFile(error, memberDetails({ source, depth }, options)) : error;
  }
}

/**
 * Keeps why a member has no parent that can be read. Rejects with it unless a part of a chain is enough: it is not about
 * the format of the chain.
 */
function keepFailure(child: ChainMember | undefined, error: unknown, options: OpenOptions): undefined {
  if (!child || !(error instanceof VhdxError) || options.incompleteChain !== 'open') throw error;
  const { file, path, depth } = error;
  child.problem = VhdxError.from(finding('parent-damaged', error.message, LOCATOR), {
    file,
    path,
    depth,
    cause: error,
  });
}

/** Why an image cannot be one more member: it is in the chain already, or the chain is too long. */
function findUnfit({ source, examination, depth }: ChainMember, identities: Set<string>): Finding | undefined {
  const fileWriteGuid = givenGuid(examination.header?.fileWriteGuid);
  const dataWriteGuid = givenGuid(examination.header?.dataWriteGuid);
  const own = [
    ...(source.path === undefined ? [] : [`path ${source.path}`]),
    ...(fileWriteGuid && dataWriteGuid ? [`guids ${fileWriteGuid} ${dataWriteGuid}`] : []),
  ];
  if (own.some((identity) => identities.has(identity))) {
    const message = `the chain of parents comes back to ${source.name ?? 'an image that is in it'}`;
    return finding('parent-cycle', message, LOCATOR);
  }
  for (const identity of own) identities.add(identity);
  if (depth < MAX_MEMBERS) return undefined;
  return finding('parent-depth', `the chain has more than ${MAX_MEMBERS} members`, LOCATOR);
}

/** Finds what is wrong, or worth knowing, between a child and its parent. */
function relate(child: ChainMember, parent: ChainMember, options: OpenOptions): void {
  if (!isComplete(child.examination) || !isComplete(parent.examination)) return;
  const own: CompleteExamination['metadata'] = child.examination.metadata;
  const other: CompleteExamination['metadata'] = parent.examination.metadata;
  const name = options.untrusted ? 'the parent' : (parent.source.name ?? 'the parent');
  if (own.logicalSectorSize !== other.logicalSectorSize) {
    const message = `${name} has logical sectors of ${other.logicalSectorSize} bytes, the child of ${own.logicalSectorSize}`;
    const found = finding('parent-sector-size', message, { structure: 'Logical Sector Size' });
    child.problem = VhdxError.from(found, memberDetails(child, options));
  }
  if (other.virtualSize < own.virtualSize) {
    const message = `${name} has ${other.virtualSize} bytes, the child ${own.virtualSize}`;
    child.findings.push(finding('parent-smaller', message, { structure: 'Virtual Disk Size' }));
  }
}

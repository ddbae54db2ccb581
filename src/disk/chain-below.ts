import type { Core } from '../core/instance.js';
import { VhdxError } from '../errors.js';
import { givenGuid } from '../format/guid.js';
import { type CompleteExamination, isComplete } from '../image/examination.js';
import { identify } from '../image/identify.js';
import { fatalOf } from '../image/refusal.js';
import type { RandomAccessSource } from '../io/random-access.js';
import type { ChangeBudget } from '../log/plan.js';
import { type Finding, finding } from '../rules.js';
import {
  type ChainMember,
  closeMembers,
  examineMember,
  LOCATOR,
  memberDetails,
  type ReadableMember,
  type WalkOptions,
  wantsParent,
} from './chain-member.js';
import { openInput } from './open-input.js';
import type { OpenOptions } from './open-options.js';
import { ParentFinder } from './parents/search.js';

/** Members that a chain may have. */
const MAX_MEMBERS = 256;

/** Goes on below an image that has a parent: what `walkChain` does then. It closes the files that it opened if it rejects. */
export async function walkBelow(
  core: Core,
  top: ChainMember,
  options: WalkOptions & { readonly changeBudget: ChangeBudget },
): Promise<ChainMember[]> {
  const members = [top];
  const identities = new Set<string>();
  findUnfit(top, identities);
  const finder = new ParentFinder({ open: openInput, identify: identify.bind(undefined, core) }, options);
  let source: RandomAccessSource | undefined;
  try {
    for (let child = top; wantsParent(child, options); ) {
      const found: RandomAccessSource | VhdxError | undefined = await finder
        .find(child)
        .catch((error) => keepFailure(child, error, options));
      if (found instanceof VhdxError) child.problem = found;
      if (!found || found instanceof VhdxError) break;
      source = found;
      const member: ChainMember | undefined = await examineMember(core, source, members.length, options).catch(
        (error) => keepFailure(child, error, options),
      );
      if (member === undefined) break;
      const unfit = findUnfit(member, identities);
      const problem = unfit && VhdxError.from(unfit, memberDetails(child, options));
      const refused = problem ?? (isComplete(member.examination) && finder.verify(child, member));
      if (refused) {
        child.problem = refused;
        break;
      }
      members.push(member);
      source = undefined;
      relate(child, member, options);
      child = member;
    }
    return members;
  } catch (error) {
    await closeMembers(members.slice(1));
    throw error;
  } finally {
    await source?.close?.();
    await finder.close();
  }
}

/** The members down to the first one at fault; rejects with what is wrong with that, unless a part of a chain is enough. */
export async function readableMembers(members: ChainMember[], options: OpenOptions): Promise<ReadableMember[]> {
  const readable: ReadableMember[] = [];
  for (const member of members) {
    const { examination } = member;
    const isReadable = isComplete(examination);
    const error = isReadable ? member.problem : unreadable(member, options);
    if (isReadable) readable.push({ ...member, examination });
    if (!error) continue;
    const last = readable.at(-1);
    if (options.incompleteChain !== 'open' || !last) throw error;
    last.parentError = error;
    if (error.finding) last.findings.push({ ...error.finding, severity: 'block' });
    break;
  }
  await closeMembers(members.splice(readable.length));
  const [top, ...parents] = readable;
  for (const parent of parents) top?.findings.push(...assumptionsAbout(parent, options));
  return readable;
}

/** What salvage assumes about a parent, as findings of its child. */
function assumptionsAbout({ source, examination }: ReadableMember, options: OpenOptions): Finding[] {
  const name = options.untrusted ? 'the parent' : (source.name ?? 'the parent');
  const assumed = examination.findings.filter(({ code }) => code.startsWith('salvage-'));
  return assumed.map((found) => ({ ...found, message: `of ${name}: ${found.message}` }));
}

/**
 * Keeps why a member has no parent that can be read. Rejects with it unless a part of a chain is enough: it is not about
 * the format of the chain.
 */
function keepFailure(child: ChainMember, error: unknown, options: OpenOptions): undefined {
  if (!(error instanceof VhdxError) || options.incompleteChain !== 'open') throw error;
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

/** Why a member does not open. */
function unreadable(member: ChainMember, options: OpenOptions): VhdxError {
  const { fatal, advice } = fatalOf(member.examination, options);
  const cause = VhdxError.from(fatal);
  if (member.depth === 0) return VhdxError.from(fatal, { depth: 0, advice });
  const { structure, offset, facts, reason } = cause;
  const place = memberDetails(member, options);
  const details = {
    structure,
    offset,
    facts,
    cause,
    finding: finding('parent-damaged', `${place.path ?? place.file}: ${reason}`, LOCATOR),
  };
  return new VhdxError('parent-damaged', reason, { ...place, ...details, advice });
}

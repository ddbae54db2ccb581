import { type Advice, VhdxError } from '../../errors.js';
import type { Candidate } from '../../image/identify.js';
import { type Finding, finding, type RuleCode } from '../../rules.js';
import { type ChainMember, LOCATOR, memberDetails } from '../chain-member.js';
import type { OpenOptions } from '../open-options.js';

/** To say where the parent is. */
export const NAME_PARENT: Advice = { hint: 'parent', text: 'name its file or its folder with the option parent' };
/** To follow the paths in the image. */
export const FOLLOW_PARENTS: Advice = {
  hint: 'follow-parents',
  text: "followParents: 'anywhere' opens files outside the image's folder",
};
/** To read a parent that is not known to be the right one. */
export const IGNORE_MISMATCH: Advice = {
  hint: 'ignore-parent-mismatch',
  text: 'ignoreParentMismatch reads it all the same, and may give garbage',
};

/** The DataWriteGuids of the parent that a member wants. */
export function linkagesOf({ examination }: ChainMember): readonly string[] {
  return examination.metadata?.parentLocator?.linkages ?? [];
}

/** The keys and values of a member's parent locator. */
export function locatorOf({ examination }: ChainMember): Readonly<Record<string, string>> {
  return examination.metadata?.parentLocator?.entries ?? {};
}

/** What a candidate is called in messages. */
const nameOf = ({ source }: Pick<Candidate, 'source'>): string =>
  source.path ?? source.name ?? 'the file that was handed over';

/** What is known of a candidate that does not fit. */
export function describeCandidate(candidate: Candidate): string {
  if (!candidate.isVhdx) return `${nameOf(candidate)} is no VHDX file with a valid header`;
  return `${nameOf(candidate)} has DataWriteGuid ${candidate.dataWriteGuid ?? 'zero, which means none'}`;
}

/** Nothing says which state of which parent the image was made for. */
export function unverified(child: ChainMember, options: OpenOptions): VhdxError {
  const message = 'there is no readable parent_linkage, so no file can be verified to be the parent';
  return refusal('parent-unverified', child, message, [], [IGNORE_MISMATCH], options);
}

/** The files that are meant have another DataWriteGuid. */
export function mismatch(child: ChainMember, others: readonly Candidate[], options: OpenOptions): VhdxError {
  const message = `the parent must have DataWriteGuid ${linkagesOf(child).join(' or ')}`;
  const attempts = options.untrusted ? [] : [...new Set(others.map(describeCandidate))];
  const sentence = options.untrusted ? `${message}, and the file that was given has another` : message;
  return refusal('parent-mismatch', child, sentence, attempts, [IGNORE_MISMATCH], options);
}

/** No file was found that fits. */
export function missing(
  child: ChainMember,
  attempts: readonly string[],
  followable: boolean,
  options: OpenOptions,
): VhdxError {
  const locator = locatorOf(child);
  const names = ['relative_path', 'volume_path', 'absolute_win32_path'].flatMap((key) => locator[key] ?? []);
  const called = attempts.length === 0 && names.length > 0 ? `; the image calls it ${names[0]}` : '';
  const message = `the parent with DataWriteGuid ${linkagesOf(child).join(' or ') || '(not given)'} was not found${called}`;
  return refusal(
    'parent-missing',
    child,
    message,
    attempts,
    [NAME_PARENT, ...(followable ? [FOLLOW_PARENTS] : [])],
    options,
  );
}

/** What is kept in mind of a parent that was taken because the caller asked for that. */
export function overridden(child: ChainMember, candidate: Candidate, options: OpenOptions): Finding {
  const linkages = linkagesOf(child);
  if (linkages.length === 0) {
    const message = 'there is no readable parent_linkage; the parent was taken unverified, as was asked for';
    return finding('parent-unverified', message, LOCATOR);
  }
  const other = options.untrusted ? 'another was taken' : `${describeCandidate(candidate)} and was taken`;
  const message = `the parent must have DataWriteGuid ${linkages.join(' or ')}; ${other}, as was asked for`;
  return finding('parent-mismatch', message, LOCATOR);
}

function refusal(
  code: RuleCode,
  child: ChainMember,
  message: string,
  attempts: readonly string[],
  advice: readonly Advice[],
  options: OpenOptions,
): VhdxError {
  return new VhdxError(code, `${LOCATOR.structure}: ${message}`, {
    ...memberDetails(child, options),
    ...LOCATOR,
    attempts,
    advice,
    finding: finding(code, [message, ...attempts].join('; '), LOCATOR),
  });
}

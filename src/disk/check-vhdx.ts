import type { Core } from '../core/instance.js';
import { loadCore } from '../core/load.js';
import { type Examination, isComplete } from '../image/examination.js';
import { examine } from '../image/examine.js';
import { describe } from '../image/info.js';
import { OpenImage } from '../image/open-image.js';
import type { VhdxInput } from '../io/open.js';
import { walkChain } from './chain.js';
import { type ChainMember, closeMembers } from './chain-member.js';
import type { CheckOptions, CheckReport } from './check.js';
import { forParents, openInput } from './open-input.js';
import { type OpenOptions, withLimits } from './open-options.js';

/**
 * Checks an image and the chain below it, also one that does not open: what is wrong is in the report and nothing of
 * it is thrown. Reads the metadata and never the payload.
 *
 * @throws VhdxError where the input cannot be read
 */
export async function checkVhdx(input: VhdxInput, wanted: OpenOptions & CheckOptions = {}): Promise<CheckReport> {
  const options = withLimits(wanted);
  const [core, { withParent }] = await Promise.all([loadCore(), import('./check.js')]);
  const members = await walkChain(core, await openInput(input, options), {
    ...(await forParents(input, options)),
    pastDamage: true,
  });
  try {
    const reports: CheckReport[] = [];
    for (const member of members) reports.push(await checkMember(core, member, options));
    return reports.reduceRight((below, report) => withParent(report, below));
  } finally {
    await closeMembers(members);
  }
}

async function checkMember(core: Core, member: ChainMember, options: OpenOptions & CheckOptions): Promise<CheckReport> {
  const { checkImage, reportUnreadable, withPath } = await import('./check.js');
  const { source, examination, problem, findings } = member;
  const path = options.untrusted ? undefined : source.path;
  if (!isComplete(examination)) {
    const again = await salvaged(core, member, options);
    return withPath(await reportUnreadable(examination, again, source.size, options), path);
  }
  const image = new OpenImage(core, examination);
  try {
    const chainFindings = problem?.finding ? [...findings, problem.finding] : findings;
    return withPath(await checkImage(image, describe(examination, source.size), chainFindings, options), path);
  } finally {
    await image.close();
  }
}

/** What an examination with salvage makes of an image that does not open otherwise, if it opens then. */
async function salvaged(
  core: Core,
  { source, examination }: ChainMember,
  options: OpenOptions & CheckOptions,
): Promise<Examination | undefined> {
  const { isSalvageable } = await import('../image/refusal.js');
  if (options.salvage || !isSalvageable(examination)) return undefined;
  const again = await examine(core, source, 'memory', { ...options, salvage: 'unverified' });
  return isComplete(again) ? again : undefined;
}

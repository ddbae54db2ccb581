import type { Core } from '../core/instance.js';
import { VhdxError } from '../errors.js';
import { isComplete } from '../image/examine.js';
import { OpenImage } from '../image/open-image.js';
import type { RandomAccessSource } from '../io/random-access.js';
import { finding, RULES, type RuleCode } from '../rules.js';
import type { Candidate, ChainMember } from './candidate.js';
import { Chain, parentFindings } from './chain.js';
import { type CheckOptions, type CheckReport, checkImage, checkUnreadable, withFinding, withParent } from './check.js';
import type { OpenOptions } from './options.js';

/** Checks an image and the chain below it, and closes them. */
export async function checkChain(
  core: Core,
  input: RandomAccessSource,
  options: OpenOptions & CheckOptions,
): Promise<CheckReport> {
  const chain = new Chain(core, options);
  try {
    return await checkMember(chain, await chain.examine(input), options);
  } finally {
    await chain.close();
  }
}

async function checkMember(chain: Chain, candidate: Candidate, options: CheckOptions): Promise<CheckReport> {
  const { input, examination } = candidate;
  let image: OpenImage | undefined;
  try {
    if (!isComplete(examination)) return await checkUnreadable(examination, input.size, options);
    chain.enter({ input, examination });
    image = new OpenImage(chain.core, examination);
    const report = await checkImage(image, input.size, options);
    if (!examination.metadata.hasParent) return report;
    return await checkParent(chain, report, { input, examination }, options);
  } finally {
    await image?.close();
    await input.close?.();
  }
}

async function checkParent(
  chain: Chain,
  report: CheckReport,
  child: ChainMember,
  options: CheckOptions,
): Promise<CheckReport> {
  const { examination } = child;
  const told = examination.findings.length;
  const structure = 'Parent Locator';
  try {
    if (chain.options.parent === false) {
      throw new VhdxError('parent-missing', 'the parent was not looked for', { structure });
    }
    const parent = await chain.findParent(child);
    const name = parent.input.name ?? 'the parent';
    const problems = isComplete(parent.examination) ? parentFindings(examination, parent.examination, name) : [];
    const below = await checkMember(chain, parent, options);
    return withParent([...examination.findings.slice(told), ...problems].reduce(withFinding, report), below);
  } catch (error) {
    if (!(error instanceof VhdxError) || !(error.code in RULES)) throw error;
    const place = { structure: error.structure ?? structure };
    const message = error.message.replace(/^Parent Locator: /, '');
    return withFinding(report, finding(error.code as RuleCode, message, place));
  }
}

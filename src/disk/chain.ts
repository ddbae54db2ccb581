import type { Core } from '../core/instance.js';
import { VhdxError } from '../errors.js';
import { ZERO_GUID } from '../format/guid.js';
import { type CompleteExamination, examine } from '../image/examine.js';
import type { RandomAccessSource } from '../io/random-access.js';
import type { ChangeBudget } from '../log/plan.js';
import { type Finding, finding } from '../rules.js';
import { type Candidate, type ChainMember, pathOf } from './candidate.js';
import type { OpenOptions } from './options.js';
import type { ParentFinder } from './parents.js';

/** Members that a chain may have. */
const MAX_MEMBERS = 256;

/** The members of one chain, from the top down, as they are found and taken in. */
export class Chain {
  readonly core: Core;
  readonly options: OpenOptions;
  /** What tells the members apart, so that none comes twice. */
  readonly #identities = new Set<string>();
  #members = 0;
  readonly #changeBudget: ChangeBudget = {};
  #parents: ParentFinder | undefined;

  constructor(core: Core, options: OpenOptions) {
    this.core = core;
    this.options = options;
  }

  /** Examines a file, and closes it where that fails. */
  async examine(input: RandomAccessSource): Promise<Candidate> {
    try {
      return {
        input,
        examination: await examine(this.core, input, this.options.replay ?? 'memory', {
          signal: this.options.signal,
          changeBudget: this.#changeBudget,
        }),
      };
    } catch (error) {
      await input.close?.();
      throw error;
    }
  }

  /** Takes an image into the chain. Rejects one that is in it already, and one too many. */
  enter({ input, examination }: ChainMember): void {
    const { fileWriteGuid, dataWriteGuid } = examination.header;
    const path = pathOf(input);
    const written = fileWriteGuid !== ZERO_GUID && dataWriteGuid !== ZERO_GUID;
    const identities = [
      ...(path === undefined ? [] : [`path ${path}`]),
      ...(written ? [`guids ${fileWriteGuid} ${dataWriteGuid}`] : []),
    ];
    const place = { structure: 'Parent Locator' };
    if (identities.some((identity) => this.#identities.has(identity))) {
      const message = `the chain of parents comes back to ${input.name ?? 'an image that is in it'}`;
      throw VhdxError.from(finding('parent-cycle', message, place));
    }
    for (const identity of identities) this.#identities.add(identity);
    this.#members += 1;
    if (this.#members > MAX_MEMBERS) {
      throw VhdxError.from(finding('parent-depth', `the chain has more than ${MAX_MEMBERS} members`, place));
    }
  }

  /** Finds the parent of the member that was taken in last. Rejects where there is none that fits. */
  async findParent(child: ChainMember): Promise<Candidate> {
    if (!this.#parents) {
      const { ParentFinder } = await import('./parents.js'); // few images have a parent
      this.#parents = new ParentFinder(this.options, (input) => this.examine(input));
    }
    return this.#parents.find({ ...child, depth: this.#members });
  }

  /** Closes what was opened and not taken. */
  async close(): Promise<void> {
    await this.#parents?.close();
  }
}

/** What is wrong, or worth knowing, between a child and the parent that it names: a fatal finding where they are no chain. */
export function parentFindings(child: CompleteExamination, parent: CompleteExamination, name: string): Finding[] {
  const [own, other] = [child.metadata, parent.metadata];
  const findings: Finding[] = [];
  if (own.logicalSectorSize !== other.logicalSectorSize) {
    const message = `${name} has logical sectors of ${other.logicalSectorSize} bytes, the child of ${own.logicalSectorSize}`;
    findings.push(finding('parent-sector-size', message, { structure: 'Logical Sector Size' }));
  }
  if (other.virtualSize < own.virtualSize) {
    const message = `${name} has ${other.virtualSize} bytes, the child ${own.virtualSize}`;
    findings.push(finding('parent-smaller', message, { structure: 'Virtual Disk Size' }));
  }
  return findings;
}

import type { CompleteExamination, Examination } from '../image/examine.js';
import type { RandomAccessSource } from '../io/random-access.js';

/** A file that may be a member of a chain, and what it says about itself. */
export interface Candidate {
  readonly input: RandomAccessSource;
  readonly examination: Examination;
}

/** A file that is a member of a chain. */
export interface ChainMember extends Candidate {
  readonly examination: CompleteExamination;
}

/** The path of the file behind a source, where it has one. */
export function pathOf(input: RandomAccessSource): string | undefined {
  return 'path' in input && typeof input.path === 'string' ? input.path : undefined;
}

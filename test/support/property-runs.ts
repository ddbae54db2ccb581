import { inject } from 'vitest';

declare module 'vitest' {
  interface ProvidedContext {
    /** What the numbers of runs of property specs are multiplied by; vitest.config.ts takes it from VHDX_PROPERTY_RUNS. */
    readonly propertyRuns: number;
  }
}

// A worker of the module worker project provides nothing.
const factor: number = (inject('propertyRuns') as number | undefined) ?? 0.1;

/** Whether properties are tried as often, and power cuts made at as many moments, as their specs say, or more often. */
export const isWholeRun = factor >= 1;

/**
 * How often a property is tried: `usual` times, more or fewer when the environment variable VHDX_PROPERTY_RUNS gives
 * a factor (`VHDX_PROPERTY_RUNS=10` before a release, a tenth in `npm run test:quick` and in other engines than Node), and
 * always at least once.
 */
export function propertyRuns(usual: number): { numRuns: number } {
  return { numRuns: Math.max(1, Math.ceil(usual * factor)) };
}

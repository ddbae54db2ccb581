import { inject } from 'vitest';

declare module 'vitest' {
  interface ProvidedContext {
    /** What the numbers of runs of property specs are multiplied by; vitest.config.ts takes it from VHDX_PROPERTY_RUNS. */
    readonly propertyRuns: number;
  }
}

/**
 * How often a property is tried: `usual` times, more or fewer when the environment variable VHDX_PROPERTY_RUNS gives
 * a factor (`VHDX_PROPERTY_RUNS=10` before a release, a tenth in `npm run test:quick`), and always at least once.
 */
export function propertyRuns(usual: number): { numRuns: number } {
  // A worker of the module worker project provides nothing.
  const factor: number | undefined = inject('propertyRuns');
  return { numRuns: Math.max(1, Math.ceil(usual * (factor ?? 1))) };
}

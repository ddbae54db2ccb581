/** Whether `npm run test:quick` runs, which leaves out what is long by its nature. */
const isQuick = globalThis.process?.env['VHDX_QUICK'] !== undefined;

/**
 * What no quick run has: specs that try thousands of moments of some work, which find the same in every engine, and those
 * that start the built command over and over.
 */
export const LONG_SPECS = [
  'test/edit/{*-crash,nth-fault,job-faults}.test.ts',
  'test/disk/check-large.node.test.ts',
  'test/cli/*.node.test.ts',
];

/**
 * How long a spec or a hook may take, in milliseconds, also on a machine that is busy with other work, or whose memory
 * is slow to come: a virtual machine was seen to take 13 µs for each new page, and every program five times as long.
 */
export const TIME_LIMIT = 60_000;

/**
 * What may take longer, and why, in milliseconds: `test(title, SLOW.properties, body)`.
 * `needs(…).test` gives {@link SLOW.programs} by itself; numbers are written nowhere else.
 */
export const SLOW = {
  /** Properties that open and read some hundred generated images; when one fails, finding the smallest takes as long again. */
  properties: { timeout: 120_000 },
  /** Other programs (the built command, QEMU, 7-Zip, Chromium), started often, that may have to wait for a processor. */
  programs: { timeout: 300_000 },
  /** The largest images: tens of millions of BAT entries, a log of a hundred thousand changes. */
  largest: { timeout: 240_000, skip: isQuick },
  /** The package as a whole is built, type-checked, packed, installed or documented. */
  wholePackage: { timeout: 300_000 },
  /** Every content that a power cut can leave of a session that writes: some thousand images a spec. */
  crashes: { timeout: 300_000 },
} as const;

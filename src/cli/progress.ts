import { isatty } from 'node:tty';
import type { Progress } from '../index.js';
import { progressLine, Speed } from './progress-line.js';

/** Milliseconds before a bar appears: short work shows none. */
const DELAY = 500;
/** Characters of a report to what is not a terminal. */
const LINE = 80;
/** Milliseconds between two reports to what is not a terminal. */
const INTERVAL = 2000;

/** The options that choose how much is shown. */
export interface ProgressFlags {
  /** Show no progress and no notes. */
  readonly quiet?: true;
  /** Show progress even if standard error is not a terminal. */
  readonly progress?: true;
}

/**
 * Does work that reports its progress, and shows it as a bar on standard error if that is a terminal or `-p` asks for
 * it. Otherwise the work is not asked to report.
 */
export async function withProgress<T>(
  label: string,
  { quiet, progress }: ProgressFlags,
  work: (onProgress: ((progress: Progress) => void) | undefined) => Promise<T>,
): Promise<T> {
  if (quiet || !(progress || isatty(2))) return work(undefined);
  const { default: cliProgress } = await import('cli-progress');
  const speed = new Speed();
  const bar = new cliProgress.SingleBar({
    // A terminal's last column is left free: some go on to the next line when it is written to.
    format: (_, { value: done, total, maxWidth }) =>
      progressLine({ label, done, total, speed: speed.perSecond }, isatty(2) ? maxWidth - 1 : LINE),
    linewrap: true,
    clearOnComplete: true,
    stream: process.stderr,
    noTTYOutput: progress === true,
    notTTYSchedule: INTERVAL,
  });
  let isWaiting = true;
  let last: Progress | undefined;
  const show = ({ done, total }: Progress): void => (bar.isActive ? bar.update(done) : bar.start(total, done));
  // By a timer and not by the reports: the user waits most for work that reports nothing.
  const timer = setTimeout(() => {
    isWaiting = false;
    if (last) show(last);
  }, DELAY);
  const onProgress = (now: Progress): void => {
    last = now;
    speed.add(now.done, performance.now());
    if (!isWaiting) show(now);
  };
  try {
    return await work(onProgress);
  } finally {
    clearTimeout(timer);
    if (bar.isActive) bar.stop();
  }
}

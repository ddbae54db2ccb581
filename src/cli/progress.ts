import { isatty } from 'node:tty';
import type { Progress } from '../index.js';

/** Milliseconds before a bar appears: short work shows none. */
const PATIENCE = 500;

/**
 * Does some work that tells how far it has come, and shows that as a bar on standard error where that is a terminal.
 * Elsewhere the work is not asked to tell.
 */
export async function withProgress<T>(
  label: string,
  work: (onProgress: ((progress: Progress) => void) | undefined) => Promise<T>,
): Promise<T> {
  if (!isatty(2)) return work(undefined);
  const { default: cliProgress } = await import('cli-progress');
  const format = `${label} [{bar}] {percentage}% | {eta_formatted} left`;
  const bar = new cliProgress.SingleBar({ format, linewrap: true, clearOnComplete: true, stream: process.stderr });
  let patient = true;
  let last: Progress | undefined;
  const show = ({ done, total }: Progress): void => (bar.isActive ? bar.update(done) : bar.start(total, done));
  // By the clock and not by what is told: work that stands still is what people wonder about.
  const timer = setTimeout(() => {
    patient = false;
    if (last) show(last);
  }, PATIENCE);
  const onProgress = (progress: Progress): void => {
    last = progress;
    if (!patient) show(progress);
  };
  try {
    return await work(onProgress);
  } finally {
    clearTimeout(timer);
    if (bar.isActive) bar.stop();
  }
}

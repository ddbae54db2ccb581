import type { FileRange } from '../base/byte-range.js';
import type { Header } from '../format/header.js';
import { overlay } from '../log/overlay.js';
import { planReplay } from '../log/plan.js';
import { finding } from '../rules.js';
import type { Examining } from './examination.js';

/** Replays the log of a dirty image in memory; false, and a fatal finding, if that cannot be done. */
export async function replayDirtyLog(
  { examination, crc, report, options, assume }: Examining,
  header: Header,
  log: FileRange,
): Promise<boolean> {
  const { source } = examination;
  const { maxLogLength = log.length } = options;
  if (log.length > maxLogLength) {
    const message = `the log has ${log.length} bytes, and maxLogLength allows ${maxLogLength}`;
    (assume ? assume.asDoubt(report) : report)(finding('log-too-large', message, log));
    return false;
  }
  const { signal, changeBudget } = options;
  const planOptions = { signal, changeBudget, truncated: assume !== undefined };
  const plan = await planReplay(crc, source, header, log, assume ? assume.asDoubt(report) : report, planOptions);
  if (!plan) return false;
  if (plan.isTruncated) assume?.assumeTruncated(log, report);
  examination.source = overlay(source, plan);
  examination.replay = plan;
  const { entries, dataSectors, zeroedBytes } = plan.summary;
  const count = (number: number, one: string, several: string) => `${number} ${number === 1 ? one : several}`;
  const what = `${count(entries, 'log entry', 'log entries')} replayed in memory: ${count(dataSectors, 'sector', 'sectors')} of 4 KiB written, ${zeroedBytes} bytes zeroed`;
  report(finding('log-replayed', what, log));
  return true;
}

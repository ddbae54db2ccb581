import { Interruption } from './failure.js';

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

/**
 * Does some work that must put things in order before the command ends: the first Ctrl-C gives it up through the
 * signal, with an {@link Interruption} as the reason, and a second one ends the command at once.
 */
export async function interruptible<T>(work: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const controller = new AbortController();
  const listeners = SIGNALS.map((name) => [name, () => controller.abort(new Interruption(name))] as const);
  for (const [name, listener] of listeners) process.once(name, listener);
  try {
    return await work(controller.signal);
  } finally {
    for (const [name, listener] of listeners) process.off(name, listener);
  }
}

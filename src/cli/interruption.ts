const EXIT_CODES = { SIGINT: 130, SIGTERM: 143, SIGHUP: 129 } as const;

/** Somebody pressed Ctrl-C, or asked the command to end in another way. */
export class Interruption extends Error {
  override readonly name = 'Interruption';
  /** 128 and the number of the signal, as shells have it. */
  readonly exitCode: number;

  constructor(signal: keyof typeof EXIT_CODES) {
    super(`interrupted by ${signal}`);
    this.exitCode = EXIT_CODES[signal];
  }
}

/**
 * Does some work that must put things in order before the command ends: the first Ctrl-C gives it up through the
 * signal, with an {@link Interruption} as the reason, and a second one ends the command at once.
 */
export async function interruptible<T>(work: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const controller = new AbortController();
  const names = Object.keys(EXIT_CODES) as (keyof typeof EXIT_CODES)[];
  const listeners = names.map((name) => [name, () => controller.abort(new Interruption(name))] as const);
  for (const [name, listener] of listeners) process.once(name, listener);
  try {
    return await work(controller.signal);
  } finally {
    for (const [name, listener] of listeners) process.off(name, listener);
  }
}

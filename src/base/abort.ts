/** The one listener of a signal, and what it calls. */
interface Listener {
  readonly callbacks: Set<() => void>;
  readonly onAbort: () => void;
}

const listeners = new WeakMap<AbortSignal, Listener>();

/**
 * Calls back when a signal aborts, or at once if it has. However many callbacks wait for one signal, it gets one
 * listener: Node warns of a leak from eleven on.
 *
 * @returns removes the callback, and with the last one the listener
 */
export function whenAborted(signal: AbortSignal | undefined, callback: () => void): () => void {
  if (signal === undefined) return () => {};
  if (signal.aborted) {
    callback();
    return () => {};
  }
  const listener = listeners.get(signal) ?? listen(signal);
  const entry = () => callback(); // the same callback may wait twice
  listener.callbacks.add(entry);
  return () => {
    if (!listener.callbacks.delete(entry) || listener.callbacks.size > 0) return;
    signal.removeEventListener('abort', listener.onAbort);
    listeners.delete(signal);
  };
}

function listen(signal: AbortSignal): Listener {
  const callbacks = new Set<() => void>();
  const onAbort = () => {
    for (const call of callbacks) call();
  };
  const listener = { callbacks, onAbort };
  listeners.set(signal, listener);
  signal.addEventListener('abort', onAbort, { once: true });
  return listener;
}

/**
 * Makes a controller that aborts when a signal does, with its reason, and that can be aborted for other reasons.
 *
 * @returns the controller, and a function that ends the link
 */
export function linkedController(signal: AbortSignal | undefined): {
  controller: AbortController;
  unlink: () => void;
} {
  const controller = new AbortController();
  return { controller, unlink: whenAborted(signal, () => controller.abort(signal?.reason)) };
}

/**
 * Waits for a promise no longer than its signal allows: rejects with the signal's reason as soon as that aborts. The
 * promise goes on afterwards, so it must not write into the caller's memory.
 */
export function untilAborted<T>(promise: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return promise;
  return new Promise<T>((resolve, reject) => {
    const forget = whenAborted(signal, () => reject(signal.reason));
    promise.then(
      (value) => {
        forget();
        resolve(value);
      },
      (error: unknown) => {
        forget();
        reject(error);
      },
    );
  });
}

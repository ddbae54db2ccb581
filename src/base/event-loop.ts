/** Longest time in ms that work goes on before timers, events and painting get their turn. */
const TURN = 20;

const nextTurn = (): Promise<void> =>
  new Promise((resolve) => {
    if (typeof setImmediate === 'function') setImmediate(resolve);
    else setTimeout(resolve);
  });

/**
 * Makes a function to be awaited now and then by long work: where the input is in memory nothing else would ever let
 * the event loop turn, and giving up and painting progress would wait for the end.
 */
export function breather(): () => Promise<void> | undefined {
  let last = performance.now();
  return () => {
    if (performance.now() - last < TURN) return undefined;
    return nextTurn().then(() => {
      last = performance.now();
    });
  };
}

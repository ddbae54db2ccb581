// @ts-check
/** Taking turns, and medians of them: in any engine. */

/** @param {readonly number[]} values */
export function median(values) {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  const [low, high] = [sorted[sorted.length % 2 === 0 ? middle - 1 : middle], sorted[middle]];
  return (Number(low) + Number(high)) / 2;
}

/** What took turns, and what came of it: one figure a round for each. */
export class Runs {
  /** @param {Readonly<Record<string, readonly number[]>>} figures */
  constructor(figures) {
    this.figures = figures;
  }

  /** @param {string} name */
  has(name) {
    return name in this.figures;
  }

  /** @param {string} name */
  all(name) {
    const figures = this.figures[name];
    if (figures === undefined) throw new Error(`${name} did not run`);
    return figures;
  }

  /** @param {string} name */
  median(name) {
    return median(this.all(name));
  }

  /** What one took more than another, round by round. @param {string} a @param {string} b */
  minus(a, b) {
    const others = this.all(b);
    return this.all(a).map((figure, round) => figure - Number(others[round]));
  }

  /**
   * The median of the ratios of two in the same round: what disturbs the machine for longer than a turn disturbs both.
   *
   * @param {string} a
   * @param {string} b
   */
  ratio(a, b) {
    const others = this.all(b);
    return median(this.all(a).map((figure, round) => figure / Number(others[round])));
  }
}

/**
 * Lets several take turns, A B C A B C: each call returns a figure. After `seconds` no round is begun any more,
 * but three are had in any case.
 *
 * @param {Readonly<Record<string, () => number | Promise<number>>>} contestants
 * @param {{ rounds: number, seconds?: number }} limits
 */
export async function takeTurns(contestants, { rounds, seconds = Infinity }) {
  const figures = Object.fromEntries(Object.keys(contestants).map((name) => [name, /** @type {number[]} */ ([])]));
  const start = performance.now();
  for (let round = 0; round < rounds; round++) {
    if (round >= 3 && performance.now() - start > seconds * 1000) break;
    for (const [name, run] of Object.entries(contestants)) figures[name]?.push(await run());
  }
  return new Runs(figures);
}

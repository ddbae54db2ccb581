// @ts-check
/** The rows of the tables: a figure of ours beside one of a peer's, and what one is of the other. */
import { isMet, TARGETS } from './targets.mjs';

/**
 * @typedef {object} Row
 * @property {string} what
 * @property {string} ours
 * @property {string} peer what it is compared with; a floor is no competitor but what cannot be beaten
 * @property {string} theirs
 * @property {string} ratio
 * @property {number} value what the target is about
 * @property {import('./targets.mjs').TargetName} [target]
 * @property {string} [loss] in words, if we lose
 */

/**
 * @typedef {object} Answer
 * @property {string} title
 * @property {string[]} notes
 * @property {Row[]} rows
 * @property {string[]} leftOut what could not be measured, each with its reason
 */

/**
 * @typedef {object} Pairing
 * @property {string} what
 * @property {import('./turns.mjs').Runs} runs of seconds
 * @property {string} ours name of our turn
 * @property {string} theirs name of the peer's turn
 * @property {(seconds: number) => string} [figure] how a time is shown
 * @property {import('./targets.mjs').TargetName | undefined} [target]
 */

/** How many times as fast as a peer. @param {Pairing} pairing @returns {Row} */
export function speedRow({ what, runs, ours, theirs, figure = time, target }) {
  const value = runs.ratio(theirs, ours);
  return {
    what,
    ours: figure(runs.median(ours)),
    peer: theirs,
    theirs: figure(runs.median(theirs)),
    ratio: `${round(value)} × as fast`,
    value,
    ...(target && { target }),
    ...(value < 1 && { loss: `${what}: ${theirs} is ${round(1 / value)} × as fast` }),
  };
}

/** How many times the time of a floor. @param {Pairing} pairing @returns {Row} */
export function floorRow({ what, runs, ours, theirs, figure = time, target }) {
  const value = runs.ratio(ours, theirs);
  return {
    what,
    ours: figure(runs.median(ours)),
    peer: `floor: ${theirs}`,
    theirs: figure(runs.median(theirs)),
    ratio: `${round(value)} × the time`,
    value,
    ...(target && { target }),
    ...(value > 1.02 && { loss: `${what}: ${round(value)} × the time of the floor, ${theirs}` }),
  };
}

/**
 * A row of figures that are no times of rounds.
 *
 * @param {Omit<Row, 'peer' | 'theirs' | 'ratio'> & Partial<Row>} row
 * @returns {Row}
 */
export const plainRow = (row) => ({ peer: '–', theirs: '–', ratio: '–', ...row });

/** Memory beside a peer's, with the medians of both. @param {Pairing} pairing `runs` of bytes @returns {Row} */
export function memoryRow({ what, runs, ours, theirs, target }) {
  const [own, other] = [runs.median(ours), runs.median(theirs)];
  const ratio = own <= other ? `${round(other / own)} × less` : `${round(own / other)} × more`;
  return {
    what,
    ours: megabytes(own),
    peer: theirs,
    theirs: megabytes(other),
    ratio,
    value: own,
    ...(target && { target }),
    ...(own > other && { loss: `${what}: ${round(own / other)} × the memory of ${theirs}` }),
  };
}

/** What a row's target asks for. @param {Row} row */
export const wanted = ({ target }) => (target ? TARGETS[target].text : '');

/** `met`, `missed`, or nothing if nothing was promised. @param {Row} row */
export const verdict = ({ target, value }) => (target ? (isMet(target, value) ? 'met' : '**missed**') : '');

/** @param {number} value */
export const round = (value) => (value >= 100 ? value.toFixed(0) : value >= 10 ? value.toFixed(1) : value.toFixed(2));

/** @param {number} seconds */
export function time(seconds) {
  if (Math.abs(seconds) >= 1) return `${round(seconds)} s`;
  return Math.abs(seconds) >= 1e-3 ? `${round(seconds * 1e3)} ms` : `${round(seconds * 1e6)} µs`;
}

/** @param {number} bytes of what is done in the seconds that the figure is asked for */
export const rate = (bytes) => (/** @type {number} */ seconds) => `${round(bytes / seconds / 1e9)} GB/s`;

/** @param {number} bytes */
export const megabytes = (bytes) => `${round(bytes / 1e6)} MB`;

// @ts-check
/** Turns answers into tables, and all of them into RESULTS.md. */
import { cpus, loadavg, release, totalmem } from 'node:os';
import { verdict, wanted } from './rows.mjs';
import { TARGETS } from './targets.mjs';

/** @typedef {import('./rows.mjs').Answer} Answer */
/** @typedef {import('./rows.mjs').Row} Row */

/** A table as Markdown, its columns lined up so that its source reads well. @param {string[]} head @param {string[][]} body */
function table(head, body) {
  const lines = [head, ...body];
  const widths = head.map((_, column) => Math.max(3, ...lines.map((cells) => Number(cells[column]?.length))));
  const line = (/** @type {string[]} */ cells) =>
    `| ${cells.map((cell, column) => cell.padEnd(Number(widths[column]))).join(' | ')} |`;
  const rule = `|${widths.map((width) => '-'.repeat(width + 2)).join('|')}|`;
  return [line(head), rule, ...body.map(line)].join('\n');
}

/** The table of a question, with what has to be said about it. @param {Answer} answer */
export function questionText({ title, notes, rows, leftOut }) {
  const head = ['', 'ours', 'against', 'theirs', 'ratio', 'target', ''];
  const body = rows.map((row) => [row.what, row.ours, row.peer, row.theirs, row.ratio, wanted(row), verdict(row)]);
  const left = leftOut.map((reason) => `- left out: ${reason}`);
  return [`## ${title}`, ...(rows.length > 0 ? [table(head, body)] : []), left.join('\n'), notes.join('\n\n')]
    .filter((part) => part !== '')
    .join('\n\n');
}

/**
 * What was promised, and what became of it.
 *
 * @param {readonly Answer[]} answers
 * @param {boolean} isWhole whether every question was asked
 */
export function targetsText(answers, isWhole) {
  const rows = answers.flatMap((answer) => answer.rows);
  const body = Object.entries(TARGETS).flatMap(([name, { question, text }]) => {
    const row = rows.find(({ target }) => target === name);
    if (row) return [[question, text, measuredText(row), verdict(row)]];
    return isWhole ? [[question, text, 'could not be measured here: see below', '**open**']] : [];
  });
  return `## Targets\n\n${table(['question', 'target', 'measured', ''], body)}`;
}

/** Why a target is missed, if that is known. @param {Row} row */
function limitText({ target }) {
  /** @type {import('./targets.mjs').Target | undefined} */
  const known = target && TARGETS[target];
  return known?.limit === undefined ? '' : ` ${known.limit}`;
}

/** @param {Row} row */
function measuredText({ ratio, ours, theirs, peer }) {
  if (ratio === '–') return ours;
  return `${ratio} (${ours} against ${theirs} of ${peer})`;
}

/** Where we lose: what was promised and not kept, peers that are faster or smaller, floors that we do not reach. @param {readonly Answer[]} answers */
export function lossesText(answers) {
  const rows = answers.flatMap((answer) => answer.rows);
  const missed = rows.filter((row) => verdict(row).includes('missed'));
  const [peers, floors] = [
    rows.filter((row) => row.loss && !row.peer.startsWith('floor')),
    rows.filter((row) => row.loss && row.peer.startsWith('floor')),
  ];
  const lists = [
    list(
      'Targets that are missed',
      missed.map((row) => `${row.what}: ${measuredText(row)}, wanted ${wanted(row)}.${limitText(row)}`),
    ),
    list(
      'Peers that do it better',
      peers.map(({ loss }) => String(loss)),
    ),
    list(
      'Floors, which cannot be beaten, and what we take on top',
      floors.map(({ loss }) => String(loss)),
    ),
  ];
  return `## Where we lose\n\n${lists.join('\n\n')}`;
}

/** @param {string} title @param {string[]} items */
const list = (title, items) =>
  `${title}:${items.length > 0 ? `\n\n${items.map((item) => `- ${item}`).join('\n')}` : ' none.'}`;

/** The machine, as far as it matters. @param {string} folder where the images were @param {readonly number[]} loadBefore */
export function machineText(folder, loadBefore) {
  const [cpu] = cpus();
  const load = (/** @type {readonly number[]} */ averages) => averages.map((value) => value.toFixed(1)).join(', ');
  return [
    `- ${cpus().length} × ${cpu?.model.trim()}, ${Math.round(totalmem() / 2 ** 30)} GiB of memory, ${process.platform} ${release()} ${process.arch}`,
    `- images in ${folder}`,
    `- load averages before: ${load(loadBefore)}; after: ${load(loadavg())}`,
  ].join('\n');
}

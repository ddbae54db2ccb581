import { jsonHead } from '../../report/dialect.js';
import { Failure } from '../failure.js';
import { writeJson } from '../json.js';
import { writeOut } from '../standard-output.js';
import { displayName, printable } from '../terminal.js';
import { isSame } from './part.js';

/** What was found out about an image of a fleet. */
export interface FleetResult {
  readonly fleet: 'check' | 'checksum';
  readonly shard: { readonly index: number; readonly of: number };
  /** CRC-32C of the list, and number of the image's line in it, from 1 on. */
  readonly list: string;
  readonly line: number;
  readonly filename: string;
  readonly status?: string;
  readonly checksum?: string;
  readonly error?: { readonly message?: string; readonly transient?: true };
}

/** The last line of a part of a fleet. */
export interface FleetEnd {
  readonly fleet: 'check' | 'checksum';
  readonly shard: { readonly index: number; readonly of: number };
  readonly list: string;
  readonly end: true;
  /** How many images the part has, and how many the whole list. */
  readonly images: number;
  readonly all: number;
}

/** A line of a part of a fleet. */
export type FleetLine = FleetResult | FleetEnd;

/** Whether a line is of a fleet. */
export function isFleetLine(line: object): line is FleetLine {
  return 'fleet' in line && (line.fleet === 'check' || line.fleet === 'checksum');
}

const isEnd = (line: FleetLine): line is FleetEnd => 'end' in line;

/** Whether what was found out is that the image is bad. */
export function isBad({ error, status }: FleetResult): boolean {
  return error !== undefined || (status !== undefined && status !== 'sound' && status !== 'repairable');
}

/** Puts the parts of a fleet together, by the order of its list. */
export async function combineFleet(
  given: readonly { readonly from: string; readonly line: FleetLine }[],
  isJson: boolean,
): Promise<void> {
  const { results, ends } = sortOut(given);
  const first = given[0]?.line;
  if (first) checkWhole(results, ends, first.shard.of);
  await report(
    [...results.values()].sort((a, b) => a.line - b.line),
    isJson,
  );
}

/** Results by the line of the list, and ends by the number of the part. */
interface Sorted {
  readonly results: Map<number, FleetResult>;
  readonly ends: Map<number, FleetEnd>;
}

/** Throws a {@link Failure} about the first line that does not go with the others. */
function sortOut(given: readonly { readonly from: string; readonly line: FleetLine }[]): Sorted {
  const sorted: Sorted = { results: new Map(), ends: new Map() };
  for (const { from, line } of given) {
    const { fleet, shard, list } = given[0]?.line ?? line;
    const { index, of } = line.shard;
    const refuse = (what: string) => new Failure(`part ${index} of ${of} ${what}`, { file: from });
    if (line.fleet !== fleet) throw refuse(`is of fleet ${line.fleet}, others are of fleet ${fleet}`);
    if (of !== shard.of) throw refuse(`does not go with parts of ${shard.of}`);
    if (line.list !== list) throw refuse('is of another list');
    const about = isEnd(line) ? '' : ` about ${displayName(line.filename)}`;
    const before = isEnd(line) ? sorted.ends.get(index) : sorted.results.get(line.line);
    if (before && !isSame(before, line)) throw refuse(`is there twice, and differs${about}`);
    if (isEnd(line)) sorted.ends.set(index, line);
    else sorted.results.set(line.line, line);
  }
  return sorted;
}

/** Throws a {@link Failure} if a part or an image is missing. */
function checkWhole(results: Sorted['results'], ends: Sorted['ends'], of: number): void {
  const counts = new Map<number, number>();
  for (const { shard } of results.values()) counts.set(shard.index, (counts.get(shard.index) ?? 0) + 1);
  let all = 0;
  for (let index = 0; index < of; index++) {
    const end = ends.get(index);
    const count = counts.get(index) ?? 0;
    if (!end) throw new Failure(`part ${index} of ${of} is missing or cut`);
    if (end.images !== count)
      throw new Failure(`part ${index} of ${of} has ${count} images, and should have ${end.images}`);
    all = end.all;
  }
  if (results.size !== all) throw new Failure(`the parts have ${results.size} images, the list has ${all}`);
}

async function report(images: readonly FleetResult[], isJson: boolean): Promise<void> {
  const bad = images.filter(isBad);
  if (bad.length > 0) process.exitCode = 1;
  if (isJson) return writeJson({ ...jsonHead(), images: images.map(resultOf) });
  const lines = images.map(({ filename, status, checksum, error }) => {
    const result = error ? `error: ${error.message}` : (checksum ?? status);
    return `${printable(String(result))}  ${printable(displayName(filename))}\n`;
  });
  await writeOut(`${lines.join('')}${images.length} images, ${bad.length} bad\n`);
}

/** What is known of an image, without what its part was. */
function resultOf({ shard: _, list: __, ...result }: FleetResult): object {
  return result;
}

import { type DiskInfo, openVhdx } from '../../src/index.js';
import type { Candidate, Input, MissingParent } from '../protocol.js';

/** The DataWriteGuids that the parent of an image may have; none if it has no parent. */
function linkagesOf(info: DiskInfo): string[] {
  if (info.type !== 'differencing') return [];
  const { parent_linkage, parent_linkage2 } = info.parentLocator ?? {};
  const guids = [parent_linkage, parent_linkage2].flatMap((text) =>
    text ? [text.toLowerCase().replace(/[{}]/g, '')] : [],
  );
  return guids.filter((guid) => !/^[0-]+$/.test(guid)); // the zero GUID means none
}

/** How many of the images lie below one, as far as their linkages lead; an image that leads back to itself counts once. */
function depthBelow(start: number, images: readonly Candidate[]): number {
  const seen = new Set([start]);
  let current = images[start]?.info;
  while (current) {
    const linkages = linkagesOf(current);
    const next = images.findIndex(
      ({ info }, i) => !seen.has(i) && info && linkages.includes(info.header.dataWriteGuid),
    );
    if (next < 0) break;
    seen.add(next);
    current = images[next]?.info;
  }
  return seen.size - 1;
}

/**
 * Which of the files that were handed over together is the one that is meant: the image that no other names as its
 * parent. Of several, the one with the longest chain, and then the first.
 */
export function chooseSubject(images: readonly Candidate[]): number {
  const isParent = (guid: string, self: number) =>
    images.some(({ info }, i) => i !== self && info !== undefined && linkagesOf(info).includes(guid));
  const opening = [...images.keys()].filter((i) => images[i]?.info !== undefined);
  const tops = opening.filter((i) => !isParent(images[i]?.info?.header.dataWriteGuid ?? '', i));
  const eligible = tops.length > 0 ? tops : opening;
  const depths = eligible.map((i) => depthBelow(i, images));
  return eligible[depths.indexOf(Math.max(...depths))] ?? 0;
}

/** What to call an input. */
export function nameOf(input: Input): string {
  if (typeof input !== 'string') return input.name;
  const path = input.split(/[?#]/)[0] ?? input;
  const last = path.split('/').pop() ?? '';
  try {
    return decodeURIComponent(last) || input;
  } catch {
    return last;
  }
}

/** Looks at each input by itself. What does not open is listed without its info. */
export async function survey(inputs: readonly Input[], signal: AbortSignal): Promise<Candidate[]> {
  const candidates: Candidate[] = [];
  for (const input of inputs) {
    const name = nameOf(input);
    try {
      const disk = await openVhdx(input, { parent: false, signal });
      candidates.push({ name, info: disk.info });
      await disk.close();
    } catch {
      // Why, is reported if it is the one that is to be shown.
      signal.throwIfAborted();
      candidates.push({ name });
    }
  }
  return candidates;
}

/** Says what a chain lacks: which parent of which member, and why none of the other files is it. */
export function missingParent(child: Candidate, others: readonly Candidate[]): MissingParent | undefined {
  if (child.info?.type !== 'differencing') return undefined;
  const linkages = linkagesOf(child.info);
  const parent = others.find(({ info }) => info && linkages.includes(info.header.dataWriteGuid));
  const rest = others.filter((other) => other !== parent);
  // It is there: what is missing is further down.
  if (parent) return missingParent(parent, rest);
  const locator = child.info.parentLocator ?? {};
  const path = locator['relative_path'] ?? locator['absolute_win32_path'] ?? locator['volume_path'];
  const name = path?.split(/[\\/]/).findLast((part) => part !== '');
  const called = name === undefined ? 'a parent whose name it does not say' : `the parent ${name}`;
  return { name, sentence: `${child.name} holds only what differs from ${called}${whyNot(name, rest)}` };
}

/** Why none of the other files is the parent, and what to do; the end of a sentence. */
function whyNot(parentName: string | undefined, others: readonly Candidate[]): string {
  const namesake = others.find(({ name }) => name.toLowerCase() === parentName?.toLowerCase());
  if (namesake?.info) {
    return `. The ${namesake.name} that you added is another disk, or was changed after the child was made: together they would give garbage.`;
  }
  if (namesake) return `. The ${namesake.name} that you added does not open.`;
  if (others.length === 0) return ': add that file to see the whole disk.';
  const [only] = others.length === 1 ? others : [];
  const none = only ? `${only.name} is another one` : `None of the ${others.length} other files is that one`;
  return `. ${none}: add the parent to see the whole disk.`;
}

import type { CrashState } from './crash-states.js';
import { PAGE_SIZE, pageFingerprint } from './page-image.js';
import type { StateBat } from './state-bat.js';
import { activeSequence, entryGuidAt, type LoggedChange, type LogPlace, readLogEntries } from './state-log.js';
import type { StateView } from './state-reader.js';

/** What a power cut can meet, and what each of these makes special about a state. */
export const FEATURES = {
  'the first entry, which no header names yet': 'W12',
  'a log that one header names and the other does not': 'W12, W13',
  'a log that the current header has cleared and the other has not': 'W13',
  'the end of the ring: the next lap has its first entry, and no header names it': 'W25, W25b',
  'two headers with different LogGuids': 'W25b',
  'entries of the same LogGuid before the Tail': 'W23, W24',
  'free space that an older entry of the log writes to': 'W27',
  'pages that are in the log and not in their places': 'W26',
  'a log entry that is torn': 'W21',
  'payload that is torn': 'W34',
  'a length that was lost': 'W39',
  'space of one block that another one has now': 'W38',
  'bits of an earlier life of a block': 'W44',
  'a session that was refused space': 'W41',
  'a differencing disk': 'W42',
  'a header that is damaged besides': 'W9, I9',
  'a merge, in the image above the base': 'W62',
  'a merge, in the base': 'W62, W63',
  'a merge that is run again after a power cut': 'W62b',
  'a rebase': 'W76, W77',
  'a resize': 'W56 to W59, W61',
  'a resize with a BAT that moves': 'W60',
  'a compact': 'W34, W38',
  'a resize that is run again after a power cut': 'I8',
  'a compact that is run again after a power cut': 'I8',
  'a crash during or after the recovery from another one': 'W50',
  'a crash during or after the recovery from a second one': 'W50',
} as const;

export type Feature = keyof typeof FEATURES;

/** Counts states, distinct ones, and those with each feature. */
export class Tally {
  /** States that were checked; one is checked again if it has to show something else at a later point. */
  checked = 0;
  readonly #distinct = new Set<number>();
  readonly #counts = new Map<Feature, number>();

  /** Counts a state by its fingerprint. */
  add(fingerprint: number): void {
    this.checked += 1;
    this.#distinct.add(fingerprint);
  }

  count(feature: Feature): void {
    this.#counts.set(feature, this.of(feature) + 1);
  }

  /** States with a feature. */
  of(feature: Feature): number {
    return this.#counts.get(feature) ?? 0;
  }

  /** Different contents of files among the states. */
  get distinct(): number {
    return this.#distinct.size;
  }

  /** A line for each feature, with the rules of the writer's guide that it is about. */
  lines(features: readonly Feature[]): string[] {
    return features.map((feature) => `${String(this.of(feature)).padStart(9)}  ${feature} (${FEATURES[feature]})`);
  }
}

const MiB = 2 ** 20;
const ZERO_GUID = '00000000-0000-0000-0000-000000000000';

/** Looks for the features of the states of one walk along a trace. */
export class FeatureFinder {
  readonly #tally: Tally;
  /** The block that a place in the file had first. */
  readonly #owners = new Map<number, number>();
  /** Whether the space of a block was another's before. */
  readonly #reuses = new WeakMap<StateBat, boolean>();
  readonly #staleBits = new WeakMap<StateBat, WeakMap<Uint8Array, boolean>>();
  readonly #always: Feature[] = [];

  /** @param always features of all states of the walk */
  constructor(tally: Tally, always: readonly Feature[]) {
    this.#tally = tally;
    this.#always = [...always];
  }

  /** From here on all states have a feature. */
  always(feature: Feature): void {
    if (!this.#always.includes(feature)) this.#always.push(feature);
  }

  /** Counts the features of a state. */
  look(state: CrashState, view: StateView): void {
    const count = (condition: boolean, feature: Feature) => {
      if (condition) this.#tally.count(feature);
    };
    for (const feature of this.#always) this.#tally.count(feature);
    const { header, headers, bat } = view;
    const log = { offset: header.logOffset, length: header.logLength, guid: header.logGuid };
    const guids = headers.map(({ logGuid }) => logGuid);
    const isClean = guids.every((guid) => guid === ZERO_GUID);
    const isNew = this.#beginsWithUnnamedEntry(state, log, guids);
    count(isNew && isClean, 'the first entry, which no header names yet');
    count(isNew && !isClean, 'the end of the ring: the next lap has its first entry, and no header names it');
    if (headers.length === 2 && guids[0] !== guids[1]) {
      const [current, other] = guids;
      count(other === ZERO_GUID, 'a log that one header names and the other does not');
      count(current === ZERO_GUID, 'a log that the current header has cleared and the other has not');
      count(current !== ZERO_GUID && other !== ZERO_GUID, 'two headers with different LogGuids');
    }
    if (view.dirty) this.#lookAtLog(state, view, log);
    const { torn } = state;
    if (torn !== undefined) {
      const isInLog = torn.offset >= log.offset && torn.offset < log.offset + log.length;
      count(isInLog, 'a log entry that is torn');
      count(torn.offset > log.offset + log.length && torn.length > PAGE_SIZE, 'payload that is torn');
    }
    count(state.lostLength, 'a length that was lost');
    count(this.#isReuse(bat), 'space of one block that another one has now');
    count(this.#hasStaleBits(view), 'bits of an earlier life of a block');
    count(view.metadata.hasParent, 'a differencing disk');
  }

  /** Whether the ring begins with an empty entry, the only one of its LogGuid, which is in no header. */
  #beginsWithUnnamedEntry({ image }: CrashState, log: LogPlace, guids: readonly string[]): boolean {
    const guid = entryGuidAt(image, log.offset);
    if (guid === undefined || guids.includes(guid)) return false;
    const entries = readLogEntries(image, { ...log, guid });
    return entries.size === 1 && entries.get(0)?.changes.length === 0;
  }

  #lookAtLog({ image }: CrashState, { bat, regions }: StateView, log: LogPlace): void {
    const entries = readLogEntries(image, log);
    const sequence = activeSequence(image, log);
    if (entries.size > sequence.length) this.#tally.count('entries of the same LogGuid before the Tail');
    const isMissing = sequence.some(({ changes }) =>
      changes.some(({ offset, page }) => {
        return page !== undefined && pageFingerprint(page) !== pageFingerprint(image.page(offset / PAGE_SIZE));
      }),
    );
    if (isMissing) this.#tally.count('pages that are in the log and not in their places');
    const isOwned = (at: number) =>
      [...regions, ...bat.owned].some(({ offset, length }) => at >= offset && at < offset + length);
    const isFree = ({ offset }: LoggedChange) => offset >= MiB && !isOwned(offset);
    if ([...entries.values()].some(({ changes }) => changes.some(isFree))) {
      this.#tally.count('free space that an older entry of the log writes to');
    }
  }

  #isReuse(bat: StateBat): boolean {
    let isReuse = this.#reuses.get(bat);
    if (isReuse === undefined) {
      isReuse = false;
      for (const block of bat.present) {
        const { offset } = bat.block(block);
        const owner = this.#owners.get(offset) ?? block;
        this.#owners.set(offset, owner);
        if (owner !== block) isReuse = true;
      }
      this.#reuses.set(bat, isReuse);
    }
    return isReuse;
  }

  #hasStaleBits({ bat, metadata, image }: StateView): boolean {
    if (!metadata.hasParent) return false;
    let at: number;
    try {
      at = bat.bitOffset(0);
    } catch {
      return false; // no bitmap in the first chunk
    }
    const page = image.page(at / PAGE_SIZE);
    const byPage = this.#staleBits.get(bat) ?? new WeakMap<Uint8Array, boolean>();
    this.#staleBits.set(bat, byPage);
    let isStale = byPage.get(page);
    if (isStale === undefined) {
      const length = metadata.blockSize / metadata.logicalSectorSize / 8;
      isStale = false;
      for (let block = 0; block < bat.blocks && (block + 1) * length <= PAGE_SIZE; block++) {
        if (bat.block(block).state === 7) continue;
        if (page.subarray(block * length, (block + 1) * length).some((byte) => byte !== 0)) isStale = true;
      }
      byPage.set(page, isStale);
    }
    return isStale;
  }
}

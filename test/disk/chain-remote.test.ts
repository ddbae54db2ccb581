// Chains on servers: what each of them gets to know.
import { describe, expect, test } from 'vitest';
import {
  checkVhdx,
  createVhdx,
  memoryFile,
  openDisk,
  openSource,
  openVhdx,
  type ParentRequest,
} from '../../src/index.js';
import { pattern } from '../support/block-content.js';
import { chainOf } from '../support/chain-files.js';
import { expectContent } from '../support/expect-opening.js';
import { STATE } from '../support/image-spec.js';

const present = (seed: number) => ({ state: STATE.fullyPresent, data: pattern(seed) });
const { files, model } = chainOf({ blocks: { 0: present(1), 3: present(2) } }, { blocks: { 1: present(3) } });
const [child, base] = files;
const CHILD = 'https://images.example/vm/child.avhdx';

/** Servers that have the child, and at any other address the base; and what they were asked with. */
function servers() {
  const seen = new Map<string, Headers>();
  const fetch = async (input: string | URL | Request, init: RequestInit = {}): Promise<Response> => {
    const file = String(input) === CHILD ? child : base;
    if (!file) throw new Error('there are two');
    const headers = new Headers(init.headers);
    seen.set(String(input), headers);
    const [, first, last] = /^bytes=(\d+)-(\d+)$/.exec(headers.get('range') ?? '') ?? [];
    const from = Number(first);
    const bytes = file.read(from, Math.min(Number(last) + 1, file.size) - from);
    const range = `bytes ${from}-${from + bytes.length - 1}/${file.size}`;
    return new Response(Uint8Array.from(bytes), { status: 206, headers: { 'content-range': range, etag: '"1"' } });
  };
  const headers = { Authorization: 'Bearer secret', 'X-Api-Key': 'secret', 'Accept-Language': 'de' };
  return { seen, http: { fetch, headers } };
}

const isTold = (headers: Headers | undefined) => [...(headers?.values() ?? [])].join().includes('secret');

describe('the headers of a remote child', () => {
  test('go to a parent on the same server, wherever it is there', async () => {
    const { seen, http } = servers();
    const disk = await openVhdx(CHILD, { http, parent: 'https://images.example/base.vhdx' });
    await expectContent(disk, model);
    expect([...seen.values()].map(isTold)).toEqual([true, true]);
  });

  test.each<[string, string]>([
    ['another host', 'https://elsewhere.example/base.vhdx'],
    ['another port', 'https://images.example:8443/base.vhdx'],
    ['the same host without encryption', 'http://images.example/base.vhdx'],
  ])('do not go to %s, on whichever route the parent came', async (_, place) => {
    const locatorSays = ({ depth }: ParentRequest) => (depth === 1 ? place : undefined);
    for (const parent of [place, [place], new URL(place), locatorSays]) {
      for (const open of [
        async (http: object) => (await openVhdx(CHILD, { http, parent })).close(),
        async (http: object) => (await openDisk(CHILD, { http, parent })).close(),
        async (http: object) => checkVhdx(new URL(CHILD), { http, parent }),
        async (http: object) =>
          createVhdx(memoryFile(), { parent: CHILD, parentPath: 'x', parentOptions: { http, parent } }),
      ]) {
        const { seen, http } = servers();
        await open(http);
        expect(isTold(seen.get(CHILD))).toBe(true);
        expect(seen.get(place)?.get('accept-language')).toBe('de');
        expect(isTold(seen.get(place))).toBe(false);
      }
    }
  });

  test('may be other ones for the parent, which is handed over as a source', async () => {
    const { seen, http } = servers();
    const place = 'https://elsewhere.example/base.vhdx';
    const parent = await openSource(place, { http: { ...http, headers: { Authorization: 'of the parent' } } });
    const disk = await openVhdx(CHILD, { http, parent });
    await expectContent(disk, model);
    expect(seen.get(place)?.get('authorization')).toBe('of the parent');
  });

  test('of a child that is no address are for its parents', async () => {
    const { seen, http } = servers();
    const place = 'https://elsewhere.example/base.vhdx';
    await expectContent(await openVhdx(child.source(), { http, parent: place }), model);
    expect(isTold(seen.get(place))).toBe(true);
  });
});

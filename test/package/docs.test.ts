import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { run } from '../support/tools.js';
import { root } from './module-graph.js';

const site = join(root, 'build/docs');

/** The pages of the site, as paths from its root. */
const pages = () =>
  readdirSync(site, { recursive: true })
    .map(String)
    .filter((name) => name.endsWith('.html'));

/** Where the links, pictures and scripts of a page lead to inside the site and find nothing. */
function brokenLinks(name: string): string[] {
  const text = readFileSync(join(site, name), 'utf8');
  const targets = [...text.matchAll(/ (?:href|src)="([^"#?]+)[^"]*"/g)].map(([, target = '']) => target);
  return targets
    .filter((target) => !/^[a-z]+:/.test(target))
    .filter((target) => !existsSync(join(site, dirname(name), decodeURIComponent(target))))
    .map((target) => `${name} → ${target}`);
}

describe('the documentation site', () => {
  beforeAll(async () => {
    const { status, stdout, stderr } = await run(process.execPath, ['scripts/docs.mjs'], { cwd: root });
    if (status !== 0) throw new Error(stdout + stderr);
  });

  test('is made without a warning, and every link in it leads somewhere', () => {
    expect(pages().flatMap(brokenLinks)).toEqual([]);
    expect(pages()).toEqual(
      expect.arrayContaining([
        'index.html',
        'functions/vhdx.openVhdx.html',
        'functions/vhdx_volumes.readPartitionTable.html',
        'functions/vhdx_nbd.serveNbd.html',
      ]),
    );
  });

  test('has every page of the guide', () => {
    const titles = readdirSync(join(root, 'docs/guide')).map((name) => {
      return /^title: (.*)$/m.exec(readFileSync(join(root, 'docs/guide', name), 'utf8'))?.[1] ?? name;
    });
    const home = readFileSync(join(site, 'index.html'), 'utf8');
    expect(titles.filter((title) => !home.includes(`>${title}</a>`))).toEqual([]);
    expect(titles.length).toBeGreaterThan(8);
  });

  test('has every rule', async () => {
    const { RULES } = await import('../../src/rules.js');
    const page = readFileSync(join(site, 'documents/All_rules.html'), 'utf8');
    expect(Object.keys(RULES).filter((code) => !page.includes(`<code>${code}</code>`))).toEqual([]);
  });
});

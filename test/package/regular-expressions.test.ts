// A regular expression that may begin anywhere and repeats something takes quadratic time on a text made for it.
import ts from 'typescript';
import { expect, test } from 'vitest';
import { readModules } from './module-graph.js';

/** Patterns that repeat something without being tied to the start of the text, and why each is linear. */
const LINEAR = new Map([['/\\0.*$/s', 'the first NUL takes all that follows']]);

/** The regular expressions of a source text that repeat something without limit and are not tied to its start. */
function untied(path: string, text: string): string[] {
  const found: string[] = [];
  const visit = (node: ts.Node): void => {
    if (ts.isRegularExpressionLiteral(node)) {
      const literal = node.getText();
      // A repetition at the very end takes what it can and never goes back.
      const outsideClasses = literal.replace(/\\.|\[(?:\\.|[^\]\\])*\]/g, 'x').replace(/[*+]\/[a-z]*$/, '/');
      if (/[*+]|\{\d+,\}/.test(outsideClasses) && !outsideClasses.startsWith('/^') && !LINEAR.has(literal)) {
        found.push(`${path}: ${literal}`);
      }
    }
    ts.forEachChild(node, visit);
  };
  visit(ts.createSourceFile(path, text, ts.ScriptTarget.Latest, true));
  return found;
}

test('no regular expression of the library can take quadratic time', () => {
  expect([...readModules('src')].flatMap(([path, { text }]) => untied(path, text))).toEqual([]);
});

test('one that can would be found', () => {
  const text =
    'a.replace(/\\0+$/, ""); b.split(/[\\\\/]/); c.replace(/\\s*\\n\\s*/g, " ").replace(/\\s+/g, " "); /^\\d+$/.test(d); /\\+/.test(e)';
  expect(untied('x.ts', text)).toEqual(['x.ts: /\\0+$/', 'x.ts: /\\s*\\n\\s*/g']);
});

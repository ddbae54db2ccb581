import { join } from 'node:path';
import ts from 'typescript';
import { describe, expect, test } from 'vitest';
import { readModules, root } from './module-graph.js';

const paths = [...readModules('src').keys()].filter((path) => !path.includes('.generated.'));
const config = ts.readConfigFile(join(root, 'tsconfig.json'), ts.sys.readFile).config;
const program = ts.createProgram({
  rootNames: paths.map((path) => join(root, path)),
  options: ts.convertCompilerOptionsFromJson(config.compilerOptions, root).options,
});
const checker = program.getTypeChecker();

/** The file of a path from the root, parsed. */
function parsed(path: string): ts.SourceFile {
  const file = program.getSourceFile(join(root, path));
  if (file === undefined) throw new Error(`${path} is not there`);
  return file;
}

const beginsWithSentence = (text: string) => /^[A-Z0-9`'"“([][\s\S]*?[.:?!)](\s|$)/.test(text);

const isDocumented = (symbol: ts.Symbol) =>
  beginsWithSentence(ts.displayPartsToString(symbol.getDocumentationComment(checker)));

function exportsOf(path: string): ts.Symbol[] {
  const module = checker.getSymbolAtLocation(parsed(path));
  return module === undefined ? [] : checker.getExportsOfModule(module);
}

/** The exports that a file declares, without those that it hands on from another. */
const declaredExports = (path: string) =>
  exportsOf(path).filter((symbol) => (symbol.flags & ts.SymbolFlags.Alias) === 0);

/**
 * The members of an exported class or interface that need words: those that users see, but neither what overrides
 * a documented member nor what a well-known symbol names.
 */
function publicMembers(symbol: ts.Symbol): ts.Symbol[] {
  const hidden = ts.ModifierFlags.Private | ts.ModifierFlags.Override;
  const isInternal = (member: ts.Node) => ts.getJSDocTags(member).some(({ tagName }) => tagName.text === 'internal');
  return (symbol.declarations ?? [])
    .flatMap((node): ts.NamedDeclaration[] =>
      ts.isClassDeclaration(node) || ts.isInterfaceDeclaration(node) ? [...node.members] : [],
    )
    .filter((member) => (ts.getCombinedModifierFlags(member) & hidden) === 0 && !isInternal(member))
    .flatMap(({ name }) => (name && ts.isIdentifier(name) && checker.getSymbolAtLocation(name)) || []);
}

/** The targets of `{@link …}` in and under a node that lead nowhere. */
function brokenLinks(node: ts.Node): string[] {
  const isBroken = ts.isJSDocLink(node) && node.name && checker.getSymbolAtLocation(node.name) === undefined;
  return [...(isBroken ? [node.getText()] : []), ...node.getChildren().flatMap(brokenLinks)];
}

describe('a docblock', () => {
  test('is before every export and begins with a full sentence', () => {
    const missing = paths.flatMap((path) =>
      declaredExports(path)
        .filter((symbol) => !isDocumented(symbol))
        .map(({ name }) => `${path}: ${name}`),
    );
    expect(missing).toEqual([]);
  });

  test('is before every member that users of the package see', () => {
    const missing = exportsOf('src/index.ts')
      .map((symbol) => (symbol.flags & ts.SymbolFlags.Alias ? checker.getAliasedSymbol(symbol) : symbol))
      .flatMap((symbol) => publicMembers(symbol).map((member) => ({ of: symbol.name, member })))
      .filter(({ member }) => !isDocumented(member))
      .map(({ of, member }) => `${of}.${member.name}`);
    expect(missing).toEqual([]);
  });

  test('links to what exists', () => {
    expect(paths.flatMap((path) => brokenLinks(parsed(path)).map((link) => `${path}: ${link}`))).toEqual([]);
  });
});

describe('a full sentence', () => {
  test.each(['Reads the BAT.', '`offset` in bytes. More.', '0 to 3: what is left.', 'Two\nlines.'])('is %j', (text) => {
    expect(beginsWithSentence(text)).toBe(true);
  });

  test.each(['', 'reads the BAT.', 'Reads the BAT', '- a list.'])('is not %j', (text) => {
    expect(beginsWithSentence(text)).toBe(false);
  });
});

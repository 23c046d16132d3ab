/**
 * Exports read from text: TypeScript, ES modules, and CommonJS by hand and by compilers.
 */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import ts from 'typescript';
import { lexExports, prepareLexers } from '../../lib/spec/exports';

describe('lexExports', () => {
  before(prepareLexers);

  const names = (source: string, file = 'a.ts'): readonly string[] => [...lexExports(source, file).names].sort();

  const told: Record<string, readonly [source: string, names: readonly string[]]> = {
    'a default function': ['export default async function hello(ctx: Ctx): Promise<void> {}', ['default']],
    'a default expression with satisfies': ['export default (async (ctx) => 1) satisfies Fn;', ['default']],
    'named functions and generators': ['export async function a() {}\nexport function* b() {}', ['a', 'b']],
    'arrow functions with generics': ['export const f = async <T extends A<B>,>(ctx: C, x: T): Promise<T> => x;', ['f']],
    'a function of a declared type': ['export const f: (ctx: C) => Promise<void> = async () => {};', ['f']],
    'destructured exports': ['export const { a, b: c } = make();\nexport const [d] = list;', ['a', 'c', 'd']],
    'overloads once': ['export function f(a: string): void;\nexport function f(a: number): void;\nexport function f(a: unknown) {}', ['f']],
    'an export list with names of its own': ['const a = f(), b = f();\nexport { a as x, b as default };', ['default', 'x']],
    'what another file is re-exported for': ["export { a, type B } from './x';\nexport { default as c } from './y';", ['a', 'c']],
    'an array, which may be composed into a function': ['export const f = [a, b].reduce(compose);', ['f']],
    'export = of TypeScript': ["import x = require('x');\nexport = async (ctx: C) => x(ctx);", ['default']],
    'CommonJS in TypeScript': ['module.exports = async (ctx) => {};', ['default']],
  };
  for (const [title, [source, expected]] of Object.entries(told)) {
    it(`tells ${title}`, () => assert.deepEqual(names(source), expected));
  }

  const notFunctions: Record<string, string> = {
    types: 'export type A = { a: 1 };\nexport interface B<T> { c(): void }\nexport default interface D {}',
    'type lists': "import type { A } from 'a';\nexport type { A };\nexport { type B } from 'b';\nexport type * from 'c';",
    enums: 'export enum A { X }\nexport const enum B { Y }\nexport declare enum C { Z }',
    classes: 'export class A {}\nexport abstract class B<T> { abstract c(): T }\n@dec()\nexport class D {}',
    namespaces: 'export namespace N { export function inner() {} }',
    declarations: 'export declare function f(): void;\nexport declare const c: string;\ndeclare module "x" { export function g(): void }',
    'plain values': "export const a = 1, b = 2;\nexport const c: string = 'x';\nexport const d = { e() {} };\nexport const f = true;",
    'classes and types in a list': 'class A {}\ninterface B {}\nexport { A, B };',
    'namespace objects of other files': "export * as all from './x';",
    'text that looks like exports': '// export const a = f;\nconst s = "export const b = f";\nconst t = `export function c() {}`;\nexport {};',
  };
  for (const [title, source] of Object.entries(notFunctions)) {
    it(`does not take ${title} for functions`, () => assert.deepEqual(names(source), []));
  }

  const commonJs: Record<string, readonly [source: string, names: readonly string[]]> = {
    'module.exports = async function': ['module.exports = async function hello(ctx) {}', ['default']],
    'module.exports = arrow, with properties': ['module.exports = async ctx => 1;\nmodule.exports.other = async ctx => 2;', ['default', 'other']],
    'exports = module.exports': ['exports = module.exports = { a };', ['a']],
    'exports by name': ["exports.a = async () => {};\nexports['b'] = async () => {};", ['a', 'b']],
    'an object with values inline': ['module.exports = { a, b: async (ctx) => ({ c: 1 }), async d() { return /[}]/; }, "e-f": g };', ['a', 'b', 'd', 'e-f']],
    'values and classes by name': ['class K {}\nexports.K = K;\nexports.LIMIT = 5;\nexports.f = f;', ['f']],
    'no mention in a comment': ['/**\n * module.exports = x\n */\nexports.a = async () => {};', ['a']],
    'minified text': ['"use strict";module.exports=async e=>e;', ['default']],
    'nothing': ['const a = 1;', []],
  };
  for (const [title, [source, expected]] of Object.entries(commonJs)) {
    it(`reads CommonJS: ${title}`, () => assert.deepEqual(names(source, 'a.js'), expected));
  }

  it('says that a spread, a computed name or a call may export more', () => {
    for (const source of ['module.exports = { a, ...b };', 'module.exports = { [a]: b };', 'module.exports = make();', 'for (const k of x) exports[k] = y;', 'Object.assign(exports, x);']) {
      assert.equal(lexExports(source, 'a.js').complete, false, source);
    }
    assert.equal(lexExports('module.exports = { a };', 'a.js').complete, true);
  });

  it('hands on what export * and module.exports = require name', () => {
    assert.deepEqual(lexExports("export * from './x';", 'a.ts').reexports, [{ from: './x', withDefault: false }]);
    assert.deepEqual(lexExports("module.exports = require('./x');", 'a.js').reexports, [{ from: './x', withDefault: true }]);
    assert.deepEqual(lexExports("module.exports = require('./x').y;", 'a.js').reexports, []);
  });

  it('counts the default export of a file that cannot be lexed', () => {
    for (const source of ['export default async function ( {', 'module.exports = async function ( {', 'export const a = "']) {
      assert.deepEqual(lexExports(source, 'a.js'), { names: ['default'], reexports: [], complete: false });
    }
  });

  const identifier = fc.stringMatching(/^[a-z][A-Za-z0-9_]{2,10}$/).filter((name) => ts.identifierToKeywordKind(ts.factory.createIdentifier(name)) === undefined && name !== 'exports' && name !== 'module' && name !== 'default');
  const noise = fc.constantFrom('', 'type Local = { readonly [key: string]: Map<string, Array<number>> };', 'const re = /[{}`"]/g;', 'const text = `a ${ { b: "}" }.b } c`;', 'interface I<T> { m(x: T): void }', '/* export const no = 1; */', 'const less = 1 < 2 && 3 > 2;');
  const forms: readonly ((name: string) => string)[] = [
    (name) => `export async function ${name}<T>(ctx: unknown, ...rest: T[]): Promise<T | undefined> { return rest[0]; }`,
    (name) => `export const ${name} = async (ctx: unknown): Promise<string> => \`\${String(ctx)}}\`;`,
    (name) => `export const ${name}: (x: number) => boolean = (x) => x / 2 > 1;`,
    (name) => `async function _${name}(): Promise<void> {}\nexport { _${name} as ${name} };`,
  ];
  const program = fc.record({
    functions: fc.uniqueArray(fc.tuple(identifier, fc.nat(forms.length - 1), noise), { selector: ([name]) => name, minLength: 1, maxLength: 8 }),
    types: fc.uniqueArray(identifier, { maxLength: 3 }),
    hasDefault: fc.boolean(),
  });
  const write = (p: { functions: [string, number, string][]; types: string[]; hasDefault: boolean }): string => [
    ...p.types.map((name, index) => `export type T${index}${name} = { a: ${index} };\nexport interface I${index}${name} { b(): void }`),
    ...p.functions.map(([name, form, text], index) => `{ ${text} }\n${(forms[form] as (name: string) => string)(name)}\nconst filler${index} = ${index};`),
    p.hasDefault ? 'export default async (ctx: unknown): Promise<unknown> => ctx;' : '',
  ].join('\n');

  it('finds the same functions in TypeScript and in what tsc makes of it', () => {
    fc.assert(fc.property(program, (generated) => {
      const source = write(generated);
      const expected = [...generated.functions.map(([name]) => name), ...(generated.hasDefault ? ['default'] : [])].sort();
      assert.deepEqual(names(source, 'a.ts'), expected);
      const compiled = ts.transpileModule(source, { compilerOptions: { module: ts.ModuleKind.CommonJS, target: ts.ScriptTarget.ES2022 } }).outputText;
      assert.deepEqual(names(compiled, 'a.js'), expected);
    }), { numRuns: 150 });
  });

  it('finds the keys of any object literal that tsc prints', () => {
    const value = fc.constantFrom('async (ctx) => ({ a: 1 })', 'function () { return "}"; }', 'x => x / 2 / 3', 'f(`}${ { a: `${"}"}` }.a }`)', '/[/}]/g.test("x")', '[1, { b: 2 }]', 'value', 'typeof /}/ === "x" ? 1 : 2');
    fc.assert(fc.property(fc.uniqueArray(fc.tuple(identifier, value), { selector: ([name]) => name, maxLength: 10 }), (entries) => {
      const source = `module.exports = {\n${entries.map(([name, text]) => `  ${name}: ${text}, // , not: a,\n`).join('')}};\n`;
      assert.deepEqual(names(source, 'a.cjs'), entries.map(([name]) => name).sort());
    }), { numRuns: 200 });
  });

  it('never throws, whatever the text', () => {
    const piece = fc.constantFrom('export ', 'default ', 'module.exports = ', '{', '}', '`', '${', '/', '"', 'a', ', ', 'async ', '=>', '(', ')', '\n', 'exports.', '_export(exports, ', '//', '/*');
    fc.assert(fc.property(fc.array(piece, { maxLength: 40 }), (pieces) => {
      for (const file of ['a.ts', 'a.js', 'a.cjs', 'a.mjs']) assert.ok(Array.isArray(lexExports(pieces.join(''), file).names));
    }), { numRuns: 500 });
  });
});

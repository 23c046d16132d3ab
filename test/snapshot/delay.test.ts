/**
 * `require`s that wait for their first use: rewritten sources run beside the originals, with the same modules.
 */
import assert from 'node:assert/strict';
import vm from 'node:vm';
import { delayRequires } from '../../lib/snapshot/delay';

type Exports = Record<string, unknown> & { test: () => unknown };
interface Run {
  readonly exports: Exports;
  /** Requests, in the order in which they were loaded. */
  readonly loads: string[];
}

/** Evaluates a file as Node does; the same module comes for each request. */
function evaluate(source: string, load: (request: string) => unknown): Run {
  const loads: string[] = [];
  const module = { exports: { test: () => undefined } as Exports };
  const require = (request: string): unknown => {
    loads.push(request);
    return load(request);
  };
  const compiled = vm.compileFunction(source, ['exports', 'require', 'module']) as (...args: unknown[]) => void;
  compiled.call(module.exports, module.exports, require, module);
  return { exports: module.exports, loads };
}

/** A module of which each use tells how it was used. */
function target(): unknown {
  function called(this: unknown, ...args: unknown[]): unknown {
    if (new.target) return { constructed: args.length };
    return { args, self: this === undefined || this === globalThis ? 'nothing' : this === shared ? 'module' : 'something' };
  }
  const shared: object = Object.assign(called, { text: 'text', deep: { text: 'deep', Member: called }, Member: called, later: Promise.resolve('later') });
  return Object.assign(shared, { member: called, make: () => called, X: shared, inner: shared, default: shared });
}

const rewritten = (source: string, packageName = 'any'): string => {
  const delayed = delayRequires(source, packageName);
  assert(delayed, `delays nothing in: ${source}`);
  assert.equal(lines(delayed.source), lines(source));
  return delayed.source;
};
const lines = (source: string): number => source.split(/\r\n|[\n\r\u2028\u2029]/).length;

describe('delayRequires', () => {
  const declarations: Record<string, string> = {
    const: "const X = require('mime-types');",
    let: "let X = require('mime-types');",
    var: "var X = require('mime-types');",
    'no semicolon': "const X = require('mime-types')\n",
    parentheses: "const X = (require('mime-types'));",
    'several lines': 'const X =\n  require(\n"mime-types" // which?\n);',
    'among others': "const before = 1, X = require('mime-types'), after = before;",
    member: "const X = require('mime-types').X;",
    'member of a member': "const X = require('mime-types').X.inner;",
    pattern: "const { X } = require('mime-types');",
    'pattern with another name': "const { text: other, inner: X } = require('mime-types');",
    'pattern of several lines': "const {\n  X, // one\n  member,\n} = (require('mime-types')), after = 1",
    'default of an interoperable module': "var __importDefault = (this && this.__importDefault) || function (mod) { return (mod && mod.__esModule) ? mod : { 'default': mod }; };\nconst X = __importDefault(require('mime-types')).default;",
  };
  const uses = [
    'X', 'X()', 'X(X, X)', 'X?.()', 'X.member(1)', 'X["member"](1)', 'X?.member?.(1)', 'X.member.call(7)', 'new X()', 'new X', 'new X.Member(1)',
    'new X.deep.Member(1, 2)', 'new (X.make())()', 'new (X)(X)', 'new X["Member"](X.text)', 'typeof X', 'X instanceof Function', '`${X.text}`', 'X`a${1}`',
    'X.member`a`', '{ X }', '{ X: X }', '{ [X.text]: 1 }', '{ ...X }', '[...[X]].length', "'text' in X", 'X.text + X.text', '!X', '(X, X.text)', 'X === X',
    'await X.later', '(() => X.text)()', '(function () { return X.text; })()', '((X) => X)(1)', '(() => { const X = 1; return { X }; })()',
    '(({ X }) => X)({ X: 2 })', '((a = X.text) => a)()', 'Object.getPrototypeOf(class extends X {}) === X', 'new (class { a = X.text; static b = X.text; [X.text]() {} })().a',
    'X ? 1 : 2', 'X ?? 1', 'X.text?.length', '(X).text', '/* X */ X.text // X\n', 'new.target || X.text', "'X' + X.text", 'function X() {}.name', 'X.unknown?.()',
  ];
  const places: Record<string, (use: string) => string> = {
    'a function': (use) => `exports.test = async function () { return [${use}]; };`,
    'an arrow function': (use) => `exports.test = async () => ([${use.replace('new.target', '0')}]);`,
    'a default of a parameter': (use) => `exports.test = function (a = ${use.replace('await ', '')}) { return a; };`,
    'a method': (use) => `class A { async m() { return (${use.startsWith('{') || use.startsWith('function') ? use : `(${use}\n)`}); } }\nexports.test = () => new A().m();`,
    'an initialiser of a field': (use) => `class A { f = [${use.replace('await ', '')}] }\nexports.test = () => new A().f;`,
    'a getter': (use) => `Object.defineProperty(exports, 'test', { get: function () { return async () => [${use.replace('new.target', '0')}]; } });`,
    'a function in a function that is called at once': (use) => `exports.test = (() => async function () { return [${use}]; })();`,
    'what a function calls at once': (use) => `exports.test = async () => { let r; await (async function () { r = [${use}]; })(); return r; };`,
  };

  for (const [form, declaration] of Object.entries(declarations)) {
    for (const [place, write] of Object.entries(places)) {
      it(`keeps what ${place} does with a name from ${form}`, async () => {
        for (const use of uses.map((text) => text.startsWith('{') ? `(${text})` : text.startsWith('function') ? `(${text})` : text)) {
          const source = `'use strict';\n${declaration}\n${write(use)}\n`;
          const module = target();
          const before = evaluate(source, () => module);
          const after = evaluate(rewritten(source), () => module);
          assert.deepEqual(before.loads, ['mime-types']);
          assert.deepEqual(after.loads, [], `${use} loads at once`);
          assert.deepEqual(await after.exports.test(), await before.exports.test(), use);
          await after.exports.test();
          assert(after.loads.length <= 1, `${use} loads twice`);
        }
      });
    }
  }

  it('keeps the `this` of calls in sloppy code', () => {
    for (const declaration of ["const { X } = require('mime-types')", "const X = require('mime-types')"]) {
      const source = `${declaration}\nexports.test = function () { return [X(), X.member()] }`;
      const module = target();
      assert.deepEqual(evaluate(rewritten(source), () => module).exports.test(), evaluate(source, () => module).exports.test());
    }
  });

  it('copies members at the first use, as a pattern does', () => {
    const module = { a: 1, b: 1 };
    const { exports } = evaluate(rewritten("const { a, b } = require('mime-types');\nexports.test = () => [a, b];"), () => module);
    module.a = 2;
    assert.deepEqual(exports.test(), [2, 1]);
    module.b = 3;
    assert.deepEqual(exports.test(), [2, 1]);
  });

  it('understands code without semicolons', () => {
    const source = "exports.log = []\nconst a = exports.log\nconst { push } = require('mime-types')\nconst X = require('qs')\nexports.test = function () {\n  a\n  push(1)\n  X\n  new X()\n  return X.text\n}";
    const load = (request: string): unknown => request === 'qs' ? target() : { push: () => 1 };
    assert.equal(evaluate(rewritten(source), load).exports.test(), 'text');
  });

  it('delays names whose module nobody uses for ever', () => {
    const { loads } = evaluate(rewritten("const X = require('mime-types');"), target);
    assert.deepEqual(loads, []);
  });

  it('delays some declarations of a statement and keeps others', () => {
    const source = "const a = require('eager'), X = require('mime-types'), Y = require('qs'), b = Y;\nexports.test = () => [X, a, b];";
    const delayed = delayRequires(source, 'any');
    assert.deepEqual(delayed?.delayed, ['mime-types']);
    const { exports, loads } = evaluate(delayed?.source ?? '', (request) => request);
    assert.deepEqual(loads, ['eager', 'qs']);
    assert.deepEqual(exports.test(), ['mime-types', 'eager', 'qs']);
  });

  it('knows the helpers of TypeScript and Babel, if the file declares them', () => {
    const star = "function __importStar(mod) { return { star: mod }; }\nfunction _interopRequireDefault(e) { return { default: e }; }\n";
    const body = "const a_1 = __importStar(require('mime-types')), b = _interopRequireDefault(require('qs'));\nexports.test = () => [a_1.star, (0, b.default)];";
    const { exports, loads } = evaluate(rewritten(star + body), (request) => request);
    assert.deepEqual(loads, []);
    assert.deepEqual(exports.test(), ['mime-types', 'qs']);
    assert.equal(delayRequires(body, 'any'), undefined);
  });

  it('lets a function that runs during evaluation load its module early', () => {
    const source = "const X = require('mime-types');\nfunction early() { return X.text; }\nexports.early = early();\nexports.test = () => X.text;";
    const { exports, loads } = evaluate(rewritten(source), target);
    assert.deepEqual([exports['early'], exports.test(), loads.length], ['text', 'text', 1]);
  });

  it('tries a module again that failed to load', () => {
    let attempts = 0;
    const { exports } = evaluate(rewritten("const X = require('mime-types');\nexports.test = () => X;"), () => {
      attempts++;
      if (attempts === 1) throw new Error('not yet');
      return 'there';
    });
    assert.throws(() => exports.test(), /not yet/);
    assert.deepEqual([exports.test(), exports.test(), attempts], ['there', 'there', 2]);
  });

  it('hands unfinished exports to a module that comes back while it is loaded', () => {
    let depth = 0;
    const run: Run = evaluate(rewritten("const X = require('mime-types');\nexports.test = () => X;"), () => {
      depth++;
      return depth === 1 ? ['finished', run.exports.test()] : 'unfinished';
    });
    assert.deepEqual(run.exports.test(), ['finished', 'unfinished']);
    assert.deepEqual(run.exports.test(), ['finished', 'unfinished']);
  });

  const eager: Record<string, string> = {
    'a use at the top': "const X = require('mime-types');\nX.member();",
    'module.exports': "const X = require('mime-types');\nmodule.exports = X;",
    'a class that extends it': "const X = require('mime-types');\nclass A extends X {}",
    'a class that extends its member': "const { X } = require('mime-types');\nexports.A = class extends X.Member {};",
    'a static field': "const X = require('mime-types');\nclass A { static x = X; }",
    'a static block': "const X = require('mime-types');\nclass A { static { X(); } }",
    'a computed key of a method': "const X = require('mime-types');\nclass A { [X.text]() {} }",
    'a computed key of a field': "const X = require('mime-types');\nclass A { [X.text] = 1; }",
    'a function that is called at once': "const X = require('mime-types');\n(function () { X(); })();",
    'an arrow function that is called at once': "const X = require('mime-types');\n(() => X)();",
    'an async function that is called at once': "const X = require('mime-types');\nvoid (async () => { X(); })();",
    'a default of a function that is called at once': "const X = require('mime-types');\n((a = X) => a)();",
    'a function that is constructed at once': "const X = require('mime-types');\nnew (function () { X(); })();",
    'a function that is called at once through call': "const X = require('mime-types');\n(function () { X(); }).call(this);",
    'a use in a block': "const X = require('mime-types');\nif (true) { X(); }",
    'one use of several at the top': "const X = require('mime-types');\nexports.test = () => X;\nX();",
    'one name of several at the top': "const { X, Y } = require('mime-types');\nexports.test = () => X;\nY;",
    'a name that is assigned to': "let X = require('mime-types');\nexports.test = () => { X = 1; };",
    'a name that is counted up': "let X = require('mime-types');\nexports.test = () => X++;",
    'a name that a loop assigns to': "var X = require('mime-types');\nexports.test = () => { for (X of []); };",
    'a name that a pattern assigns to': "let X = require('mime-types');\nexports.test = () => { ({ X } = {}); };",
    'a name that is declared twice': "var X = require('mime-types');\nvar X = 1;\nexports.test = () => X;",
    'a name that is deleted': "var X = require('mime-types');\nexports.test = () => delete X;",
    'a pattern with a default': "const { X = 1 } = require('mime-types');\nexports.test = () => X;",
    'a pattern with a rest': "const { X, ...rest } = require('mime-types');\nexports.test = () => X;",
    'a pattern in a pattern': "const { X: { Y } } = require('mime-types');\nexports.test = () => Y;",
    'a pattern with a computed key': "const { ['X']: X } = require('mime-types');\nexports.test = () => X;",
    'an empty pattern': "const {} = require('mime-types');",
    'an array pattern': "const [X] = require('mime-types');\nexports.test = () => X;",
    'a call of what is loaded': "const X = require('mime-types')('a');\nexports.test = () => X;",
    'a computed member': "const X = require('mime-types')['X'];\nexports.test = () => X;",
    'a request that is an expression': "const X = require('mime-' + 'types'); // 'mime-types'\nexports.test = () => X;",
    'a statement of its own': "require('mime-types');",
    'a block': "try { const X = require('mime-types'); exports.test = () => X; } catch {}",
    'a function': "exports.test = () => { const X = require('mime-types'); return X; };",
    'a `require` of its own': "const X = require('mime-types');\nexports.test = () => X;\nfunction require() {}",
    'a `require` that is assigned to': "require = require('other')(module);\nconst X = require('mime-types');\nexports.test = () => X;",
    'direct eval': "const X = require('mime-types');\nexports.test = () => eval('X');",
    with: "const X = require('mime-types');\nexports.test = (a) => { with (a) { return X; } };",
    'text that does not parse': "const X = require('mime-types'); exports.test = () => X; }",
    'import and export': "import a from 'a'; const X = require('mime-types'); export const f = () => X;",
    'another request': "const X = require('other'); // mime-types\nexports.test = () => X;",
    'an export with a computed name': "exports['a'] = require('mime-types');",
    'an export with a comment in it': "exports.a = /* = */ require('mime-types');",
    'an export of something that is called': "exports.a = require('mime-types')();",
    'exports of its own': "var exports = {};\nexports.a = require('mime-types');",
  };
  for (const [title, source] of Object.entries(eager)) {
    it(`leaves ${title} as it is`, () => assert.equal(delayRequires(source, 'any'), undefined));
  }

  it('leaves packages alone that a request is not delayed for', () => {
    const source = "const X = require('graceful');\nexports.test = () => X;";
    assert.equal(delayRequires(source, 'any'), undefined);
    assert.deepEqual(delayRequires(source, 'egg')?.delayed, ['graceful']);
  });

  it('keeps shebang, directives, comments and ends of lines', () => {
    const source = "#!/usr/bin/env node\r\n// a\r\n'use strict'\r\n/* b */ const X = require('mime-types') // c\r\nexports.test = function () { return [this === undefined, X] } // d";
    const text = rewritten(source);
    assert.match(text, /^#!\/usr\/bin\/env node\r\n\/\/ a\r\n'use strict'\r\n\/\* b \*\/ .* \/\/ c\r\n.*\/\/ d$/);
    const { exports } = evaluate(text, () => 'loaded');
    assert.deepEqual((0, exports.test)(), [true, 'loaded']);
  });

  it('keeps lines: an error tells the place that it had', () => {
    const source = "const {\n  X,\n  Y,\n} = require('mime-types');\nexports.a = require('qs')\n  .b;\nexports.test = () => {\n  throw new Error(X);\n};";
    const lineOf = (text: string): string | undefined => {
      const compiled = vm.compileFunction(text, ['exports', 'require'], { filename: 'place.js' }) as (exports: Partial<Exports>, require: () => unknown) => void;
      const exports: Partial<Exports> = {};
      compiled(exports, () => ({ X: 1 }));
      try {
        exports.test?.();
      } catch (error) {
        return /place\.js:(\d+)/.exec((error as Error).stack ?? '')?.[1];
      }
      return undefined;
    };
    assert.equal(lineOf(source), '8');
    assert.equal(lineOf(rewritten(source)), '8');
  });

  it('names its helpers as nothing in the file is named', () => {
    const source = "const $delayed = 1, $delayed_X = 2, $delayedProperty = 3;\nconst { X, at0 } = require('mime-types'), $delayed_ = require('qs');\nexports.a = require('qs');\nexports.test = () => [$delayed, $delayed_X, $delayedProperty, X, at0, $delayed_, exports.a];";
    const { exports } = evaluate(rewritten(source), (request) => request === 'qs' ? 'qs' : { X: 'X', at0: 'at0' });
    assert.deepEqual(exports.test(), [1, 2, 3, 'X', 'at0', 'qs', 'qs']);
  });
});

describe('delayed exports', () => {
  const source = "exports.first = 1;\nexports.lib = require('mime-types');\nexports.last = exports.text = 2;\nexports.member = require('qs').member;\n";
  const load = (request: string): unknown => ({ request, member: `member of ${request}` });

  it('load when they are read, once, and are plain properties from then on', () => {
    const { exports, loads } = evaluate(rewritten(source), load);
    assert.deepEqual(loads, []);
    assert.deepEqual(Object.keys(exports), ['test', 'first', 'lib', 'text', 'last', 'member']);
    assert.equal(exports['member'], 'member of qs');
    assert.deepEqual(loads, ['qs']);
    assert.deepEqual(Object.getOwnPropertyDescriptor(exports, 'member'), { value: 'member of qs', writable: true, enumerable: true, configurable: true });
    assert.equal(exports['lib'], exports['lib']);
    const before = evaluate(source, load).exports;
    assert.deepEqual({ ...exports, test: 0 }, { ...before, test: 0 });
    assert.deepEqual(Object.keys(exports), Object.keys(before));
    assert.deepEqual(loads, ['qs', 'mime-types']);
  });

  it('do not load when they are assigned to first', () => {
    const { exports, loads } = evaluate(rewritten(source), load);
    exports['lib'] = 'mine';
    assert.deepEqual(Object.getOwnPropertyDescriptor(exports, 'lib'), { value: 'mine', writable: true, enumerable: true, configurable: true });
    assert.deepEqual(loads, []);
  });

  it('keep the place of a name that is there already, and go by what an assignment would do', () => {
    const before = "exports.a = exports.b = void 0;\nObject.defineProperty(exports, 'c', { set(value) { exports.got = value; } });\n";
    const { exports, loads } = evaluate(rewritten(`${before}exports.b = require('mime-types');\nexports.a = require('qs');\nexports.c = require('undici');`), (request) => request);
    assert.deepEqual(loads, ['undici']);
    assert.equal(exports['got'], 'undici');
    assert.deepEqual(Object.keys(exports), ['test', 'b', 'a', 'got']);
    assert.deepEqual([exports['a'], exports['b']], ['qs', 'mime-types']);
  });

  it('need no semicolons, and may stand on several lines', () => {
    const { exports, loads } = evaluate(rewritten("exports.a = 1\nexports.b =\n  require('qs')\nexports.c = (require('mime-types')\n.member)\nexports.d = 2"), load);
    assert.deepEqual(loads, []);
    assert.equal(exports['c'], 'member of mime-types');
    assert.deepEqual([exports['a'], exports['d']], [1, 2]);
  });
});

describe('delayed properties', () => {
  const source = "const HttpClient = require('./core/httpclient');\nclass App { constructor() {\n    this.HttpClient = HttpClient;\n    this.after = 1\n  } }\nexports.App = App;";
  type AppClass = new () => { HttpClient: unknown; after: number };
  const boot = (text: string): { App: AppClass; loads: string[] } => {
    const { exports, loads } = evaluate(rewritten(text, 'egg'), (request) => request);
    return { App: exports['App'] as AppClass, loads };
  };

  it('load when they are read, and keep their place', () => {
    const { App, loads } = boot(source);
    const app = new App();
    assert.deepEqual([loads, Object.keys(app), 'HttpClient' in app], [[], ['HttpClient', 'after'], true]);
    assert.equal(app.HttpClient, './core/httpclient');
    assert.deepEqual(Object.getOwnPropertyDescriptor(app, 'HttpClient'), { value: './core/httpclient', writable: true, enumerable: true, configurable: true });
    assert.equal(new App().HttpClient, './core/httpclient');
    assert.equal(loads.length, 1);
  });

  it('are replaced by an assignment, on the object that it names', () => {
    const { App, loads } = boot(source);
    const app = new App();
    const heir = Object.create(app) as typeof app;
    heir.HttpClient = 'of the heir';
    assert.equal(heir.HttpClient, 'of the heir');
    assert.deepEqual(loads, []);
    app.HttpClient = 'mine';
    assert.deepEqual([app.HttpClient, loads], ['mine', []]);
  });

  it('are none where the class has a setter of that name', () => {
    const { App, loads } = boot(source.replace('class App {', 'class App { set HttpClient(value) { this.got = value; } '));
    assert.equal((new App() as unknown as { got: unknown }).got, './core/httpclient');
    assert.equal(loads.length, 1);
  });

  it('are made for requests that allow it, and for plain assignments', () => {
    const tail = 'return this; } exports.test = make;';
    const load = (text: string): Run => {
      const run = evaluate(rewritten(text, 'egg'), (request) => request);
      (run.exports.test as (this: object) => unknown).call({});
      return run;
    };
    assert.deepEqual(load(`const X = require('graceful'); function make() { this.X = X; ${tail}`).loads, ['graceful']);
    assert.deepEqual(load(`const X = require('./core/httpclient'); function make() { this.X = X; ${tail}`).loads, []);
    assert.deepEqual(load(`const X = require('./core/httpclient'); function make() { this.X = this.Y = X; ${tail}`).loads, ['./core/httpclient']);
    assert.deepEqual(load(`const X = require('./core/httpclient'); function make() { this.X /* */ = X; ${tail}`).loads, ['./core/httpclient']);
    assert.deepEqual(load(`const X = require('./core/httpclient'); function make() { this['X'] = X; ${tail}`).loads, ['./core/httpclient']);
  });
});

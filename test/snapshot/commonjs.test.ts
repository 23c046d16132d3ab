/**
 * Modules that are compiled here are what they are in Node: each question is asked of a stock process, of one that
 * records and of one that replays, and all three have to say the same.
 */
import assert from 'node:assert/strict';
import path from 'node:path';
import { compile, isCompilable, unwrap, wrap } from '../../lib/snapshot/commonjs';
import type { SnapshotReference } from '../../lib/snapshot/manifest';
import { age, newDirectory, record, removeDirectory, runChild, subjectOf, writeFiles } from './tiny_application';

const TELL_ERROR = '(request) => { try { return require(request); } catch (e) { return { code: e.code, message: e.message, requireStack: e.requireStack, own: Object.getOwnPropertyNames(e).sort() }; } }';

/** Each exports what is compared, as JSON. */
const MODULES: Readonly<Record<string, string>> = {
  'require_function.js': `module.exports = [typeof require, require.name, require.length, Object.keys(require), Object.getOwnPropertyNames(require).sort(), Object.keys(require.resolve), require.resolve.length, require.resolve.paths.length,
    require.cache === require('module')._cache, require.extensions === require('module')._extensions, require.main === process.mainModule, require.cache[__filename] === module];`,
  'wrapper.js': `module.exports = [arguments.length, arguments[0] === exports, arguments[1] === require, arguments[2] === module, arguments[3] === __filename, arguments[4] === __dirname, this === exports, __filename, __dirname,
    module.id, module.filename, module.path, module.loaded, module.paths, module.children.length, typeof global, typeof globalThis.require];`,
  'missing.js': `const tell = ${TELL_ERROR}; module.exports = ['./none', '../none', '/none', 'none', '@none/none', 'none/none', 'dep/none', './none.json', '.', '..'].map(tell);`,
  'missing_in_dependency.js': 'module.exports = require("dep/asks");',
  'wrong_types.js': `const tell = (f) => { try { return f(); } catch (e) { return [e.code, e.message]; } };
    module.exports = [tell(() => require(5)), tell(() => require('')), tell(() => require()), tell(() => require.resolve(5)), tell(() => require.resolve.paths(null)), tell(() => require.resolve('x', { paths: 'x' })), tell(() => require.resolve('x', { paths: [] }))];`,
  'resolve.js': `module.exports = [require.resolve('./wrapper'), require.resolve('dep'), require.resolve('fs'), require.resolve('node:fs'), require.resolve.paths('dep'), require.resolve.paths('./x'), require.resolve.paths('fs'), require.resolve('dep', { paths: [__dirname + '/folder'] })];`,
  'hashbang.js': '#!/usr/bin/env node\nmodule.exports = [new Error("x").stack.split("\\n")[1], module.exports === exports];',
  'hashbang_only.js': '#!/usr/bin/env node',
  'mark.js': '\uFEFFmodule.exports = new Error("x").stack.split("\\n")[1];',
  'mark.json': '\uFEFF{"mark":1}',
  'mark_uses.js': 'module.exports = require("./mark.json");',
  'columns.js': 'module.exports = new Error("x").stack.split("\\n")[1];',
  'strict.js': '"use strict"; module.exports = (function () { return this === undefined; })();',
  'sloppy.js': 'module.exports = (function () { return this === globalThis; })();',
  'last_comment.js': 'module.exports = 1; // no line break at the end',
  'return.js': 'module.exports = 1; return; module.exports = 2;',
  'wide.js': 'module.exports = "日本語 \u{1F600} \\u00e9 é";',
  'line_separators.js': 'module.exports = "a\u2028b"; // \u2028module.exports = "c";',
  'empty.js': '',
  'throws.js': 'module.exports = (() => { try { require("./thrower"); } catch (e) { return [e.message, e.stack.split("\\n").slice(0, 3), require.cache[require.resolve("./thrower")] === undefined]; } })();',
  'thrower.js': 'function f() {\n  throw new TypeError("thrown");\n} f();',
  'syntax_error.js': 'module.exports = (() => { try { require("./broken"); } catch (e) { return [e.name, e.message]; } })();',
  'broken.js': 'module.exports = {',
  'broken.json': '{',
  'json_error.js': 'module.exports = (() => { try { require("./broken.json"); } catch (e) { return [e.name, e.message]; } })();',
  'circle.js': 'exports.first = 1; exports.seen = require("./circle_b").seen; exports.second = 2;',
  'circle_b.js': 'exports.seen = Object.keys(require("./circle"));',
  'same.js': 'module.exports = [require("./empty") === require("./empty.js"), require(__dirname + "/empty") === require("./folder/../empty")];',
  'folder/index.js': 'module.exports = "folder";',
  'constructor.js': 'module.exports = ["constructor", "__proto__", "toString", "hasOwnProperty"].map((name) => { try { return require(name); } catch (e) { return e.code; } });',
  'node_modules/dep/package.json': '{"name":"dep","main":"main.js"}',
  'node_modules/dep/main.js': 'exports.name = "dep";',
  'node_modules/dep/asks.js': `const tell = ${TELL_ERROR}; module.exports = ['none', './none', 'dep/none', '@none/none'].map(tell);`,
};

const ASKED = Object.keys(MODULES).filter((name) => name.endsWith('.js') && !name.includes('/') && !['thrower.js', 'broken.js', 'circle_b.js'].includes(name));

describe('a module that is compiled for a snapshot', () => {
  let directory: string;
  let baseDir: string;
  const told: Record<'stock' | 'recorded' | 'replayed', readonly unknown[]> = { stock: [], recorded: [], replayed: [] };
  before(() => {
    directory = newDirectory();
    baseDir = path.join(directory, 'app');
    writeFiles(baseDir, { ...MODULES, 'boot.js': '', 'package.json': '{"name":"app"}' });
    age();
    const task = { subject: subjectOf(baseDir), load: ASKED.map((name) => path.join(baseDir, name)) };
    told.stock = runChild(task).results;
    const { results, written } = runChild({ ...task, record: path.join(directory, 'snapshots') });
    told.recorded = results;
    const replay = runChild({ ...task, replay: written });
    assert.equal(replay.refused, undefined);
    assert.ok(replay.served >= ASKED.length);
    told.replayed = replay.results;
  });
  after(() => removeDirectory(directory));

  ASKED.forEach((name, index) => {
    it(`is what it is in Node: ${path.basename(name, '.js').replaceAll('_', ' ')}`, () => {
      assert.notEqual(told.stock[index], undefined);
      assert.deepEqual(told.recorded[index], told.stock[index], 'recorded');
      assert.deepEqual(told.replayed[index], told.stock[index], 'replayed');
    });
  });

  it('can be unwrapped to its source, with the same lines', () => {
    for (const source of ['', 'x', '// comment', 'a\nb\n', '"use strict"; (function () {})']) assert.equal(unwrap(wrap(source)), source);
    assert.equal(unwrap(wrap('#!/usr/bin/env node\nx')), '///usr/bin/env node\nx');
  });

  it('throws what V8 says of text that is no script', () => {
    assert.throws(() => compile(wrap('module.exports = {'), '/x.js'), SyntaxError);
  });

  it('is not compiled here where it may import, since a function out of a compile cache cannot', () => {
    assert.equal(isCompilable('require("x")'), true);
    for (const source of ['import("x")', 'import /* later */ ("x")', 'new Function("x", "return import(x)")']) assert.equal(isCompilable(source), false);
  });
});

describe('a snapshot in a process', () => {
  let directory: string;
  let baseDir: string;
  let reference: SnapshotReference;
  before(() => {
    directory = newDirectory();
    baseDir = path.join(directory, 'app');
    writeFiles(baseDir, {
      'package.json': '{"name":"app"}', 'boot.js': 'module.exports = require("dep");',
      'node_modules/dep/index.js': 'let found; try { found = require("dep-late"); } catch (e) { found = e.code; } module.exports = found;',
      'later.js': 'module.exports = require("dep");',
      'own.js': 'let found; try { found = require("./late"); } catch (e) { found = e.code; } module.exports = found;',
    });
    reference = record(subjectOf(baseDir), path.join(directory, 'snapshots'), ['boot.js', 'own.js']);
    writeFiles(baseDir, { 'node_modules/dep-late/index.js': 'module.exports = "late";', 'late.js': 'module.exports = "late";' });
  });
  after(() => removeDirectory(directory));

  const loading = (over: object): readonly unknown[] => runChild({ subject: subjectOf(baseDir), replay: reference, load: ['boot.js', 'own.js'].map((name) => path.join(baseDir, name)), ...over }).results;

  it('guarantee 2: tells dependencies that something is missing until the application is ready, and the application never', () => {
    assert.deepEqual(loading({}), ['MODULE_NOT_FOUND', 'late']);
    assert.deepEqual(loading({ settled: true }), ['late', 'late']);
  });

  it('guarantee 3: hands the source to whoever compiles modules', () => {
    const hook = path.join(directory, 'hook.js');
    writeFiles(directory, {
      'hook.js': 'const M = require("module"); const c = M.prototype._compile; M.prototype._compile = function (source, filename) { return c.call(this, filename.endsWith("later.js") ? source.replace("require", "((x) => [x, \'hooked\'])") : source, filename); };',
    });
    const later = path.join(baseDir, 'later.js');
    const { written } = runChild({ subject: subjectOf(baseDir), record: path.join(directory, 'hooked'), load: [later] });
    const { results } = runChild({ subject: subjectOf(baseDir), replay: written, load: [hook, later] });
    assert.deepEqual(results[1], ['dep', 'hooked']);
  });
});

/**
 * Applications and processes that ask, write, hook or link in ways of their own: a snapshot serves what Node would, or
 * stays out of it.
 */
import assert from 'node:assert/strict';
import { chmodSync, readFileSync, renameSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { expectSubject } from '../../lib/snapshot/check';
import { openSnapshot } from '../../lib/snapshot/store';
import { age, FILES, load, manifestOf, newDirectory, record, removeDirectory, runChild, subjectOf, writeFiles } from './tiny_application';

const MISMATCH = { code: 'CARTON_SNAPSHOT_MISMATCH' };

describe('a snapshot', () => {
  let directory: string;
  let baseDir: string;
  let snapshots: string;
  beforeEach(() => {
    directory = newDirectory();
    baseDir = path.join(directory, 'app');
    snapshots = path.join(directory, 'snapshots');
    writeFiles(baseDir, FILES);
  });
  afterEach(() => removeDirectory(directory));

  const file = (name: string): string => path.join(baseDir, name);
  const recordedFiles = (manifest: ReturnType<typeof manifestOf>): string[] => manifest.files.flatMap((entry) => (entry.length > 2 ? entry[1] : []));

  it('is neither recorded nor used where a preloaded module compiles code itself', () => {
    const good = record(subjectOf(baseDir), snapshots);
    writeFiles(directory, { 'hook.js': 'const Module = require("module"); const stock = Module._extensions[".js"]; Module._extensions[".js"] = function (module, name) { stock(module, name); };' });
    const flags = ['-r', path.join(directory, 'hook.js')];
    const { refused, results } = runChild({ subject: subjectOf(baseDir), replay: good, load: [file('boot.js')] }, {}, flags);
    assert.equal(refused?.code, 'CARTON_SNAPSHOT_MISMATCH');
    assert.match(refused.message, /preloaded modules.*hook\.js/);
    assert.deepEqual((results[0] as { price: number }).price, 6);
    assert.throws(() => runChild({ subject: subjectOf(baseDir), record: snapshots, load: [] }, {}, flags), /CARTON_SNAPSHOT_MISMATCH/);
  });

  it('is used beside a preloaded module that leaves loading alone', function () {
    if ('registerHooks' in require('node:module')) this.skip();
    const good = record(subjectOf(baseDir), snapshots);
    writeFiles(directory, { 'quiet.js': 'globalThis.quiet = true;' });
    const { refused, served } = runChild({ subject: subjectOf(baseDir), replay: good, load: [file('boot.js')] }, {}, ['--require', path.join(directory, 'quiet.js')]);
    assert.equal(refused, undefined);
    assert.ok(served > 0);
  });

  it('can be recorded of an application that resolves in the name of parents that are no modules', () => {
    writeFiles(baseDir, {
      'asks.js': 'const Module = require("module"); const filename = __dirname + "/noop.js";\n'
        + 'exports.dep = Module._resolveFilename("dep", { id: filename, filename, paths: Module._nodeModulePaths(__dirname) }) === require.resolve("dep");\n'
        + 'const made = new Module("made"); made._compile("exports.made = 1", "");\nexports.made = made.exports.made;\n',
    });
    const good = record(subjectOf(baseDir), snapshots, ['asks.js']);
    assert.deepEqual(load(subjectOf(baseDir), good, ['asks.js']).results, [{ dep: true, made: 1 }]);
  });

  it('does not fit an application or node_modules that has become a link', () => {
    const good = record(subjectOf(baseDir), snapshots);
    const current = path.join(directory, 'current');
    symlinkSync(baseDir, current);
    assert.throws(() => expectSubject(openSnapshot(good), subjectOf(current)), MISMATCH);
    renameSync(file('node_modules'), path.join(directory, 'store'));
    symlinkSync(path.join(directory, 'store'), file('node_modules'));
    assert.throws(() => expectSubject(openSnapshot(good), subjectOf(baseDir)), MISMATCH);
  });

  it('finds a changed dependency where no lockfile speaks for it, and where it was generated', () => {
    writeFiles(baseDir, { 'node_modules/.prisma/client.js': 'module.exports = 1;', 'boot.js': 'exports.client = require(".prisma/client"); exports.dep = require("dep");' });
    const good = record(subjectOf(baseDir), snapshots);
    writeFileSync(file('node_modules/.prisma/client.js'), 'module.exports = 2;');
    assert.throws(() => expectSubject(openSnapshot(good), subjectOf(baseDir)), { ...MISMATCH, message: /client\.js/ });
    writeFileSync(file('node_modules/.prisma/client.js'), 'module.exports = 1;');
    expectSubject(openSnapshot(good), subjectOf(baseDir));
    writeFileSync(file('node_modules/dep/main.js'), 'module.exports = "other";');
    expectSubject(openSnapshot(good), subjectOf(baseDir));
    assert.throws(() => expectSubject(openSnapshot(good), subjectOf(baseDir), { installed: true }), { ...MISMATCH, message: /main\.js/ });
  });

  it('may be read by those alone who may read all of its files', () => {
    const open = record(subjectOf(baseDir), snapshots);
    assert.equal(statSync(open.path).mode & 0o777, 0o644);
    chmodSync(file('lib/table.json'), 0o600);
    const secret = record(subjectOf(baseDir), path.join(directory, 'secret'));
    assert.equal(statSync(secret.path).mode & 0o777, 0o600);
  });

  it('leaves out a file that was written anew after it had been loaded', () => {
    writeFiles(baseDir, { 'boots.json': '{"boots":0}', 'boot.js': 'const boots = require("./boots.json"); require("fs").writeFileSync(__dirname + "/boots.json", JSON.stringify({ boots: boots.boots + 1 })); exports.boots = boots.boots;' });
    const good = record(subjectOf(baseDir), snapshots);
    assert.ok(!recordedFiles(manifestOf(good)).includes('boots.json'));
    assert.deepEqual(load(subjectOf(baseDir), good).results, [{ boots: 1 }]);
  });

  it('can be recorded beside a package.json with a byte order mark', () => {
    writeFiles(baseDir, { 'lib/package.json': '\uFEFF{"name":"marked"}' });
    const good = record(subjectOf(baseDir), snapshots);
    assert.ok(recordedFiles(manifestOf(good)).includes('prices.js'));
  });

  it('is held against the disk also in a process that loads from a snapshot', () => {
    const good = record(subjectOf(baseDir), snapshots, ['boot.js', 'lib/uses_folder.js']);
    writeFiles(baseDir, {
      'checks.js': `const { expectSubject } = require(${JSON.stringify(require.resolve('../../lib/snapshot/check'))}); const { openSnapshot } = require(${JSON.stringify(require.resolve('../../lib/snapshot/store'))});\n`
        + `try { expectSubject(openSnapshot(${JSON.stringify(good)}), ${JSON.stringify(subjectOf(baseDir))}); exports.code = "fits"; } catch (error) { exports.code = error.code; }`,
      'lib/folder.js': 'module.exports = "file";',
    });
    age();
    assert.deepEqual(load(subjectOf(baseDir), good, ['checks.js']).results, [{ code: 'CARTON_SNAPSHOT_MISMATCH' }]);
  });

  it('tells an application from the disk that something is there by now, though a dependency was told otherwise', () => {
    writeFiles(baseDir, {
      'node_modules/dep/main.js': 'module.exports = (path) => { try { return require(path); } catch { return "none"; } };',
      'boot.js': 'const ask = require("dep"); const path = __dirname + "/made.js"; exports.first = ask(path); if (process.env.MAKES) { require("fs").writeFileSync(path, "module.exports = \\"made\\";"); exports.second = require(path); }',
    });
    const good = record(subjectOf(baseDir), snapshots);
    const { results } = runChild({ subject: subjectOf(baseDir), replay: good, load: [file('boot.js')] }, { MAKES: '1' });
    assert.deepEqual(results, [{ first: 'none', second: 'made' }]);
    assert.equal(readFileSync(file('made.js'), 'utf8'), 'module.exports = "made";');
  });
});

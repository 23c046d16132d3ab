/**
 * Where a snapshot's paths lie: it works from another directory with the same layout, and never reaches out of one.
 */
import assert from 'node:assert/strict';
import { cpSync, mkdirSync, renameSync, symlinkSync, unlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { expectSubject, verify } from '../../lib/snapshot/check';
import { locateRoots, RootTable } from '../../lib/snapshot/roots';
import { openSnapshot } from '../../lib/snapshot/store';
import { FILES, load, manifestOf, newDirectory, record, removeDirectory, subjectOf, writeFiles } from './tiny_application';

describe('the roots of a snapshot', () => {
  let directory: string;
  let baseDir: string;
  let snapshots: string;
  beforeEach(() => {
    directory = newDirectory();
    baseDir = path.join(directory, 'repository/packages/app');
    snapshots = path.join(directory, 'snapshots');
  });
  afterEach(() => removeDirectory(directory));

  it('are the application, its node_modules, and nothing outside', () => {
    writeFiles(baseDir, FILES);
    const table = new RootTable(subjectOf(baseDir));
    const paths = locateRoots(table.roots, subjectOf(baseDir));
    assert.deepEqual(table.locate(path.join(baseDir, 'lib/x')), [paths.indexOf(baseDir), 'lib/x']);
    assert.deepEqual(table.locate(path.join(baseDir, 'node_modules/dep')), [paths.indexOf(path.join(baseDir, 'node_modules')), 'dep']);
    for (const outside of ['/etc/passwd', path.dirname(baseDir), `${baseDir}-other/x`, path.join(directory, 'repository/other/x')]) assert.equal(table.locate(outside), undefined, outside);
  });

  it('let a snapshot work after a move of the application to another directory', () => {
    writeFiles(baseDir, FILES);
    const { sha256 } = record(subjectOf(baseDir), path.join(baseDir, '.carton'));
    const moved = path.join(directory, 'elsewhere/of/another/depth');
    mkdirSync(path.dirname(moved), { recursive: true });
    cpSync(baseDir, moved, { recursive: true, preserveTimestamps: true });
    removeDirectory(baseDir);
    const copy = { path: path.join(moved, '.carton', `${sha256}.snapshot`), sha256 };
    expectSubject(openSnapshot(copy), subjectOf(moved));
    const { results, served, refused } = load(subjectOf(moved), copy);
    assert.equal(refused, undefined);
    assert.deepEqual(results, [{ price: 6 }]);
    assert.ok(served >= 4);
  });

  it('let one directory\'s snapshot serve another with the same files', () => {
    writeFiles(baseDir, FILES);
    const reference = record(subjectOf(baseDir), snapshots);
    const twin = path.join(directory, 'twin');
    cpSync(baseDir, twin, { recursive: true });
    expectSubject(openSnapshot(reference), subjectOf(twin));
    assert.deepEqual(verify(openSnapshot(reference), subjectOf(twin)), []);
    assert.deepEqual(load(subjectOf(twin), reference).results, [{ price: 6 }]);
  });

  it('reach node_modules two levels up, as in a monorepo', () => {
    const { 'node_modules/dep/main.js': main = '', 'node_modules/dep/package.json': manifest = '', ...own } = FILES;
    writeFiles(baseDir, own);
    writeFiles(path.join(directory, 'repository'), { 'node_modules/dep/main.js': main, 'node_modules/dep/package.json': manifest, 'package-lock.json': '{}' });
    const reference = record(subjectOf(baseDir), snapshots);
    assert.ok(manifestOf(reference).roots.some((root) => root.kind === 'modules' && root.up === 2));
    const { results, served } = load(subjectOf(baseDir), reference);
    assert.deepEqual(results, [{ price: 6 }]);
    assert.equal(served, 4);
    writeFileSync(path.join(directory, 'repository/package-lock.json'), '{"changed":true}');
    assert.throws(() => expectSubject(openSnapshot(reference), subjectOf(baseDir)), { code: 'CARTON_SNAPSHOT_MISMATCH', message: /key "lockfile"/ });
  });

  it('reach a package of the workspace that is linked, and hold its files against the disk', () => {
    writeFiles(baseDir, { ...FILES, 'boot.js': 'exports.price = require("@own/shared").price;' });
    const shared = path.join(directory, 'repository/packages/shared');
    writeFiles(shared, { 'package.json': '{"name":"@own/shared","main":"dist/index.js"}', 'dist/index.js': 'exports.price = 5;', 'dist/other.js': 'exports.price = 7;' });
    mkdirSync(path.join(baseDir, 'node_modules/@own'));
    symlinkSync(shared, path.join(baseDir, 'node_modules/@own/shared'));
    const reference = record(subjectOf(baseDir), snapshots, ['boot.js']);
    assert.ok(manifestOf(reference).roots.some((root) => root.kind === 'linked' && root.name === '@own/shared'));
    const { results, served } = load(subjectOf(baseDir), reference);
    assert.deepEqual(results, [{ price: 5 }]);
    assert.equal(served, 2);
    expectSubject(openSnapshot(reference), subjectOf(baseDir));
    writeFileSync(path.join(shared, 'package.json'), '{"name":"@own/shared","main":"dist/other.js"}');
    assert.throws(() => expectSubject(openSnapshot(reference), subjectOf(baseDir)), { code: 'CARTON_SNAPSHOT_MISMATCH' });
    writeFileSync(path.join(shared, 'dist/index.js'), 'exports.price = 6;');
    assert.throws(() => expectSubject(openSnapshot(reference), subjectOf(baseDir)), { code: 'CARTON_SNAPSHOT_MISMATCH' });
    unlinkSync(path.join(baseDir, 'node_modules/@own/shared'));
    assert.throws(() => expectSubject(openSnapshot(reference), subjectOf(baseDir)), { code: 'CARTON_SNAPSHOT_MISMATCH', message: /@own\/shared/ });
    assert.equal(load(subjectOf(baseDir), reference).refused?.code, 'CARTON_SNAPSHOT_MISMATCH');
  });

  it('have an application behind a link as one, under both of its names', () => {
    const real = path.join(directory, 'releases/1');
    writeFiles(real, FILES);
    mkdirSync(path.dirname(baseDir), { recursive: true });
    symlinkSync(real, baseDir);
    const reference = record(subjectOf(baseDir), snapshots);
    assert.ok(manifestOf(reference).roots.some((root) => root.kind === 'real-application'));
    expectSubject(openSnapshot(reference), subjectOf(baseDir));
    assert.deepEqual(load(subjectOf(baseDir), reference).results, [{ price: 6 }]);
    // The next release has the same files: the link leads to it, and the snapshot goes with it.
    const next = path.join(directory, 'releases/2');
    cpSync(real, next, { recursive: true });
    unlinkSync(baseDir);
    symlinkSync(next, baseDir);
    renameSync(real, path.join(directory, 'gone'));
    expectSubject(openSnapshot(reference), subjectOf(baseDir));
    const { results, served } = load(subjectOf(baseDir), reference);
    assert.deepEqual(results, [{ price: 6 }]);
    assert.equal(served, 4);
  });

  it('leave out what lies outside, which is loaded from the disk', () => {
    writeFiles(directory, { 'outside.js': 'module.exports = 1;' });
    writeFiles(baseDir, { ...FILES, 'boot.js': 'exports.price = require("../../../outside");' });
    const reference = record(subjectOf(baseDir), snapshots, ['boot.js']);
    assert.deepEqual(manifestOf(reference).omitted.map(({ file }) => file), [path.join(directory, 'outside.js')]);
    writeFiles(directory, { 'outside.js': 'module.exports = 2;' });
    assert.deepEqual(load(subjectOf(baseDir), reference).results, [{ price: 2 }]);
  });

  it('stand requests by paths that go there and back, or end with a slash', () => {
    writeFiles(baseDir, {
      ...FILES,
      'boot.js': 'exports.a = require(__dirname + "/lib/../lib/prices").of(1); exports.b = require(__dirname + "/lib/folder/"); exports.c = require.resolve("dep", { paths: [__dirname + "/lib/.."] }).length > 0;',
      'lib/folder.js': 'module.exports = "file";',
      'later.js': 'module.exports = require(__dirname + "/lib/folder");',
    });
    const reference = record(subjectOf(baseDir), snapshots, ['boot.js']);
    const { results, refused } = load(subjectOf(baseDir), reference, ['boot.js', 'later.js']);
    assert.equal(refused, undefined);
    assert.deepEqual(results, [{ a: 3, b: 'folder', c: true }, 'file']);
  });
});

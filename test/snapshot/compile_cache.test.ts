/**
 * The compile cache of processes without a snapshot: the second process takes from it what the first left, and nothing
 * that is stale, and modules are what they are without it.
 */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import Module from 'node:module';
import path from 'node:path';
import { newDirectory, removeDirectory, writeFiles } from './tiny_application';

/** Node has its own since 22.8. */
const IS_OWN = (Module as { enableCompileCache?: unknown }).enableCompileCache !== undefined;

const PROGRAM = `
  const vm = require('vm');
  const told = { hits: 0, rejected: 0 };
  const Script = vm.Script;
  vm.Script = class extends Script {
    constructor(text, options) {
      super(text, options);
      if (options?.cachedData !== undefined) this.cachedDataRejected ? told.rejected++ : told.hits++;
    }
  };
  require(process.argv[1]).useCompileCache(process.argv[2]);
  told.value = require(process.argv[3]);
  Promise.resolve(told.value.later).then((later) => process.stdout.write(JSON.stringify({ ...told, later })));
`;

interface Told {
  readonly hits: number;
  readonly rejected: number;
  readonly value: Record<string, unknown>;
  readonly later: unknown;
}

describe('the compile cache of processes without a snapshot', () => {
  let directory: string;
  beforeEach(() => (directory = newDirectory()));
  afterEach(() => removeDirectory(directory));

  function run(): Told {
    const child = spawnSync(process.execPath, ['-e', PROGRAM, path.resolve(__dirname, '../../lib/snapshot/compile_cache.js'), path.join(directory, 'host/cache'), path.join(directory, 'main.js')], { encoding: 'utf8' });
    assert.equal(child.status, 0, child.stderr);
    return JSON.parse(child.stdout) as Told;
  }

  it('has the second process compile from what the first left, in a directory that it makes', function () {
    if (IS_OWN) return this.skip();
    mkdirSync(path.join(directory, 'host'), { mode: 0o700 });
    writeFiles(directory, { 'main.js': 'exports.a = require("./a").a;', 'a.js': 'exports.a = 1;' });
    assert.deepEqual([run().hits, run().hits], [0, 2]);
    assert.equal(statSync(path.join(directory, 'host')).mode & 0o077, 0);
    assert.ok(readdirSync(path.join(directory, 'host/cache')).length > 0);
  });

  it('never serves what is stale', () => {
    writeFiles(directory, { 'main.js': 'exports.a = require("./a").a;', 'a.js': 'exports.a = 1;' });
    run();
    writeFileSync(path.join(directory, 'a.js'), 'exports.a = 2;');
    assert.equal(run().value['a'], 2);
    assert.equal(run().value['a'], 2);
  });

  it('does without where the cache is damaged, or cannot be written', function () {
    if (IS_OWN) return this.skip();
    writeFiles(directory, { 'main.js': 'exports.a = 1;', 'host': '' });
    assert.equal(run().value['a'], 1);
    assert.ok(!existsSync(path.join(directory, 'host/cache')));
    removeDirectory(path.join(directory, 'host'));
    run();
    for (const name of readdirSync(path.join(directory, 'host/cache'))) writeFileSync(path.join(directory, 'host/cache', name), 'damaged');
    assert.equal(run().value['a'], 1);
  });

  it('leaves import() to modules, and ES modules to Node', () => {
    writeFiles(directory, {
      'main.js': 'exports.later = import("./es.mjs").then((es) => es.default); exports.stock = (() => { try { return require("./es.mjs").default; } catch (e) { return e.code; } })();',
      'es.mjs': 'export default "es";',
    });
    for (const told of [run(), run()]) {
      assert.equal(told.later, 'es');
      assert.ok(['es', 'ERR_REQUIRE_ESM'].includes(String(told.value['stock'])));
    }
  });

  it('takes a hashbang, strict code and wide characters as Node does', () => {
    writeFiles(directory, { 'main.js': '#!/usr/bin/env node\n"use strict"; exports.a = ["日本語", (function () { return this === undefined; })(), require.main === undefined, typeof require.resolve.paths];' });
    for (const told of [run(), run()]) assert.deepEqual(told.value['a'], ['日本語', true, true, 'function']);
  });
});

/**
 * What a function process loads of this package is multiplied by the number of instances, so its modules are counted:
 * those of the framework and the application do not count, because they are there with or without us.
 */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import path from 'node:path';
import { ROOT } from './files';

/** Modules of `lib` that an instance may load; each costs memory in every one of them. Twelve of them load the others from a snapshot. */
const MOST_MODULES = 62;

/** Boots nothing: loads what the entry of a function process imports, and lists the files. */
const LIST = `
const Module = require('node:module');
const load = Module._load;
// The entry would take its descriptor and serve; its imports are what counts here.
const fs = require('node:fs');
const text = fs.readFileSync(process.argv[1], 'utf8');
const request = Module.createRequire(process.argv[1]);
for (const [, name] of text.matchAll(/require\\(["']([^"']+)["']\\)/g)) request(name);
process.stdout.write(JSON.stringify(Object.keys(require.cache)));
`;

describe('the entry of a function process', () => {
  const { stdout, stderr, status } = spawnSync(process.execPath, ['-e', LIST, path.join(ROOT, 'lib/entry/function_process.js')], { encoding: 'utf8' });
  const loaded = (status === 0 ? (JSON.parse(stdout) as string[]) : []).map((file) => path.relative(ROOT, file));

  it(`loads at most ${MOST_MODULES} modules of this package`, () => {
    assert.equal(status, 0, stderr);
    const own = loaded.filter((file) => !file.includes('node_modules'));
    assert.ok(own.length > 10, `only ${own.length}: the list is not the whole`);
    assert.ok(own.length <= MOST_MODULES, `${own.length}:\n${own.join('\n')}`);
  });

  for (const room of ['ingress', 'scheduler', 'trigger', 'observe', 'cli']) {
    it(`loads nothing of lib/${room}`, () => assert.deepEqual(loaded.filter((file) => file.startsWith(`lib/${room}/`)), []));
  }

  for (const name of ['valibot', 'find-my-way', 'es-module-lexer', 'cjs-module-lexer', 'egg', 'undici']) {
    it(`does not load ${name}`, () => assert.deepEqual(loaded.filter((file) => file.includes(`node_modules/${name}/`)), []));
  }

  it('loads few packages, all of them small', () => {
    const packages = new Set(loaded.flatMap((file) => /node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(file)?.[1] ?? []));
    assert.deepEqual([...packages].sort(), ['fastest-levenshtein']);
  });
});

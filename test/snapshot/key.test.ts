/**
 * A snapshot is used under the very key that it was built for; the message names what differs.
 */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { expectSubject } from '../../lib/snapshot/check';
import { expectKey, keyOf, processKey } from '../../lib/snapshot/key';
import type { SnapshotKey, SnapshotReference } from '../../lib/snapshot/manifest';
import { openSnapshot } from '../../lib/snapshot/store';
import { FILES, load, newDirectory, place, record, removeDirectory, runChild, subjectOf, withManifest, writeFiles } from './tiny_application';

/** Something else for each part of a key, and whether a process sees it by itself. */
const OTHERS: readonly (readonly [keyof SnapshotKey, unknown, 'process' | 'application'])[] = [
  ['format', 2, 'process'],
  ['carton', '99.0.0', 'process'],
  ['node', 'v99.0.0', 'process'],
  ['v8', 1, 'process'],
  ['platform', 'plan9-mips', 'process'],
  ['flags', ['--preserve-symlinks'], 'process'],
  ['typescript', 'true', 'process'],
  ['role', 'host', 'application'],
  ['env', 'staging', 'application'],
  ['scope', 'blue', 'application'],
  ['framework', '../other', 'application'],
  ['plugins', '["",{"mysql":true}]', 'application'],
  ['lockfile', '0'.repeat(64), 'application'],
];

describe('a snapshot of another key', () => {
  let directory: string;
  let baseDir: string;
  let good: Buffer;
  before(() => {
    directory = newDirectory();
    baseDir = path.join(directory, 'app');
    writeFiles(baseDir, FILES);
    good = readFileSync(record(subjectOf(baseDir), path.join(directory, 'snapshots')).path);
  });
  after(() => removeDirectory(directory));

  function changed(name: keyof SnapshotKey, value: unknown): SnapshotReference {
    return place(path.join(directory, 'changed'), withManifest(good, (manifest) => void ((manifest.key as Record<string, unknown>)[name] = value)));
  }

  for (const [name, value, seenBy] of OTHERS) {
    it(`is refused, with a message that names the key: "${name}"`, () => {
      const reference = changed(name, value);
      const expected = { code: 'CARTON_SNAPSHOT_MISMATCH', message: new RegExp(`\\(key "${name}"\\).*got ${escaped(JSON.stringify(value))}`) };
      assert.throws(() => expectSubject(openSnapshot(reference), subjectOf(baseDir)), expected);
      if (seenBy !== 'process') return;
      const { refused, results, served } = load(subjectOf(baseDir), reference);
      assert.equal(refused?.code, 'CARTON_SNAPSHOT_MISMATCH');
      assert.match(refused?.message ?? '', expected.message);
      assert.ok(refused?.untouched);
      assert.deepEqual([results, served], [[{ price: 6 }], 0]);
    });
  }

  it('is refused without any one part of its key', () => {
    for (const [name] of OTHERS) {
      const reference = place(path.join(directory, 'changed'), withManifest(good, (manifest) => void delete (manifest.key as Record<string, unknown>)[name]));
      assert.throws(() => expectSubject(openSnapshot(reference), subjectOf(baseDir)), { code: 'CARTON_SNAPSHOT_MISMATCH', message: new RegExp(`key "${name}"`) });
    }
    assert.equal(OTHERS.length, Object.keys(keyOf(subjectOf(baseDir))).length, 'a part of the key without a test');
  });

  for (const [what, environment, flags, key] of [
    ['a flag for links', {}, ['--preserve-symlinks'], 'flags'],
    ['conditions for exports', {}, ['-C', 'development'], 'flags'],
    ['a flag in NODE_OPTIONS', { NODE_OPTIONS: '--conditions=development' }, [], 'flags'],
    ['paths of NODE_PATH', { NODE_PATH: '/somewhere:/else' }, [], 'flags'],
    ['EGG_TYPESCRIPT', { EGG_TYPESCRIPT: 'true' }, [], 'typescript'],
    ['V8 flags that its caches depend on', {}, ['--no-opt'], 'v8'],
  ] as const) {
    it(`is refused by a process with ${what}, and fits one that was recorded with it`, () => {
      const task = { subject: subjectOf(baseDir), load: [path.join(baseDir, 'boot.js')] };
      const reference = record(subjectOf(baseDir), path.join(directory, 'plain'));
      const other = runChild({ ...task, replay: reference }, environment, flags);
      assert.match(other.refused?.message ?? '', new RegExp(`key "${key}"`));
      const { written } = runChild({ ...task, record: path.join(directory, 'same') }, environment, flags);
      const same = runChild({ ...task, replay: written }, environment, flags);
      assert.equal(same.refused, undefined);
      assert.ok(same.served > 0);
    });
  }
});

describe('the key of a snapshot', () => {
  let directory: string;
  beforeEach(() => (directory = newDirectory()));
  afterEach(() => removeDirectory(directory));

  it('knows every lockfile, of the application and above it, by name and place', () => {
    const baseDir = path.join(directory, 'packages/app');
    mkdirSync(baseDir, { recursive: true });
    const seen = new Set([keyOf(subjectOf(baseDir)).lockfile]);
    for (const at of [baseDir, directory]) {
      for (const name of ['package-lock.json', 'npm-shrinkwrap.json', 'pnpm-lock.yaml', 'yarn.lock', 'node_modules/.package-lock.json', 'node_modules/.pnpm/lock.yaml', 'node_modules/.yarn-integrity', 'node_modules/.yarn-state.yml']) {
        writeFiles(at, { [name]: 'same' });
        seen.add(keyOf(subjectOf(baseDir)).lockfile);
        rmSync(path.join(at, name));
      }
    }
    assert.equal(seen.size, 17);
    writeFileSync(path.join(baseDir, 'yarn.lock'), 'one');
    const one = keyOf(subjectOf(baseDir)).lockfile;
    writeFileSync(path.join(baseDir, 'yarn.lock'), 'two');
    assert.notEqual(keyOf(subjectOf(baseDir)).lockfile, one);
  });

  it('is the same wherever the application is, and names its framework relative to it', () => {
    const [a, b] = ['a', 'b/c'].map((name) => {
      const baseDir = path.join(directory, name);
      mkdirSync(baseDir, { recursive: true });
      return keyOf(subjectOf(baseDir, { framework: path.join(baseDir, 'node_modules/egg') }));
    });
    assert.deepEqual(a, b);
    assert.equal(a?.framework, 'node_modules/egg');
  });

  it('tells plugins and EGG_PLUGINS apart', () => {
    const before = process.env['EGG_PLUGINS'];
    const keys = new Set<string>();
    for (const [variable, plugins] of [['', null], ['{"a":1}', null], ['', { a: 1 }], ['', '{"a":1}']] as const) {
      process.env['EGG_PLUGINS'] = variable;
      keys.add(keyOf(subjectOf(directory, { plugins })).plugins);
    }
    if (before === undefined) delete process.env['EGG_PLUGINS'];
    else process.env['EGG_PLUGINS'] = before;
    assert.equal(keys.size, 4);
  });

  it('takes of Node\'s flags those that change what a request stands for', () => {
    const program = 'console.log(JSON.stringify(require(process.argv[1]).processKey().flags))';
    const flagsOf = (flags: readonly string[]): unknown => JSON.parse(execFileSync(process.execPath, [...flags, '-e', program, path.resolve(__dirname, '../../lib/snapshot/key.js')], { encoding: 'utf8', env: { ...process.env, NODE_OPTIONS: '', NODE_PATH: '' } }));
    assert.deepEqual(flagsOf(['--max-old-space-size=200', '--no-warnings']), []);
    assert.deepEqual(flagsOf(['-C', 'a', '--conditions=b', '--preserve-symlinks']), ['-C', 'a', '--conditions=b', '--preserve-symlinks']);
  });

  it('is compared in order, so that the first difference is told', () => {
    const key = keyOf(subjectOf(directory));
    expectKey(key, key);
    expectKey(processKey(), key);
    assert.throws(() => expectKey({ ...key, env: 'x', scope: 'y' }, key), { message: /key "env"/ });
  });
});

function escaped(text: string): string {
  return text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
}

/**
 * The directory of snapshots, guarantee by guarantee (lib/snapshot/store.ts).
 */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { digestOf } from '../../lib/snapshot/format';
import { currentSnapshot, DIRECTORY_VARIABLE, snapshotDirectory, storeSnapshot } from '../../lib/snapshot/store';
import { newDirectory, removeDirectory } from './tiny_application';

const LONG_AGO = new Date(Date.now() - 24 * 3_600_000);

describe('the directory of snapshots', () => {
  let directory: string;
  beforeEach(() => (directory = newDirectory()));
  afterEach(() => removeDirectory(directory));

  it('guarantee 1: is read by a pointer that names a whole file, and has nothing else in it', () => {
    const stored = storeSnapshot(directory, 'function', Buffer.from('one'));
    assert.deepEqual(currentSnapshot(directory, 'function'), stored);
    assert.equal(digestOf(readFileSync(stored.path)), stored.sha256);
    assert.deepEqual(readdirSync(directory).sort(), [`${stored.sha256}.snapshot`, 'function.json'].sort());
    assert.equal(currentSnapshot(directory, 'host'), undefined);
  });

  it('guarantee 1: keeps what was current where the new one cannot be written', () => {
    const former = storeSnapshot(directory, 'function', Buffer.from('one'));
    // Nothing can be renamed over a directory that is not empty.
    mkdirSync(path.join(directory, `${digestOf(Buffer.from('two'))}.snapshot`, 'x'), { recursive: true });
    assert.throws(() => storeSnapshot(directory, 'function', Buffer.from('two')), { code: 'CARTON_SNAPSHOT_NOT_WRITTEN' });
    assert.deepEqual(currentSnapshot(directory, 'function'), former);
    assert.deepEqual(readdirSync(directory).filter((name) => name.endsWith('.tmp')), []);
  });

  it('guarantee 2: readers get a whole file at every moment while two builders write', async function () {
    const program = `
      const { storeSnapshot } = require(process.argv[1]);
      for (let i = 0; i < 150; i += 1) storeSnapshot(process.argv[2], 'function', Buffer.alloc(200_000, process.argv[3] + i % 3));
    `;
    const store = path.resolve(__dirname, '../../lib/snapshot/store.js');
    const builders = ['a', 'b'].map((seed) => spawn(process.execPath, ['-e', program, store, directory, seed], { stdio: ['ignore', 'ignore', 'inherit'] }));
    const exits = builders.map((builder) => once(builder, 'exit'));
    let running = true;
    void Promise.all(exits).then(() => (running = false));
    let reads = 0;
    while (running) {
      await new Promise((resolve) => setImmediate(resolve));
      const found = currentSnapshot(directory, 'function');
      if (found === undefined) continue;
      assert.equal(digestOf(readFileSync(found.path)), found.sha256);
      reads += 1;
    }
    for (const exit of exits) assert.equal((await exit)[0], 0);
    assert.ok(reads > 10);
    const last = currentSnapshot(directory, 'function');
    assert.ok(last !== undefined && digestOf(readFileSync(last.path)) === last.sha256);
    assert.deepEqual(readdirSync(directory).filter((name) => name.endsWith('.tmp')), []);
  });

  it('guarantee 2: stands builders that are killed at any moment, and the next one goes on', async () => {
    const program = `
      const { storeSnapshot } = require(process.argv[1]);
      process.stdout.write('.');
      for (let i = 0; ; i += 1) storeSnapshot(process.argv[2], 'function', Buffer.alloc(1_000_000, String(i)));
    `;
    const store = path.resolve(__dirname, '../../lib/snapshot/store.js');
    for (let killed = 0; killed < 12; killed += 1) {
      const builder = spawn(process.execPath, ['-e', program, store, directory], { stdio: ['ignore', 'pipe', 'inherit'] });
      await once(builder.stdout, 'data');
      // Some turns further each time.
      for (let turn = 0; turn < killed * 200; turn += 1) await new Promise((resolve) => setImmediate(resolve));
      builder.kill('SIGKILL');
      await once(builder, 'exit');
      const found = currentSnapshot(directory, 'function');
      if (found !== undefined) assert.equal(digestOf(readFileSync(found.path)), found.sha256);
      for (const name of readdirSync(directory).filter((entry) => !entry.endsWith('.tmp'))) assert.match(name, /^(?:[0-9a-f]{64}\.snapshot|function\.json)$/);
    }
    for (const name of readdirSync(directory)) utimesSync(path.join(directory, name), LONG_AGO, LONG_AGO);
    // What was current until now has its time still.
    const former = currentSnapshot(directory, 'function');
    const { path: last } = storeSnapshot(directory, 'function', Buffer.from('last'));
    assert.deepEqual(readdirSync(directory).sort(), [...(former === undefined ? [] : [path.basename(former.path)]), path.basename(last), 'function.json'].sort());
  });

  it('guarantee 2: follows no link that stands where a file is to be written', () => {
    const victim = path.join(directory, 'victim');
    writeFileSync(victim, 'mine');
    symlinkSync(victim, path.join(directory, 'function.json'));
    storeSnapshot(directory, 'function', Buffer.from('one'));
    assert.equal(readFileSync(victim, 'utf8'), 'mine');
  });

  it('guarantee 3: removes what no pointer names, after its time, and nothing that it did not write', () => {
    const kept = ['notes.txt', '.other.tmp', `.${'f'.repeat(64)}.snapshot.swp`, 'x.snapshot', 'host.json.bak'];
    const former = `${'e'.repeat(64)}.snapshot`;
    const leftOver = [`.${'f'.repeat(64)}.snapshot.0123456789abcdef.tmp`, `.${'f'.repeat(64)}.snapshot.4711.tmp`, '.function.json.0123456789abcdef.tmp', former];
    for (const name of [...kept, ...leftOver]) {
      writeFileSync(path.join(directory, name), '');
      utimesSync(path.join(directory, name), LONG_AGO, LONG_AGO);
    }
    const fresh = '.host.json.0123456789abcdef.tmp';
    writeFileSync(path.join(directory, fresh), '');
    const { sha256 } = storeSnapshot(directory, 'function', Buffer.from('one'));
    assert.deepEqual(readdirSync(directory).sort(), [...kept, fresh, `${sha256}.snapshot`, 'function.json'].sort());
  });

  it('guarantee 3: keeps what the other role has, however old, and what has only just ceased to be current', () => {
    const host = storeSnapshot(directory, 'host', Buffer.from('host'));
    const former = storeSnapshot(directory, 'function', Buffer.from('one'));
    for (const { path: file } of [host, former]) utimesSync(file, LONG_AGO, LONG_AGO);
    storeSnapshot(directory, 'function', Buffer.from('two'));
    // A process may have read the pointer a moment ago.
    assert.ok(existsSync(former.path));
    utimesSync(former.path, LONG_AGO, LONG_AGO);
    storeSnapshot(directory, 'function', Buffer.from('three'));
    assert.ok(!existsSync(former.path));
    assert.ok(existsSync(host.path));
  });

  it('is made so that the group may not write, whatever the umask, because it would not be read from then', () => {
    const umask = process.umask(0o002);
    try {
      const made = path.join(directory, 'a/b');
      const { path: file } = storeSnapshot(made, 'function', Buffer.from('one'));
      for (const at of [made, file]) assert.equal(statSync(at).mode & 0o022, 0, at);
      assert.ok(currentSnapshot(made, 'function') !== undefined);
    } finally {
      process.umask(umask);
    }
  });

  it('cannot be below a file, or where its pointer is a directory', () => {
    writeFileSync(path.join(directory, 'file'), '');
    assert.throws(() => storeSnapshot(path.join(directory, 'file/below'), 'function', Buffer.from('x')), { code: 'CARTON_SNAPSHOT_NOT_WRITTEN' });
    assert.equal(currentSnapshot(path.join(directory, 'file/below'), 'function'), undefined);
    mkdirSync(path.join(directory, 'function.json/x'), { recursive: true });
    assert.throws(() => storeSnapshot(directory, 'function', Buffer.from('x')), { code: 'CARTON_SNAPSHOT_NOT_WRITTEN' });
    assert.throws(() => currentSnapshot(directory, 'function'), { code: 'CARTON_SNAPSHOT_DAMAGED' });
  });

  it('is damaged where a pointer holds anything but a digest', () => {
    for (const text of ['', '{', 'null', '{"sha256":"../../../etc/passwd"}', `{"sha256":"${'A'.repeat(64)}"}`, `{"sha256":"${'a'.repeat(64)}","x":1}`, '\0'.repeat(80), 'x'.repeat(2000)]) {
      rmSync(path.join(directory, 'function.json'), { force: true });
      writeFileSync(path.join(directory, 'function.json'), text);
      assert.throws(() => currentSnapshot(directory, 'function'), { code: 'CARTON_SNAPSHOT_DAMAGED' });
    }
  });

  it('is one of .carton for each scope and environment, or the one that the variable names, relative to the application', () => {
    const prod = { baseDir: '/app', env: 'prod', scope: '' };
    const before = process.env[DIRECTORY_VARIABLE];
    try {
      delete process.env[DIRECTORY_VARIABLE];
      assert.equal(snapshotDirectory({ ...prod, scope: 'en' }), '/app/.carton/en_prod');
      assert.equal(snapshotDirectory({ ...prod, env: '' }), '/app/.carton/default');
      assert.equal(snapshotDirectory({ ...prod, env: '../up' }), '/app/.carton/%2e%2e%2fup');
      for (const [value, expected] of [['', '/app/.carton/prod'], ['/srv/snapshots', '/srv/snapshots'], ['../snapshots', '/snapshots']]) {
        process.env[DIRECTORY_VARIABLE] = value;
        assert.equal(snapshotDirectory(prod), expected);
      }
    } finally {
      if (before === undefined) delete process.env[DIRECTORY_VARIABLE];
      else process.env[DIRECTORY_VARIABLE] = before;
    }
  });
});

/**
 * Disks that a snapshot cannot be written to: the former one stays current, and nothing is left beside it.
 */
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { buildSnapshot } from '../../lib/entry/snapshot_builder';
import { currentSnapshot, openSnapshot, storeSnapshot } from '../../lib/snapshot/store';
import { planOf } from '../entry/recordings';
import { age, FILES, newDirectory, removeDirectory, writeFiles } from '../snapshot/tiny_application';

const STORE = path.resolve(__dirname, '../../lib/snapshot/store.js');

describe('a snapshot on a disk that does not take it', () => {
  let directory: string;
  let mounted: string | undefined;
  beforeEach(() => (directory = newDirectory()));
  afterEach(() => {
    if (mounted !== undefined) execFileSync('umount', [mounted]);
    mounted = undefined;
    removeDirectory(directory);
  });

  /** Undefined where mounts are not permitted. */
  function mount(args: readonly string[]): string | undefined {
    const at = path.join(directory, 'mounted');
    mkdirSync(at);
    if (process.geteuid?.() !== 0 || spawnSync('mount', [...args, at]).status !== 0) return undefined;
    return (mounted = at);
  }

  it('is not written where the disk is full, while what was current stays', async function () {
    const at = mount(['-t', 'tmpfs', '-o', 'size=1m', 'tmpfs']);
    if (at === undefined) return this.skip();
    const former = storeSnapshot(at, 'function', Buffer.alloc(300_000, 'a'));
    assert.throws(() => storeSnapshot(at, 'function', Buffer.alloc(900_000, 'b')), { code: 'CARTON_SNAPSHOT_NOT_WRITTEN', message: /ENOSPC/ });
    assert.deepEqual(currentSnapshot(at, 'function'), former);
    assert.deepEqual(readdirSync(at).sort(), [path.basename(former.path), 'function.json'].sort());
    // From a builder, too.
    writeFileSync(path.join(at, 'filler'), Buffer.alloc(650_000));
    const baseDir = path.join(directory, 'app');
    writeFiles(baseDir, FILES);
    age();
    await assert.rejects(buildSnapshot(await planOf(baseDir, at), { execArgv: [] }).done, { code: 'CARTON_SNAPSHOT_NOT_WRITTEN', message: /ENOSPC/ });
    assert.deepEqual(readdirSync(at).sort(), [path.basename(former.path), 'filler', 'function.json'].sort());
    // With room again, the next one is written.
    rmSync(path.join(at, 'filler'));
    const { snapshot } = await buildSnapshot(await planOf(baseDir, at), { execArgv: [] }).done;
    assert.ok(openSnapshot(snapshot).manifest.files.length > 0);
  });

  it('is not written where there is room for the snapshot, but not for its pointer', function () {
    const at = mount(['-t', 'tmpfs', '-o', 'size=1m', 'tmpfs']);
    if (at === undefined) return this.skip();
    const former = storeSnapshot(at, 'function', Buffer.alloc(4096, 'a'));
    const page = 4096;
    assert.throws(() => storeSnapshot(at, 'function', Buffer.alloc(2 ** 20 - 2 * page, 'b')), { code: 'CARTON_SNAPSHOT_NOT_WRITTEN' });
    assert.deepEqual(currentSnapshot(at, 'function'), former);
    assert.deepEqual(readdirSync(at).filter((name) => name.endsWith('.tmp')), []);
  });

  it('is not written where files may not be that large', () => {
    const former = storeSnapshot(directory, 'function', Buffer.from('former'));
    const program = 'process.on("SIGXFSZ", () => undefined); try { require(process.argv[1]).storeSnapshot(process.argv[2], "function", Buffer.alloc(3_000_000)); } catch (error) { process.stdout.write(error.code); }';
    const child = spawnSync('prlimit', ['--fsize=1000000', process.execPath, '-e', program, STORE, directory], { encoding: 'utf8' });
    assert.equal(child.stdout, 'CARTON_SNAPSHOT_NOT_WRITTEN', child.stderr);
    assert.deepEqual(currentSnapshot(directory, 'function'), former);
    assert.deepEqual(readdirSync(directory).sort(), [path.basename(former.path), 'function.json'].sort());
  });

  it('is read from a read-only directory, and not written to it', function () {
    const source = path.join(directory, 'source');
    const former = storeSnapshot(source, 'function', Buffer.from('former'));
    const at = mount(['--bind', source]);
    if (at === undefined) return this.skip();
    execFileSync('mount', ['-o', 'remount,ro,bind', at]);
    assert.throws(() => storeSnapshot(at, 'function', Buffer.from('next')), { code: 'CARTON_SNAPSHOT_NOT_WRITTEN', message: /EROFS/ });
    assert.equal(currentSnapshot(at, 'function')?.sha256, former.sha256);
  });
});

/**
 * What holds a host together: its directory (private, taken over, swept) and the life of its process.
 */
import assert from 'node:assert/strict';
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { HostDirectory } from '../../lib/support/host_directory';
import { hostProcessOf, isAlive, killGroup, watchHost } from '../../lib/support/host_process';
import { FakeClock } from './fake_clock';
import { isRunning } from './processes';
import { eventually } from './eventually';

const SELF = hostProcessOf(process.pid);

describe('the directory of a host', () => {
  let root: string;
  beforeEach(() => {
    root = mkdtempSync(path.join(tmpdir(), 'ec-dir-'));
  });
  afterEach(() => rmSync(root, { recursive: true, force: true }));

  it('is of mode 0700, and its key of mode 0600, whatever the umask', () => {
    const before = process.umask(0);
    const directory = new HostDirectory(path.join(root, 'made'), SELF, '/app');
    directory.create();
    process.umask(before);
    assert.equal(statSync(path.join(root, 'made')).mode & 0o777, 0o700);
    assert.equal(statSync(directory.path).mode & 0o777, 0o700);
    assert.equal(statSync(path.join(directory.path, 'host.key')).mode & 0o777, 0o600);
  });

  it('gives every holder of the key the same token, and each purpose another', () => {
    const directory = new HostDirectory(root, SELF);
    directory.create();
    const other = new HostDirectory(root, SELF);
    other.create();
    assert.match(directory.token('worker'), /^[0-9a-f]{32}$/);
    assert.equal(directory.token('worker'), other.token('worker'));
    assert.equal(new Set([directory.token('worker'), directory.token('call:1-1'), directory.token('control:1-1'), directory.token('call:1-2')]).size, 4);
  });

  it('counts its agents, and leaves no half-written file', () => {
    const directory = new HostDirectory(root, SELF);
    directory.create();
    assert.deepEqual([directory.nextEpoch(), directory.nextEpoch()], [1, 2]);
    assert.equal(new HostDirectory(root, SELF).nextEpoch(), 3);
    assert.ok(!readdirSync(directory.path).some((name) => name.endsWith('.new')));
  });

  it('is refused where others can write to it, and its mode is left alone', () => {
    chmodSync(root, 0o777);
    assert.throws(() => new HostDirectory(root, SELF).create(), { code: 'CARTON_HOST_DIRECTORY_UNSAFE', message: /mode 777/ });
    assert.equal(statSync(root).mode & 0o777, 0o777);
    chmodSync(root, 0o755);
    new HostDirectory(root, SELF).create();
    assert.equal(statSync(root).mode & 0o777, 0o755);
  });

  it('is refused where its own place is open to others, or is a link or a file', () => {
    const directory = new HostDirectory(root, SELF);
    mkdirSync(directory.path, { mode: 0o755 });
    assert.throws(() => directory.create(), { code: 'CARTON_HOST_DIRECTORY_UNSAFE', message: /mode 755/ });
    rmSync(directory.path, { recursive: true });
    symlinkSync(mkdtempSync(path.join(root, 'elsewhere-')), directory.path);
    assert.throws(() => directory.create(), { code: 'CARTON_HOST_DIRECTORY_UNSAFE', message: /another kind of file/ });
    rmSync(directory.path);
    writeFileSync(directory.path, '');
    assert.throws(() => directory.create(), { code: 'CARTON_HOST_DIRECTORY_UNSAFE' });
  });

  it('removes nothing that it did not make', () => {
    const directory = new HostDirectory(root, SELF);
    mkdirSync(directory.path, { mode: 0o755 });
    assert.throws(() => directory.create());
    directory.remove();
    assert.ok(existsSync(directory.path));
  });

  it('is refused at once where the sockets of later instances would have too long a path', () => {
    const long = path.join(root, 'x'.repeat(107 - root.length));
    assert.throws(() => new HostDirectory(long, SELF).create(), { code: 'CARTON_HOST_PATH_TOO_LONG' });
    assert.ok(!existsSync(long));
  });

  it('is swept once its host has ended, and so are instances that still live; those of living hosts stay', async () => {
    const host = await sleeper();
    const instance = await sleeper();
    const dead = new HostDirectory(root, hostProcessOf(host.pid as number), '/app');
    const living = new HostDirectory(root, SELF, '/app');
    const bystander = path.join(root, 'notes');
    for (const directory of [dead, living]) {
      directory.create();
      directory.noteProcess('1-1', hostProcessOf(instance.pid as number));
    }
    mkdirSync(bystander);
    living.sweep();
    assert.ok(existsSync(dead.path));
    host.kill('SIGKILL');
    await once(host, 'exit');
    living.sweep();
    assert.deepEqual(readdirSync(root).sort(), [path.basename(living.path), 'notes'].sort());
    await once(instance, 'exit');
  });

  it('does not take a process for a noted one that has only its number', async () => {
    const instance = await sleeper();
    const host = await sleeper();
    const dead = new HostDirectory(root, hostProcessOf(host.pid as number), '/app');
    dead.create();
    dead.noteProcess('1-1', { pid: instance.pid as number, startTime: '1' });
    dead.noteProcess('1-2', { pid: instance.pid as number, startTime: '' });
    host.kill('SIGKILL');
    await once(host, 'exit');
    new HostDirectory(root, SELF).sweep();
    assert.ok(!existsSync(dead.path));
    assert.ok(isRunning(instance.pid as number));
    instance.kill('SIGKILL');
    await once(instance, 'exit');
  });

  it('forgets an instance with its socket, record and note', () => {
    const directory = new HostDirectory(root, SELF);
    directory.create();
    directory.noteProcess('1-1', SELF);
    writeFileSync(directory.instanceSocket('1-1'), '');
    writeFileSync(directory.recordPath('1-1'), '');
    assert.deepEqual(directory.instanceIds(), ['1-1']);
    assert.deepEqual([...directory.notedProcesses()], [['1-1', SELF]]);
    directory.removeInstance('1-1');
    directory.removeInstance('1-1');
    assert.deepEqual(readdirSync(directory.path), ['host.key']);
  });
});

describe('the process of a host', () => {
  it('is known by number and start time: another with its number is not taken for it', () => {
    assert.ok(isAlive(SELF));
    assert.ok(!isAlive({ pid: process.pid, startTime: '1' }));
    assert.ok(!isAlive({ pid: 2 ** 22 + 1, startTime: '1' }));
    assert.ok(isAlive({ pid: process.pid, startTime: '' }));
  });

  it('has ended when it is a zombie', async () => {
    // Its parent ends without waiting for it, and stays: a shell that replaces itself.
    const parent = spawn('sh', ['-c', 'sleep 1000 & echo $!; exec sleep 1001'], { stdio: ['ignore', 'pipe', 'ignore'] });
    const [line] = (await once(parent.stdout, 'data')) as [Buffer];
    const child = hostProcessOf(Number(line.toString()));
    assert.ok(isAlive(child));
    process.kill(child.pid, 'SIGKILL');
    await eventually('its end', () => !isAlive(child));
    parent.kill('SIGKILL');
    await once(parent, 'exit');
  });

  it('is watched: its end is told once, and never after a cancel', async () => {
    const clock = new FakeClock();
    const host = await sleeper();
    let told = 0;
    watchHost(hostProcessOf(host.pid as number), clock, () => (told += 1));
    const cancelled = watchHost(hostProcessOf(host.pid as number), clock, () => assert.fail('was cancelled'));
    cancelled.cancel();
    clock.advance(10_000);
    assert.equal(told, 0);
    host.kill('SIGKILL');
    await once(host, 'exit');
    clock.advance(500);
    clock.advance(10_000);
    assert.equal(told, 1);
    assert.equal(clock.pending, 0);
  });

  it('can be ended with its group, and again', async () => {
    const leader = spawn('sh', ['-c', 'sleep 1000 & echo $!; wait'], { detached: true, stdio: ['ignore', 'pipe', 'ignore'] });
    const [line] = (await once(leader.stdout, 'data')) as [Buffer];
    killGroup(leader.pid as number);
    await once(leader, 'exit');
    await eventually('the end of what it started', () => !isRunning(Number(line.toString())));
    killGroup(leader.pid as number);
  });
});

/** A process that lives until it is killed. */
async function sleeper(): Promise<ChildProcess> {
  const child = spawn('sleep', ['1000'], { stdio: 'ignore', detached: true });
  await once(child, 'spawn');
  return child;
}

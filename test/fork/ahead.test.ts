/**
 * Forks ahead of time (lib/fork/forked.ts, lib/fork/inside/life.ts), held by real processes: they wait, and are then what
 * a fork is that was made at that moment.
 */
import assert from 'node:assert/strict';
import { fork as forkNode, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { connect } from 'node:net';
import { release, tmpdir } from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { held } from '../../lib/fork/children';
import { forker } from '../../lib/fork/native';
import { Template, type ForkAhead, type ForkedProcess } from '../../lib/fork/template';
import { ROOT } from '../support/cluster';
import { eventually } from '../support/eventually';
import { descriptorsOf, isRunning } from '../support/processes';
import { BALLAST_BYTES, TIMER_MS, type Deed, type Told } from './programs/ahead';
import type { Asked } from './programs/ahead_asker';

const program = path.join(__dirname, 'programs/ahead.js');
const entry = path.join(ROOT, 'lib/entry/template_process.js');
/** Far below what is copied, far above what a fork writes by itself. */
const COPIED_BYTES = BALLAST_BYTES / 2;

const waits = (pid: number): Promise<boolean> =>
  eventually('a fork that waits', () => readFileSync(`/proc/${pid}/cmdline`, 'latin1').startsWith('egg-carton: fork ahead of time'));
const gone = (pid: number): Promise<boolean> => eventually(`the end of ${pid}`, () => !isRunning(pid));
const ownBytes = (pid: number): number => Number(/^Private_Dirty: +(\d+) kB/m.exec(readFileSync(`/proc/${pid}/smaps_rollup`, 'latin1'))?.[1]) * 1024;

describe('a fork ahead of time', () => {
  let directory: string;
  let notes: string;
  let template: Template;
  const ahead: ForkAhead[] = [];
  const begun: ForkedProcess[] = [];
  beforeEach(async () => {
    directory = mkdtempSync(path.join(tmpdir(), 'ec-ahead-'));
    notes = path.join(directory, 'notes');
    template = await Template.start({ entry, program, argument: { notes } });
  });
  afterEach(async () => {
    for (const fork of ahead.splice(0)) fork.kill();
    for (const fork of begun.splice(0)) {
      fork.kill();
      fork.channel.destroy();
      await fork.exited;
    }
    template.close();
    await gone(template.pid);
    rmSync(directory, { recursive: true });
  });

  const noted = (): number[] => (existsSync(notes) ? readFileSync(notes, 'utf8').trim().split('\n').map(Number) : []);

  async function waiting(): Promise<ForkAhead> {
    const fork = await template.forkAhead();
    ahead.push(fork);
    await waits(fork.pid);
    return fork;
  }
  function begin(fork: ForkAhead, deed: Deed = 'nothing', descriptors: readonly number[] = []): { process: ForkedProcess; next(): Promise<unknown> } {
    const process = fork.begin({ deed }, descriptors);
    begun.push(process);
    const lines = createInterface({ input: process.channel })[Symbol.asyncIterator]();
    return { process, next: async () => JSON.parse((await lines.next()).value as string) as unknown };
  }
  const toldBy = async (fork: ForkAhead): Promise<Told> => (await begin(fork).next()) as Told;

  it('runs nothing of its program until it begins, and is told its argument then', async () => {
    const [first, second] = [await waiting(), await waiting()];
    assert.deepEqual(noted(), []);
    const { pid, argument, descriptors } = await toldBy(second);
    assert.deepEqual({ pid, argument, descriptors }, { pid: second.pid, argument: { deed: 'nothing' }, descriptors: 0 });
    assert.deepEqual(noted(), [second.pid]);
    assert.ok(isRunning(first.pid));
  });

  it('accepts connections at a socket that it is handed, which the caller may close', async () => {
    const socketPath = path.join(directory, 'socket');
    const fork = await waiting();
    const listener = forker().listenAt(socketPath);
    assert.equal(statSync(socketPath).mode & 0o777, 0o600);
    const early = connect(socketPath);
    const { process, next } = begin(fork, 'listens', [listener]);
    forker().close(listener);
    assert.equal((await next() as Told).descriptors, 1);
    for (const socket of [early, connect(socketPath)]) {
      const [answer] = await once(socket, 'data') as [Buffer];
      assert.equal(Number(answer.toString()), fork.pid);
      socket.destroy();
    }
    process.kill();
    await process.exited;
    // Nobody else holds it.
    const [error] = await once(connect(socketPath), 'error') as [NodeJS.ErrnoException];
    assert.equal(error.code, 'ECONNREFUSED');
  });

  it('is as old as its beginning, however long it waited, and so are the timers of its template', async () => {
    const fork = await waiting();
    const forkedAt = performance.now();
    await eventually('a timer that would be overdue', () => performance.now() - forkedAt > 2 * TIMER_MS);
    const begunAt = performance.now();
    const { next } = begin(fork, 'waits');
    const told = await next() as Told;
    const elapsedMs = performance.now() - begunAt;
    for (const age of [told.nowMs, told.uptimeMs]) assert.ok(age >= 0 && age <= elapsedMs, `${age} of ${elapsedMs} ms`);
    const firedAt = await next() as number;
    // Timers count in whole milliseconds.
    assert.ok(firedAt >= TIMER_MS - 2, String(firedAt));
  });

  it('has random numbers of its own', async () => {
    const all = [await waiting(), await waiting(), await waiting()];
    const told = await Promise.all(all.map(toldBy));
    assert.equal(new Set(told.flatMap(({ random }) => random)).size, 6);
  });

  it('tells its exit once it has begun, as any fork', async () => {
    const fork = await waiting();
    const { process, next } = begin(fork);
    await next();
    process.channel.end();
    assert.deepEqual(await process.exited, { code: 0, signal: null });
    await fork.ended;
  });

  it('tells its end where it dies while it waits, and cannot begin then', async () => {
    const [seen, unseen] = [await waiting(), await waiting()];
    process.kill(seen.pid, 'SIGKILL');
    await seen.ended;
    assert.throws(() => seen.begin({}), { code: 'CARTON_FORK_ENDED' });
    process.kill(unseen.pid, 'SIGKILL');
    // Its end is known to the kernel before anybody here can have heard of it.
    while (isRunning(unseen.pid));
    assert.throws(() => unseen.begin({}), { code: 'CARTON_FORK_ENDED' });
    await unseen.ended;
  });

  it('begins once', async () => {
    const fork = await waiting();
    const { next } = begin(fork);
    assert.throws(() => fork.begin({}), { code: 'CARTON_FORK_ENDED' });
    fork.kill();
    assert.equal((await next() as Told).pid, fork.pid);
    assert.deepEqual(noted(), [fork.pid]);
  });

  it('still waits after an argument that it cannot have', async () => {
    const fork = await waiting();
    assert.throws(() => fork.begin('x'.repeat(70_000)), { code: 'CARTON_FORK_ARGUMENT', message: /at most 65536 bytes/ });
    assert.throws(() => fork.begin(1n), { code: 'CARTON_FORK_ARGUMENT' });
    assert.equal((await toldBy(fork)).pid, fork.pid);
  });

  it('ends when it is killed, and leaves its template to fork on', async () => {
    const fork = await waiting();
    fork.kill();
    fork.kill();
    await fork.ended;
    await gone(fork.pid);
    assert.throws(() => fork.begin({}), { code: 'CARTON_FORK_ENDED' });
    await toldBy(await waiting());
    assert.equal(noted().includes(fork.pid), false);
  });

  it('waits on when its template has ended', async () => {
    const fork = await waiting();
    process.kill(template.pid, 'SIGKILL');
    await template.ended;
    assert.equal((await toldBy(fork)).pid, fork.pid);
  });

  it('rejects with CARTON_FORK_ENDED where its template has ended', async () => {
    process.kill(template.pid, 'SIGKILL');
    await assert.rejects(template.forkAhead(), { code: 'CARTON_FORK_ENDED' });
  });

  it('ends by itself when whoever asked for it was killed', async () => {
    const asker = forkNode(path.join(__dirname, 'programs/ahead_asker.js'), [String(process.pid), notes]);
    const [asked] = await once(asker, 'message') as [Asked];
    await waits(asked.fork);
    // The template is stopped, so that it is not the one to end it.
    process.kill(asked.template, 'SIGSTOP');
    asker.kill('SIGKILL');
    await gone(asked.fork);
    process.kill(asked.template, 'SIGCONT');
    await gone(asked.template);
    assert.deepEqual(noted(), []);
  });

  it('ends by itself when its host has ended', async () => {
    const host = spawn('sleep', ['1000'], { stdio: 'ignore' });
    const other = await Template.start({ entry, program, argument: { notes }, hostPid: host.pid });
    const fork = await other.forkAhead();
    await waits(fork.pid);
    process.kill(other.pid, 'SIGSTOP');
    host.kill('SIGKILL');
    await gone(fork.pid);
    process.kill(other.pid, 'SIGCONT');
    await gone(other.pid);
    await fork.ended;
  });

  it('leaves no descriptor here, whatever becomes of it', async () => {
    const descriptors = descriptorsOf(process.pid);
    const [dies, killed, begins, orphan] = [await waiting(), await waiting(), await waiting(), await waiting()];
    process.kill(dies.pid, 'SIGKILL');
    killed.kill();
    const { process: forked, next } = begin(begins);
    await next();
    forked.channel.end();
    await Promise.all([dies.ended, killed.ended, forked.exited]);
    process.kill(template.pid, 'SIGKILL');
    await template.ended;
    orphan.kill();
    // The template's own socket goes, too.
    await eventually('no descriptor left', () => descriptorsOf(process.pid) < descriptors);
    await eventually('nobody waits for it', () => held().waiting === 0);
  });

  it('has as its own what another one was seen to write', async function () {
    const [major = 0, minor = 0] = release().split('.').map(Number);
    // MADV_POPULATE_WRITE came with Linux 5.14.
    if (major < 5 || (major === 5 && minor < 14)) return this.skip();
    const before = await waiting();
    const bytes = ownBytes(before.pid);
    const { process: writer, next } = begin(await waiting(), 'writes');
    await next();
    template.learn(writer);
    const after = await waiting();
    assert.ok(ownBytes(after.pid) - bytes > COPIED_BYTES, `${bytes} and then ${ownBytes(after.pid)} bytes`);
    assert.ok(ownBytes(before.pid) - bytes < COPIED_BYTES, 'one that was there before stays as it is');
    assert.equal((await toldBy(after)).pid, after.pid);
  });
});

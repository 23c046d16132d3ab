/**
 * Guarantees of lib/fork/template.ts and lib/fork/inside/life.ts, held by real trees of processes.
 */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { text } from 'node:stream/consumers';
import { held } from '../../lib/fork/children';
import { forker } from '../../lib/fork/native';
import { FORKS_AT_ONCE, WAITING_LIMIT } from '../../lib/fork/requests';
import { Template, type ForkedProcess } from '../../lib/fork/template';
import { codeOf } from '../../lib/support/errors';
import { ROOT } from '../support/cluster';
import { eventually } from '../support/eventually';
import { descriptorsOf, isRunning } from '../support/processes';
import type { Written } from './programs/scattered';
import type { Conduct, Warm } from './programs/tree';

const program = path.join(__dirname, 'programs/tree.js');
const entry = path.join(ROOT, 'lib/entry/template_process.js');
const FAILURES = [['throws', 'CARTON_FORK_BOOT_FAILED'], ['exits', 'CARTON_FORK_BOOT_FAILED'], ['is killed', 'CARTON_FORK_BOOT_FAILED'], ['hangs', 'CARTON_FORK_TIMEOUT'], ['spins', 'CARTON_FORK_TIMEOUT']] as const;

describe('a template', () => {
  let directory: string;
  const templates: Template[] = [];
  const forks: ForkedProcess[] = [];
  beforeEach(() => {
    directory = mkdtempSync(path.join(tmpdir(), 'ec-template-'));
  });
  afterEach(async () => {
    for (const fork of forks.splice(0)) {
      fork.kill();
      fork.channel.destroy();
      await fork.exited;
    }
    for (const template of templates.splice(0).reverse()) {
      template.close();
      await eventually('the end of a template', () => !isRunning(template.pid));
    }
    rmSync(directory, { recursive: true });
  });

  const kept = <T extends Template>(template: T): T => (templates.push(template), template);
  const start = async (argument: Warm = {}, timeoutMs?: number): Promise<Template> => kept(await Template.start({ entry, program, argument, timeoutMs }));
  const derive = async (from: Template, argument: Warm = {}, timeoutMs?: number): Promise<Template> => kept(await from.derive({ program, argument, timeoutMs }));

  async function fork(template: Template, conduct: Conduct = 'talks'): Promise<ForkedProcess> {
    const forked = await template.fork({ conduct });
    forks.push(forked);
    forked.channel.on('error', () => undefined);
    return forked;
  }
  async function said(forked: ForkedProcess): Promise<{ pid: number; state: unknown }> {
    const [first] = await once(forked.channel, 'data') as [Buffer];
    return JSON.parse(first.toString()) as { pid: number; state: unknown };
  }
  async function talking(template: Template): Promise<ForkedProcess> {
    const forked = await fork(template);
    await said(forked);
    return forked;
  }

  it('guarantee 1: start and derive resolve once it is ready, and what is derived inherits', async () => {
    const root = await start({ name: 'root' });
    const derived = await derive(root, { name: 'derived' });
    const forked = await fork(derived);
    assert.deepEqual(await said(forked), { pid: forked.pid, state: ['root', 'derived'], argument: { conduct: 'talks' } });
  });

  for (const [fails, code] of FAILURES) {
    it(`guarantee 1: where its program ${fails}, start rejects with ${code}, and its process is gone`, async () => {
      const pidFile = path.join(directory, 'pid');
      await assert.rejects(start({ fails, pidFile }, code === 'CARTON_FORK_TIMEOUT' ? 700 : undefined), { code });
      // It may be late before it has come as far as its program.
      if (existsSync(pidFile)) assert.equal(isRunning(Number(readFileSync(pidFile))), false);
    });

    it(`guarantee 1: where its program ${fails}, derive rejects with ${code}, its process is gone, and the other forks on`, async () => {
      const pidFile = path.join(directory, 'pid');
      const root = await start();
      await assert.rejects(derive(root, { fails, pidFile }, code === 'CARTON_FORK_TIMEOUT' ? 700 : undefined), { code });
      assert.equal(isRunning(Number(readFileSync(pidFile))), false);
      await talking(root);
      assert.deepEqual(held(), { early: 0, waiting: 1 });
    });
  }

  it('guarantee 1: a program that is not there, and an argument that is too long for a command line, fail the start', async () => {
    await assert.rejects(Template.start({ entry, program: path.join(directory, 'none.js'), argument: {} }), { code: 'CARTON_FORK_BOOT_FAILED' });
    const descriptors = descriptorsOf(process.pid);
    await assert.rejects(Template.start({ entry, program, argument: 'x'.repeat(3_000_000) }), { code: 'CARTON_FORK_BOOT_FAILED' });
    assert.equal(descriptorsOf(process.pid), descriptors);
  });

  for (const fails of ['hangs', 'spins'] as const) {
    it(`guarantee 1: aborted where its program ${fails}, start and derive reject with CARTON_FORK_ENDED, and its process is gone`, async () => {
      const root = await start();
      for (const make of [(over: object) => Template.start({ entry, ...over } as never), (over: object) => root.derive(over as never)]) {
        const pidFile = path.join(directory, 'pid');
        const abort = new AbortController();
        const made = assert.rejects(make({ program, argument: { fails, pidFile }, signal: abort.signal }), { code: 'CARTON_FORK_ENDED' });
        const pid = await eventually('its boot', () => existsSync(pidFile) && Number(readFileSync(pidFile)));
        abort.abort();
        await made;
        assert.equal(isRunning(pid), false);
        rmSync(pidFile);
      }
      await assert.rejects(root.derive({ program, argument: {}, signal: AbortSignal.abort() }), { code: 'CARTON_FORK_ENDED' });
      await talking(root);
    });
  }

  it('guarantee 1: where its host has ended, and its pid is another process\'s, start rejects', async () => {
    await assert.rejects(Template.start({ entry, program, argument: {}, hostPid: process.pid, hostStartTime: '1' }), { code: 'CARTON_FORK_BOOT_FAILED' });
  });

  it('guarantee 1: derive from one that is stopped is late, and what it forks later is ended', async () => {
    const root = await start();
    process.kill(root.pid, 'SIGSTOP');
    const pidFile = path.join(directory, 'pid');
    await assert.rejects(derive(root, { pidFile, fails: 'hangs' }, 50), { code: 'CARTON_FORK_TIMEOUT' });
    process.kill(root.pid, 'SIGCONT');
    await talking(root);
    await eventually('its end', () => !existsSync(pidFile) || !isRunning(Number(readFileSync(pidFile))));
    await eventually('nobody waits for it', () => held().waiting === 1);
  });

  const PARENTS = ['its template', 'the root, after its template was killed', 'this process, after both were killed', 'a closed root, after its template was killed', 'a root that got SIGTERM, after its template was killed'] as const;
  for (const parent of PARENTS) {
    it(`guarantee 2: exit codes and signals are exact when ${parent} reaps`, async () => {
      const root = await start();
      const derived = await derive(root);
      const [exits, ends, dies, waits] = await Promise.all([talking(derived), talking(derived), talking(derived), talking(derived)]);
      if (parent.startsWith('a closed root')) root.close();
      if (parent.startsWith('a root that got')) process.kill(root.pid, 'SIGTERM');
      if (parent !== 'its template') process.kill(derived.pid, 'SIGKILL');
      if (parent.startsWith('this process')) process.kill(root.pid, 'SIGKILL');
      if (parent !== 'its template') await derived.ended;
      if (parent !== 'its template' && !parent.startsWith('the root')) await root.ended;
      exits.channel.write('exit 5');
      ends.channel.end();
      dies.channel.write('signal SIGUSR2');
      assert.deepEqual(await exits.exited, { code: 5, signal: null });
      assert.deepEqual(await ends.exited, { code: 0, signal: null });
      assert.deepEqual(await dies.exited, { code: null, signal: 'SIGUSR2' });
      waits.kill();
      assert.deepEqual(await waits.exited, { code: null, signal: 'SIGKILL' });
    });
  }

  it('guarantee 2: exited comes after the last byte of the channel', async () => {
    const forked = await fork(await start(), 'floods');
    let bytes = 0;
    forked.channel.on('data', (chunk: Buffer) => (bytes += chunk.length));
    assert.deepEqual(await forked.exited, { code: 7, signal: null });
    assert.equal(bytes, 3_000_000);
  });

  it('guarantee 2: kill after the exit does nothing', async () => {
    const forked = await talking(await start());
    forked.channel.write('exit 0');
    await forked.exited;
    forked.kill();
    assert.deepEqual(await forked.exited, { code: 0, signal: null });
  });

  it('guarantee 3: requests beyond the limit wait here, in order, without descriptors, and never block this process', async () => {
    const root = await start();
    const descriptors = descriptorsOf(process.pid);
    process.kill(root.pid, 'SIGSTOP');
    const order: number[] = [];
    const all = Array.from({ length: FORKS_AT_ONCE + 20 }, async (_, index) => {
      // 48 KB each: far more than a socket takes.
      const forked = await root.fork({ conduct: 'talks', index, ballast: 'x'.repeat(48_000) });
      order.push(index);
      forks.push(forked);
      return forked;
    });
    assert.ok(descriptorsOf(process.pid) - descriptors <= FORKS_AT_ONCE);
    process.kill(root.pid, 'SIGCONT');
    await Promise.all(all);
    assert.deepEqual(order, all.map((_, index) => index));
  });

  it('guarantee 3: small requests are under way up to the limit, and one too many that waits is refused', async () => {
    const root = await start();
    const descriptors = descriptorsOf(process.pid);
    process.kill(root.pid, 'SIGSTOP');
    const all = Array.from({ length: FORKS_AT_ONCE + WAITING_LIMIT }, () => root.fork({}).catch(codeOf));
    assert.equal(descriptorsOf(process.pid) - descriptors, FORKS_AT_ONCE);
    await assert.rejects(root.fork({}), { code: 'CARTON_FORK_FAILED' });
    process.kill(root.pid, 'SIGKILL');
    assert.ok((await Promise.all(all)).every((code) => code === 'CARTON_FORK_ENDED'));
    await eventually('no descriptor left', () => descriptorsOf(process.pid) <= descriptors);
  });

  it('guarantee 4: when it ends, requests reject with CARTON_FORK_ENDED, and forks live on', async () => {
    const root = await start();
    const forked = await talking(root);
    process.kill(root.pid, 'SIGSTOP');
    const asked = Array.from({ length: FORKS_AT_ONCE * 2 }, () => assert.rejects(root.fork({}), { code: 'CARTON_FORK_ENDED' }));
    process.kill(root.pid, 'SIGKILL');
    await Promise.all(asked);
    await root.ended;
    await assert.rejects(root.fork({}), { code: 'CARTON_FORK_ENDED' });
    await assert.rejects(root.derive({ program, argument: {} }), { code: 'CARTON_FORK_ENDED' });
    forked.channel.write('say alive');
    const [answer] = await once(forked.channel, 'data') as [Buffer];
    assert.equal(answer.toString(), 'alive');
  });

  it('guarantee 4: close rejects requests under way, and what is forked for them meanwhile is ended', async () => {
    const root = await start();
    const forked = await talking(root);
    process.kill(root.pid, 'SIGSTOP');
    const asked = Array.from({ length: 10 }, () => assert.rejects(root.fork({}), { code: 'CARTON_FORK_ENDED' }));
    root.close();
    await Promise.all(asked);
    process.kill(root.pid, 'SIGCONT');
    forked.channel.write('exit 3');
    assert.deepEqual(await forked.exited, { code: 3, signal: null });
    // It lingers for its children, so none is left when it has gone.
    await eventually('the end of the root', () => !isRunning(root.pid));
  });

  it('guarantee 5: close ends one that is stopped, and its forks live on', async () => {
    const root = await start();
    const derived = await derive(root);
    const forked = await talking(derived);
    process.kill(derived.pid, 'SIGSTOP');
    derived.close();
    await derived.left;
    assert.equal(isRunning(derived.pid), false);
    process.kill(root.pid, 'SIGSTOP');
    root.close();
    await root.left;
    await eventually('its end', () => !isRunning(root.pid));
    forked.channel.write('exit 6');
    assert.deepEqual(await forked.exited, { code: 6, signal: null });
  });

  it('guarantee 5: close does not wait for what a root stays to reap, nor kills it', async () => {
    const root = await start();
    const forked = await talking(root);
    root.close();
    await root.left;
    assert.ok(isRunning(root.pid));
    forked.channel.write('exit 6');
    assert.deepEqual(await forked.exited, { code: 6, signal: null });
    await eventually('its end', () => !isRunning(root.pid));
  });

  it('says what is wrong with an argument, and goes on', async () => {
    const root = await start();
    await assert.rejects(root.fork(1n), { code: 'CARTON_FORK_ARGUMENT' });
    await assert.rejects(root.fork('x'.repeat(70_000)), { code: 'CARTON_FORK_ARGUMENT', message: /at most 65536 bytes/ });
    await talking(root);
  });

  it('collects its garbage and goes on, and does not lose the end of a fork meanwhile', async () => {
    const root = await start();
    const forked = await talking(root);
    root.collect();
    forked.channel.write('exit 4');
    assert.deepEqual(await forked.exited, { code: 4, signal: null });
    root.collect();
    await talking(root);
  });

  it('has its forks write to fewer pages once it has collected its garbage', async () => {
    const template = kept(await Template.start({ entry, program: path.join(__dirname, 'programs/scattered.js'), argument: {} }));
    const written = async (): Promise<Written> => JSON.parse(await text((await template.fork({})).channel)) as Written;
    const before = await written();
    template.collect();
    const after = await written();
    assert.ok(after.objects < before.objects / 2, JSON.stringify({ before, after }));
    // Not every C library says how much is free in between.
    if (forker().fillHoles()) assert.ok(after.allocations < before.allocations / 2, JSON.stringify({ before, after }));
  });

  it('ends by SIGTERM once its forks have ended, whatever its program does with that signal', async () => {
    const root = await start();
    const forked = await talking(root);
    process.kill(root.pid, 'SIGTERM');
    await root.ended;
    forked.channel.write('exit 1');
    await forked.exited;
    await eventually('its end', () => !isRunning(root.pid));
  });
});

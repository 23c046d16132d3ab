/**
 * What may go wrong around templates on a whole host: who is killed, what an application does at boot, and what a fork
 * has to have of its own.
 */
import assert from 'node:assert/strict';
import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import type { LauncherStatus } from '../../lib/sandbox/launcher';
import { newHome, startCluster, type Cluster, type CartonOverrides } from '../support/cluster';
import { eventually } from '../support/eventually';
import { isRunning } from '../support/processes';

interface Look {
  readonly pid: number;
  readonly parent: number;
  readonly isForked: boolean;
  readonly uptimeMs: number;
  readonly random: readonly unknown[];
}

/** A host whose function processes do at boot what `deeds` say. */
async function hostThat(deeds: readonly string[], carton: CartonOverrides = {}): Promise<Cluster> {
  const home = newHome();
  const asked = path.join(home, 'asked');
  mkdirSync(asked);
  for (const deed of deeds) writeFileSync(path.join(asked, deed), '');
  return startCluster({ application: 'template-app', workers: 1, home, carton, environment: { TEMPLATE_DIRECTORY: asked } });
}

async function ask<T>(cluster: Cluster, name: string, args: unknown[] = []): Promise<T> {
  const answer = await cluster.invoke(name, args);
  assert.equal(answer.status, 200, answer.text);
  return answer.json<T>();
}

/** Ends the instances that are there, so that the next request is answered by another. */
async function anew(cluster: Cluster): Promise<void> {
  for (const { pid } of cluster.instances()) await cluster.kill(pid);
  await eventually('their end', () => cluster.instances().length === 0);
}

/** One that is killed while its end is not known yet takes a request along. */
function lookAnew(cluster: Cluster): Promise<Look> {
  return eventually('an answer from another instance', async () => {
    const answer = await cluster.invoke('look');
    return answer.status === 200 && answer.json<Look>();
  });
}

const templates = (cluster: Cluster): number[] => cluster.processes().filter(({ kind }) => kind === 'template').map(({ pid }) => pid);
const titleOf = (pid: number): string => readFileSync(`/proc/${pid}/cmdline`, 'latin1').replaceAll('\0', ' ');
const templateOf = (cluster: Cluster, what: RegExp): Promise<number> =>
  eventually(`a template like ${String(what)}`, () => templates(cluster).find((pid) => what.test(titleOf(pid))), { seen: () => cluster.processes() });
/** `agent.carton.launcher`, as the application's agent reads it. */
const statusOf = (cluster: Cluster): LauncherStatus => JSON.parse(readFileSync(cluster.file('launcher.json'), 'utf8')) as LauncherStatus;
const ROOT_TEMPLATE = /root template/;
const REVISION_TEMPLATE = /template of template-app/;

describe('a host that forks', () => {
  let cluster: Cluster;
  before(async () => {
    cluster = await hostThat(['ticks', 'logs', 'connects', 'hooks'], { launcher: 'fork' });
    await cluster.prepared();
  });
  after(() => cluster.stop());

  it('gives each instance a pid, a life and random numbers of its own', async () => {
    const looks: Look[] = [];
    for (let round = 0; round < 5; round += 1) {
      looks.push(await lookAnew(cluster));
      await anew(cluster);
    }
    assert.equal(new Set(looks.map(({ pid }) => pid)).size, 5);
    assert.equal(new Set(looks.flatMap(({ random }) => random)).size, 15);
    const revision = await templateOf(cluster, REVISION_TEMPLATE);
    for (const { isForked, parent } of looks) assert.deepEqual([isForked, parent], [true, revision]);
  });

  it('tells by agent.carton.launcher that it forks', async () => {
    await ask(cluster, 'look');
    await eventually('its word', () => statusOf(cluster).reason === null, { seen: () => statusOf(cluster) });
    assert.deepEqual(statusOf(cluster), { kind: 'fork', reason: null });
  });

  it('leaves nothing of what templates needed to boot', async () => {
    await ask(cluster, 'look');
    const left = (): string[] => readdirSync(cluster.directory, { recursive: true }).map(String).filter((name) => path.basename(name).startsWith('boot-'));
    await eventually('none left', () => left().length === 0, { seen: left });
  });

  it('runs hooks in reverse order before the checkpoint, and in order in each instance', async () => {
    assert.deepEqual(await ask(cluster, 'app', ['deeds']), ['boot', 'before 2', 'before 1', 'after 1', 'after 2']);
    await anew(cluster);
    assert.deepEqual(await ask(cluster, 'app', ['deeds']), ['boot', 'before 2', 'before 1', 'after 1', 'after 2']);
  });

  it('lets an interval of the boot tick in each instance, and nowhere else', async () => {
    await eventually('a tick', async () => (await ask<number>(cluster, 'app', ['ticks'])) > 0);
  });

  it('writes each line once, to the files that are there', async () => {
    const directory = path.join(cluster.home, 'logs/template-app');
    const lines = (line: string): string[] => readdirSync(directory).filter((name) => name.startsWith('template-app-web.log'))
      .flatMap((name) => readFileSync(path.join(directory, name), 'utf8').split('\n').filter((text) => text.includes(line)).map((text) => `${name}: ${text}`));
    // The quick template has booted, and the one that took its place.
    const boots = lines('a line of the boot').map((line) => / WARN (\d+) /.exec(line)?.[1]);
    assert.deepEqual([boots.length, new Set(boots).size], [2, 2]);
    const first = await ask<number>(cluster, 'log', ['before the rotation']);
    await eventually('both lines', () => lines('before the rotation').length === 2);
    for (const line of lines('before the rotation')) assert.match(line, new RegExp(` ${first} `));
    renameSync(path.join(directory, 'template-app-web.log'), path.join(directory, 'template-app-web.log.1'));
    await anew(cluster);
    await ask(cluster, 'log', ['after the rotation']);
    await eventually('both lines in the new file', () => lines('after the rotation').length === 2, { seen: () => lines('after') });
    for (const line of lines('after the rotation')) assert.match(line, /^template-app-web\.log: /);
  });

  for (const [what, expected] of [
    ['thread', { answer: 42, code: 0 }], ['process', '42'], ['node', { answer: 42, execArgv: [] }], ['cluster', { answer: 42, execArgv: [], isPrimary: true }],
  ] as const) {
    it(`lets functions start what they like (${what})`, async () => assert.deepEqual(await ask(cluster, 'starts', [what]), expected));
  }
});

describe('kill −9 of templates', () => {
  let cluster: Cluster;
  beforeEach(async () => {
    cluster = await hostThat([], { launcher: 'fork' });
    await cluster.prepared();
    await ask(cluster, 'look');
  });
  afterEach(() => cluster.stop());

  for (const [whom, ...whats] of [['the root', ROOT_TEMPLATE], ['the application\'s', REVISION_TEMPLATE], ['both', ROOT_TEMPLATE, REVISION_TEMPLATE]] as const) {
    it(`${whom}: live instances serve on, and new ones are forked from another`, async () => {
      const before = await ask<Look>(cluster, 'look');
      const killed = await Promise.all(whats.map((what) => templateOf(cluster, what)));
      for (const pid of killed) process.kill(pid, 'SIGKILL');
      assert.equal((await ask<Look>(cluster, 'look')).pid, before.pid);
      for (const what of whats) {
        await eventually('another template', () => templates(cluster).some((pid) => !killed.includes(pid) && what.test(titleOf(pid))), { seen: () => cluster.processes() });
      }
      assert.equal((await ask<Look>(cluster, 'look')).pid, before.pid);
      await anew(cluster);
      assert.ok((await lookAnew(cluster)).isForked);
    });
  }

  it('an instance whose template died before it leaves no zombie', async () => {
    const { pid } = await ask<Look>(cluster, 'look');
    for (const template of templates(cluster)) process.kill(template, 'SIGKILL');
    process.kill(pid, 'SIGKILL');
    await eventually('its end', () => !isRunning(pid));
    await eventually('nothing of it', () => readdirSync('/proc').every((name) => name !== String(pid)));
  });
});

describe('an application that holds at boot what forks cannot share', () => {
  for (const [deed, reason] of [
    ['server', /a TCP server on 127\.0\.0\.1:\d+, opened by \S*app\.js:\d+/],
    ['worker', /thread.*app\.js:\d+/],
    ['child', /sleep.*app\.js:\d+/],
    ['hookFails', /CARTON_FORK_REFUSED.*hook was asked to fail/],
    ['restoreFails', /CARTON_FORK_BOOT_FAILED.*hook was asked to fail/],
  ] as const) {
    it(`is spawned, and the log says why once (${deed})`, async () => {
      const cluster = await hostThat([deed]);
      try {
        for (let round = 0; round < 2; round += 1) {
          assert.equal((await lookAnew(cluster)).isForked, false);
          await anew(cluster);
        }
        const lines = await eventually('the log', () => {
          const found = [...new Set(cluster.logs.split('\n').filter((line) => line.includes('instances are spawned: ')))];
          return found.length > 0 && found;
        });
        assert.equal(lines.length, 1, lines.join('\n'));
        assert.match(lines[0] as string, reason);
        await eventually('the agent\'s word', () => statusOf(cluster).kind === 'spawn', { seen: () => statusOf(cluster) });
        assert.match(statusOf(cluster).reason ?? '', reason);
      } finally {
        await cluster.stop();
      }
    });
  }
});

describe('an application that does not boot in its template', () => {
  for (const [deed, code, expected] of [
    ['throws', 'CARTON_INSTANCE_LAUNCH_FAILED', /the boot was asked to fail/],
    ['exits', 'CARTON_INSTANCE_LAUNCH_FAILED', /exit code 7/],
    ['killed', 'CARTON_INSTANCE_LAUNCH_FAILED', /signal/],
    ['hangs', 'CARTON_INSTANCE_LAUNCH_TIMEOUT', /ready in time/],
    ['spins', 'CARTON_INSTANCE_LAUNCH_TIMEOUT', /ready in time/],
  ] as const) {
    it(`tells the caller why, starts nothing in a storm, and heals (${deed})`, async () => {
      const cluster = await hostThat([deed], { launchTimeoutMs: 2_000 });
      try {
        const failed = await cluster.invoke('look');
        assert.deepEqual([failed.status, failed.code], [503, code], failed.text);
        assert.match(failed.text, expected);
        assert.ok(cluster.processes().length < 12, JSON.stringify(cluster.processes()));
        rmSync(path.join(cluster.home, 'asked', deed));
        await lookAnew(cluster);
      } finally {
        await cluster.stop();
      }
    });
  }
});

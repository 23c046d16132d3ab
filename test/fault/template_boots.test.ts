/**
 * Templates that are killed while they boot or under a launch, and a boot that hangs in templates alone: callers are
 * answered, by another template or by a spawned process, and nothing is left over.
 */
import assert from 'node:assert/strict';
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { newHome, startCluster, type CartonOverrides, type Cluster } from '../support/cluster';
import { eventually } from '../support/eventually';
import type { Answer } from '../support/http';
import { isRunning } from '../support/processes';

interface Look {
  readonly pid: number;
  readonly parent: number;
  readonly isForked: boolean;
}

const ROOT_TEMPLATE = /template_process\.js|root template/;
const REVISION_TEMPLATE = /template of fork-app/;

describe('a host whose templates are killed', () => {
  let cluster: Cluster;
  afterEach(async () => {
    const { home } = cluster;
    release(home);
    await cluster.stop();
  });

  it('while the root boots: the request is answered', async () => {
    cluster = await held();
    await killed(cluster, REVISION_TEMPLATE);
    const root = await killed(cluster, ROOT_TEMPLATE);
    const answer = cluster.invoke('look');
    // The next one, at the first sight of it: it boots the framework for some hundred milliseconds.
    await killed(cluster, ROOT_TEMPLATE, root);
    release(cluster.home);
    lookOf(await answer);
    await back(cluster);
  });

  it('while the application boots in its template, a request waiting for it: the request is answered', async () => {
    cluster = await held();
    const answer = cluster.invoke('look');
    const first = await killed(cluster, REVISION_TEMPLATE);
    release(cluster.home);
    const { parent } = lookOf(await answer);
    assert.notEqual(parent, first);
    await back(cluster);
  });

  for (const [whom, whats] of [['the application\'s', [REVISION_TEMPLATE]], ['the root', [ROOT_TEMPLATE]], ['both', [REVISION_TEMPLATE, ROOT_TEMPLATE]]] as const) {
    it(`under a launch (${whom}): the request is answered`, async () => {
      cluster = await hostThat({});
      lookOf(await cluster.invoke('look'));
      const stopped = whats.map((what) => find(cluster, what) as number);
      // They answer nobody from now on.
      for (const pid of stopped) process.kill(pid, 'SIGSTOP');
      const answer = cluster.invoke('note', ['under a launch']);
      for (const pid of stopped) await cluster.kill(pid);
      const { status, text } = await answer;
      assert.equal(status, 200, text);
      await back(cluster);
    });
  }

  it('leaves no zombie, and no template but two', async () => {
    cluster = await hostThat({});
    for (let round = 0; round < 3; round += 1) {
      const pids = [await killed(cluster, REVISION_TEMPLATE), await killed(cluster, ROOT_TEMPLATE)];
      for (const pid of pids) await eventually('nothing of it', () => readdirSync('/proc').every((name) => name !== String(pid)));
    }
    await back(cluster);
  });
});

describe('an application whose boot hangs in templates alone', () => {
  it('is spawned, the log says once why, and it is forked when it hangs no longer', async () => {
    const cluster = await held({ launchTimeoutMs: 4_000 });
    try {
      for (let round = 0; round < 2; round += 1) {
        assert.equal(lookOf(await cluster.invoke('look')).isForked, false);
        await anew(cluster);
      }
      const lines = await eventually('the log', () => {
        const found = readFileSync(path.join(cluster.home, 'logs/fork-app/egg-agent.log'), 'utf8').split('\n').filter((line) => line.includes('instances are spawned: '));
        return found.length > 0 && found;
      });
      assert.equal(lines.length, 1, lines.join('\n'));
      assert.match(lines[0] as string, /CARTON_FORK_TIMEOUT/);
      release(cluster.home);
      await back(cluster);
    } finally {
      release(cluster.home);
      await cluster.stop();
    }
  });
});

async function hostThat(carton: CartonOverrides, home = newHome()): Promise<Cluster> {
  const directory = path.join(home, 'asked');
  mkdirSync(directory, { recursive: true });
  return startCluster({ application: 'fork-app', workers: 1, home, carton, environment: { FORK_APP_DIRECTORY: directory } });
}

/** A host on which the application's boot waits in its template until `release`. */
function held(carton: CartonOverrides = {}): Promise<Cluster> {
  const home = newHome();
  mkdirSync(path.join(home, 'asked'));
  writeFileSync(path.join(home, 'asked/hold'), '');
  return hostThat(carton, home);
}

function release(home: string): void {
  rmSync(path.join(home, 'asked/hold'), { force: true });
}

function find(cluster: Cluster, what: RegExp, besides?: number): number | undefined {
  return cluster.processes().find(({ pid, kind, commandLine }) => kind === 'template' && pid !== besides && what.test(commandLine))?.pid;
}

/** Kills one at first sight. */
async function killed(cluster: Cluster, what: RegExp, besides?: number): Promise<number> {
  const pid = await eventually(`a template like ${String(what)}`, () => find(cluster, what, besides), { seen: () => cluster.processes() });
  process.kill(pid, 'SIGKILL');
  await eventually('its end', () => !isRunning(pid));
  return pid;
}

function lookOf(answer: Answer): Look {
  assert.equal(answer.status, 200, answer.text);
  return answer.json<Look>();
}

/** Ends the instances that are there, so that the next request is answered by another. */
async function anew(cluster: Cluster): Promise<void> {
  for (const { pid } of cluster.instances()) await cluster.kill(pid).catch(unlessEnded);
  await eventually('their end', () => cluster.instances().length === 0);
}

/** Instances are forked, sooner or later, from one root and one template of the application. */
async function back(cluster: Cluster): Promise<void> {
  await eventually('a fork', async () => {
    await anew(cluster);
    const answer = await cluster.invoke('look');
    return answer.status === 200 && answer.json<Look>().isForked;
  });
  await cluster.prepared();
  await eventually('two templates', () => cluster.processes().filter(({ kind }) => kind === 'template').length === 2, { seen: () => cluster.processes() });
}

function unlessEnded(error: unknown): void {
  if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
}

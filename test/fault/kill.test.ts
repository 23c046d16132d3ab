/**
 * kill −9 of any one process of a real host: what had not begun is not lost, what had begun is told so and never runs
 * twice, live functions serve on, and nothing outlives the host.
 */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { left, newHome, startCluster, type Cluster } from '../support/cluster';
import { eventually } from '../support/eventually';
import { describeWithEach } from '../support/launchers';
import { isRunning } from '../support/processes';
import { entriesOf, runLedger } from './ledger';

/** Waits until instances of the group are ready: not only there, but answering. */
async function warm(cluster: Cluster, name: string, args: readonly unknown[] = []): Promise<number> {
  // A connection for each worker, so that both have a session with the instance.
  const answers = await Promise.all([1, 2, 3, 4].map(() => cluster.invoke(name, args, { fresh: true })));
  for (const answer of answers) assert.equal(answer.status, 200, answer.text);
  return (answers[0] as (typeof answers)[0]).json<{ pid: number }>().pid;
}

describeWithEach('kill −9', (launcher) => {
  let cluster: Cluster;
  before(async () => {
    cluster = await startCluster({ application: 'fault-app', workers: 2, carton: { launcher } });
  });
  after(async () => {
    await cluster.stop();
  });
  afterEach(function () {
    if (this.currentTest?.state === 'failed') console.error(cluster.output.slice(-3000));
  });

  describe('of the agent', () => {
    it('live functions are served without a gap, the new agent adopts them, and launches resume', async () => {
      const pid = await warm(cluster, 'cold');
      const agent = cluster.agent as number;
      const load = keepCalling(cluster, pid);
      await cluster.kill(agent);
      // Nobody can launch this one before there is an agent again.
      const waiting = cluster.invoke('idle');
      const before = load.served();
      await eventually('answers while there is no agent', () => load.served() > before + 100);
      assert.equal((await waiting).status, 200);
      assert.notEqual(cluster.agent, agent);
      const after = load.served();
      await eventually('answers under the new agent', () => load.served() > after + 100);
      assert.deepEqual(await load.stop(), []);
      // Egg writes its logs once a second.
      await eventually('the adoption in the log', () => /adopted instance \S+ of cold /.test(cluster.logs));
      assert.ok(isRunning(pid));
    });

    it('an instance that was adopted is reclaimed by the new agent as if it had launched it', async () => {
      const pid = await warm(cluster, 'lru/a');
      await cluster.kill(cluster.agent as number);
      const agent = await eventually('a new agent', () => cluster.agent);
      await eventually('the adoption', () => new RegExp(`${agent}[^\\n]*adopted instance \\S+ of lru/a`).test(cluster.logs));
      assert.equal(await warm(cluster, 'lru/a'), pid);
      process.kill(pid, 'SIGKILL');
      // The agent must notice that one which is not its child has ended, and launch another.
      assert.notEqual(await warmAgain(cluster, 'lru/a', pid), pid);
    });

    it('a request whose instance was launching is answered', async () => {
      const answer = cluster.invoke('lru/b');
      await eventually('a new process', () => cluster.instances().some(({ id, group }) => id === '' || group === 'lru/b'));
      await cluster.kill(cluster.agent as number);
      assert.equal((await answer).status, 200);
      await eventually('a new agent', () => cluster.agent);
    });
  });

  describe('of a worker', () => {
    it('the other one serves, the master forks another, and requests after it succeed', async () => {
      await warm(cluster, 'cold');
      const [victim, other] = cluster.workers as [number, number];
      await cluster.kill(victim);
      await eventually('the master to notice', () => cluster.output.includes(`:${victim} died`));
      const answers = await Promise.all(Array.from({ length: 20 }, () => cluster.invoke('cold', [], { fresh: true })));
      assert.deepEqual(answers.map(({ status }) => status), Array.from({ length: 20 }, () => 200));
      const next = await eventually('another worker', () => cluster.workers.find((pid) => pid !== other && pid !== victim));
      await eventually('its start', () => new RegExp(`app_worker#\\d+:${next} started`).test(cluster.output));
      const pids = new Set<number>();
      await eventually('answers of both workers', async () => {
        // Connections go to the workers in turn, so that an even number would always meet the same.
        await cluster.request('/worker', { fresh: true });
        pids.add((await cluster.request('/worker', { fresh: true })).json<{ pid: number }>().pid);
        assert.equal((await cluster.invoke('cold', [], { fresh: true })).status, 200);
        return pids.has(next) && pids.has(other);
      });
    });
  });

  describe('of an instance', () => {
    it('what had begun is answered 502 CARTON_INSTANCE_CRASHED, what waits is served by the next', async () => {
      const gate = cluster.file('hold.gate');
      const ledger = cluster.file('hold.ledger');
      const answers = ['a', 'b', 'c', 'd'].map((id) => cluster.invoke('hold', [gate, ledger, id], { fresh: true }));
      await eventually('two that have begun', () => entriesOf(ledger).size === 2);
      const begun = new Set(entriesOf(ledger).keys());
      await cluster.kill((cluster.instances('hold')[0] as { pid: number }).pid);
      await eventually('the others to begin', () => entriesOf(ledger).size === 4);
      writeFileSync(gate, '');
      for (const [index, answer] of (await Promise.all(answers)).entries()) {
        const id = 'abcd'[index] as string;
        if (begun.has(id)) assert.deepEqual([answer.status, answer.code], [502, 'CARTON_INSTANCE_CRASHED']);
        else assert.equal(answer.json<{ id: string }>().id, id);
      }
      assert.deepEqual([...entriesOf(ledger).values()], [1, 1, 1, 1]);
    });

    it('10 000 warm requests lose none that had not begun, and run none twice, while instances die', async () => {
      const path = cluster.file('storm.ledger');
      await warm(cluster, 'ledger', [cluster.file('warm.ledger'), 'w']);
      let kills = 0;
      let victim: number | undefined;
      const run = await runLedger(cluster, {
        path, requests: 10_000, concurrency: 50,
        progress: (answered) => {
          // Looking for processes takes milliseconds in which nothing is sent: the kill is to fall into the traffic.
          if (answered % 500 === 200) victim = cluster.instances('ledger')[0]?.pid;
          if (answered % 500 !== 250 || victim === undefined) return;
          process.kill(victim, 'SIGKILL');
          kills += 1;
        },
      });
      assert.deepEqual(run.strange, []);
      assert.equal(run.answered, 10_000);
      assert.ok(kills >= 10, `${kills} kills`);
      const twice = [...run.entries].filter(([, times]) => times > 1);
      assert.deepEqual(twice, [], 'these ran twice');
      // Between the begin record and the function's first statement there is an instant in which a kill leaves no entry.
      const unbegun = run.crashed.filter((id) => !run.entries.has(id));
      assert.ok(unbegun.length <= kills, `${unbegun.length} of ${run.crashed.length} were lost in ${kills} kills without having begun`);
      console.log(`      ${kills} kills, ${run.crashed.length} of 10 000 answered CARTON_INSTANCE_CRASHED, ${unbegun.length} of them without an entry`);
    });

    it('of requests whose function ends its own process, exactly those that began fail', async () => {
      const path = cluster.file('suicide.ledger');
      const dies = (index: number): boolean => index % 200 === 100;
      const run = await runLedger(cluster, { path, requests: 3000, concurrency: 50, dies });
      assert.deepEqual(run.strange, []);
      assert.deepEqual(run.crashed.filter((id) => !run.entries.has(id)), [], 'these failed without having begun');
      assert.deepEqual([...run.entries].filter(([, times]) => times > 1), [], 'these ran twice');
      assert.equal(run.entries.size, 3000);
      const deaths = Array.from({ length: 3000 }, (_, index) => index).filter(dies).map((index) => `r${index}`);
      assert.deepEqual(deaths.filter((id) => !run.crashed.includes(id)), []);
    });
  });
});

describeWithEach('kill −9 of the master', (launcher) => {
  it('ends agent, workers and instances, also one that spins and one that is at work', async () => {
    const cluster = await startCluster({ application: 'fault-app', workers: 2, carton: { launcher } });
    try {
      await warm(cluster, 'cold');
      // Nobody will answer these.
      const ledger = cluster.file('ledger');
      const cut = [cluster.invoke('hold', [cluster.file('never'), ledger, 'held']), cluster.invoke('spin/long', [ledger])].map((answer) => answer.catch(() => undefined));
      await eventually('both at work', () => entriesOf(ledger).size === 2);
      process.kill(cluster.master, 'SIGKILL');
      const started = performance.now();
      await cluster.gone();
      console.log(`      all gone after ${Math.round(performance.now() - started)} ms`);
      await Promise.all(cut);
    } finally {
      await cluster.destroy();
    }
  });

  it('of all but an instance that spins: the next start ends it', async () => {
    const home = newHome();
    const first = await startCluster({ application: 'fault-app', workers: 1, home, carton: { launcher } });
    const cut = first.invoke('spin/long', [first.file('ledger')]).catch(() => undefined);
    await eventually('it at work', () => entriesOf(first.file('ledger')).size === 1);
    const [spinning] = first.instances('spin/long');
    // First those that would end their instances when the host goes.
    for (const { pid, kind } of first.processes()) if (kind === 'agent' || kind === 'template') process.kill(pid, 'SIGKILL');
    for (const { pid, kind } of first.processes()) if (kind !== 'instance') process.kill(pid, 'SIGKILL');
    await cut;
    await eventually('the end of the others', () => first.processes().every(({ kind }) => kind === 'instance'));
    // A fork notices by itself that neither its templates nor who started them are left.
    if (launcher === 'spawn') assert.ok(isRunning((spinning as { pid: number }).pid));
    const second = await startCluster({ application: 'fault-app', workers: 1, home, carton: { launcher } });
    await first.gone();
    await second.stop();
  });

  it('leaves nothing that the next start does not sweep', async () => {
    const home = newHome();
    const first = await startCluster({ application: 'fault-app', workers: 1, home, carton: { launcher } });
    await warm(first, 'cold');
    const [name] = left(first.directory);
    // All at once, as the kernel does when a container's memory runs out: nobody can clean up.
    for (const { pid } of first.processes()) process.kill(pid, 'SIGKILL');
    await first.gone();
    assert.ok(left(first.directory).length > 1, 'there is something to sweep');
    const second = await startCluster({ application: 'fault-app', workers: 1, home, carton: { launcher } });
    assert.ok(!left(second.directory).includes(name as string));
    assert.equal((await second.invoke('cold')).status, 200);
    await second.stop();
  });
});

/** Calls `cold` without pause until it is stopped, and collects every answer that is not `pid`'s. */
function keepCalling(cluster: Cluster, pid: number): { served: () => number; stop: () => Promise<string[]> } {
  const wrong: string[] = [];
  let served = 0;
  let stopped = false;
  const lane = async (): Promise<void> => {
    while (!stopped) {
      const answer = await cluster.invoke('cold');
      served += 1;
      if (answer.status !== 200 || answer.json<{ pid: number }>().pid !== pid) wrong.push(answer.text);
    }
  };
  const lanes = Promise.all(Array.from({ length: 4 }, lane));
  return {
    served: () => served,
    stop: async () => {
      stopped = true;
      await lanes;
      return wrong;
    },
  };
}

/** The pid that answers once `old` has been missed. */
function warmAgain(cluster: Cluster, name: string, old: number): Promise<number> {
  return eventually(`another instance of ${name}`, async () => {
    const answer = await cluster.invoke(name);
    if (answer.status !== 200) return undefined;
    const { pid } = answer.json<{ pid: number }>();
    return pid === old ? undefined : pid;
  });
}

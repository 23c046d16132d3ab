/**
 * A real host with two workers under what production brings: cold crowds, full hosts, failing boots, functions that
 * spin, limits, and shutdown.
 */
import assert from 'node:assert/strict';
import { existsSync, rmSync, writeFileSync } from 'node:fs';
import { FIXTURES, newHome, startCluster, type Cluster } from '../support/cluster';
import { eventually } from '../support/eventually';
import { describeWithEach } from '../support/launchers';
import type { Answer } from '../support/http';
import path from 'node:path';
import { entriesOf } from './ledger';

const pidOf = (answer: Answer): number => answer.json<{ pid: number }>().pid;
const statuses = (answers: readonly Answer[]): number[] => [...new Set(answers.map(({ status }) => status))].sort();

/** Sends `count` invocations at once, each on a connection of its own, so that the workers take them in turn. */
function crowd(cluster: Cluster, name: string, count: number, args: readonly unknown[] = []): Promise<Answer[]> {
  return Promise.all(Array.from({ length: count }, () => cluster.invoke(name, args, { fresh: true })));
}

/** How many instances the agent has launched so far, by the number in the newest one's id. */
async function launchesSoFar(cluster: Cluster, probe: string): Promise<number> {
  assert.equal((await cluster.invoke(probe)).status, 200);
  const [instance] = cluster.instances(probe);
  return Number.parseInt((instance?.id ?? '').split('-')[1] ?? '', 36);
}

describeWithEach('a host with two workers', (launcher) => {
  let cluster: Cluster;
  before(async () => {
    cluster = await startCluster({ application: 'fault-app', workers: 2, carton: { launcher, maxInstances: 32 } });
  });
  after(() => cluster.stop());

  it('launches once for 200 requests at once that one instance can take', async () => {
    const answers = await crowd(cluster, 'cold', 200);
    assert.deepEqual(statuses(answers), [200]);
    assert.equal(new Set(answers.map(pidOf)).size, 1);
    assert.equal(await launchesSoFar(cluster, 'lru/a'), 2);
  });

  it('launches as many as a crowd needs, never more than maxInstances, and answers all', async () => {
    const gate = cluster.file('many.gate');
    const answers = crowd(cluster, 'many', 200, [gate]);
    await eventually('four instances', () => cluster.instances('many').length === 4);
    writeFileSync(gate, '');
    assert.deepEqual(statuses(await answers), [200]);
    // A process is seen before it is ready: the others may have answered all by then.
    assert.ok(new Set((await answers).map(pidOf)).size <= 4);
    // cold, lru/a, four of many, and this one.
    assert.equal(await launchesSoFar(cluster, 'lru/b'), 7);
  });

  it('launches another instance where one was told to end from outside, and lets that one finish', async () => {
    const [shut, open] = [cluster.file('term.gate'), cluster.file('open.gate')];
    writeFileSync(open, '');
    const first = pidOf(await cluster.invoke('told', [open]));
    const running = cluster.invoke('told', [shut]);
    await eventually('the invocation on it', () => existsSync(`${shut}.waiting`));
    process.kill(first, 'SIGTERM');
    const next = await cluster.invoke('told', [open]);
    assert.notEqual(pidOf(next), first);
    writeFileSync(shut, '');
    assert.equal(pidOf(await running), first);
  });

  it('reclaims an instance that is idle, and launches another for the next request', async () => {
    const first = pidOf(await cluster.invoke('idle'));
    await eventually('its end', () => cluster.instances('idle').length === 0);
    assert.notEqual(pidOf(await cluster.invoke('idle')), first);
  });

  it('answers 504 for a function that spins, and replaces its instance', async () => {
    const first = await eventually('an instance', async () => {
      const answer = await cluster.invoke('spin');
      return answer.status === 200 ? pidOf(answer) : undefined;
    });
    const spun = await cluster.invoke('spin', [true]);
    assert.deepEqual([spun.status, spun.code], [504, 'CARTON_INSTANCE_UNRESPONSIVE']);
    const next = await eventually('another instance', async () => {
      const answer = await cluster.invoke('spin');
      return answer.status === 200 ? pidOf(answer) : undefined;
    });
    assert.notEqual(next, first);
    await eventually('the end of the one that spins', () => cluster.instances('spin').every(({ pid }) => pid !== first));
  });

  it('shares a rate limit among its workers', async () => {
    const answers = await crowd(cluster, 'limited', 40);
    const refused = answers.filter(({ status }) => status !== 200);
    assert.equal(answers.length - refused.length, 10);
    for (const answer of refused) {
      assert.deepEqual([answer.status, answer.code], [429, 'CARTON_INGRESS_RATE_LIMITED']);
      assert.ok(Number(answer.headers['retry-after']) >= 1);
    }
  });

  it('shares a queue limit among its workers', async () => {
    const gate = cluster.file('queued.gate');
    const ledger = cluster.file('queued.ledger');
    const held = cluster.invoke('queued', [gate, ledger, 'held'], { fresh: true });
    await eventually('one at work', () => entriesOf(ledger).size === 1);
    const answers: Answer[] = [];
    const all = Promise.all(Array.from({ length: 40 }, async () => answers.push(await cluster.invoke('queued', [gate], { fresh: true }))));
    // 8 may wait; one that the busy instance gives back goes to the front of its worker's queue whatever waits there.
    await eventually('refusals', () => answers.length >= 30, { seen: () => answers.length });
    for (const answer of answers) {
      assert.deepEqual([answer.status, answer.code], [503, 'CARTON_INGRESS_QUEUE_FULL']);
      assert.ok(Number(answer.headers['retry-after']) >= 1);
    }
    writeFileSync(gate, '');
    await all;
    assert.equal((await held).status, 200);
    const served = answers.filter(({ status }) => status === 200).length;
    assert.ok(served >= 8 && served <= 10, `${served} waited`);
    assert.equal(served + answers.filter(({ code }) => code === 'CARTON_INGRESS_QUEUE_FULL').length, 40);
  });
});

describeWithEach('a host that is full', (launcher) => {
  it('evicts the instance that was used least recently', async () => {
    const cluster = await startCluster({ application: 'fault-app', workers: 2, carton: { launcher, maxInstances: 2 } });
    try {
      for (const [name, left] of [['lru/a', ['lru/a']], ['lru/b', ['lru/a', 'lru/b']], ['lru/c', ['lru/b', 'lru/c']], ['lru/a', ['lru/a', 'lru/c']]] as const) {
        assert.equal((await cluster.invoke(name)).status, 200);
        // Between its end and its removal from the table a former one may still be seen.
        await eventually(`${left.join(' and ')} to be there`, () => cluster.instances().map(({ group }) => group).sort().join() === left.join(), {
          seen: () => cluster.instances(),
        });
      }
      await cluster.stop();
    } finally {
      await cluster.destroy();
    }
  });
});

describe('a host whose functions do not boot', () => {
  let cluster: Cluster;
  const home = newHome();
  before(async () => {
    cluster = await startCluster({ application: 'fault-app', workers: 2, home, carton: { launcher: 'spawn' }, environment: { FAULT_DIRECTORY: home } });
  });
  after(() => cluster.stop());
  afterEach(() => {
    for (const fault of ['boot-throws', 'boot-exits', 'boot-killed']) rmSync(cluster.file(fault), { force: true });
  });

  for (const [fault, expected] of [
    ['boot-throws', /the boot was asked to fail.*app\.js:12/s],
    ['boot-exits', /exit code 7/],
    ['boot-killed', /a signal that ended it, 3 times in a row/],
  ] as const) {
    it(`tells the caller why (${fault}), backs off, and heals`, async () => {
      const name = `lru/${'abc'[['boot-throws', 'boot-exits', 'boot-killed'].indexOf(fault)] as string}`;
      writeFileSync(cluster.file(fault), '');
      const failed = await cluster.invoke(name);
      assert.deepEqual([failed.status, failed.code], [503, 'CARTON_INSTANCE_LAUNCH_FAILED'], failed.text);
      assert.match(failed.json<{ error: { message: string } }>().error.message, expected);
      // Each failure doubles the back-off, so a slow machine meets one sooner or later.
      const refused = await eventually('a back-off', async () => {
        const answer = await cluster.invoke(name, [], { fresh: true });
        return answer.code === 'CARTON_INSTANCE_BACKING_OFF' ? answer : undefined;
      });
      assert.equal(refused.status, 503);
      assert.ok(Number(refused.headers['retry-after']) >= 1);
      rmSync(cluster.file(fault));
      await eventually('an answer', async () => (await cluster.invoke(name)).status === 200);
    });
  }
});

describeWithEach('a host that is told to stop', (launcher) => {
  it('lets what runs finish, and leaves nothing behind', async () => {
    const cluster = await startCluster({ application: 'fault-app', workers: 2, carton: { launcher } });
    try {
      const gate = cluster.file('gate');
      const ledger = cluster.file('ledger');
      const held = ['a', 'b'].map((id) => cluster.invoke('hold', [gate, ledger, id], { fresh: true }));
      await eventually('both at work', () => entriesOf(ledger).size === 2);
      cluster.terminate();
      await eventually('workers that close', () => /app_worker\] receive signal SIGTERM/.test(cluster.output));
      writeFileSync(gate, '');
      assert.deepEqual(statuses(await Promise.all(held)), [200]);
      await cluster.stop();
    } finally {
      await cluster.destroy();
    }
  });

  it('ends what does not finish within drainTimeoutMs', async () => {
    const cluster = await startCluster({ application: 'fault-app', workers: 1, carton: { launcher, drainTimeoutMs: 200 } });
    try {
      const ledger = cluster.file('ledger');
      const cut = [cluster.invoke('hold', [cluster.file('never'), ledger, 'held']), cluster.invoke('spin/long', [ledger])].map((answer) => answer.catch(() => undefined));
      await eventually('both at work', () => entriesOf(ledger).size === 2);
      await cluster.stop();
      await Promise.all(cut);
    } finally {
      await cluster.destroy();
    }
  });
});

describe('a host whose directory cannot be used', () => {
  for (const [what, directory, code] of [
    ['below a file', path.join(FIXTURES, 'fault-app/package.json/sockets'), 'CARTON_HOST_DIRECTORY_UNSAFE'],
    ['that others can write to', '/tmp', 'CARTON_HOST_DIRECTORY_UNSAFE'],
    ['whose path is too long', `/tmp/${'long/'.repeat(20)}`, 'CARTON_HOST_PATH_TOO_LONG'],
  ] as const) {
    it(`does not start with one ${what}, and says why`, async () => {
      await assert.rejects(startCluster({ application: 'fault-app', workers: 1, carton: { directory } }), new RegExp(code));
    });
  }
});

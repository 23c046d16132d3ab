/**
 * A sidecar, function processes and the database are killed while functions move money, on a whole host: nothing is lost
 * or done twice, whoever gets an error gets a coded one, and all is well again by itself. The long run is
 * `scripts/soak/sidecar_faults.ts`.
 */
import assert from 'node:assert/strict';
import { eventually } from '../support/eventually';
import { ACCOUNTS, BALANCE, LedgerHost, POOL, type Outcome } from './sidecar/host';
import { Killer, VICTIMS } from './sidecar/kills';
import { Load } from './sidecar/load';

/** The first run on a machine may have to install the servers. */
const INSTALL_TIMEOUT_MS = 10 * 60_000;
const ROUNDS = 3;
/** Between one kill and the next. */
const CALLS_BETWEEN = 200;

describe('functions whose sidecar, processes or database are killed', () => {
  let host: LedgerHost;
  before(async function () {
    this.timeout(INSTALL_TIMEOUT_MS);
    host = await LedgerHost.start();
  });
  after(() => host?.stop());

  const code = (outcome: Outcome): string => ('done' in outcome ? 'done' : outcome.code ?? outcome.text);
  const balances = async (): Promise<number[]> => (await host.rows<{ balance: number }>('SELECT balance FROM account ORDER BY id FOR UPDATE')).map(({ balance }) => balance);
  const untouched = Array.from({ length: ACCOUNTS }, () => BALANCE);
  const killSidecar = async (): Promise<void> => host.cluster.kill(await host.sidecar());

  it('the first call waits for a sidecar that is not up', async () => {
    await killSidecar();
    assert.deepEqual(await host.call('sum'), { done: ACCOUNTS * BALANCE });
    assert.deepEqual(await host.call('sumByModel'), { done: ACCOUNTS * BALANCE });
  });

  it('a statement whose sidecar is killed fails with a code, and has one effect at most', async () => {
    const lost = host.call('note', 'lost', 1);
    await eventually('the statement', async () => (await host.running('note')) === 1);
    await killSidecar();
    assert.equal(code(await lost), 'CARTON_SIDECAR_LOST');
    assert.equal(code(await host.call('note', 'next')), 'done');
    await eventually('the end of the statement', async () => (await host.running('note')) === 0);
    assert.ok((await host.count('note WHERE request = ?', ['lost'])) <= 1);
    assert.equal(await host.count('note WHERE request = ?', ['next']), 1);
  });

  for (const [how, method, options, expected] of [
    ['in a scope', 'transfer', {}, 'CARTON_SIDECAR_LOST'],
    ['by hand', 'transfer', { byHand: true }, 'CARTON_SIDECAR_LOST'],
    ['with models', 'transferByModel', {}, 'PROTOCOL_CONNECTION_LOST'],
  ] as const) {
    it(`a transaction ${how} whose sidecar is killed fails with a code, and is undone`, async () => {
      // Connections of ORMs do not wait for a sidecar, as calls do.
      assert.equal(code(await host.call('sum')), 'done');
      // Its second statement waits.
      await host.locked(2, async () => {
        const lost = host.call(method, 1, 2, 10, { ...options, request: 'lost' });
        await eventually('the transaction', async () => (await host.running('account')) === 1);
        await eventually('its first statement', () => host.rows('SELECT balance FROM account WHERE id = 1 FOR UPDATE NOWAIT').then(() => false, () => true));
        await killSidecar();
        assert.equal(code(await lost), expected);
      });
      assert.deepEqual(await balances(), untouched);
      assert.equal(await host.count('transfer'), 0);
    });
  }

  it('an answer that nobody waits for any more is dropped, and its connection serves others', async () => {
    const dying = host.call('note', 'unheard', 1);
    await eventually('the statement', async () => (await host.running('note')) === 1);
    await Promise.all(host.cluster.instances('ledger').map(({ pid }) => host.cluster.kill(pid)));
    assert.equal(code(await dying), 'CARTON_INSTANCE_CRASHED');
    const sidecar = await host.sidecar();
    await eventually('the end of the statement', async () => (await host.running('note')) === 0);
    const outcomes = await host.full((index) => `full-${index}`);
    assert.deepEqual(outcomes.map(code), Array.from({ length: 2 * POOL }, () => 'done'));
    assert.equal(await host.sidecar(), sidecar);
  });

  it('a process that does not read its large result keeps nobody waiting', async () => {
    const length = 12_000_000;
    const slow = host.call('long', length, 1);
    await eventually('the statement', async () => (await host.running('REPEAT')) === 1);
    const stopped = host.cluster.instances('ledger').map(({ pid }) => pid);
    for (const pid of stopped) process.kill(pid, 'SIGSTOP');
    try {
      await eventually('the end of the statement', async () => (await host.running('REPEAT')) === 0);
      for (let i = 0; i < 20; i += 1) assert.equal((await host.cluster.invoke('mysql', ['query', ['SELECT 1 AS one']])).text, '[{"one":1}]');
    } finally {
      for (const pid of stopped) process.kill(pid, 'SIGCONT');
    }
    assert.deepEqual(await slow, { done: length });
  });

  it('lose nothing, do nothing twice, and are served again after each kill', async function () {
    this.timeout(180_000);
    for (const table of ['transfer', 'note']) await host.rows(`TRUNCATE TABLE ${table}`);
    await host.rows('UPDATE account SET balance = ?', [BALANCE]);
    const load = new Load(host);
    const killer = new Killer(host, load);
    load.start();
    try {
      await load.served();
      for (let round = 0; round < ROUNDS; round += 1) for (const victim of VICTIMS) await killer.kill(victim, CALLS_BETWEEN);
    } finally {
      await load.stop();
    }
    await load.check();
    assert.deepEqual([...load.violations, ...killer.dead()], []);
  });
});

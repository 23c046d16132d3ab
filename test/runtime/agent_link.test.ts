/**
 * An instance's line to the agent: one session at a time, reports that are few, and an end where nobody comes back.
 */
import assert from 'node:assert/strict';
import { METHOD, type InstanceLoad } from '../../lib/protocol/control';
import { AgentLink } from '../../lib/runtime/agent_link';
import { LIMITS } from '../../lib/support/limits';
import { FakeClock } from '../support/fake_clock';
import { Ears, sessionPair, settle, type Pair } from '../support/session_pair';

describe('agent link', () => {
  const pairs: Pair[] = [];
  afterEach(() => {
    for (const pair of pairs.splice(0)) pair.close();
  });

  function linkOf(): { link: AgentLink; clock: FakeClock; load: { now: InstanceLoad }; abandoned: () => number } {
    const clock = new FakeClock();
    const load = { now: { inflight: 0, served: 0 } };
    let abandoned = 0;
    const link = new AgentLink({ clock, onEvent: () => undefined, onCall: () => undefined, onAbandoned: () => (abandoned += 1), load: () => load.now });
    link.graceMs = 1000;
    return { link, clock, load, abandoned: () => abandoned };
  }

  /** An agent's session on `link`. */
  async function attach(link: AgentLink): Promise<{ agent: Ears; pair: Pair }> {
    const agent = new Ears();
    const pair = await sessionPair({ left: agent });
    pair.right.handlers = link.attach(pair.right);
    pairs.push(pair);
    return { agent, pair };
  }

  it('takes large messages from the agent: a boot names all functions of a group', async () => {
    const { link } = linkOf();
    const pair = await sessionPair();
    pairs.push(pair);
    assert.equal(link.attach(pair.right).limitBytes, LIMITS.controlMessageBytes);
  });

  it('reports load once for all changes in a while, and only if it changed', async () => {
    const { link, clock, load } = linkOf();
    const { agent } = await attach(link);
    for (let change = 1; change <= 5; change += 1) {
      load.now = { inflight: change, served: change };
      link.loadChanged();
    }
    clock.advance(100);
    await settle();
    link.loadChanged();
    clock.advance(100);
    await settle();
    assert.deepEqual(agent.events, [{ method: METHOD.load, payload: '{"inflight":5,"served":5}' }]);
  });

  it('says that it was abandoned when no agent came back within the grace', async () => {
    const { link, clock, abandoned } = linkOf();
    const { pair } = await attach(link);
    pair.left.close();
    await settle();
    clock.advance(999);
    assert.equal(abandoned(), 0);
    clock.advance(1);
    assert.equal(abandoned(), 1);
  });

  it('stays with an agent that came back in time, and with the newest', async () => {
    const { link, clock, abandoned } = linkOf();
    const first = await attach(link);
    first.pair.left.close();
    await settle();
    const second = await attach(link);
    const third = await attach(link);
    second.pair.left.close();
    await settle();
    clock.advance(5000);
    assert.equal(abandoned(), 0);
    link.stale('x.js');
    await settle();
    assert.deepEqual(third.agent.events.map(({ method }) => method), [METHOD.stale]);
  });

  it('is not abandoned by its own end', async () => {
    const { link, clock, abandoned } = linkOf();
    await attach(link);
    link.loadChanged();
    link.close();
    await settle();
    clock.advance(5000);
    assert.deepEqual([abandoned(), clock.pending], [0, 0]);
  });
});

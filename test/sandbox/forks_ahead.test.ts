/**
 * When forks are made ahead of time, and when they end (lib/sandbox/forks_ahead.ts), on a scripted template and a fake
 * clock; real ones are in test/fork/ahead.test.ts and test/fault/forks_ahead.test.ts.
 */
import assert from 'node:assert/strict';
import { setImmediate } from 'node:timers/promises';
import type { ForkAhead, Template } from '../../lib/fork/template';
import { ForksAhead } from '../../lib/sandbox/forks_ahead';
import { CartonError } from '../../lib/support/errors';
import { FakeClock } from '../support/fake_clock';
import { deferred, type Deferred } from './scripted_templates';

/** A fork without a process. */
class ScriptedFork {
  isKilled = false;
  readonly #end = deferred();
  readonly ended = this.#end.promise;

  die(): void {
    this.#end.resolve();
  }

  kill(): void {
    this.isKilled = true;
  }
}

class ForkingTemplate {
  readonly forks: ScriptedFork[] = [];
  readonly #end = deferred();
  readonly ended = this.#end.promise;
  fails = false;
  /** Until it resolves no fork is there. */
  delay: Promise<void> | undefined;

  async forkAhead(): Promise<ForkAhead> {
    if (this.fails) throw new CartonError('CARTON_FORK_FAILED');
    await this.delay;
    const fork = new ScriptedFork();
    this.forks.push(fork);
    return fork as unknown as ForkAhead;
  }

  die(): void {
    this.#end.resolve();
  }
}

describe('forks ahead of time', () => {
  let clock: FakeClock;
  let template: ForkingTemplate;
  beforeEach(() => {
    clock = new FakeClock();
    template = new ForkingTemplate();
  });

  const ahead = (count: number, before?: () => Promise<void>): ForksAhead => new ForksAhead(template as unknown as Template, { count, before, clock });
  async function pass(ms: number): Promise<void> {
    clock.advance(ms);
    await setImmediate();
  }
  async function ready(count: number): Promise<ForksAhead> {
    const forks = ahead(count);
    forks.replenishSoon();
    await pass(100);
    assert.equal(template.forks.length, count);
    return forks;
  }

  it('are made once nothing was launched for a while, and not while launches go on', async () => {
    const forks = ahead(3);
    for (let launches = 0; launches < 5; launches += 1) {
      forks.replenishSoon();
      await pass(99);
      assert.equal(template.forks.length, 0);
    }
    await pass(1);
    assert.equal(template.forks.length, 3);
    assert.equal(clock.pending, 0);
  });

  it('are taken in their order, and as many made as were taken', async () => {
    const forks = await ready(2);
    assert.deepEqual([forks.take(), forks.take(), forks.take()], [...template.forks, undefined]);
    forks.replenishSoon();
    await pass(100);
    assert.equal(template.forks.length, 4);
    forks.replenishSoon();
    await pass(100);
    assert.equal(template.forks.length, 4);
  });

  it('are not more because some are on their way', async () => {
    const forks = ahead(2);
    const { promise, resolve }: Deferred = deferred();
    template.delay = promise;
    for (let round = 0; round < 3; round += 1) {
      forks.replenishSoon();
      await pass(100);
    }
    resolve();
    await setImmediate();
    assert.equal(template.forks.length, 2);
  });

  it('come after what is to be done before, which is done once', async () => {
    const { promise, resolve } = deferred();
    let calls = 0;
    const forks = ahead(1, () => ((calls += 1), promise));
    await pass(1_000);
    assert.equal(calls, 0);
    for (let round = 0; round < 2; round += 1) {
      forks.replenishSoon();
      await pass(100);
      assert.deepEqual([calls, template.forks.length], [1, 0]);
    }
    resolve();
    await setImmediate();
    assert.equal(template.forks.length, 1);
    forks.take();
    forks.replenishSoon();
    await pass(100);
    assert.deepEqual([calls, template.forks.length], [1, 2]);
  });

  it('come also where what is to be done before fails', async () => {
    const forks = ahead(1, () => Promise.reject(new CartonError('CARTON_FORK_FAILED')));
    forks.replenishSoon();
    await pass(100);
    assert.equal(template.forks.length, 1);
  });

  it('are replaced where they die while they wait, and not where they were taken', async () => {
    const forks = await ready(2);
    const taken = forks.take() as unknown as ScriptedFork;
    taken.die();
    await pass(100);
    assert.equal(template.forks.length, 2);
    template.forks[1]?.die();
    await setImmediate();
    assert.equal(forks.take(), undefined);
    await pass(100);
    assert.equal(template.forks.length, 4);
  });

  it('are asked for again after the next launch where none could be made', async () => {
    const forks = ahead(1);
    template.fails = true;
    forks.replenishSoon();
    await pass(100);
    template.fails = false;
    assert.equal(clock.pending, 0);
    forks.replenishSoon();
    await pass(100);
    assert.equal(template.forks.length, 1);
  });

  for (const [what, end] of [['close', (forks: ForksAhead) => forks.close()], ['the end of their template', () => template.die()]] as const) {
    it(`end with ${what}, and none is made any more`, async () => {
      const forks = await ready(2);
      forks.replenishSoon();
      end(forks);
      await setImmediate();
      assert.deepEqual(template.forks.map(({ isKilled }) => isKilled), [true, true]);
      assert.equal(forks.take(), undefined);
      forks.replenishSoon();
      assert.equal(clock.pending, 0);
    });

    it(`end with ${what} where they are on their way`, async () => {
      const forks = ahead(1);
      const { promise, resolve } = deferred();
      template.delay = promise;
      forks.replenishSoon();
      await pass(100);
      end(forks);
      await setImmediate();
      resolve();
      await setImmediate();
      assert.deepEqual(template.forks.map(({ isKilled }) => isKilled), [true]);
      assert.equal(forks.take(), undefined);
    });

    it(`are not begun after ${what} where something was to be done before`, async () => {
      const { promise, resolve } = deferred();
      const forks = ahead(1, () => promise);
      forks.replenishSoon();
      await pass(100);
      end(forks);
      await setImmediate();
      resolve();
      await setImmediate();
      assert.equal(template.forks.length, 0);
    });
  }

  it('leave those alone that were taken', async () => {
    const forks = await ready(1);
    const taken = forks.take() as unknown as ScriptedFork;
    forks.close();
    assert.equal(taken.isKilled, false);
  });

  it('are none where their count is 0, and what is to be done is done once all the same', async () => {
    let calls = 0;
    const forks = ahead(0, async () => void (calls += 1));
    for (let round = 0; round < 3; round += 1) {
      forks.replenishSoon();
      await pass(100);
    }
    assert.deepEqual([calls, template.forks.length], [1, 0]);
    ahead(0).replenishSoon();
    assert.equal(clock.pending, 0);
  });
});

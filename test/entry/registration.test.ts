/**
 * A replay is settled in time, whether the plugin is there to do it or not.
 */
import assert from 'node:assert/strict';
import { SETTLE_AFTER_MS, settleInTime } from '../../lib/entry/registration';
import { FakeClock } from '../support/fake_clock';

describe('lib/entry/registration', () => {
  it('settles a replay by itself, once, after the longest start', () => {
    const clock = new FakeClock();
    let settled = 0;
    settleInTime({ served: 0, settle: () => void (settled += 1), stop: () => undefined }, clock);
    clock.advance(SETTLE_AFTER_MS - 1);
    assert.equal(settled, 0);
    clock.advance(1);
    assert.equal(settled, 1);
    clock.advance(SETTLE_AFTER_MS * 2);
    assert.equal(settled, 1);
  });
});

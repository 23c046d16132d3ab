/**
 * How the building of snapshots is followed: a line that is replaced where somebody watches, and lines of a log elsewhere.
 */
import assert from 'node:assert/strict';
import { Progress } from '../../../lib/cli/snapshot/progress';
import { FakeClock } from '../../support/fake_clock';
import { FakeTerminal } from '../fake_terminal';

class LiveTerminal extends FakeTerminal {
  override readonly isLive = true;
}

describe('the progress of a build', () => {
  it('is one line per step where nobody watches', () => {
    const [terminal, clock] = [new FakeTerminal(), new FakeClock()];
    const progress = new Progress(terminal, clock);
    progress.step('host', 'booting the application');
    clock.advance(1_540);
    progress.step('host', 'writing the snapshot');
    progress.done('host');
    progress.close();
    assert.deepEqual(terminal.lines, ['host: booting the application', 'host: writing the snapshot', 'host: done in 1.5 s']);
    assert.deepEqual(terminal.statuses.filter((status) => status !== undefined), []);
  });

  it('is a line with the time that is replaced in a terminal, and leaves one per role', () => {
    const [terminal, clock] = [new LiveTerminal(), new FakeClock()];
    const progress = new Progress(terminal, clock);
    progress.step('host', 'booting the application');
    clock.advance(200);
    assert.equal(terminal.statuses.at(-1), '⠹ host      0.2 s  booting the application');
    progress.done('host');
    progress.step('function', 'booting the application');
    assert.equal(terminal.statuses.at(-1), '⠋ function  0.0 s  booting the application');
    assert.deepEqual(terminal.lines, ['✓ host      0.2 s']);
  });

  it('leaves nothing behind when it is closed', () => {
    const [terminal, clock] = [new LiveTerminal(), new FakeClock()];
    const progress = new Progress(terminal, clock);
    progress.step('host', 'booting the application');
    progress.close();
    const { length } = terminal.statuses;
    clock.advance(1_000);
    assert.equal(terminal.statuses.length, length);
    assert.equal(terminal.statuses.at(-1), undefined);
  });
});

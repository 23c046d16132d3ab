/**
 * How the `fork` launcher replaces a template that was made quickly (lib/sandbox/fork.ts), on scripted templates and a
 * fake clock.
 */
import assert from 'node:assert/strict';
import { setImmediate } from 'node:timers/promises';
import { CartonError } from '../../lib/support/errors';
import { BOOT, deferred, Scene } from './scripted_templates';

describe('a template that was made quickly', () => {
  let scene: Scene;
  beforeEach(() => (scene = new Scene()));
  afterEach(() => scene.launcher.close());

  it('is replaced by a whole one once nobody launches, and serves meanwhile', async () => {
    scene.leavesOut = true;
    await scene.launcher.launch(BOOT);
    const first = scene.revision;
    const { promise, resolve } = deferred();
    scene.delay = promise;
    scene.clock.advance(99);
    await scene.launcher.launch(BOOT);
    scene.clock.advance(99);
    assert.equal(scene.revisions.length, 1);
    scene.clock.advance(1);
    await setImmediate();
    const { forks } = first;
    await scene.launcher.launch(BOOT);
    assert.deepEqual([scene.revisions.length, first.forks - forks, first.isOpen], [1, 1, true]);
    resolve();
    await setImmediate();
    assert.deepEqual(scene.revisions.map(({ isOpen }) => isOpen), [false, true]);
    // One of its forks was its test.
    await scene.launcher.launch(BOOT);
    assert.deepEqual([scene.revision.forks, first.forks - forks], [2, 1]);
    scene.clock.advance(60_000);
    await setImmediate();
    assert.equal(scene.revisions.length, 2, 'what is whole is not replaced');
  });

  for (const [what, fail] of [
    ['cannot be made', (error: CartonError) => (scene.failure = error)], ['fails its test', (error: CartonError) => (scene.testFailure = error)],
  ] as const) {
    it(`stays in use where the whole one ${what}`, async () => {
      scene.leavesOut = true;
      await scene.launcher.launch(BOOT);
      const first = scene.revision;
      fail(new CartonError('CARTON_FORK_BOOT_FAILED'));
      scene.clock.advance(100);
      await setImmediate();
      const { forks } = first;
      await scene.launcher.launch(BOOT);
      assert.deepEqual([first.isOpen, first.forks - forks], [true, 1]);
      assert.deepEqual(scene.launcher.status, { kind: 'fork', reason: null });
      assert.ok(scene.revisions.slice(1).every(({ isOpen }) => !isOpen));
    });
  }

  it('is not replaced by a whole one that comes when files have changed', async () => {
    scene.leavesOut = true;
    await scene.launcher.launch(BOOT);
    const { promise, resolve } = deferred();
    scene.delay = promise;
    scene.clock.advance(100);
    await setImmediate();
    scene.delay = undefined;
    scene.launcher.refresh(scene.clock.wall());
    await scene.launcher.launch(BOOT);
    const present = scene.revision;
    resolve();
    await setImmediate();
    assert.deepEqual([scene.revisions.length, scene.revision.isOpen, present.isOpen], [3, false, true]);
  });
});

/**
 * The `fork` launcher's own decisions (lib/sandbox/fork.ts), on scripted templates and a fake clock; real ones are in
 * test/fork and test/fault/template.test.ts.
 */
import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setImmediate } from 'node:timers/promises';
import type { InstanceBoot } from '../../lib/protocol/control';
import { CartonError } from '../../lib/support/errors';
import { BOOT, deferred, Scene, type ScriptedTemplate } from './scripted_templates';

describe('the fork launcher', () => {
  let scene: Scene;
  beforeEach(() => (scene = new Scene()));
  afterEach(() => scene.launcher.close());

  it('guarantee 1: launches that come while templates are made wait for the same ones', async () => {
    await Promise.all([1, 2, 3].map(() => scene.launcher.launch(BOOT)));
    assert.deepEqual([scene.roots.length, scene.revisions.length, scene.revision.forks], [1, 1, 4]);
  });

  it('guarantee 1: a launch rejects with the reason where no template can be made', async () => {
    scene.failure = new CartonError('CARTON_FORK_REFUSED', { got: 'a server' });
    await assert.rejects(scene.launcher.launch(BOOT), { code: 'CARTON_FORK_REFUSED' });
    assert.match(scene.launcher.status.reason ?? '', /CARTON_FORK_REFUSED .*a server/);
  });

  it('guarantee 2: a template whose test fails is ended and not used, and so is what was forked from it meanwhile', async () => {
    scene.testFailure = new CartonError('CARTON_FORK_BOOT_FAILED');
    await assert.rejects(scene.launcher.launch(BOOT), { code: 'CARTON_FORK_BOOT_FAILED' });
    assert.deepEqual([scene.revision.isOpen, scene.revision.forks, scene.revision.killed], [false, 2, 2]);
    assert.match(scene.launcher.status.reason ?? '', /CARTON_FORK_BOOT_FAILED/);
    await assert.rejects(scene.launcher.launch(BOOT), { code: 'CARTON_FORK_BOOT_FAILED' });
    assert.equal(scene.revisions.length, 1);
  });

  it('guarantee 2: what was forked meanwhile leaves its socket to whoever serves instead', async () => {
    const directory = mkdtempSync(path.join(tmpdir(), 'ec-fork-'));
    try {
      scene.testFailure = new CartonError('CARTON_FORK_BOOT_FAILED');
      await assert.rejects(scene.launcher.launch({ socketPath: path.join(directory, 's') } as InstanceBoot), { code: 'CARTON_FORK_BOOT_FAILED' });
      assert.deepEqual([scene.revision.killed, readdirSync(directory)], [2, []]);
    } finally {
      rmSync(directory, { recursive: true });
    }
  });

  it('guarantee 2: a template that fails its test after another one has taken its place changes nothing for that one', async () => {
    const [test, boot] = [deferred(), deferred()];
    scene.testDelay = test.promise;
    const first = assert.rejects(scene.launcher.launch(BOOT), { code: 'CARTON_FORK_BOOT_FAILED' });
    await setImmediate();
    scene.launcher.refresh(scene.clock.wall() + 1_000);
    scene.delay = boot.promise;
    scene.failure = new CartonError('CARTON_FORK_REFUSED');
    const second = assert.rejects(scene.launcher.launch(BOOT), { code: 'CARTON_FORK_REFUSED' });
    scene.testFailure = new CartonError('CARTON_FORK_BOOT_FAILED');
    test.resolve();
    await first;
    boot.resolve();
    await second;
  });

  it('tells the last failure until a test has passed, and makes nothing better before', async () => {
    scene.leavesOut = true;
    scene.testFailure = new CartonError('CARTON_FORK_BOOT_FAILED');
    await assert.rejects(scene.launcher.launch(BOOT), { code: 'CARTON_FORK_BOOT_FAILED' });
    scene.testFailure = undefined;
    const test = deferred();
    scene.testDelay = test.promise;
    scene.clock.advance(1_000);
    const launched = scene.launcher.launch(BOOT);
    await setImmediate();
    scene.launcher.replenish();
    scene.clock.advance(1_000);
    await setImmediate();
    assert.deepEqual([scene.revisions.length, scene.revision.collected], [2, 0]);
    assert.match(scene.launcher.status.reason ?? '', /CARTON_FORK_BOOT_FAILED/);
    test.resolve();
    await launched;
    assert.equal(scene.launcher.status.reason, null);
    scene.clock.advance(100);
    await setImmediate();
    assert.deepEqual([scene.revisions.length, scene.revisions[1]?.collected], [3, 1]);
  });

  it('guarantee 2: a launch is told of no process before the test has passed', async () => {
    const test = deferred();
    scene.testDelay = test.promise;
    let isLaunched = false;
    const launched = scene.launcher.launch(BOOT).then(() => (isLaunched = true));
    await setImmediate();
    assert.deepEqual([isLaunched, scene.revision.forks], [false, 2]);
    test.resolve();
    await launched;
  });

  it('guarantee 2: a template whose fork answers and does not end well is used no longer, and another is made after the back-off', async () => {
    scene.lateTestFailure = new CartonError('CARTON_FORK_BOOT_FAILED', { got: 'exit code 3' });
    scene.launcher.replenish();
    await setImmediate();
    assert.deepEqual([scene.revisions.length, scene.revision.isOpen], [1, false]);
    assert.match(scene.launcher.status.reason ?? '', /CARTON_FORK_BOOT_FAILED .*exit code 3/);
    await assert.rejects(scene.launcher.launch(BOOT), { code: 'CARTON_FORK_BOOT_FAILED' });
    scene.lateTestFailure = undefined;
    scene.clock.advance(999);
    await setImmediate();
    assert.equal(scene.revisions.length, 1);
    scene.clock.advance(1);
    await setImmediate();
    assert.deepEqual([scene.revisions.length, scene.revision.isOpen], [2, true]);
    assert.deepEqual(scene.launcher.status, { kind: 'fork', reason: null });
    await scene.launcher.launch(BOOT);
  });

  it('guarantee 3: what failed is tried again after its back-off, which grows', async () => {
    scene.failure = new CartonError('CARTON_FORK_BOOT_FAILED');
    const refused = (): Promise<void> => assert.rejects(scene.launcher.launch(BOOT), { code: 'CARTON_FORK_BOOT_FAILED' });
    await refused();
    scene.clock.advance(1_000);
    await refused();
    scene.failure = undefined;
    scene.clock.advance(1_999);
    await refused();
    scene.clock.advance(1);
    await scene.launcher.launch(BOOT);
  });

  it('guarantee 3: what was refused is not tried again before files change', async () => {
    scene.failure = new CartonError('CARTON_FORK_REFUSED');
    await assert.rejects(scene.launcher.launch(BOOT), { code: 'CARTON_FORK_REFUSED' });
    scene.failure = undefined;
    scene.clock.advance(3_600_000);
    await assert.rejects(scene.launcher.launch(BOOT), { code: 'CARTON_FORK_REFUSED' });
    scene.launcher.refresh(scene.clock.wall());
    await scene.launcher.launch(BOOT);
  });

  it('guarantee 3: what failed is tried again by itself, though nobody asks', async () => {
    scene.failure = new CartonError('CARTON_FORK_BOOT_FAILED');
    await assert.rejects(scene.launcher.launch(BOOT), { code: 'CARTON_FORK_BOOT_FAILED' });
    scene.failure = undefined;
    scene.clock.advance(999);
    await setImmediate();
    assert.equal(scene.revisions.length, 0);
    scene.clock.advance(1);
    await setImmediate();
    assert.equal(scene.revisions.length, 1);
  });

  it('guarantee 3: what was refused is not tried again by itself, and what was only busy is', async () => {
    const reasons = [{ kind: 'request', what: 'a request', owner: null }];
    for (const [error, made] of [[new CartonError('CARTON_FORK_REFUSED'), 0], [Object.assign(new CartonError('CARTON_FORK_REFUSED'), { reasons }), 1]] as const) {
      scene.failure = error;
      scene.launcher.refresh(scene.clock.wall());
      await assert.rejects(scene.launcher.launch(BOOT), { code: 'CARTON_FORK_REFUSED' });
      scene.clock.advance(50);
      await setImmediate();
      scene.failure = undefined;
      scene.clock.advance(60_000);
      await setImmediate();
      assert.equal(scene.revisions.length, made);
    }
  });

  /** It is made anew without a pause. */
  async function diesAtOnce(which: 'roots' | 'revisions'): Promise<void> {
    const { length } = scene[which];
    scene[which].at(-1)?.die();
    await setImmediate();
    scene.clock.advance(1);
    await setImmediate();
    assert.equal(scene[which].length, length + 1);
  }

  it('has a launch that lost a young template served by the next, once in a row', async () => {
    await scene.launcher.launch(BOOT);
    scene.revision.hangs = true;
    const launched = scene.launcher.launch(BOOT);
    await setImmediate();
    scene.revision.die();
    await launched;
    assert.equal(scene.revisions.length, 2);
  });

  for (const [first, second] of [['roots', 'revisions'], ['revisions', 'roots']] as const) {
    it(`guarantee 3: neither of two pauses takes the other's place (${first} first)`, async () => {
      const last = (which: 'roots' | 'revisions'): ScriptedTemplate => scene[which].at(-1) ?? assert.fail();
      await scene.launcher.launch(BOOT);
      await diesAtOnce('roots');
      await diesAtOnce('revisions');
      // For the second time in a row.
      last(first).die();
      await setImmediate();
      scene.clock.advance(1_000);
      last(second).die();
      await setImmediate();
      assert.deepEqual([scene.roots.length, scene.revisions.length], [2, 2]);
      for (let tick = 0; tick < 2; tick += 1) {
        scene.clock.advance(1_000);
        await setImmediate();
      }
      assert.deepEqual([scene.roots.length, scene.revisions.length], [3, 3]);
    });
  }

  for (const endless of ['root', 'revision', 'test'] as const) {
    it(`guarantee 4: close does not wait for what is being made (${endless})`, async () => {
      scene.endless = endless;
      const launched = assert.rejects(scene.launcher.launch(BOOT), CartonError);
      await setImmediate();
      await scene.launcher.close();
      await launched;
      assert.ok([...scene.roots, ...scene.revisions].every(({ isOpen }) => !isOpen));
      assert.equal(scene.clock.pending, 0);
    });
  }

  it('guarantee 4: close waits for the end of each template, also of one that was replaced', async () => {
    await scene.launcher.launch(BOOT);
    const [first] = scene.revisions;
    (first as ScriptedTemplate).hangs = true;
    scene.launcher.refresh(scene.clock.wall());
    await scene.launcher.launch(BOOT);
    let isClosed = false;
    const closed = scene.launcher.close().then(() => (isClosed = true));
    await setImmediate();
    assert.deepEqual([isClosed, first?.isOpen, scene.revision.isOpen], [false, true, false]);
    first?.die();
    await closed;
  });

  it('kills a template that answers no request, and asks another one', async () => {
    await scene.launcher.launch(BOOT);
    scene.clock.advance(60_000);
    scene.revision.hangs = true;
    const launched = scene.launcher.launch(BOOT);
    await setImmediate();
    // The next one hangs in its test.
    scene.nextHangs = true;
    scene.clock.advance(5_000);
    await setImmediate();
    assert.deepEqual(scene.revisions.map(({ isOpen }) => isOpen), [false, true]);
    scene.clock.advance(5_000);
    await launched;
    assert.deepEqual(scene.revisions.map(({ isOpen }) => isOpen), [false, false, true]);
  });

  it('tells the last failure until a template is ready again', async () => {
    const { launcher } = scene;
    assert.deepEqual(launcher.status, { kind: 'fork', reason: null });
    scene.failure = new CartonError('CARTON_FORK_REFUSED', { got: 'a server' });
    await assert.rejects(launcher.launch(BOOT), { code: 'CARTON_FORK_REFUSED' });
    scene.failure = undefined;
    launcher.refresh(scene.clock.wall());
    const launched = launcher.launch(BOOT);
    assert.match(launcher.status.reason ?? '', /CARTON_FORK_REFUSED .*a server/);
    assert.equal(launcher.obstacle, undefined);
    await launched;
    assert.deepEqual(launcher.status, { kind: 'fork', reason: null });
    scene.clock.advance(60_000);
    scene.revision.die();
    await setImmediate();
    assert.match(launcher.status.reason ?? '', /CARTON_FORK_ENDED/);
    scene.clock.advance(0);
    await setImmediate();
    assert.deepEqual(launcher.status, { kind: 'fork', reason: null });
  });

  it('has the first caller served before the collection, and collects at once where nobody waits', async () => {
    await scene.launcher.launch(BOOT);
    assert.deepEqual([scene.revision.forks, scene.revision.collected], [2, 1]);
    scene.launcher.refresh(scene.clock.wall());
    scene.clock.advance(50);
    await setImmediate();
    assert.deepEqual([scene.revisions.length, scene.revision.forks, scene.revision.collected], [2, 1, 1]);
  });

  it('makes one template for many changes, and none for a change that it has already', async () => {
    await scene.launcher.launch(BOOT);
    const changedAt = scene.clock.wall();
    for (let file = 0; file < 20; file += 1) scene.launcher.refresh(changedAt);
    assert.equal(scene.revisions.length, 1);
    scene.clock.advance(50);
    await setImmediate();
    assert.equal(scene.revisions.length, 2);
    scene.launcher.refresh(changedAt);
    scene.clock.advance(50);
    await setImmediate();
    assert.deepEqual([scene.revisions.length, scene.revision.isOpen], [2, true]);
  });

  it('asks another template where one died before that was noticed', async () => {
    await scene.launcher.launch(BOOT);
    scene.revision.isOpen = false;
    await scene.launcher.launch(BOOT);
    assert.deepEqual([scene.roots.length, scene.revisions.length], [1, 2]);
  });

  it('makes each kind of template anew when it ends', async () => {
    await scene.launcher.launch(BOOT);
    scene.clock.advance(60_000);
    for (const [list, length] of [[scene.roots, 2], [scene.revisions, 2]] as const) {
      list.at(-1)?.die();
      await setImmediate();
      scene.clock.advance(1);
      await setImmediate();
      assert.equal(list.length, length);
    }
  });

  it('lets an unused template of the application give way where memory is short, and makes it again for a launch', async () => {
    await scene.launcher.launch(BOOT);
    const first = scene.revision;
    scene.clock.advance(20 * 60_000);
    assert.ok(first.isOpen, 'memory is not short');
    scene.isMemoryShort = true;
    scene.clock.advance(60_000);
    await setImmediate();
    assert.ok(!first.isOpen);
    assert.equal(scene.revisions.length, 1);
    await scene.launcher.launch(BOOT);
    assert.equal(scene.revisions.length, 2);
  });

  it('ends both templates when it is closed, and launches nothing more', async () => {
    await scene.launcher.launch(BOOT);
    await scene.launcher.close();
    assert.deepEqual([scene.roots[0]?.isOpen, scene.revision.isOpen], [false, false]);
    await assert.rejects(scene.launcher.launch(BOOT), { code: 'CARTON_FORK_ENDED' });
  });
});

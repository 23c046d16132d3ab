/**
 * The `fork` launcher's own decisions (lib/sandbox/fork.ts), on scripted templates and a fake clock; real ones are in
 * test/fork and test/fault/template.test.ts.
 */
import assert from 'node:assert/strict';
import { setImmediate } from 'node:timers/promises';
import type { Template } from '../../lib/fork/template';
import type { InstanceBoot } from '../../lib/protocol/control';
import { ForkLauncher } from '../../lib/sandbox/fork';
import type { Sandbox } from '../../lib/sandbox/launcher';
import { CartonError } from '../../lib/support/errors';
import type { HostLog } from '../../lib/support/host_environment';
import { FakeClock } from '../support/fake_clock';

const SILENT: HostLog = { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined };
const BOOT = {} as InstanceBoot;

/** A template without a process; `die` ends it. */
class ScriptedTemplate {
  readonly ended: Promise<void>;
  readonly pid = 0;
  forks = 0;
  collected = 0;
  isOpen = true;
  die: () => void = () => undefined;

  constructor() {
    this.ended = new Promise((resolve) => {
      this.die = () => {
        this.isOpen = false;
        resolve();
      };
    });
  }

  fork(): Promise<Sandbox> {
    if (!this.isOpen) return Promise.reject(new CartonError('CARTON_FORK_ENDED'));
    this.forks += 1;
    return Promise.resolve({} as Sandbox);
  }

  collect(): void {
    this.collected += 1;
  }

  close(): void {
    this.die();
  }
}

class Scene {
  readonly clock = new FakeClock();
  readonly roots: ScriptedTemplate[] = [];
  readonly revisions: ScriptedTemplate[] = [];
  failure: CartonError | undefined;
  testFailure: CartonError | undefined;
  isMemoryShort = false;
  readonly launcher = new ForkLauncher({
    startRoot: () => this.#make(this.roots),
    derive: () => (this.failure === undefined ? this.#make(this.revisions) : Promise.reject(this.failure)),
    study: () => Promise.resolve(), ahead: 0, selfTest: () => (this.testFailure === undefined ? Promise.resolve() : Promise.reject(this.testFailure)),
    isMemoryShort: () => this.isMemoryShort,
    clock: this.clock,
    log: SILENT,
  });

  #make(list: ScriptedTemplate[]): Promise<Template> {
    const template = new ScriptedTemplate();
    list.push(template);
    return Promise.resolve(template as unknown as Template);
  }

  /** The one that is used now. */
  get revision(): ScriptedTemplate {
    return this.revisions.at(-1) ?? assert.fail('no template');
  }
}

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

  it('guarantee 2: a template whose test fails is ended and not used', async () => {
    scene.testFailure = new CartonError('CARTON_FORK_BOOT_FAILED');
    await assert.rejects(scene.launcher.launch(BOOT), { code: 'CARTON_FORK_BOOT_FAILED' });
    assert.deepEqual([scene.revision.isOpen, scene.revision.forks], [false, 1]);
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

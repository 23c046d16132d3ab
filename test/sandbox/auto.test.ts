/**
 * How the default launcher chooses (lib/sandbox/auto.ts), on scripted templates, a fake clock, and processes that are
 * only counted.
 */
import assert from 'node:assert/strict';
import { setImmediate } from 'node:timers/promises';
import { AutoLauncher } from '../../lib/sandbox/auto';
import type { Sandbox } from '../../lib/sandbox/launcher';
import type { SpawnLauncher } from '../../lib/sandbox/spawn';
import { CartonError } from '../../lib/support/errors';
import { BOOT, Scene, SILENT } from './scripted_templates';

/** Without processes. */
class CountedSpawns {
  spawned = 0;
  spares = 0;

  launch(): Promise<Sandbox> {
    this.spawned += 1;
    this.spares = 0;
    return Promise.resolve({} as Sandbox);
  }

  replenish(): void {
    this.spares = 1;
  }

  refresh(): void {
    this.replenish();
  }

  dropSpares(): void {
    this.spares = 0;
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}

describe('the default launcher', () => {
  let scene: Scene;
  let spawn: CountedSpawns;
  let launcher: AutoLauncher;
  beforeEach(() => {
    scene = new Scene();
    spawn = new CountedSpawns();
    launcher = new AutoLauncher({ fork: scene.launcher, spawn: spawn as unknown as SpawnLauncher, log: SILENT });
  });
  afterEach(() => launcher.close());

  async function refused(): Promise<void> {
    scene.failure = new CartonError('CARTON_FORK_REFUSED', { got: 'a server' });
    await launcher.launch(BOOT);
  }

  it('forks, and spawns where no template can be had, with the reason', async () => {
    await launcher.launch(BOOT);
    assert.deepEqual([spawn.spawned, launcher.status], [0, { kind: 'fork', reason: null }]);
    scene.failure = new CartonError('CARTON_FORK_REFUSED', { got: 'a server' });
    launcher.refresh(scene.clock.wall());
    await launcher.launch(BOOT);
    assert.equal(spawn.spawned, 1);
    assert.equal(launcher.status.kind, 'spawn');
    assert.match(launcher.status.reason ?? '', /CARTON_FORK_REFUSED .*a server/);
  });

  it('keeps no process booted ahead once it forks again', async () => {
    await refused();
    launcher.replenish();
    assert.equal(spawn.spares, 1);
    scene.failure = undefined;
    launcher.refresh(scene.clock.wall());
    assert.equal(spawn.spares, 1);
    scene.clock.advance(50);
    await setImmediate();
    await launcher.launch(BOOT);
    launcher.replenish();
    assert.deepEqual([spawn.spawned, spawn.spares, launcher.status], [1, 0, { kind: 'fork', reason: null }]);
  });

  it('spawns nothing once it is closed, not even for a launch that waited for a template', async () => {
    scene.endless = 'revision';
    const launched = assert.rejects(launcher.launch(BOOT), { code: 'CARTON_FORK_ENDED' });
    await setImmediate();
    await launcher.close();
    await launched;
    await assert.rejects(launcher.launch(BOOT), { code: 'CARTON_FORK_ENDED' });
    assert.equal(spawn.spawned, 0);
  });
});

import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { bootModule } from '../../../lib/entry/application/module';
import type { ApplicationDescriptor } from '../../../lib/support/host_environment';

describe('entry/application/module', () => {
  let root: string;

  before(() => {
    root = mkdtempSync(path.join(os.tmpdir(), 'carton-module-'));
  });

  after(() => rmSync(root, { recursive: true, force: true }));

  function descriptor(name: string, source: string): ApplicationDescriptor {
    const entry = path.join(root, `${name}.js`);
    writeFileSync(entry, source);
    return { kind: 'module', name, baseDir: root, entry, options: { colour: 'red' }, disabledPlugins: [] };
  }

  it('hands over what boot returns', async () => {
    const booted = await bootModule(descriptor('full', `
      exports.closed = false;
      exports.boot = async ({ baseDir, options }) => ({
        config: { baseDir, ...options },
        service: { clock: { now: async () => 1 } },
        logger: { debug() {}, info() {}, warn() {}, error() {}, own: true },
        close: () => { exports.closed = true; },
      });
    `));
    assert.deepEqual(booted.config, { baseDir: root, colour: 'red' });
    assert.equal((booted.logger as { own?: boolean }).own, true);
    const scope = booted.createScope(booted.logger);
    const { clock } = scope.service as { clock: { now(): Promise<unknown> } };
    assert.equal(await scope.run(() => clock.now()), 1);
    booted.setMocks([{ service: 'clock', method: 'now', result: 2 }]);
    assert.equal(await clock.now(), 2);
    booted.setMocks([]);
    assert.equal(await clock.now(), 1);
    booted.reloadLogs();
    await booted.close();
    assert.equal((require(path.join(root, 'full.js')) as { closed: boolean }).closed, true);
  });

  it('needs neither a boot nor anything from it', async () => {
    for (const [name, source] of [['empty', ''], ['nothing', 'exports.boot = () => undefined;']] as const) {
      const booted = await bootModule(descriptor(name, source));
      assert.deepEqual(booted.config, {});
      assert.equal(booted.logger, console);
      assert.deepEqual(booted.createScope(console).service, {});
      await booted.close();
    }
  });

  it('rejects with what boot threw, and names an export that is no function', async () => {
    await assert.rejects(bootModule(descriptor('throws', 'exports.boot = () => { throw new RangeError("no"); };')), { name: 'RangeError', message: 'no' });
    await assert.rejects(bootModule(descriptor('wrong', 'exports.boot = 1;')), { code: 'CARTON_SANDBOX_BAD_BOOT', message: /got number/ });
  });
});

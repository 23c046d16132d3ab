import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import path from 'node:path';
import { descriptorOf, FIXTURES, inChild, valueIn } from './child';

/** What the tests look at of an application; the child reaches it through a service of it. */
interface SeenApplication {
  plugins: Record<string, { enable: boolean }>;
  hooks: string[];
  ledger: { open: boolean };
  middleware: unknown[];
  middlewares: object;
  routerLoaded?: boolean;
  stampMade?: boolean;
  router: { stack: unknown[]; get(path: string, controller: unknown): void };
  controller: { home: { index: unknown } };
  agent: { type: string };
  thing: Record<string, object>;
  messenger: { sendToAgent(action: string): void; sendRandom(action: string): void; broadcast(action: string): void };
}

interface SeenServices {
  greeter: { ctx: { app: SeenApplication }; greet(name: string): Promise<unknown> };
  user: { app: SeenApplication; profile: { find(id: string): Promise<unknown> } };
}

describe('entry/application/egg', function () {
  this.timeout(30_000);

  it('loads config, extends, plugins, boot hooks and services', async () => {
    const seen = await valueIn(descriptorOf('plain-app'), async ({ egg, descriptor }) => {
      const booted = await egg.bootEgg(descriptor);
      const scope = booted.createScope(booted.logger);
      const services = scope.service as SeenServices;
      const { hooks, ledger, plugins } = services.greeter.ctx.app;
      const before = { hooks: [...hooks], open: ledger.open, baseDir: booted.baseDir, greeting: booted.config['greeting'] };
      const greeted = await scope.run(() => services.greeter.greet('world'));
      const found = await scope.run(() => services.user.profile.find('7'));
      await booted.close();
      return { ...before, greeted, found, hooksAtEnd: hooks, openAtEnd: ledger.open, plugins: Object.keys(plugins).sort() };
    });
    const hooks = ['configWillLoad', 'configDidLoad', 'didLoad', 'willReady', 'didReady', 'serverDidReady'];
    assert.deepEqual(seen, {
      hooks,
      open: true,
      baseDir: path.join(FIXTURES, 'plain-app'),
      greeting: 'hello',
      greeted: { text: 'HELLO WORLD!', double: 42, tenant: 'tenant of plain-app', welcome: '欢迎' },
      found: { id: '7', total: 6 },
      hooksAtEnd: [...hooks, 'beforeClose'],
      openAtEnd: false,
      plugins: ['i18n', 'ledger', 'security', 'session', 'view'],
    });
  });

  it('loads no middleware, no controller and no route', async () => {
    const seen = await valueIn(descriptorOf('plain-app'), async ({ egg, descriptor, require }) => {
      const booted = await egg.bootEgg(descriptor);
      const app = (booted.createScope(booted.logger).service as SeenServices).greeter.ctx.app;
      const loaded = Object.keys(require.cache).filter((file) => /plain-app.app.(controller|middleware|router)/.test(file));
      const { middleware, middlewares, routerLoaded, stampMade } = app;
      return { loaded, middleware, middlewares, routerLoaded: routerLoaded ?? false, stampMade: stampMade ?? false };
    });
    assert.deepEqual(seen, { loaded: [], middleware: [], middlewares: {}, routerLoaded: false, stampMade: false });
  });

  it('lets a plugin mount a route on a controller that does not exist here', async () => {
    const routes = await valueIn(descriptorOf('plain-app'), async ({ egg, descriptor }) => {
      const booted = await egg.bootEgg(descriptor);
      const { router, controller } = (booted.createScope(booted.logger).service as SeenServices).greeter.ctx.app;
      router.get('/mounted', controller.home.index);
      return router.stack.length;
    });
    assert.equal(routes, 1);
  });

  it('keeps a disabled plugin that an enabled one needs, without a warning', async () => {
    const plugins = { ledger: { enable: true, dependencies: ['schedule'] } };
    const { value, output } = await inChild(descriptorOf('plain-app', { plugins }), async ({ egg, descriptor }) => {
      const booted = await egg.bootEgg(descriptor);
      return Object.keys((booted.createScope(booted.logger).service as SeenServices).greeter.ctx.app.plugins).sort();
    });
    assert.deepEqual(value, ['i18n', 'ledger', 'schedule', 'security', 'session', 'view']);
    assert.doesNotMatch(output, /enabled implicitly/);
  });

  it('does without the carton plugin itself', async () => {
    const plugins = { carton: { enable: true, path: path.join(FIXTURES, 'plain-app/plugins/ledger') } };
    const enabled = await valueIn(descriptorOf('plain-app', { plugins }), async ({ egg, descriptor }) => {
      const booted = await egg.bootEgg(descriptor);
      return Object.keys((booted.createScope(booted.logger).service as SeenServices).greeter.ctx.app.plugins);
    });
    assert.ok(!(enabled as string[]).includes('carton'));
  });

  it('talks to a stub agent that never answers and closes with the application', async () => {
    const seen = await valueIn(descriptorOf('plain-app'), async ({ egg, descriptor }) => {
      const booted = await egg.bootEgg(descriptor);
      const { agent, messenger } = (booted.createScope(booted.logger).service as SeenServices).greeter.ctx.app;
      messenger.sendToAgent('to-agent');
      messenger.sendRandom('to-opposite');
      messenger.broadcast('to-both');
      await new Promise(setImmediate);
      await booted.close();
      return { type: agent.type, timers: process.getActiveResourcesInfo().filter((name) => name === 'Timeout') };
    });
    assert.deepEqual(seen, { type: 'agent', timers: [] });
  });

  it('1. rejects with the error that the application threw, file and line intact', async () => {
    for (const hook of ['configWillLoad', 'didLoad', 'willReady']) {
      const failed = await inChild(descriptorOf('plain-app'), ({ egg, descriptor }) => egg.bootEgg(descriptor), { FIXTURE_BOOT_FAIL: hook });
      assert.equal(failed.exitCode, 1);
      assert.match(failed.output, new RegExp(`cannot start: ${hook} failed on purpose\\n\\s+at .*plain-app.app\\.js:\\d+:\\d+`), hook);
    }
  });

  it('2. is ready although serverDidReady failed, and logs that', async () => {
    const run = await inChild(descriptorOf('plain-app'), async ({ egg, descriptor }) => {
      const booted = await egg.bootEgg(descriptor);
      await new Promise(setImmediate);
      return booted.baseDir;
    }, { FIXTURE_BOOT_FAIL: 'serverDidReady' });
    assert.equal(run.exitCode, 0, run.output);
    assert.match(run.output, /ERROR .*cannot start: serverDidReady failed on purpose/);
  });

  it('3. writes nothing to run/, in two processes at once', async () => {
    const run = path.join(FIXTURES, 'plain-app/run');
    rmSync(run, { recursive: true, force: true });
    const boot = (): Promise<unknown> => valueIn(descriptorOf('plain-app'), async ({ egg, descriptor }) => {
      const booted = await egg.bootEgg(descriptor);
      const scope = booted.createScope(booted.logger);
      const found = await scope.run(() => (scope.service as SeenServices).user.profile.find('1'));
      await booted.close();
      return found;
    });
    assert.deepEqual(await Promise.all([boot(), boot()]), [{ id: '1', total: 6 }, { id: '1', total: 6 }]);
    assert.deepEqual(existsSync(run) ? readdirSync(run) : [], []);
  });

  it('4. closes with all log lines written', async () => {
    const logs = path.join(FIXTURES, 'plain-app/logs/plain-app');
    rmSync(logs, { recursive: true, force: true });
    await valueIn(descriptorOf('plain-app'), async ({ egg, descriptor }) => {
      const booted = await egg.bootEgg(descriptor);
      booted.logger.info('last words');
      await booted.close();
      return true;
    });
    assert.match(readFileSync(path.join(logs, 'plain-app-web.log'), 'utf8'), /last words/);
  });

  it('honours the loader, the defaults and the services of a framework on top of Egg', async () => {
    const seen = await valueIn(descriptorOf('framework-app'), async ({ egg, descriptor }) => {
      const booted = await egg.bootEgg(descriptor);
      const scope = booted.createScope(booted.logger);
      const service = scope.service as { order: { app: SeenApplication; create(user: string, amount: number): Promise<unknown> } };
      const created = await scope.run(() => service.order.create('1', 5));
      return { created, things: Object.keys(service.order.app.thing).sort(), house: booted.config['house'] };
    });
    assert.deepEqual(seen, {
      created: { id: '3', user: '1', price: '5.00 CNY' },
      things: ['compass', 'orders'],
      house: { name: 'custom-framework', currency: 'CNY' },
    });
  });

  it('names a framework that exports no Application', async () => {
    const descriptor = { ...descriptorOf('plain-app'), entry: require.resolve('node:path') };
    const failed = await inChild(descriptor, ({ egg, descriptor: it }) => egg.bootEgg(it));
    assert.match(failed.output, /expected an Egg framework, whose main file exports the class Application/);
  });

  it('leaves the signals to the process', async () => {
    const listeners = await valueIn(descriptorOf('plain-app'), async ({ egg, descriptor }) => {
      await egg.bootEgg(descriptor);
      return process.listenerCount('SIGTERM') + process.listenerCount('SIGINT');
    });
    assert.equal(listeners, 0);
  });
});


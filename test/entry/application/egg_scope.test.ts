import assert from 'node:assert/strict';
import { readFileSync, rmSync } from 'node:fs';
import path from 'node:path';
import { REQUEST_PROPERTIES } from '../../../lib/entry/application/request_properties';
import { descriptorOf, FIXTURES, valueIn } from './child';

interface Services {
  greeter: {
    ctx: object;
    greet(name: string): Promise<unknown>;
    log(): Promise<void>;
    inBackground(): Promise<unknown>;
    fetch(url: string): Promise<unknown>;
  };
  user: { profile: { inOwnContext(): Promise<boolean> } };
  web: { ctx: object; read(name: string): Promise<unknown>; write(name: string, value: unknown): Promise<unknown>; agentName(): Promise<unknown> };
}

describe('entry/application/egg_scope', function () {
  this.timeout(30_000);

  it('names each property that only a request has, for reading and for writing', async () => {
    const refused = await valueIn(descriptorOf('plain-app'), async ({ egg, descriptor, require }) => {
      const names = require('./lib/entry/application/request_properties').REQUEST_PROPERTIES as string[];
      const booted = await egg.bootEgg(descriptor);
      const scope = booted.createScope(booted.logger);
      const { web } = scope.service as Services;
      const refusal = async (call: () => Promise<unknown>): Promise<unknown> =>
        scope.run(call).then(() => 'allowed', (error: Error & { code?: string }) => `${error.code}: ${/\(.*?\)/.exec(error.message)?.[0]}`);
      const rows: unknown[] = [];
      for (const name of [...names, 'user']) rows.push([name, await refusal(() => web.read(name))]);
      for (const name of names) rows.push([name, await refusal(() => web.write(name, 1))]);
      rows.push(['agentName', await refusal(() => web.agentName())]);
      return rows;
    });
    const refusal = (name: string): unknown => [name, `CARTON_RUNTIME_CONTEXT_PROPERTY: (ctx.${name})`];
    assert.deepEqual(refused, [
      ...[...REQUEST_PROPERTIES, 'user'].map(refusal),
      ...REQUEST_PROPERTIES.map(refusal),
      ['agentName', 'CARTON_RUNTIME_CONTEXT_PROPERTY: (ctx.get)'],
    ]);
  });

  it('guards all that koa and egg delegate to a request or a response', () => {
    const accessors = (file: string): string[] => {
      const source = readFileSync(require.resolve(file), 'utf8');
      return [...source.matchAll(/^\s*\.(?:method|access|getter)\('(\w+)'\)/gm)].map((match) => match[1] ?? '');
    };
    const delegated = [...accessors('koa/lib/context.js'), ...accessors('egg/app/extend/context.js')];
    assert.ok(delegated.length > 40, `only ${delegated.length} delegates found: has their source changed?`);
    assert.deepEqual(delegated.filter((name) => !REQUEST_PROPERTIES.includes(name)), []);
  });

  it('lets a service put ctx.user and things of its own on the context', async () => {
    const seen = await valueIn(descriptorOf('plain-app'), async ({ egg, descriptor, require }) => {
      const booted = await egg.bootEgg(descriptor);
      const scope = booted.createScope(booted.logger);
      const { web } = scope.service as Services;
      const written = await scope.run(() => Promise.all([web.write('user', { name: 'Ada' }), web.write('basket', [1]), web.write('state', { a: 1 })]));
      const other = booted.createScope(booted.logger).service as Services;
      const elsewhere = await other.web.read('user').catch((error: Error & { code?: string }) => error.code);
      const printed = require('node:util').inspect(web.ctx) as string;
      return { written, elsewhere, basket: (await other.web.read('basket')) ?? 'none', printed, json: JSON.stringify(web.ctx) };
    }) as { written: unknown[]; elsewhere: unknown; basket: unknown; printed: string; json: string };
    assert.deepEqual(seen.written.slice(0, 2), [{ name: 'Ada' }, [1]]);
    assert.equal(seen.elsewhere, 'CARTON_RUNTIME_CONTEXT_PROPERTY');
    assert.equal(seen.basket, 'none');
    assert.match(seen.printed, /none: function/);
    assert.match(seen.json, /none: function/);
  });

  it('keeps app.currentContext right across concurrent invocations', async () => {
    const seen = await valueIn(descriptorOf('plain-app'), async ({ egg, descriptor }) => {
      const booted = await egg.bootEgg(descriptor);
      const own = await Promise.all(Array.from({ length: 50 }, () => {
        const scope = booted.createScope(booted.logger);
        return scope.run(() => (scope.service as Services).user.profile.inOwnContext());
      }));
      const one = booted.createScope(booted.logger);
      const two = booted.createScope(booted.logger);
      return {
        own: own.every(Boolean),
        sameInOne: (one.service as Services).greeter === (one.service as Services).greeter,
        sameInTwo: (one.service as Services).greeter === (two.service as Services).greeter,
      };
    });
    assert.deepEqual(seen, { own: true, sameInOne: true, sameInTwo: false });
  });

  it('gives services ctx.curl and ctx.runInBackground', async () => {
    const seen = await valueIn(descriptorOf('plain-app'), async ({ egg, descriptor, require }) => {
      const booted = await egg.bootEgg(descriptor);
      const scope = booted.createScope(booted.logger);
      const { greeter } = scope.service as Services;
      const server = require('node:http').createServer((_request: unknown, response: { end(text: string): void }) => response.end('pong'));
      await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
      const fetched = await scope.run(() => greeter.fetch(`http://127.0.0.1:${server.address().port}/`));
      const background = await scope.run(() => greeter.inBackground());
      server.close();
      return { fetched, background };
    });
    assert.deepEqual(seen, { fetched: { status: 200, data: 'pong' }, background: { id: 'background', total: 6 } });
  });

  it('logs with the invocation\'s logger, and without a request\'s padding where there is none', async () => {
    const logs = path.join(FIXTURES, 'plain-app/logs/plain-app');
    rmSync(logs, { recursive: true, force: true });
    const lines = await valueIn(descriptorOf('plain-app'), async ({ egg, descriptor }) => {
      const booted = await egg.bootEgg(descriptor);
      const seen: string[] = [];
      const write = (level: string) => (message: unknown): void => void seen.push(`${level} ${String(message)}`);
      const tagged = { debug: write('debug'), info: write('info'), warn: write('warn'), error: write('error') };
      const scope = booted.createScope(tagged);
      await scope.run(() => (scope.service as Services).greeter.log());
      booted.reloadLogs();
      booted.logger.info('after reload');
      await booted.close();
      return seen;
    });
    assert.deepEqual(lines, ['warn from ctx.logger', 'error [service.greeter] from this.logger']);
    const file = readFileSync(path.join(logs, 'plain-app-web.log'), 'utf8');
    assert.match(file, /^\S+ \S+ INFO \d+ from app\.logger$/m);
    assert.match(file, /^\S+ \S+ INFO \d+ after reload$/m);
    assert.match(readFileSync(path.join(logs, 'audit.log'), 'utf8'), /^\S+ \S+ INFO \d+ from auditLogger$/m);
  });
});

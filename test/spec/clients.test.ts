/**
 * Which clients leave function processes, and what the log says of it.
 */
import assert from 'node:assert/strict';
import { planClients, tableOf, type ClientQuestion } from '../../lib/spec/clients';
import type { SidecarConfig } from '../../lib/support/host_environment';

const CONFIG: SidecarConfig = { enable: true, clients: {}, callTimeoutMs: 1 };
const plan = (question: Partial<Omit<ClientQuestion, 'config'>> & { config?: Partial<SidecarConfig> }) =>
  planClients({ plugins: {}, settings: {}, ...question, config: { ...CONFIG, ...question.config } });
const MYSQL = { mysql: { package: 'egg-mysql' } };

describe('the plan of clients', () => {
  it('proxies the clients of known plugins, in the sidecar main', () => {
    const { proxied, rows } = plan({ plugins: { ...MYSQL, redis: { package: 'egg-redis' }, view: {} } });
    assert.deepEqual(proxied, [
      { client: 'mysql', plugin: 'mysql', kind: 'ali-rds', sidecar: 'main', aliases: ['mysqls'] },
      { client: 'redis', plugin: 'redis', kind: 'ioredis', sidecar: 'main', aliases: [] },
    ]);
    assert.deepEqual(rows.map(({ place, why }) => [place, why]), [['sidecar main', 'known: ali-rds'], ['sidecar main', 'known: ioredis']]);
  });

  it('takes a plugin in a directory of the application\'s for what it is called', () => {
    assert.equal(plan({ plugins: { mysql: {} } }).proxied[0]?.kind, 'ali-rds');
  });

  const locals: readonly [title: string, question: Parameters<typeof plan>[0], why: RegExp][] = [
    ['where sidecars are off', { plugins: MYSQL, config: { enable: false } }, /carton\.sidecar\.enable is false/],
    ['where it is configured so', { plugins: MYSQL, config: { clients: { mysql: 'local' } } }, /carton\.sidecar\.clients\.mysql/],
    ['that the application has switched off', { plugins: MYSQL, settings: { mysql: { app: false } } }, /config\.mysql\.app is false/],
    ['of another package under a known name', { plugins: { mysql: { package: '@company/mysql' } } }, /not egg-mysql; carton\.sidecar\.clients\.mysql can name its kind/],
    ['of a plugin that nobody knows', { plugins: { oss: { package: 'egg-oss' } }, settings: { oss: { client: {} } } }, /no adapter is known/],
    ['whose plugin is not there', { config: { clients: { mysql: 'proxied' } } }, /plugin "mysql" is not enabled/],
  ];
  for (const [title, question, why] of locals) {
    it(`leaves a client ${title} where it is, and says why`, () => {
      const { proxied, rows } = plan(question);
      assert.deepEqual(proxied, []);
      assert.equal(rows[0]?.place, 'local');
      assert.match(rows[0]?.why ?? '', why);
    });
  }

  it('proxies any other client that it is told to, method by method, and under another plugin and in another sidecar', () => {
    const { proxied } = plan({
      plugins: { oss: { package: 'egg-oss' }, kafkajs: {}, mysql: { package: '@company/mysql' } },
      config: { clients: { oss: 'proxied', kafka: { plugin: 'kafkajs', sidecar: 'queues' }, mysql: { kind: 'ali-rds' } } },
    });
    assert.deepEqual(proxied.map(({ client, plugin, kind, sidecar }) => [client, plugin, kind, sidecar]), [
      ['kafka', 'kafkajs', 'generic', 'queues'], ['mysql', 'mysql', 'ali-rds', 'main'], ['oss', 'oss', 'generic', 'main'],
    ]);
  });

  it('leads an ORM to the sidecar by its configuration, whoever makes it', () => {
    const { proxied, rows } = plan({
      config: { clients: { knex: { kind: 'mysql-wire' }, pg: { kind: 'mysql-wire' } } },
      settings: { knex: { client: 'mysql2', connection: { host: 'db', user: 'u', database: 'shop' } }, pg: { dialect: 'postgres', host: 'db', database: 'shop' } },
    });
    assert.deepEqual(proxied.map(({ client, kind }) => [client, kind]), [['knex', 'mysql-wire']]);
    assert.deepEqual(rows.map(({ client, plugin, why }) => [client, plugin, why]), [
      ['knex', '-', 'carton.sidecar.clients.knex: mysql-wire'], ['pg', 'pg', 'config.pg has no connection to MySQL'],
    ]);
  });

  it('says all of it in a table whose columns are straight', () => {
    const { rows } = plan({ plugins: { ...MYSQL, 'a-long-name': {} }, settings: { 'a-long-name': { clients: {} } } });
    assert.deepEqual(tableOf(rows), [
      'client       plugin       place         why',
      'a-long-name  a-long-name  local         no adapter is known; carton.sidecar.clients.a-long-name can be "proxied"',
      'mysql        mysql        sidecar main  known: ali-rds',
    ]);
  });
});

/**
 * Where the connections of ORMs stand in their settings, and how they are led to a sidecar.
 */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { backendOf, connectionLimitOf, databaseConnections, leadTo } from '../../lib/spec/database_connections';

const WIRE = { socketPath: '/s/wire.sock', user: '["1-1",null]', password: 'token' };
const AT = { host: 'db', port: 3307, password: 'secret', database: 'shop' };

describe('connections of ORMs', () => {
  const known: readonly [orm: string, settings: object, ids: readonly string[]][] = [
    ['egg-sequelize', { dialect: 'mysql', ...AT, username: 'u' }, ['']],
    ['egg-sequelize with datasources', { dialect: 'mysql', database: 'x', datasources: [{ delegate: 'a', dialect: 'mysql', ...AT, username: 'u' }, { delegate: 'b', dialect: 'mysql', ...AT, username: 'u' }] }, ['datasources.0', 'datasources.1']],
    ['knex', { client: 'mysql2', connection: { ...AT, user: 'u' }, pool: { max: 3 } }, ['connection']],
    ['egg-knex', { client: { dialect: 'mysql', connection: { ...AT, user: 'u' } } }, ['client.connection']],
    ['typeorm', { clients: { one: { type: 'mysql', ...AT, username: 'u' }, two: { type: 'postgres', ...AT, username: 'u' } } }, ['clients.one']],
    ['leoric', { client: 'mysql2', ...AT, user: 'u' }, ['']],
  ];
  for (const [orm, settings, ids] of known) {
    it(`are found in the settings of ${orm}`, () => assert.deepEqual(databaseConnections(settings).map(({ id }) => id), ids));

    it(`of ${orm} lead to the sidecar, and nowhere else`, () => {
      const copy = structuredClone(settings);
      for (const { settings: connection } of databaseConnections(copy)) {
        leadTo(connection, WIRE);
        const { dialectOptions, ...rest } = connection as { dialectOptions?: { socketPath: string } } & Record<string, unknown>;
        assert.deepEqual([dialectOptions?.socketPath ?? rest['socketPath'], rest['password'], rest['database'], rest['port']], [WIRE.socketPath, 'token', 'shop', undefined]);
        assert.deepEqual([rest['user'], rest['username']].filter((name) => name !== undefined), [WIRE.user]);
      }
      // They are found again, under the same ids: both sides name their sockets by them.
      assert.deepEqual(databaseConnections(copy).map(({ id }) => id), ids);
    });
  }

  for (const [what, settings] of [
    ['of another database', { dialect: 'postgres', ...AT }], ['without a name of the database', { host: 'db', user: 'u', database: '' }],
    ['that are none', { database: 'shop' }], ['nothing', undefined], ['null', null], ['text', 'mysql://u@db/shop'], ['in a circle', circle()],
  ] as const) {
    it(`are not seen in settings ${what}`, () => assert.deepEqual(databaseConnections(settings), []));
  }

  it('are looked for in anything, and never throw', () => {
    fc.assert(fc.property(fc.anything(), (settings) => assert.ok(Array.isArray(databaseConnections(settings)))));
  });

  it('are made by the sidecar with what stood there', () => {
    const ssl = { ca: 'x' };
    assert.deepEqual(backendOf({ dialect: 'mysql', ...AT, username: 'u', dialectOptions: { ssl, charset: 'utf8mb4' }, pool: { max: 2 }, define: {} }), { ...AT, user: 'u', ssl, charset: 'utf8mb4' });
    assert.deepEqual(backendOf({ socketPath: '/db.sock', user: 'u', database: 'shop' }), { socketPath: '/db.sock', user: 'u', password: '', database: 'shop' });
  });

  it('are as many as the pool of the ORM has, or five', () => {
    assert.deepEqual([{ pool: { max: 7 } }, { connectionLimit: 3, pool: { max: 7 } }, { pool: { max: 0 } }, { pool: { max: 'x' } }, {}].map(connectionLimitOf), [7, 3, 5, 5, 5]);
  });
});

function circle(): object {
  const settings: Record<string, unknown> = { host: 'db' };
  settings['again'] = settings;
  return settings;
}

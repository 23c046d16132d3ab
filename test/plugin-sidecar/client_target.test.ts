/**
 * A client that another process holds (plugin-sidecar/lib/client_target.ts) and what stands for it in an instance
 * (lib/runtime/clients/remote_client.ts), over a real socket: code that uses the one does not notice the other.
 */
import assert from 'node:assert/strict';
import { EventEmitter } from 'node:events';
import { Remote } from '../../lib/rpc/remote';
import { remoteClient, type ClientShape } from '../../lib/runtime/clients/remote_client';
import { ClientTarget, type ClientAdapter } from '../../plugin-sidecar/lib/client_target';
import { eventually } from '../support/eventually';
import { sessionPair, type Pair } from '../support/session_pair';

/** As a client of a database is. */
class Database extends EventEmitter {
  readonly log: string[] = [];
  #secret = 1;
  readonly version = '1.0';

  async query(sql: string, values: unknown[] = []): Promise<unknown[]> {
    this.log.push(`${sql} ${values.join()}`.trim());
    return [{ sql, at: new Date(1) }];
  }

  async beginTransaction(): Promise<Transaction> {
    this.log.push('BEGIN');
    return new Transaction(this.log);
  }

  async scope(callback: (transaction: Transaction) => Promise<unknown>): Promise<unknown> {
    const transaction = await this.beginTransaction();
    try {
      const result = await callback(transaction);
      await transaction.commit();
      return result;
    } catch (error) {
      await transaction.rollback();
      throw error;
    }
  }

  async insert(row: object, transaction: Transaction): Promise<void> {
    assert.ok(transaction instanceof Transaction);
    this.log.push(`INSERT ${JSON.stringify(row)}`);
  }

  _internal(): number {
    return this.#secret;
  }
}

class Transaction {
  constructor(private readonly log: string[]) {}

  async query(sql: string): Promise<string> {
    this.log.push(`in it: ${sql}`);
    return sql;
  }

  async commit(): Promise<void> {
    this.log.push('COMMIT');
  }

  async rollback(): Promise<void> {
    this.log.push('ROLLBACK');
  }
}

const ADAPTER: ClientAdapter = {
  stays: (value) => (value instanceof Transaction ? { end: (transaction) => void (transaction as Transaction).rollback(), endedBy: ['commit', 'rollback'] } : undefined),
};

describe('a client in another process', () => {
  let database: Database;
  let client: Database;
  let pair: Pair;
  let sides: Remote[];
  beforeEach(() => connect());
  afterEach(() => pair.close());

  async function connect(shape?: ClientShape): Promise<void> {
    database = new Database();
    const target = new ClientTarget(database, ADAPTER);
    pair = await sessionPair();
    const near = new Remote(pair.left, { clock: pair.clock });
    const far = new Remote(pair.right, { clock: pair.clock, offers: (name) => (name === 'db' ? target : undefined) });
    pair.left.handlers = near.handlers;
    pair.right.handlers = far.handlers;
    sides = [near, far];
    client = remoteClient((method, args) => near.call('db', method, args), shape) as Database;
  }
  const nothingHeld = (): Promise<unknown> => eventually('nothing is held', () => sides.every(({ held }) => held.size === 0));

  it('has its methods, with arguments and results as they are', async () => {
    assert.deepEqual(await client.query('SELECT ?', [1]), [{ sql: 'SELECT ?', at: new Date(1) }]);
    assert.deepEqual(database.log, ['SELECT ? 1']);
    assert.equal(client.query, client.query);
  });

  for (const method of ['_internal', 'constructor', 'hasOwnProperty', '__proto__', 'on', 'emit', 'version', 'log', 'nothing', 'toString']) {
    it(`guarantee 1: does not let ${method} be called`, async () => {
      await assert.rejects((sides[0] as Remote).call('db', method, []), { code: 'CARTON_RPC_NO_METHOD' });
    });
  }

  it('is no promise and nothing else that is looked for, so it can be returned from an async function', async () => {
    assert.equal(await Promise.resolve(client), client);
    assert.deepEqual([(client as unknown as { toJSON?: unknown }).toJSON, Symbol.asyncIterator in client, JSON.stringify({ client })], [undefined, false, '{"client":{}}']);
  });

  it('takes a mock of a method, and gives it back', async () => {
    const { query } = client;
    client.query = async () => ['mocked'];
    assert.deepEqual(await client.query('SELECT 1'), ['mocked']);
    delete (client as Partial<Database>).query;
    assert.equal(client.query, query);
    assert.deepEqual(database.log, []);
  });

  it('has what is local, and its methods alone where they are known', async () => {
    pair.close();
    await connect({ methods: ['query'], local: { escape: (value: string) => `'${value}'` } });
    const known = client as Database & { escape(value: string): string };
    assert.deepEqual([known.escape('x'), 'query' in known, 'scope' in known, known.scope], ["'x'", true, false, undefined]);
    assert.equal((await known.query('SELECT 1')).length, 1);
  });

  describe('with a transaction', () => {
    it('runs it on one object, which ends with its commit', async () => {
      const transaction = await client.beginTransaction();
      await transaction.query('UPDATE');
      await client.insert({ id: 1 }, transaction);
      await transaction.commit();
      assert.deepEqual(database.log, ['BEGIN', 'in it: UPDATE', 'INSERT {"id":1}', 'COMMIT']);
      await assert.rejects(transaction.query('late'), { code: 'CARTON_RPC_OBJECT_GONE' });
      await nothingHeld();
    });

    it('guarantee 2: rolls it back, once, when whoever has it is gone', async () => {
      const transaction = await client.beginTransaction();
      await transaction.query('UPDATE');
      pair.left.close();
      await eventually('its end', () => database.log.includes('ROLLBACK'));
      assert.deepEqual(database.log, ['BEGIN', 'in it: UPDATE', 'ROLLBACK']);
      await nothingHeld();
    });

    it('guarantee 2: leaves one alone that was committed, when whoever had it is gone', async () => {
      await (await client.beginTransaction()).commit();
      pair.left.close();
      await nothingHeld();
      assert.deepEqual(database.log, ['BEGIN', 'COMMIT']);
    });

    it('runs a scope, whose object ends with it', async () => {
      let kept: Transaction | undefined;
      assert.equal(await client.scope(async (transaction) => {
        kept = transaction;
        return transaction.query('UPDATE');
      }), 'UPDATE');
      assert.deepEqual(database.log, ['BEGIN', 'in it: UPDATE', 'COMMIT']);
      await assert.rejects((kept as Transaction).query('late'), { code: 'CARTON_RPC_OBJECT_GONE' });
      await nothingHeld();
    });

    it('rolls a scope back whose callback throws, and rejects with what it threw', async () => {
      await assert.rejects(client.scope(async (transaction) => {
        await transaction.query('UPDATE');
        throw Object.assign(new RangeError('too much'), { code: 'E_MUCH' });
      }), { name: 'RangeError', message: 'too much', code: 'E_MUCH' });
      assert.deepEqual(database.log, ['BEGIN', 'in it: UPDATE', 'ROLLBACK']);
    });

    it('rolls a scope back whose callback will never answer, because its process is gone', async () => {
      const scope = client.scope(async (transaction) => {
        await transaction.query('UPDATE');
        pair.left.close();
        return new Promise(() => undefined);
      });
      await assert.rejects(scope, { code: 'CARTON_RPC_CLOSED' });
      await eventually('its end', () => database.log.at(-1) === 'ROLLBACK');
      await nothingHeld();
      assert.deepEqual(database.log, ['BEGIN', 'in it: UPDATE', 'ROLLBACK']);
    });
  });
});

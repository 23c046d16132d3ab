/**
 * What is noted while a template boots, in the mocha process itself: nothing here is forked.
 */
import assert from 'node:assert/strict';
import { EventEmitter } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import Redis from 'ioredis';
import mysql from 'mysql2';
import { ownerOf, packagesOf, stackHere } from '../../lib/fork/inside/inspection/owner';
import { Origins } from '../../lib/fork/inside/origins';
import { listenLater } from './programs/origins_opener';

const OPENER = join(__dirname, 'programs/origins_opener.js');

describe('test/fork/origins.test.ts', () => {
  const target = EventEmitter as unknown as { init: (this: object, ...args: unknown[]) => unknown };
  const pristine = [target.init, process.dlopen] as const;
  let origins: Origins;

  beforeEach(() => {
    origins = new Origins();
    origins.start();
  });
  afterEach(() => {
    origins.stop();
    target.init = pristine[0];
  });

  it('puts back what it replaced', () => {
    assert.notDeepEqual([target.init, process.dlopen], pristine);
    origins.stop();
    assert.deepEqual([target.init, process.dlopen], pristine);
  });

  it('leaves alone what another one put on top of it, and then no more looks', () => {
    const below = target.init;
    const top = function(this: object, ...args: unknown[]): unknown {
      return below.apply(this, args);
    };
    target.init = top;
    origins.stop();
    assert.equal(target.init, top);
    const redis = new Redis({ lazyConnect: true });
    assert.ok(!origins.instances('redis').includes(redis));
  });

  describe('timers', () => {
    it('are those that run, in the order in which they were made', () => {
      const [first, second, cleared] = [setTimeout(() => undefined, 1e6), setInterval(() => undefined, 1e6), setTimeout(() => undefined, 1e6)];
      clearTimeout(cleared);
      const own = origins.timers().filter((timer) => [first, second, cleared].includes(timer));
      clearTimeout(first);
      clearInterval(second);
      assert.deepEqual(own, [first, second]);
      assert.ok(!origins.timers().includes(first));
    });

    it('of the template above are known as well', () => {
      const timer = setTimeout(() => undefined, 1e6);
      origins.stop();
      const below = new Origins();
      below.start();
      below.stop();
      assert.ok(below.timers().includes(timer));
      clearTimeout(timer);
    });

    it('stay known when many others have come and gone', () => {
      const timer = setTimeout(() => undefined, 1e6);
      for (let i = 0; i < 20_000; i++) clearTimeout(setTimeout(() => undefined, 1e6));
      assert.ok(origins.timers().includes(timer));
      clearTimeout(timer);
    });
  });

  describe('who opened something', () => {
    const handleOf = (server: Server): object => (server as unknown as { _handle: object })._handle;

    it('is found across turns of the loop in which Node, or the program, put it off', async () => {
      const server = await listenLater();
      assert.match(origins.ownerOf(handleOf(server)) ?? '', new RegExp(`^${OPENER}:\\d+$`));
      server.close();
    });

    it('is not known for what was opened before', async () => {
      origins.stop();
      const server = createServer().listen(0, '127.0.0.1');
      await new Promise((resolve) => server.once('listening', resolve));
      assert.equal(origins.ownerOf(handleOf(server)), null);
      server.close();
    });

    it('comes with the packages that were passed through', () => {
      let stack: ReturnType<typeof stackHere> | undefined;
      mysql.escape({ toSqlString: () => ((stack = stackHere()), '') });
      assert.ok(stack !== undefined);
      assert.match(ownerOf(stack) ?? '', new RegExp(`^${__filename}:\\d+$`));
      assert.ok(packagesOf(stack).includes('sql-escaper'));
    });

    it('is told even if the application formats stacks in its own way', () => {
      const { prepareStackTrace } = Error;
      Error.prepareStackTrace = () => 'nothing of use';
      try {
        assert.match(ownerOf(stackHere()) ?? '', new RegExp(`^${__filename}:\\d+$`));
        assert.equal(new Error('x').stack, 'nothing of use');
      } finally {
        Error.prepareStackTrace = prepareStackTrace;
      }
    });

    it('is not followed back for ever through a program that puts itself off again and again', () => {
      let stack = stackHere();
      for (let i = 0; i < 1000; i++) stack = stackHere(stack);
      assert.ok(stack.depth < 10);
    });
  });

  it('finds client objects by what they can do, whatever their class is called', () => {
    class Renamed extends Redis {}
    const redis = [new Redis({ lazyConnect: true }), new Renamed({ lazyConnect: true })];
    const pool = mysql.createPool({ host: '127.0.0.1' });
    assert.deepEqual(origins.instances('redis').filter((client) => redis.includes(client as Redis)), redis);
    assert.ok(origins.instances('mysqlPool').includes(pool));
    assert.ok(!origins.instances('redis').includes(pool));
    pool.end();
  });

  it('notes native addons that are loaded, and who loaded them', () => {
    const directory = mkdtempSync(join(tmpdir(), 'carton-origins-'));
    const file = join(directory, 'broken.node');
    writeFileSync(file, '');
    try {
      assert.throws(() => require(file));
      const addon = origins.addons().find((loaded) => loaded.file === file);
      assert.match(addon?.owner ?? '', new RegExp(`^${__filename}:\\d+$`));
    } finally {
      rmSync(directory, { recursive: true });
    }
  });
});

/**
 * The smaller parts of the ingress by themselves: origins, media types, users, rate limits, queues, item streams.
 */
import assert from 'node:assert/strict';
import { EventEmitter } from 'node:events';
import type { ServerResponse } from 'node:http';
import { Answer } from '../../lib/ingress/answer';
import type { Dispatch } from '../../lib/ingress/dispatch';
import { ItemStream } from '../../lib/ingress/item_stream';
import { checkMediaType, hasBody } from '../../lib/ingress/media_type';
import { checkOrigin, corsHeaders, isPreflight, preflightHeaders } from '../../lib/ingress/origin';
import { TokenBucket } from '../../lib/ingress/rate_limit';
import { assertUser, withoutCarton } from '../../lib/ingress/user';
import { WaitQueue } from '../../lib/ingress/wait_queue';
import { carton } from '../../config/config.default';
import { FakeClock } from '../support/fake_clock';
import { specOf } from '../trigger/spec_of';

describe('the origin check', () => {
  const host = 'shop.example:8080';
  const check = (origin: string, allowedOrigins: string[] = []): void => checkOrigin({ ...carton.ingress, allowedOrigins }, 'POST', { host, origin });

  it('takes the same host, whatever the scheme and the case', () => {
    for (const origin of ['http://shop.example:8080', 'https://shop.example:8080', 'https://SHOP.example:8080']) check(origin);
  });

  it('takes an allowed origin, to the letter', () => {
    check('https://other.example', ['https://other.example']);
    for (const origin of ['http://other.example', 'https://other.example:444', 'https://other.example.evil', 'null', '', 'https://shop.example', 'https://shop.example:8080.evil']) {
      assert.throws(() => check(origin, ['https://other.example']), { code: 'CARTON_INGRESS_ORIGIN_REFUSED' }, origin);
    }
  });

  it('is off where it is switched off, and for safe methods', () => {
    checkOrigin({ ...carton.ingress, originCheck: false }, 'POST', { host, origin: 'null' });
    for (const method of ['GET', 'HEAD', 'OPTIONS']) checkOrigin(carton.ingress, method, { host, origin: 'null' });
  });

  it('is not loosened by CORS for any origin', () => {
    const cors = { origins: ['*'], credentials: false, maxAgeSeconds: 0, allowedHeaders: [] };
    assert.throws(() => checkOrigin({ ...carton.ingress, cors }, 'POST', { host, origin: 'https://evil.example' }), { code: 'CARTON_INGRESS_ORIGIN_REFUSED' });
  });
});

describe('CORS', () => {
  const cors = { origins: ['*'], credentials: false, maxAgeSeconds: 5, allowedHeaders: [] };

  it('answers any origin where all may read, and nobody who says none', () => {
    assert.deepEqual(corsHeaders(cors, { origin: 'https://a.example' }).slice(0, 4), ['vary', 'Origin', 'access-control-allow-origin', '*']);
    assert.deepEqual(corsHeaders(cors, {}), ['vary', 'Origin']);
    assert.deepEqual(corsHeaders(null, { origin: 'https://a.example' }), []);
  });

  it('knows a preflight request, and lets JSON be sent after it', () => {
    const headers = { origin: 'https://a.example', 'access-control-request-method': 'POST' };
    assert.deepEqual([isPreflight(headers), isPreflight({ origin: 'x' }), isPreflight({ 'access-control-request-method': 'POST' })], [true, false, false]);
    assert.ok(preflightHeaders(cors, headers, ['POST']).includes('content-type'));
  });
});

describe('the media type of a body', () => {
  it('is JSON in UTF-8 without compression', () => {
    for (const type of ['application/json', 'application/json;charset=utf-8', 'APPLICATION/JSON ; Charset="UTF8"', 'application/ld+json; profile=x']) checkMediaType({ 'content-type': type });
    checkMediaType({ 'content-type': 'application/json', 'content-encoding': 'identity' });
    for (const type of [undefined, '', 'json', 'application/jsonp', 'text/json', 'application/json-seq', 'application/json; charset=utf-16', 'application/x-www-form-urlencoded, application/json']) {
      assert.throws(() => checkMediaType({ 'content-type': type }), { code: 'CARTON_INGRESS_UNSUPPORTED_MEDIA_TYPE' }, type);
    }
  });

  it('matters where there is a body', () => {
    assert.deepEqual([{}, { 'content-length': '0' }, { 'content-length': '1' }, { 'transfer-encoding': 'chunked' }].map(hasBody), [false, false, true, true]);
  });
});

describe('a user', () => {
  it('is nobody, or JSON of a limited size', () => {
    for (const user of [undefined, null, 'u', 1, { id: 1 }, [], new Date(0)]) assertUser(user);
    for (const user of [() => 1, Symbol('u'), NaN, 1n, { id: 1n }, { toJSON: () => undefined }, '你'.repeat(6000)]) {
      assert.throws(() => assertUser(user), { code: 'CARTON_INGRESS_USER_RESOLVER_FAILED' }, String(user));
    }
  });

  it('is resolved without carton-* headers', () => {
    const headers = { a: '1', 'carton-user': 'root' };
    assert.deepEqual(withoutCarton(headers), { a: '1' });
    assert.equal(headers['carton-user'], 'root');
  });
});

describe('a rate limit', () => {
  it('gives its burst, then tokens as time passes, then says how long to wait', () => {
    const clock = new FakeClock();
    const bucket = new TokenBucket({ perSecond: 10, burst: 2 }, 1, clock);
    assert.deepEqual([bucket.take(), bucket.take(), bucket.take()], [0, 0, 100]);
    clock.advance(100);
    assert.deepEqual([bucket.take(), bucket.take()], [0, 100]);
    clock.advance(60_000);
    assert.deepEqual([bucket.take(), bucket.take(), bucket.take()], [0, 0, 100]);
  });

  it('is divided among workers, and never below one token', () => {
    const clock = new FakeClock();
    const bucket = new TokenBucket({ perSecond: 10, burst: 2 }, 4, clock);
    assert.deepEqual([bucket.take(), bucket.take()], [0, 400]);
  });
});

describe('the queue', () => {
  const waiting = (name: string): Dispatch => ({ spec: specOf(name, 'GET', '/') }) as unknown as Dispatch;

  it('is first come first served, with what came back in front', () => {
    const queue = new WaitQueue();
    const [a, b, c] = [waiting('a'), waiting('b'), waiting('c')];
    queue.push(a);
    queue.push(b);
    queue.unshift(c);
    assert.deepEqual([queue.shift(), queue.shift(), queue.shift(), queue.shift()], [c, a, b, undefined]);
  });

  it('skips what was taken out, and counts by function', () => {
    const queue = new WaitQueue();
    const all = ['a', 'a', 'b'].map(waiting);
    for (const dispatch of all) queue.push(dispatch);
    assert.equal(queue.delete(all[0] as Dispatch), true);
    assert.equal(queue.delete(all[0] as Dispatch), false);
    assert.deepEqual([queue.size, queue.sizeOf('a'), queue.sizeOf('b'), queue.sizeOf('c')], [2, 1, 1, 0]);
    assert.deepEqual([queue.shift(), queue.shift(), queue.shift()], [all[1], all[2], undefined]);
  });

  it('holds nothing of those that gave up, though nobody is served', () => {
    const queue = new WaitQueue();
    const stays = waiting('a');
    queue.push(stays);
    for (let index = 0; index < 10_000; index += 1) {
      const dispatch = waiting('a');
      queue.push(dispatch);
      queue.delete(dispatch);
    }
    assert.ok(queue.places <= 100, `${queue.places} places in line for one that waits`);
    assert.equal(queue.shift(), stays);
  });

  it('keeps its order over thousands, and gives back what it held', () => {
    const queue = new WaitQueue();
    for (let round = 0; round < 5; round += 1) {
      const all = Array.from({ length: 3000 }, () => waiting('a'));
      for (const dispatch of all) queue.push(dispatch);
      for (const dispatch of all) assert.equal(queue.shift(), dispatch);
    }
    queue.push(waiting('a'));
    assert.equal(queue.clear().length, 1);
    assert.deepEqual([queue.size, queue.shift()], [0, undefined]);
  });
});

describe('an answer that streams', () => {
  it('gives room back once for all that waited, with one listener', () => {
    const response = Object.assign(new EventEmitter(), { write: () => false });
    const answer = new Answer(response as unknown as ServerResponse, 'ndjson', [], { invocation: undefined, answered: () => undefined });
    const consumed: number[] = [];
    for (let item = 0; item < 100; item += 1) answer.data(Buffer.alloc(3), (bytes) => consumed.push(bytes));
    assert.equal(response.listenerCount('drain'), 1);
    response.emit('drain');
    assert.deepEqual(consumed, [300]);
  });
});

describe('items of a stream', () => {
  const lines = (...items: unknown[]): Buffer => Buffer.from(items.map((item) => `${JSON.stringify(item)}\n`).join(''));

  it('come whole, wherever the bytes were cut', async () => {
    const bytes = lines({ data: '你好' }, { data: { a: [1] } }, { end: true });
    const stream = new ItemStream(() => undefined);
    for (const byte of bytes) stream.push(Buffer.from([byte]), () => undefined);
    const items: unknown[] = [];
    for await (const item of stream) items.push(item);
    assert.deepEqual(items, ['你好', { a: [1] }]);
  });

  it('grant bytes only as they are read', async () => {
    let granted = 0;
    const stream = new ItemStream(() => undefined);
    for (let item = 0; item < 3; item += 1) stream.push(lines({ data: item }), (bytes) => (granted += bytes));
    const iterator = stream[Symbol.asyncIterator]();
    await iterator.next();
    assert.equal(granted, 0);
    await iterator.next();
    assert.equal(granted, lines({ data: 0 }).length);
  });

  it('end with the error that the function told, with its status', async () => {
    const stream = new ItemStream(() => undefined);
    stream.push(lines({ error: { code: 'CARTON_RUNTIME_TIMEOUT', message: 'late' } }), () => undefined);
    await assert.rejects(stream[Symbol.asyncIterator]().next(), { code: 'CARTON_RUNTIME_TIMEOUT', message: 'late', status: 504 });
  });

  it('that were cut off are an error', async () => {
    const stream = new ItemStream(() => undefined);
    stream.end(undefined);
    await assert.rejects(stream[Symbol.asyncIterator]().next(), { code: 'CARTON_RPC_CLOSED' });
  });
});

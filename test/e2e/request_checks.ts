/**
 * What a caller of fixtures/ingress-app must see, whatever serves it: a cluster with processes of its own for functions,
 * or one process in a unit test. Registers tests; the caller starts and stops the server.
 */
import assert from 'node:assert/strict';
import type { Answer, HttpClient, RequestOptions } from '../support/http';
import { raw } from './raw';

export interface Subject {
  readonly client: HttpClient;
  readonly port: number;
}

const JSON_HEADERS = { 'content-type': 'application/json' };

export function requestChecks(subject: () => Subject): void {
  const invoke = (name: string, args: readonly unknown[] = [], options?: RequestOptions): Promise<Answer> => subject().client.invoke(name, args, options);
  const request = (path: string, options?: RequestOptions): Promise<Answer> => subject().client.request(path, options);
  const fails = async (answer: Promise<Answer>, status: number, code: string): Promise<Answer> => {
    const got = await answer;
    assert.deepEqual([got.status, got.code], [status, code], got.text);
    return got;
  };

  describe('OneAPI requests', () => {
    it('answers with the result as JSON, and names the length', async () => {
      const answer = await invoke('echo', [1, 'two', { three: [null] }]);
      assert.equal(answer.status, 200);
      assert.equal(answer.headers['content-type'], 'application/json; charset=utf-8');
      assert.deepEqual(answer.json(), [1, 'two', { three: [null] }]);
    });

    it('answers undefined with 204 and no body', async () => {
      const answer = await invoke('nothing');
      assert.deepEqual([answer.status, answer.text], [204, '']);
    });

    it('keeps characters of more than one byte', async () => {
      assert.deepEqual((await invoke('echo', ['你好 😀 é'])).json(), ['你好 😀 é']);
    });

    it('refuses what is not JSON', async () => {
      await fails(request('/oneapi/echo', { method: 'POST', headers: JSON_HEADERS, body: '[1,' }), 400, 'CARTON_RUNTIME_BAD_JSON');
      await fails(request('/oneapi/echo', { method: 'POST', headers: JSON_HEADERS, body: Buffer.from([0x5b, 0x22, 0xff, 0x22, 0x5d]) }), 400, 'CARTON_RUNTIME_BAD_JSON');
      await fails(request('/oneapi/echo', { method: 'POST', headers: JSON_HEADERS, body: '' }), 400, 'CARTON_RUNTIME_BAD_JSON');
    });

    it('refuses a body that is no array', async () => {
      for (const body of ['{}', '"text"', 'null', '1']) {
        await fails(request('/oneapi/echo', { method: 'POST', headers: JSON_HEADERS, body }), 400, 'CARTON_RUNTIME_ARGUMENTS_NOT_ARRAY');
      }
    });

    it('refuses other content types, charsets and encodings', async () => {
      for (const headers of [
        { 'content-type': 'text/plain' },
        { 'content-type': 'application/x-www-form-urlencoded' },
        { 'content-type': 'application/json; charset=latin1' },
        { 'content-type': 'application/json', 'content-encoding': 'gzip' },
        { 'content-type': '' },
      ]) {
        await fails(request('/oneapi/echo', { method: 'POST', headers, body: '[]' }), 415, 'CARTON_INGRESS_UNSUPPORTED_MEDIA_TYPE');
      }
    });

    it('takes JSON by its other names', async () => {
      for (const type of ['application/json; charset=UTF-8', 'application/vnd.shop+json', 'Application/JSON;charset="utf-8";v=1']) {
        assert.equal((await request('/oneapi/echo', { method: 'POST', headers: { 'content-type': type }, body: '[]' })).status, 200, type);
      }
    });

    it('names unknown functions, and the nearest known one', async () => {
      const answer = await fails(invoke('ecko'), 404, 'CARTON_INGRESS_UNKNOWN_FUNCTION');
      assert.match(answer.text, /echo/);
      await fails(request('/oneapi/', { method: 'POST', body: [] }), 404, 'CARTON_INGRESS_UNKNOWN_FUNCTION');
      await fails(invoke('pets.find'), 404, 'CARTON_INGRESS_UNKNOWN_FUNCTION');
    });

    it('refuses other methods and says which are allowed', async () => {
      for (const method of ['GET', 'PUT', 'DELETE', 'OPTIONS']) {
        const answer = await fails(request('/oneapi/echo', { method }), 405, 'CARTON_INGRESS_METHOD_NOT_ALLOWED');
        assert.equal(answer.headers['allow'], 'POST');
      }
    });

    it('refuses a body that is too large by its Content-Length', async () => {
      await fails(invoke('values.small', ['x'.repeat(200)]), 413, 'CARTON_INGRESS_BODY_TOO_LARGE');
      await fails(invoke('values.small', ['x'.repeat(20_000_000)]), 413, 'CARTON_INGRESS_BODY_TOO_LARGE');
    });

    it('refuses a chunked body once it is too large, before and after it has begun to be streamed', async () => {
      for (const [name, length] of [['values.small', 200], ['values.medium', 3_000_000]] as const) {
        const text = 'x'.repeat(length);
        const answer = await raw(subject().port, `POST /oneapi/${name} HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n${(length + 4).toString(16)}\r\n["${text}"]\r\n0\r\n\r\n`);
        assert.match(answer, /^HTTP\/1\.1 413 [^]*connection: close[^]*CARTON_INGRESS_BODY_TOO_LARGE/i);
      }
    });

    it('takes a large body within its limit', async () => {
      assert.equal((await invoke('values.length', ['x'.repeat(5_000_000)])).text, '5000000');
    });

    it('answers at the deadline', async () => {
      await fails(invoke('until.late'), 504, 'CARTON_RUNTIME_TIMEOUT');
    });

    it('answers above the rate limit with the time to wait', async () => {
      const answers = [];
      for (let call = 0; call < 4; call += 1) answers.push(await invoke('limited'));
      const refused = answers.find((answer) => answer.status !== 200) as Answer;
      assert.deepEqual([refused.status, refused.code], [429, 'CARTON_INGRESS_RATE_LIMITED']);
      assert.ok(Number(refused.headers['retry-after']) > 1);
    });

    it('passes on what a function threw: its message, code and status, and no stack', async () => {
      const answer = await fails(invoke('values.failing', [{ message: 'sold out', code: 'SOLD_OUT', status: 409 }]), 409, 'CARTON_RUNTIME_FUNCTION_THREW');
      const { error } = answer.json<{ error: { function: unknown; invocation: string; retryable: boolean } }>();
      assert.deepEqual(error.function, { name: 'Error', message: 'sold out', code: 'SOLD_OUT' });
      assert.match(error.invocation, /^[0-9a-f]{32}$/);
      assert.equal(error.retryable, false);
    });

    it('gives no code of ours and no odd status to what a function threw', async () => {
      const answer = await fails(invoke('values.failing', [{ message: 'odd', code: 'CARTON_INGRESS_BAD_PATH', status: 200 }]), 500, 'CARTON_RUNTIME_FUNCTION_THREW');
      assert.deepEqual(answer.json<{ error: { function: unknown } }>().error.function, { name: 'Error', message: 'odd' });
    });

    it('says what of a result is no JSON', async () => {
      for (const what of ['bigint', 'circle', 'symbol', 'function']) {
        await fails(invoke('values.unserializable', [what]), 500, 'CARTON_RUNTIME_RESULT_NOT_SERIALIZABLE');
      }
    });

    it('answers with results of up to 16 MiB, and refuses larger ones', async () => {
      const limit = 16 * 1024 * 1024;
      const answer = await invoke('values.big', [limit - 2]);
      assert.deepEqual([answer.status, answer.text.length], [200, limit]);
      await fails(invoke('values.big', [limit - 1]), 500, 'CARTON_RUNTIME_RESULT_TOO_LARGE');
    });
  });

  describe('streams', () => {
    it('come as newline-delimited JSON with an end', async () => {
      const answer = await invoke('stream', [3]);
      assert.equal(answer.headers['content-type'], 'application/x-ndjson; charset=utf-8');
      assert.equal(answer.text, '{"data":1}\n{"data":2}\n{"data":3}\n{"end":true}\n');
    });

    it('come as server-sent events where the caller accepts these', async () => {
      const answer = await invoke('stream', [2], { headers: { accept: 'text/event-stream' } });
      assert.equal(answer.headers['content-type'], 'text/event-stream; charset=utf-8');
      assert.equal(answer.headers['cache-control'], 'no-store');
      assert.equal(answer.text, 'data: 1\n\ndata: 2\n\nevent: end\ndata: {}\n\n');
    });

    it('end with the error that stopped them', async () => {
      const lines = (await invoke('stream.failing', [2])).text.trim().split('\n').map((line) => JSON.parse(line) as { error?: { code: string; function: unknown } });
      assert.equal(lines.length, 3);
      assert.equal(lines[2]?.error?.code, 'CARTON_RUNTIME_FUNCTION_THREW');
      assert.deepEqual(lines[2].error.function, { name: 'Error', message: 'the source ran dry', code: 'DRY' });
      const events = await invoke('stream.failing', [1], { headers: { accept: 'text/event-stream' } });
      assert.match(events.text, /^data: 1\n\nevent: error\ndata: \{"code":"CARTON_RUNTIME_FUNCTION_THREW"/);
    });

    it('of bytes are text in whole characters', async () => {
      const text = (await invoke('stream.bytes')).text.trim().split('\n').map((line) => (JSON.parse(line) as { data?: string }).data ?? '').join('');
      assert.equal(text, '你好');
    });
  });

  describe('http triggers', () => {
    it('take arguments from path, query and headers, converted, with the function\'s own defaults', async () => {
      assert.deepEqual((await request('/pets/7')).json(), { id: 7, full: false, tag: 'none', trail: 'none' });
      const answer = await request('/pets/7?full=true&tag=a%20b', { headers: { 'x-trail': 'north' } });
      assert.deepEqual(answer.json(), { id: 7, full: true, tag: 'a b', trail: 'north' });
    });

    it('refuse what cannot be converted, and name it', async () => {
      const answer = await fails(request('/pets/seven'), 400, 'CARTON_RUNTIME_BAD_ARGUMENT');
      assert.match(answer.text, /path \\"id\\" of function \\"pets\.find\\"/);
      await fails(request('/pets/1?full=maybe'), 400, 'CARTON_RUNTIME_BAD_ARGUMENT');
      await fails(request('/pets/1?full=1&full=0'), 400, 'CARTON_RUNTIME_BAD_ARGUMENT');
    });

    it('take arguments from the body, and do without one', async () => {
      const body = { name: 'Rex', age: 3 };
      assert.deepEqual((await request('/pets/9', { method: 'PATCH', body })).json(), { pet: '9', name: 'Rex', body });
      assert.deepEqual((await request('/pets/9', { method: 'PATCH' })).json(), { pet: '9', name: 'unnamed', body: 'nothing' });
      assert.deepEqual((await request('/pets/9', { method: 'PATCH', body: '[]' })).json(), { pet: '9', name: 'unnamed', body: [] });
    });

    it('without args take the body as the array of arguments', async () => {
      assert.deepEqual((await request('/pets', { method: 'POST', body: ['a', 1] })).json(), { trigger: 'http', args: ['a', 1] });
      await fails(request('/pets', { method: 'POST', body: {} }), 400, 'CARTON_RUNTIME_ARGUMENTS_NOT_ARRAY');
    });

    it('answer HEAD as GET, without the body', async () => {
      const answer = await request('/pets/7', { method: 'HEAD' });
      assert.deepEqual([answer.status, answer.text, Number(answer.headers['content-length']) > 0], [200, '', true]);
    });

    it('leave other methods of their paths to the application', async () => {
      assert.equal((await request('/pets/7', { method: 'DELETE' })).text, 'the application');
      assert.equal((await request('/pets')).text, 'the application');
      assert.equal((await request('/pets/7', { method: 'OPTIONS' })).code, undefined);
    });

    it('decode the path, slashes within a parameter too', async () => {
      assert.deepEqual((await request('/pets/by-name/%E4%BD%A0%2F1%3F')).json(), { trigger: 'http', args: ['你/1?'] });
      assert.deepEqual((await request('/p%65ts/7')).json<{ id: number }>().id, 7);
    });
  });

  describe('carton-* headers', () => {
    const headers = { 'carton-user': 'root', 'Carton-Token': 'x', 'x-user': 'seen' };

    it('are seen by no resolver', async () => {
      const { user } = (await invoke('user.required', [], { headers })).json<{ user: { headers: Record<string, string> } }>();
      assert.equal(user.headers['x-user'], 'seen');
      assert.deepEqual(Object.keys(user.headers).filter((name) => name.startsWith('carton')), []);
    });

    it('reach the application\'s own routes untouched', async () => {
      const seen = (await request('/request', { headers })).json<{ headers: Record<string, string> }>().headers;
      assert.deepEqual([seen['carton-user'], seen['carton-token']], ['root', 'x']);
    });
  });

  describe('paths', () => {
    const statusOf = async (target: string, method = 'POST'): Promise<string> => {
      const answer = await raw(subject().port, `${method} ${target} HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\ncontent-length: 2\r\nconnection: close\r\n\r\n[]`);
      return `${answer.slice(9, 12)} ${/CARTON_[A-Z_]+/.exec(answer)?.[0] ?? (answer.endsWith('\r\n\r\n[]') ? 'function' : 'application')}`;
    };

    it('name a function in their encoded form, too', async () => {
      assert.equal(await statusOf('/oneapi/%65cho'), '200 function');
      assert.equal(await statusOf('/oneapi/echo?x=/oneapi/nothing'), '200 function');
      assert.equal(await statusOf('http://a/oneapi/echo'), '200 function');
    });

    it('never lead out of the prefix, nor into it', async () => {
      for (const path of ['/oneapi/../echo', '/oneapi/%2e%2e/echo', '/oneapi//echo', '/oneapi/./echo', '/oneapi/echo/', '/oneapi/echo%00', '/oneapi/echo%2f', '/oneapi/__proto__', '/oneapi/constructor']) {
        assert.equal(await statusOf(path), '404 CARTON_INGRESS_UNKNOWN_FUNCTION', path);
      }
      for (const path of ['//oneapi/echo', '/x/../oneapi/echo', '/./oneapi/echo', '/%6fneapi/echo', '/oneapi%2fecho', '/ONEAPI/echo', '/oneapi']) {
        assert.equal(await statusOf(path), '404 application', path);
      }
    });

    it('that cannot be decoded are refused below the prefix, and the application\'s elsewhere', async () => {
      for (const path of ['/oneapi/%', '/oneapi/%zz', '/oneapi/%ff', '/oneapi/%c0%ae']) assert.equal(await statusOf(path), '400 CARTON_INGRESS_BAD_PATH', path);
      for (const path of ['/pets/by-name/%', '/pets/by-name/%ff']) assert.match(await statusOf(path, 'GET'), /^4\d\d application$/, path);
    });
  });
}

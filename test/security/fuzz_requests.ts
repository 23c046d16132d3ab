/**
 * Hostile and odd HTTP requests for the functions of fixtures/fuzz-app, made from a seed, each with what it may reach.
 */
import { METHODS } from 'node:http';
import type { Random } from './random';
import type { RawExchange } from './raw_http';

export interface FuzzCase extends RawExchange {
  readonly kind: string;
  /** The function that this may reach, by each of its answers in turn; undefined: none. */
  readonly targets: readonly (string | undefined)[];
  /** JSON of the arguments that the function must have got, where that is certain. */
  readonly exact?: readonly string[];
}

export const FUNCTIONS = ['alpha', 'beta', 'nested/gamma'] as const;
/** `bodyLimitBytes` of all functions of the fixture. */
const LIMIT_BYTES = 300_000;
const TYPE = 'Content-Type: application/json';

interface Parts {
  readonly method?: string;
  readonly path: string;
  readonly version?: string;
  readonly headers?: readonly string[];
  readonly body?: Buffer;
  /** False leaves the framing of the body to `headers`. */
  readonly length?: boolean;
}

function request({ method = 'POST', path, version = 'HTTP/1.1', headers = [TYPE], body = Buffer.alloc(0), length = true }: Parts, keep = false): Buffer {
  const lines = [`${method} ${path} ${version}`, 'Host: localhost', ...headers, ...(length ? [`Content-Length: ${body.length}`] : []), ...(keep ? [] : ['Connection: close'])];
  return Buffer.concat([Buffer.from(`${lines.join('\r\n')}\r\n\r\n`, 'latin1'), body]);
}

/** JSON as it is after one reading. */
function normal(json: string): string {
  return JSON.stringify(JSON.parse(json));
}

function one(kind: string, bytes: Buffer, target: string | undefined, more: Partial<FuzzCase> = {}): FuzzCase {
  return { kind, writes: [bytes], answers: 1, targets: [target], ...more };
}

type Make = (random: Random) => FuzzCase;

const oneapi = (name: string): string => `/oneapi/${name}`;

const valid: Make = (random) => {
  const name = random.pick(FUNCTIONS);
  const json = random.args();
  const headers = [random.pick([TYPE, `${TYPE}; charset=utf-8`, 'content-type: application/vnd.x+json', `${TYPE};charset="UTF-8"`])];
  return { ...one('valid', request({ path: oneapi(name), headers, body: Buffer.from(json) }), name, { exact: [normal(json)] }) };
};

const pieces: Make = (random) => {
  const made = valid(random);
  return { ...made, kind: 'in pieces', writes: random.pieces(made.writes[0] as Buffer, 6) };
};

const malformedJson: Make = (random) => {
  const name = random.pick(FUNCTIONS);
  const body = Buffer.from(random.args());
  const at = random.int(0, body.length);
  const broken = Buffer.concat([body.subarray(0, at), random.bytes(random.int(0, 3)), body.subarray(random.chance(0.5) ? at : Math.min(body.length, at + 1))]);
  return one('malformed JSON', request({ path: oneapi(name), body: broken }), name);
};

const encodings: Make = (random) => {
  const name = random.pick(FUNCTIONS);
  const json = random.args();
  const body = random.pick([
    Buffer.from(json, 'utf16le'), Buffer.concat([Buffer.from([0xff, 0xfe]), Buffer.from(json, 'utf16le')]), Buffer.from(json, 'latin1'),
    Buffer.concat([Buffer.from([0xef, 0xbb, 0xbf]), Buffer.from(json)]), Buffer.concat([Buffer.from('["'), random.bytes(8), Buffer.from('"]')]), random.bytes(30),
  ]);
  const charset = random.pick(['', '; charset=utf-8', '; charset=utf-16', '; charset=latin1', ';charset=', '; boundary=x', '; charset=utf-8; charset=utf-16', `; ${random.text().replace(/[^ -~]/g, '')}`]);
  const type = random.pick(['application/json', 'text/plain', 'application/x-www-form-urlencoded', 'multipart/form-data; boundary=x', '', '*/*']);
  const headers = [`Content-Type: ${type}${charset}`, ...(random.chance(0.2) ? [`Content-Encoding: ${random.pick(['gzip', 'identity', 'br', ''])}`] : [])];
  return one('encodings', request({ path: oneapi(name), headers, body }), name);
};

const chunked: Make = (random) => {
  const name = random.pick(FUNCTIONS);
  const json = random.chance(0.9) ? random.args() : JSON.stringify(['x'.repeat(random.int(60_000, 200_000))]);
  const parts = random.pieces(Buffer.from(json), random.pick([2, 5, 40]));
  const extension = random.chance(0.2) ? ';name=value' : '';
  const body = Buffer.concat([...parts.flatMap((part) => [Buffer.from(`${part.length.toString(16)}${extension}\r\n`), part, Buffer.from('\r\n')]),
    Buffer.from(random.chance(0.2) ? '0\r\nX-Trailer: x\r\ncarton-trailer: x\r\n\r\n' : '0\r\n\r\n')]);
  return one('chunked', request({ path: oneapi(name), headers: [TYPE, 'Transfer-Encoding: chunked'], body, length: false }), name, { exact: [normal(json)] });
};

/** The first chunk is fine and small, so the answer is certain to be a refusal whatever node makes of the rest. */
const badChunks: Make = (random) => {
  const name = random.pick(FUNCTIONS);
  const size = random.pick(['zz', '-1', '0x5', 'FFFFFFFFFFFFFFFFFF', ' ', '1 1', '5;'.padEnd(20_000, 'x'), '\u0000']);
  const body = Buffer.from(`2\r\n[]\r\n${size}\r\nxxxxxxxxxxxxxxxx\r\n0\r\n\r\n`, 'latin1');
  return one('bad chunks', request({ path: oneapi(name), headers: [TYPE, 'Transfer-Encoding: chunked'], body, length: false }), undefined);
};

const sizes: Make = (random) => {
  const name = random.pick(FUNCTIONS);
  const size = random.pick([65_535, 65_536, 65_537, 262_144, LIMIT_BYTES - 1, LIMIT_BYTES, LIMIT_BYTES + 1, LIMIT_BYTES + 50_000]);
  const body = Buffer.from(`["${'x'.repeat(size - 4)}"]`);
  const fits = size <= LIMIT_BYTES;
  return one('sizes', request({ path: oneapi(name), body }), fits ? name : undefined, fits ? { exact: [body.toString()] } : {});
};

const tinyChunks: Make = (random) => {
  const name = random.pick(FUNCTIONS);
  const json = JSON.stringify(['x'.repeat(random.int(1000, 90_000))]);
  const body = Buffer.from(`${[...json].map((character) => `1\r\n${character}\r\n`).join('')}0\r\n\r\n`);
  return one('chunks of one byte', request({ path: oneapi(name), headers: [TYPE, 'Transfer-Encoding: chunked'], body, length: false }), name, { exact: [json] });
};

const headerFlood: Make = (random) => {
  const name = random.pick(FUNCTIONS);
  const extra = random.pick([
    Array.from({ length: random.int(50, 200) }, (_, index) => `x-${index}: y`), Array.from({ length: 3000 }, (_, index) => `x${index}: `),
    [`x-long: ${'y'.repeat(random.int(15_000, 70_000))}`], [`${'n'.repeat(20_000)}: x`], [`cookie: ${'a=b; '.repeat(random.int(100, 2500))}`],
  ]);
  return one('header flood', request({ path: oneapi(name), headers: [TYPE, ...extra], body: Buffer.from('[]') }), name);
};

const earlyClose: Make = (random) => {
  const made = random.pick([valid, chunked, sizes, pipelined, httpTrigger])(random);
  const bytes = Buffer.concat(made.writes);
  const cut = bytes.subarray(0, random.int(0, bytes.length));
  return { ...made, kind: 'early close', writes: random.pieces(cut, 3), leave: random.pick(['reset', 'end'] as const), exact: undefined };
};

const stream: Make = (random) => {
  const leave = random.chance(0.5) ? random.pick(['reset', 'end'] as const) : undefined;
  const headers = [TYPE, `Accept: ${random.pick(['*/*', 'text/event-stream', random.text().replace(/[^ -~]/g, '')])}`];
  return one('stream', request({ path: oneapi('items'), headers, body: Buffer.from(random.args()) }), 'items', { leave });
};

const PATHS = [
  '/oneapi/../oneapi/alpha', '/oneapi//alpha', '/oneapi/alpha/', '/oneapi/%61lpha', '/oneapi/alph%C3', '/oneapi/alpha%00', '/ONEAPI/alpha', '/oneapi/alpha?x=%',
  '/oneapi/alpha#beta', 'http://localhost/oneapi/alpha', '//oneapi/alpha', '/oneapi/nested%2Fgamma', '/oneapi/nested/gamma', '/oneapi/nested%5Cgamma', '/oneapi/__proto__',
  '/oneapi/constructor', '/oneapi/', '/oneapi', '/oneapi/alpha;beta', '/oneapi/alpha%2F..%2Fbeta', '/./oneapi/alpha', '/oneapi/%2e%2e/alpha', '/oneapi/ALPHA', '*', '/oneapi/%',
  '/oneapi/alpha%20', '/oneapi/%E2%82%AC', '/oneapi/beta?/oneapi/alpha', '/fuzz/item', '/fuzz/item/%ff', '/fuzz//item/x', '/x/../fuzz/item/x',
];

/** As the host must read it: absolute form without its authority, below the prefix, once decoded, and nothing else. */
export function functionAt(path: string): string | undefined {
  const [before = ''] = path.replace(/^[a-z]+:\/\/[^/?#]*/i, '').split('?');
  if (!before.startsWith('/oneapi/')) return undefined;
  try {
    const name = decodeURIComponent(before.slice('/oneapi/'.length));
    return (FUNCTIONS as readonly string[]).includes(name) ? name : undefined;
  } catch {
    return undefined;
  }
}

const paths: Make = (random) => {
  const path = random.chance(0.7) ? random.pick(PATHS) : `/oneapi/${random.text().replace(/[^!-~]/g, '')}${random.pick(['', 'alpha', '%', '?', '/'])}`;
  return one('paths', request({ path, body: Buffer.from('[]') }), functionAt(path));
};

const cartonHeaders: Make = (random) => {
  const name = random.pick(FUNCTIONS);
  const json = random.args();
  const headers = [TYPE, 'carton-user: {"admin":true}', 'Carton-Function: beta', `carton-${random.pick(['deadline', 'revision', 'invocation', 'attempt'])}: 1`, 'carton-args: [1]'];
  return one('carton headers', request({ path: oneapi(name), headers, body: Buffer.from(json) }), name, { exact: [normal(json)] });
};

const duplicates: Make = (random) => {
  const name = random.pick(FUNCTIONS);
  const body = Buffer.from('[]');
  const headers = random.pick([
    [TYPE, 'Content-Length: 2', 'Content-Length: 2'], [TYPE, 'Content-Length: 2', 'Content-Length: 20'], [TYPE, 'Content-Length: 2', 'Transfer-Encoding: chunked'],
    [TYPE, 'Content-Type: text/plain', 'Content-Length: 2'], ['Content-Type: text/plain', TYPE, 'Content-Length: 2'], [TYPE, 'Host: other', 'Content-Length: 2'],
    [TYPE, 'Transfer-Encoding: identity', 'Content-Length: 2'], [TYPE, 'Content-Length: 2', 'Origin: http://evil.example', 'Origin: http://localhost'],
    [TYPE, 'Content-Length: +2'], [TYPE, 'Content-Length: 2, 2'], [TYPE, 'Content-Length : 2'], [TYPE, 'Content-Length: 2', ' folded: x'],
  ]);
  return one('duplicate headers', request({ path: oneapi(name), headers, body, length: false }), name);
};

const pipelined: Make = (random) => {
  const count = random.int(2, 6);
  const names = Array.from({ length: count }, () => random.pick(FUNCTIONS));
  const bodies = names.map((_, index) => JSON.stringify([index, random.text()]));
  const bytes = Buffer.concat(names.map((name, index) => request({ path: oneapi(name), body: Buffer.from(bodies[index] as string) }, index < count - 1)));
  return { kind: 'pipelined', writes: random.pieces(bytes, 3), answers: count, targets: names, exact: bodies.map(normal) };
};

const versions: Make = (random) => {
  const name = random.pick(FUNCTIONS);
  const version = random.pick(['HTTP/1.0', 'HTTP/1.0', 'HTTP/0.9', 'HTTP/2.0', 'HTTP/1.2', 'http/1.1', 'HTTP/1.1 x', '']);
  const headers = [TYPE, ...(random.chance(0.3) ? ['Connection: keep-alive'] : [])];
  return one('versions', request({ path: oneapi(name), version, headers, body: Buffer.from('[1]') }), name);
};

const lengths: Make = (random) => {
  const name = random.pick(FUNCTIONS);
  const body = Buffer.from('["abcdefgh"]');
  const claimed = random.pick(['3', '0', '11', '1e1', '-1', 'x', '99999999999999999999', '']);
  return one('wrong lengths', request({ path: oneapi(name), headers: [TYPE, `Content-Length: ${claimed}`], body, length: false }), name, claimed.length > 3 ? { leave: 'end' } : {});
};

const expectHeader: Make = (random) => {
  const name = random.pick(FUNCTIONS);
  const json = random.args();
  const expected = random.pick(['100-continue', '100-Continue', 'something', '']);
  return one('expect', request({ path: oneapi(name), headers: [TYPE, `Expect: ${expected}`], body: Buffer.from(json) }), name);
};

const methods: Make = (random) => {
  const name = random.pick(FUNCTIONS);
  const method = random.chance(0.8) ? random.pick(METHODS.filter((other) => other !== 'HEAD')) : random.pick(['FOO', 'post', 'GE T', '', 'A'.repeat(300)]);
  return one('methods', request({ method, path: oneapi(name), body: Buffer.from('[]') }), method === 'POST' ? name : undefined);
};

const head: Make = (random) => one('head', request({ method: 'HEAD', path: random.pick(['/oneapi/alpha', '/fuzz/item/x', '/']), headers: [], length: false }), undefined, { headless: true });

const traces: Make = (random) => {
  const name = random.pick(FUNCTIONS);
  const parent = random.pick([`00-${'1'.repeat(32)}-${'2'.repeat(16)}-01`, `ff-${'1'.repeat(32)}-${'2'.repeat(16)}-01`, `00-${'0'.repeat(32)}-${'0'.repeat(16)}-01`, '00-', '-'.repeat(500), 'x'.repeat(5000)]);
  const json = random.args();
  const headers = [TYPE, `traceparent: ${parent}`, ...(random.chance(0.3) ? [`traceparent: ${parent}`] : []), `tracestate: ${random.pick(['a=b', 'x'.repeat(6000), '=,=,', '"'])}`];
  return one('traces', request({ path: oneapi(name), headers, body: Buffer.from(json) }), name, { exact: [normal(json)] });
};

const nesting: Make = (random) => {
  const name = random.pick(FUNCTIONS);
  const depth = random.pick([10, 1000, 10_000, 100_000]);
  const [open, close] = random.pick([['[', ']'], ['{"a":', '}'], ['{"__proto__":', '}']] as const);
  const times = Math.min(depth, Math.floor((LIMIT_BYTES - 10) / (open.length + 1)));
  const body = `[${open.repeat(times)}1${random.chance(0.8) ? close.repeat(times) : ''}]`;
  return one('nesting', request({ path: oneapi(name), body: Buffer.from(body) }), name);
};

const manyArguments: Make = (random) => {
  const name = random.pick(FUNCTIONS);
  return one('many arguments', request({ path: oneapi(name), body: Buffer.from(`[${'0,'.repeat(random.pick([4095, 4096, 100_000]))}0]`) }), name);
};

const httpTrigger: Make = (random) => {
  if (random.chance(0.4)) {
    const body = random.chance(0.8) ? `{"a":${random.json()},"__proto__":${random.json()}}` : random.json();
    return one('http trigger with a body', request({ path: '/fuzz/form', body: Buffer.from(body) }), 'form');
  }
  const id = random.pick(['x', '%2F', 'a%20b', '%E2%82%AC', '..', '%2e%2e', '__proto__', 'y'.repeat(1500), '%ff', ';a']);
  const query = random.pick(['', '?q=1', '?q=1&q=2', '?n=5', '?n=x', '?n=1e999', '?n=&q=%', '?__proto__=1', `?${'q=1&'.repeat(300)}`, '?q[a]=1', '?=']);
  const headers = random.pick([[], ['x-tag: a'], ['x-tag: a', 'x-tag: b'], ['x-tag: \u00e9']]);
  const target = id === '..' || id === '%2e%2e' ? undefined : 'item';
  return { ...one('http trigger', request({ method: 'GET', path: `/fuzz/item/${id}${query}`, headers, length: false }), 'item'), targets: [target ?? 'item'] };
};

const application: Make = (random) => one('application', request({
  method: random.pick(['GET', 'POST', 'DELETE']), path: random.pick(['/', '/x', '/oneapix/alpha', '/fuzz/form/x', '/oneapi']), body: Buffer.from(random.pick(['', '{}', '{'])),
}), undefined);

const upgrade: Make = (random) => {
  const name = random.pick(FUNCTIONS);
  const protocol = random.pick(['websocket', 'h2c', 'x']);
  return one('upgrade', request({ path: oneapi(name), headers: [TYPE, `Upgrade: ${protocol}`, 'Connection: upgrade, close'], body: Buffer.from('[]') }, true), name);
};

const garbage: Make = (random) => one('garbage', random.pick([
  random.bytes(random.int(1, 400)), Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'), Buffer.from([0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc]), Buffer.from('\r\n\r\n\r\nGET\r\n\r\n'), Buffer.from('GET /\r\n\r\n'),
]), undefined, { leave: 'end' });

/** Each with its weight. The small and quick ones come often, the large ones seldom. */
const MAKES: readonly (readonly [number, Make])[] = [
  [12, valid], [6, pieces], [10, malformedJson], [8, encodings], [6, chunked], [4, badChunks], [1, sizes], [0.3, tinyChunks], [3, headerFlood], [10, earlyClose], [4, stream], [10, paths],
  [4, cartonHeaders], [6, duplicates], [3, pipelined], [4, versions], [4, lengths], [4, expectHeader], [6, methods], [2, head], [3, traces], [0.5, nesting], [0.5, manyArguments],
  [8, httpTrigger], [3, application], [2, upgrade], [3, garbage],
];

const TOTAL = MAKES.reduce((sum, [weight]) => sum + weight, 0);

export function fuzzCase(random: Random): FuzzCase {
  let at = random.next() * TOTAL;
  for (const [weight, make] of MAKES) {
    if (at < weight) return make(random);
    at -= weight;
  }
  return valid(random);
}

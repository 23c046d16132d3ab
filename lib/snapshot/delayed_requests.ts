/**
 * Which requests of dependencies' files may wait for the first use of what they give (`delay.ts`). Build time only.
 *
 * A request stands here when two things are known of its target and of all that it loads: loading it has no effect
 * that others see (it defines, and no more; undici's exception is told below), and an Egg application in a function
 * process is ready without it. The times are what a start gains by it: median of 15 starts of a small application from
 * a snapshot, with and without the entry, Node 20, ±2 ms; all of them took 726 files and 176 ms to 417 and 115. Targets
 * of several entries load each other, so times do not add up.
 *
 * Not here: `mz/fs`, 2 ms, since it loads graceful-fs, which replaces `fs.close`; `globby`, whose answers a snapshot
 * keeps; `./core/httpclient_next` in egg, `urijs` and modules of Node, which gained nothing that could be measured.
 */
export interface DelayedRequest {
  readonly request: string;
  /** Packages whose files are meant, by manifest or by directory, as an alias has two names. Default: all. */
  readonly in?: readonly string[];
  /**
   * Also delays `this.NAME = X` in functions, where X is the target: the property is an accessor until it is read or
   * assigned to. Only for objects whose properties nobody describes or copies.
   */
  readonly property?: true;
}

/** Egg installs urllib 4 under the name urllib4. */
const URLLIB = ['urllib', 'urllib4', 'urllib-next'];

const DELAYED_REQUESTS: readonly DelayedRequest[] = [
  // 29 ms and 110 files, with the two agents below, which extend its Agent. Loading it sets the global dispatcher,
  // Symbol.for('undici.globalDispatcher.1'), where none is: stock Egg makes Node's own `fetch` go through urllib's
  // undici that way, by accident. A process that has not needed urllib yet has Node's own dispatcher there, as any
  // process without Egg; urllib then works with that one, tried on Node 20, 22 and 24. One that the application sets
  // by `setGlobalDispatcher` is kept either way. It also reads `globalThis.Headers`, at which Node loads its undici.
  { request: 'undici' },
  { request: './BaseAgent.js', in: URLLIB },
  { request: './HttpAgent.js', in: URLLIB },
  // 2 ms: 20 files of undici.
  { request: 'undici/lib/web/fetch/response.js', in: URLLIB },
  // 8 ms: form-data, and what finds out about the engine for it (get-intrinsic, 40 files), which the next two load, too.
  { request: './FormData.js', in: URLLIB },
  // 9 ms.
  { request: 'qs' },
  // 7 ms. Asked by koa's own `use`, which egg-core replaces.
  { request: 'is-generator-function', in: ['koa'] },
  // 4 ms: the table of all types, which is JSON. Asked for a response's or an upload's type.
  { request: 'mime-types' },
  // 2 ms.
  { request: 'formstream' },
  // 2 ms. Egg's loggers use it for other encodings than UTF-8.
  { request: 'iconv-lite' },
  // 5 ms and 22 files together: urllib 2 and agentkeepalive. `this.HttpClient = HttpClient` stands in the constructor
  // of Egg's applications.
  { request: './core/dnscache_httpclient', in: ['egg'] },
  { request: './core/httpclient', in: ['egg'], property: true },
  // 5 ms: 52 files. It reads its defaults from NODE_CLUSTER_CLIENT_… when it loads; Egg passes the rest.
  { request: 'cluster-client', in: ['egg'] },
  // 3 ms: 41 files of the master process.
  { request: 'egg-cluster', in: ['egg'] },
  // 1 ms: 11 files. Used when a server starts to listen.
  { request: 'graceful', in: ['egg'] },
];

/** By request, what may be delayed in files of a package. */
export function requestsOf(packageName: string): ReadonlyMap<string, DelayedRequest> {
  const allowed = DELAYED_REQUESTS.filter((entry) => entry.in === undefined || entry.in.includes(packageName));
  return new Map(allowed.map((entry) => [entry.request, entry]));
}

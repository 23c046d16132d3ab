/**
 * Default configuration of the plugin, as Egg merges it below the application's. Loaded in the agent and in app
 * workers; literal values only. `lib/spec/config_schema.ts` has the ranges, `docs/reference/config.md` the reference.
 */
import type { CartonConfig } from '../lib/support/host_environment';

/**
 * @member Config#carton
 */
export const carton: CartonConfig = {
  /**
   * Directory for sockets and records; null is `egg-carton-<uid>` in the directory for temporary files.
   * @member {string|null} carton#directory
   * @default null
   */
  directory: null,

  /**
   * Where the functions' files are, below the application's root.
   * @member {string} carton#functionDirectory
   * @default 'app/function'
   */
  functionDirectory: 'app/function',

  /**
   * The file that declares function specs, without extension; it need not exist.
   * @member {string} carton#specFile
   * @default 'config/function'
   */
  specFile: 'config/function',

  /**
   * How instances come to be: `auto` (forked from a warm template where that is possible, else spawned), `fork` (or not
   * at all), `spawn`, or `inline` (unit tests).
   * @member {'auto'|'fork'|'spawn'|'inline'} carton#launcher
   * @default 'auto'
   */
  launcher: 'auto',

  /**
   * Instances of all functions together on this host, 1 to 10000.
   * @member {number} carton#maxInstances
   * @default 64
   */
  maxInstances: 64,

  /**
   * Milliseconds from the launch of an instance until it is ready.
   * @member {number} carton#launchTimeoutMs
   * @default 20000
   */
  launchTimeoutMs: 20_000,

  /**
   * Milliseconds that an ending instance has for what it runs; below the 5 s after which egg-cluster kills.
   * @member {number} carton#drainTimeoutMs
   * @default 4000
   */
  drainTimeoutMs: 4_000,

  /**
   * Milliseconds that instances outlive the agent, for a new agent to adopt them.
   * @member {number} carton#agentGraceMs
   * @default 10000
   */
  agentGraceMs: 10_000,

  /**
   * Milliseconds of the longest wait between two launches of a function that keeps failing.
   * @member {number} carton#maxBackoffMs
   * @default 60000
   */
  maxBackoffMs: 60_000,

  /**
   * Flags of Node and V8 for function processes.
   * @member {string[]} carton#execArgv
   * @default []
   */
  execArgv: [],

  /**
   * Processes that are forked before anybody needs them.
   * @member {number} carton#forksAhead
   * @default 1
   */
  forksAhead: 1,

  /**
   * Plugins that a function process does without; the carton plugin itself is always off there.
   * @member {string[]} carton#disabledPlugins
   * @default ['development', 'logrotator', 'watcher', 'schedule', 'multipart', 'static', 'jsonp', 'onerror', 'routerPlus', 'egg-mock']
   */
  disabledPlugins: ['development', 'logrotator', 'watcher', 'schedule', 'multipart', 'static', 'jsonp', 'onerror', 'routerPlus', 'egg-mock'],

  /**
   * Limits of functions whose spec does not give them.
   * @member {object} carton#functionDefaults
   * @property {number} concurrency - invocations that one instance runs at once, `50` by default
   * @property {number} minInstances - instances kept alive without traffic, `0` by default
   * @property {number} maxInstances - instances on one host, `4` by default
   * @property {number} timeoutMs - milliseconds for one invocation, waiting included, `10000` by default
   * @property {number} idleTimeoutMs - milliseconds without work before an instance is reclaimed, `60000` by default
   * @property {number} queueLimit - invocations that wait for a place, `500` by default
   * @property {number} bodyLimitBytes - bytes of a request's body, `1048576` by default
   * @property {object|null} rateLimit - `{ perSecond, burst }`, `null` (no limit) by default
   * @property {boolean} idempotent - whether a begun invocation may be run again, `false` by default
   */
  functionDefaults: {
    concurrency: 50,
    minInstances: 0,
    maxInstances: 4,
    timeoutMs: 10_000,
    idleTimeoutMs: 60_000,
    queueLimit: 500,
    bodyLimitBytes: 1_048_576,
    rateLimit: null,
    idempotent: false,
  },

  /**
   * `(request, application) => user`: says who calls; null where functions are open to anybody.
   * @member {Function|null} carton#resolveUser
   * @default null
   */
  resolveUser: null,

  /**
   * How function processes load the application without scanning and compiling it again.
   * @member {object} carton#snapshot
   * @property {boolean} enable - whether snapshots are used, outside of development, `true` by default
   * @property {boolean} build - whether the agent builds one where there is none, `true` by default
   * @property {object[]} warmUps - `{ function, args }`: invocations made while one is built and in templates, `[]` by default
   */
  snapshot: {
    enable: true,
    build: true,
    warmUps: [],
  },

  /**
   * Which middleware clients function processes share with each other, in processes of their own.
   * @member {object} carton#sidecar
   * @property {boolean} enable - whether clients leave function processes, `true` by default
   * @property {object} clients - by their names on `app`: `'proxied'`, `'local'` or `{ sidecar, plugin, kind }`, `{}` by default
   * @property {number} callTimeoutMs - milliseconds for a call to a sidecar, `60000` by default
   */
  sidecar: {
    enable: true,
    clients: {},
    callTimeoutMs: 60_000,
  },

  /**
   * How requests reach functions.
   * @member {object} carton#ingress
   * @property {boolean} enable - whether this host takes requests for functions, `true` by default
   * @property {string} oneapiPath - prefix of the paths of functions called by name, `/oneapi/` by default
   * @property {string[]} allowedOrigins - other origins whose pages may call, `[]` by default
   * @property {boolean} originCheck - whether requests from other origins are refused, `true` by default
   * @property {object|null} cors - `{ origins, credentials, maxAgeSeconds, allowedHeaders }`, `null` by default
   * @property {boolean} accessLog - whether each invocation is a line in carton-access.log, `false` by default
   */
  ingress: {
    enable: true,
    oneapiPath: '/oneapi/',
    allowedOrigins: [],
    originCheck: true,
    cors: null,
    accessLog: false,
  },
};

/**
 * The access log's logger, declared the Egg way so that applications can change file and level, and Egg rotates and
 * reopens it. Egg opens the files of all loggers at boot, so with `ingress.accessLog` off there is an empty file.
 * @member Config#customLogger
 * @property {object} cartonAccessLogger - bare lines in carton-access.log, never on the console
 */
export const customLogger = {
  cartonAccessLogger: {
    file: 'carton-access.log',
    consoleLevel: 'NONE',
    // Of its own, because under an application's `logger.level` of WARN the lines would vanish in silence.
    level: 'INFO',
    formatter: (meta: { readonly message: string }): string => meta.message,
  },
};

/**
 * What scheduler, sandbox and ingress know of the process that they run in. Egg's agent and app workers build one;
 * so do bare node:http and Koa. Nothing below `lib/entry` sees Egg itself.
 */
import type { Clock } from './clock';

export interface HostLog {
  debug(message: string, ...args: unknown[]): void;
  info(message: string, ...args: unknown[]): void;
  warn(message: string, ...args: unknown[]): void;
  error(message: string | Error, ...args: unknown[]): void;
}

/** A process that everything on this host hangs on, named so that a reused pid is not taken for it. */
export interface HostProcess {
  readonly pid: number;
  /** Field 22 of /proc/<pid>/stat, in clock ticks since boot; '' where there is no /proc. */
  readonly startTime: string;
}

/** How a function process boots the application that its functions belong to. */
export interface ApplicationDescriptor {
  /** `egg`: a framework's Application class. `module`: a file that exports `boot()`, for hosts without Egg. */
  readonly kind: 'egg' | 'module';
  /** The application's name, part of every function's identity. */
  readonly name: string;
  readonly baseDir: string;
  /** Absolute path of the framework (`egg`) or of the file (`module`). */
  readonly entry: string;
  /** Options for the framework's Application: env, plugins, workers and the like; JSON only. */
  readonly options: Readonly<Record<string, unknown>>;
  /** Plugins that only a web worker needs and that are therefore not enabled in a function process. */
  readonly disabledPlugins: readonly string[];
  /** Middleware clients that a sidecar holds for function processes. @default none */
  readonly proxied?: readonly ProxiedClient[];
}

/** How a kind of client is used from another process: see `lib/runtime/clients` and `plugin-sidecar/lib/clients`. */
export type ClientKind = 'ali-rds' | 'ioredis' | 'mysql-wire' | 'generic';

/** A client of which function processes have a proxy. */
export interface ProxiedClient {
  /** As `app` has it: `mysql` for `app.mysql`, and for all that is in `app.mysql.clients`. */
  readonly client: string;
  /** The plugin that makes it: it is configured in function processes, and not booted, except with `mysql-wire`. */
  readonly plugin: string;
  readonly kind: ClientKind;
  /** The name of the sidecar that holds it. */
  readonly sidecar: string;
  /** Other properties of `app` under which the plugin shows it, too. */
  readonly aliases: readonly string[];
}

export interface HostEnvironment {
  readonly application: ApplicationDescriptor;
  readonly config: CartonConfig;
  readonly hostProcess: HostProcess;
  /** Files are checked for changes before each invocation, and errors show their stack. */
  readonly development: boolean;
  readonly log: HostLog;
  readonly clock: Clock;
}

/** The validated configuration; `config/config.default.ts` documents each key. */
export interface CartonConfig {
  readonly directory: string | null;
  readonly functionDirectory: string;
  readonly specFile: string;
  readonly launcher: 'auto' | 'fork' | 'spawn' | 'inline';
  readonly maxInstances: number;
  readonly launchTimeoutMs: number;
  readonly drainTimeoutMs: number;
  readonly agentGraceMs: number;
  readonly maxBackoffMs: number;
  readonly execArgv: readonly string[];
  readonly forksAhead: number;
  readonly disabledPlugins: readonly string[];
  readonly functionDefaults: FunctionDefaults;
  readonly resolveUser: ResolveUser | null;
  readonly snapshot: SnapshotConfig;
  readonly sidecar: SidecarConfig;
  readonly ingress: IngressConfig;
}

export interface SidecarConfig {
  readonly enable: boolean;
  readonly clients: Readonly<Record<string, ClientPlace>>;
  readonly callTimeoutMs: number;
}

/** Where a client is: in function processes, in the sidecar of the name `main`, or as said. */
export type ClientPlace = 'local' | 'proxied' | { readonly sidecar?: string; readonly plugin?: string; readonly kind?: ClientKind };

export interface FunctionDefaults {
  readonly concurrency: number;
  readonly minInstances: number;
  readonly maxInstances: number;
  readonly timeoutMs: number;
  readonly idleTimeoutMs: number;
  readonly queueLimit: number;
  readonly bodyLimitBytes: number;
  readonly rateLimit: RateLimit | null;
  readonly idempotent: boolean;
}

/** A token bucket: `burst` tokens at first, `perSecond` new ones each second. */
export interface RateLimit {
  readonly perSecond: number;
  readonly burst: number;
}

export interface SnapshotConfig {
  readonly enable: boolean;
  readonly build: boolean;
  readonly warmUps: readonly WarmUp[];
}

/** An invocation that is made while an application is recorded, so that what it runs is in the compile cache. */
export interface WarmUp {
  readonly function: string;
  readonly args: readonly unknown[];
}

export interface IngressConfig {
  readonly enable: boolean;
  readonly oneapiPath: string;
  readonly allowedOrigins: readonly string[];
  readonly originCheck: boolean;
  readonly cors: CorsConfig | null;
  readonly accessLog: boolean;
}

export interface CorsConfig {
  readonly origins: readonly string[];
  readonly credentials: boolean;
  readonly maxAgeSeconds: number;
  readonly allowedHeaders: readonly string[];
}

/** What the application's user resolver sees of a request, whatever the trigger. */
export interface UserRequest {
  /** Lower-cased; without `carton-*`. */
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly cookies: { get(name: string, options?: { signed?: boolean; encrypt?: boolean }): string | undefined };
  readonly peer: { readonly address: string };
}

/** Runs in the app worker, once for each invocation of a function whose `auth` is not `none`. */
export type ResolveUser = (request: UserRequest, application: unknown) => unknown;

/**
 * What these files use of Egg, written down as small interfaces, because the plugin never imports `egg` itself: the
 * application decides which Egg it runs on. Types only. True of egg 3.34 and 4.0.
 */
import type { EventEmitter } from 'node:events';
import type { Writable } from 'node:stream';

export interface AsyncStore {
  run<T>(store: object, call: () => T): T;
  getStore(): unknown;
}

export interface EggLogger {
  debug(...args: unknown[]): void;
  info(...args: unknown[]): void;
  warn(...args: unknown[]): void;
  error(...args: unknown[]): void;
}

/** One output of a logger; `localStorage` is where it looks for the context that it pads a line with. */
export interface EggTransport {
  readonly options: { localStorage?: Pick<AsyncStore, 'getStore'> };
  /** Of transports that write to a file; null once closed. */
  readonly _stream?: Writable | null;
}

export type EggLoggers = Map<string, EggLogger & Map<string, EggTransport>> & {
  reload(): void;
};

export interface EggMessenger extends EventEmitter {
  broadcast(action: string, data?: unknown): unknown;
  close(): void;
}

export interface EggConfig extends Record<string, unknown> {
  logger: { localStorage?: Pick<AsyncStore, 'getStore'> } & Record<string, unknown>;
}

export interface EggApplication extends EventEmitter {
  readonly baseDir: string;
  readonly config: EggConfig;
  readonly context: object;
  readonly ctxStorage: AsyncStore;
  readonly logger: EggLogger;
  readonly loggers: EggLoggers;
  readonly messenger: EggMessenger;
  readonly serviceClasses?: unknown;
  readonly BaseContextClass: { readonly prototype: object };
  readonly timing?: { disable?(): void };
  agent?: unknown;
  carton?: unknown;
  readonly plugins: EggPlugins;
  readonly lifecycle: { addBootHook(hook: BootHookClass): void };
  /** `create` is called for each client that is configured under this name, and by `createInstance`, then without one. */
  addSingleton(name: string, create: (config: Record<string, unknown>, app: EggApplication, client: string | undefined) => object): void;
  getLogger(name: string): EggLogger | null;
  ready(): Promise<void>;
  close(): Promise<void>;
}

export interface EggPlugin {
  name: string;
  enable: boolean;
  readonly path: string;
  readonly package?: string;
  readonly dependencies: readonly string[];
}

export type EggPlugins = Record<string, EggPlugin>;

/** A directory with code and configuration. */
export interface LoadUnit {
  readonly path: string;
  readonly type: 'plugin' | 'framework' | 'app';
}

/** What of a boot class is used here. */
export interface BootHook {
  configDidLoad?(): void;
}

export type BootHookClass = new (app: EggApplication) => object;

export interface EggLoader {
  /** There once plugins were loaded. */
  readonly orderPlugins?: readonly EggPlugin[];
  loadConfig(): unknown;
  getLoadUnits(): LoadUnit[];
  loadCustomApp(): unknown;
  resolveModule(path: string): string | undefined;
  requireFile(path: string): unknown;
  getOrderPlugins(all: EggPlugins, enabled: string[], own: EggPlugins): EggPlugin[];
  loadMiddleware(options?: unknown): unknown;
  loadController(options?: unknown): unknown;
  loadRouter(): unknown;
}

export interface LoaderOptions {
  readonly app: EggApplication;
}

export type LoaderClass = new (options: LoaderOptions) => EggLoader;

/** Instances also carry the getters `Symbol.for('egg#loader')` and `Symbol.for('egg#eggPath')`. */
export type ApplicationClass = new (options: Record<string, unknown>) => EggApplication;

/** Egg finds the loader's class, and each framework's directory, through these. */
export const EGG_LOADER = Symbol.for('egg#loader');
export const EGG_PATH = Symbol.for('egg#eggPath');

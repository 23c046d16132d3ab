/**
 * Turns a framework's Application into the one that a process of a host boots: the same classes, loader and hooks,
 * without what only a web worker needs. Runs in function processes and sidecars.
 *
 * Loaded: the plugins that the role keeps, all configuration, the extends of application, context, request, response and
 * helper, custom loaders, boot classes with all their hooks, services; of these, the code of units that the role boots.
 * Not loaded: middleware, controllers, the router. `request` and `response` are extended because
 * `app.createAnonymousContext()` still works, and a few small files are a fair price for that.
 */
import { join } from 'node:path';
import { checkpointHooks } from '../../fork/inside/hooks';
import { StubAgent } from './stub_agent';
import {
  EGG_LOADER, EGG_PATH, type ApplicationClass, type BootHook, type BootHookClass, type EggApplication, type EggLoggers, type EggPlugin,
  type EggPlugins, type LoaderClass, type LoaderOptions, type LoadUnit,
} from './egg_types';
import { quietStore, unpad } from './scope_logging';

/** What one kind of process boots of an application. */
export interface Role {
  /** Of the enabled plugins, those that stay enabled, in their order. */
  plugins(all: EggPlugins, enabled: readonly string[]): string[];
  /** Whether the code of a unit is loaded. Its configuration is, in any case. `plugin`: its name, where it is one. */
  boots(unit: LoadUnit, plugin: string | undefined): boolean;
  /** A boot class that comes before all others. */
  readonly hook?: (app: EggApplication) => BootHook;
  /** The name of a boot class of the application's own, beside its `app`. */
  readonly bootFile?: string;
}

/** Puts on the application what Egg's start-up expects, before anything of it is loaded. */
function prepare(app: EggApplication): void {
  app.agent = new StubAgent(app);
  app.carton = checkpointHooks;
  // Without egg-onerror nobody listens, and an `error` event that nobody hears would end the process. Egg emits one
  // for a failed boot (which also rejects `ready()`), for a failed didReady or serverDidReady, and for background tasks.
  app.on('error', (error: unknown, ctx?: { logger?: { error(error: unknown): void } }) => {
    if (app.listenerCount('error') === 1) (ctx?.logger ?? app.logger).error(error);
  });
}

/** Controllers do not exist here, yet plugins may still mount routes on them; no server will ever ask for one. */
const nowhere: unknown = new Proxy(() => undefined, {
  get: (_target, key) => (typeof key === 'symbol' || key === 'then' ? undefined : nowhere),
});

function loaderOf(Loader: LoaderClass, role: Role): LoaderClass {
  return class RoleLoader extends Loader {
    readonly #app: EggApplication & { middlewares?: unknown; controller?: unknown };
    #isConfigured = false;

    constructor(options: LoaderOptions) {
      prepare(options.app);
      super(options);
      this.#app = options.app;
    }

    /** Called by `loadPlugin` once paths, environments and dependencies are resolved, hence the place to leave some out. */
    override getOrderPlugins(all: EggPlugins, enabled: string[], own: EggPlugins): EggPlugin[] {
      const kept = role.plugins(all, enabled);
      for (const name of enabled) {
        const plugin = all[name];
        if (plugin !== undefined) plugin.enable = kept.includes(name);
      }
      return super.getOrderPlugins(all, kept, own);
    }

    /** In egg 4 it returns a promise. */
    override loadConfig(): unknown {
      const loading = super.loadConfig();
      const configured = (): void => void (this.#isConfigured = true);
      return loading instanceof Promise ? loading.then(configured) : configured();
    }

    override getLoadUnits(): LoadUnit[] {
      const units = super.getLoadUnits();
      if (!this.#isConfigured) return units;
      const names = new Map(this.orderPlugins?.map(({ path, name }) => [path, name]));
      return units.filter((unit) => role.boots(unit, unit.type === 'plugin' ? names.get(unit.path) : undefined));
    }

    /** In egg 4 files are loaded, and this returns, by promise. */
    override loadCustomApp(): unknown {
      if (role.hook !== undefined) this.#app.lifecycle.addBootHook(hookClass(role.hook));
      const file = role.bootFile === undefined ? undefined : this.resolveModule(join(this.#app.baseDir, role.bootFile));
      if (file === undefined) return super.loadCustomApp();
      const add = (boot: unknown): unknown => (this.#app.lifecycle.addBootHook(boot as BootHookClass), super.loadCustomApp());
      const boot = this.requireFile(file);
      return boot instanceof Promise ? boot.then(add) : add(boot);
    }

    override loadMiddleware(): void {
      this.#app.middlewares = {};
    }

    override loadController(): void {
      this.#app.controller = nowhere;
    }

    override loadRouter(): void {
      // Routes belong to the web workers.
    }
  };
}

function hookClass(make: (app: EggApplication) => BootHook): BootHookClass {
  return class {
    constructor(app: EggApplication) {
      return make(app);
    }
  };
}

/** A subclass of the framework's Application for processes of this role. */
export function applicationOf(Application: ApplicationClass, role: Role): ApplicationClass {
  const classes = new Map<LoaderClass, LoaderClass>();
  // The getters live on the framework's prototype; calling them on `this` keeps those that look at the instance right.
  const inherited = Application.prototype as Record<symbol, unknown>;

  class RoleApplication extends Application {
    get [EGG_LOADER](): LoaderClass {
      const Loader = Reflect.get(inherited, EGG_LOADER, this) as LoaderClass;
      const made = classes.get(Loader) ?? loaderOf(Loader, role);
      classes.set(Loader, made);
      return made;
    }

    /** Egg walks the chain of classes and wants a directory of each; the same one twice counts once. */
    get [EGG_PATH](): unknown {
      return Reflect.get(inherited, EGG_PATH, this);
    }

    override get loggers(): EggLoggers {
      const loggers = Reflect.get(inherited, 'loggers', this) as EggLoggers;
      if (this.config.logger.localStorage !== quietStore(this)) unpad(this, loggers);
      return loggers;
    }

    /** Writes run/*.json in Egg, and asks for the router; many processes would write the same files at once. */
    dumpConfig(): void {
      // Nothing: the host's workers dump the same configuration.
    }

    /** As `dumpConfig`, but the recording of timings has to end, or it grows with every later `timing.start`. */
    dumpTiming(): void {
      this.timing?.disable?.();
    }
  }
  return RoleApplication;
}

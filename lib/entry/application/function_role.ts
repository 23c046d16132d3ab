/**
 * Turns a framework's Application into the one that a function process boots: the same classes, loader and hooks,
 * without what only a web worker needs. Runs in function processes.
 *
 * Loaded: plugins (but for the disabled ones), config, the extends of application, context, request, response and
 * helper, custom loaders, boot classes with all their hooks, services. Not loaded: middleware, controllers, the router.
 * `request` and `response` are extended because `app.createAnonymousContext()` still works, and a few small files
 * are a fair price for that.
 */
import { checkpointHooks } from '../../fork/inside/hooks';
import { enabledInFunctions } from './plugins';
import { quietStore, unpad } from './scope_logging';
import { StubAgent } from './stub_agent';
import {
  EGG_LOADER, EGG_PATH, type ApplicationClass, type EggApplication, type EggLoggers, type EggPlugin,
  type EggPlugins, type LoaderClass, type LoaderOptions,
} from './egg_types';

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

function functionLoader(Loader: LoaderClass, disabled: readonly string[]): LoaderClass {
  return class FunctionLoader extends Loader {
    readonly #app: EggApplication & { middlewares?: unknown; controller?: unknown };

    constructor(options: LoaderOptions) {
      prepare(options.app);
      super(options);
      this.#app = options.app;
    }

    /** Called by `loadPlugin` once paths, environments and dependencies are resolved, hence the place to leave some out. */
    override getOrderPlugins(all: EggPlugins, enabled: string[], own: EggPlugins): EggPlugin[] {
      const kept = enabledInFunctions(all, enabled, disabled);
      for (const name of enabled) {
        const plugin = all[name];
        if (plugin !== undefined) plugin.enable = kept.includes(name);
      }
      return super.getOrderPlugins(all, kept, own);
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

/** A subclass of the framework's Application for function processes. */
export function functionRole(Application: ApplicationClass, disabled: readonly string[]): ApplicationClass {
  const classes = new Map<LoaderClass, LoaderClass>();
  // The getters live on the framework's prototype; calling them on `this` keeps those that look at the instance right.
  const inherited = Application.prototype as Record<symbol, unknown>;

  class FunctionApplication extends Application {
    get [EGG_LOADER](): LoaderClass {
      const Loader = Reflect.get(inherited, EGG_LOADER, this) as LoaderClass;
      const made = classes.get(Loader) ?? functionLoader(Loader, disabled);
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
  return FunctionApplication;
}

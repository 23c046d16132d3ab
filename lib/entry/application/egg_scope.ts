/**
 * Puts the runtime's face on a booted Egg application: logger, scopes, mocks. Runs in function processes (`egg.ts`),
 * and in the application's own process with the inline launcher (`inline.ts`).
 *
 * A scope is one context object; it is made at once, since `app.currentContext` must be able to answer with it, while
 * services are made by Egg when they are first read.
 */
import type { ApplicationScope, BootedApplication, FunctionLogger } from '../../runtime/application';
import { functionContextClass, type FunctionContext } from './context';
import type { AsyncStore, EggApplication } from './egg_types';
import { routeServiceLoggers, unpad } from './scope_logging';
import { ServiceMocks } from './service_mocks';

class EggScope implements ApplicationScope {
  readonly #context: FunctionContext;
  readonly #storage: AsyncStore;

  constructor(context: FunctionContext, storage: AsyncStore) {
    this.#context = context;
    this.#storage = storage;
  }

  /** Egg keeps the services of a context on the context, so the same instances answer throughout an invocation. */
  get service(): unknown {
    return this.#context.service;
  }

  run<T>(call: () => T): T {
    return this.#storage.run(this.#context, call);
  }
}

/** Looked up at each line: `app.logger` may be replaced, by egg-mock for one. */
function loggerOf(app: EggApplication): FunctionLogger {
  return {
    debug: (message, ...args) => app.logger.debug(message, ...args),
    info: (message, ...args) => app.logger.info(message, ...args),
    warn: (message, ...args) => app.logger.warn(message, ...args),
    error: (message, ...args) => app.logger.error(message, ...args),
  };
}

/** `close` is what ends the application; with the inline launcher that is not ours to do. */
export function eggFace(app: EggApplication, close: () => Promise<void>): BootedApplication {
  unpad(app, app.loggers);
  routeServiceLoggers(app.BaseContextClass);
  const Context = functionContextClass(app);
  const mocks = new ServiceMocks(() => app.serviceClasses);
  return {
    baseDir: app.baseDir,
    config: app.config,
    logger: loggerOf(app),
    createScope: (logger) => new EggScope(new Context(logger), app.ctxStorage),
    reloadLogs: () => app.loggers.reload(),
    setMocks: (list) => mocks.set(list),
    close,
  };
}

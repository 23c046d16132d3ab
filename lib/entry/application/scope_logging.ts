/**
 * Keeps Egg's logging right inside invocations. Egg pads each line with the current request's address, method and URL,
 * which a function's context does not have; and a service's `this.logger` should write lines with the function's tag.
 * Runs in function processes, and with the inline launcher.
 */
import type { FunctionLogger } from '../../runtime/application';
import type { AsyncStore, EggApplication, EggLoggers } from './egg_types';

/** Contexts of invocations carry this, on their prototype. */
export const FUNCTION_CONTEXT = Symbol('carton#functionContext');

/** What services see of the context that they were made on. */
interface LoggingContext {
  readonly logger: FunctionLogger;
}

export function isFunctionContext(value: unknown): value is LoggingContext {
  return typeof value === 'object' && value !== null && FUNCTION_CONTEXT in value;
}

const quietStores = new WeakMap<EggApplication, Pick<AsyncStore, 'getStore'>>();

/** The application's context storage as loggers may see it: without contexts that have no request. */
export function quietStore(app: EggApplication): Pick<AsyncStore, 'getStore'> {
  let store = quietStores.get(app);
  if (store === undefined) {
    store = {
      getStore() {
        const current = app.ctxStorage.getStore();
        return isFunctionContext(current) ? undefined : current;
      },
    };
    quietStores.set(app, store);
  }
  return store;
}

/**
 * Makes all loggers look for their padding in the quiet store. The one in the configuration is replaced too: plugins
 * copy `config.logger` for loggers of their own.
 */
export function unpad(app: EggApplication, loggers: EggLoggers): void {
  const store = quietStore(app);
  app.config.logger.localStorage = store;
  for (const logger of loggers.values()) {
    for (const transport of logger.values()) {
      if (transport.options.localStorage !== undefined) transport.options.localStorage = store;
    }
  }
}

const routed = new WeakSet<object>();

/**
 * Routes `this.logger` of services and helpers to the invocation's logger, with the class's path before the message as
 * in Egg. Egg's own getter writes to `app.logger`, which knows of no invocation. It is patched on the base class, since
 * services extend that class directly; objects on any other context keep Egg's behaviour.
 */
export function routeServiceLoggers(BaseContextClass: EggApplication['BaseContextClass']): void {
  const prototype = BaseContextClass.prototype;
  const original = Object.getOwnPropertyDescriptor(prototype, 'logger');
  if (original?.get === undefined || routed.has(prototype)) return;
  routed.add(prototype);
  const egg = original.get;
  const own = Symbol('carton#logger');
  Object.defineProperty(prototype, 'logger', {
    ...original,
    get(this: { ctx: unknown; pathName?: string; [own]?: FunctionLogger }) {
      if (!isFunctionContext(this.ctx)) return egg.call(this) as unknown;
      return (this[own] ??= withPath(this.ctx.logger, this.pathName));
    },
  });
}

function withPath(logger: FunctionLogger, path: string | undefined): FunctionLogger {
  if (path === undefined) return logger;
  const named = (message: unknown): unknown => (typeof message === 'string' ? `[${path}] ${message}` : message);
  return {
    debug: (message, ...args) => logger.debug(named(message), ...args),
    info: (message, ...args) => logger.info(named(message), ...args),
    warn: (message, ...args) => logger.warn(named(message), ...args),
    error: (message, ...args) => logger.error(named(message), ...args),
  };
}

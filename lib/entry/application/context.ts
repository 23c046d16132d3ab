/**
 * The Egg context of an invocation: what `ctx` is in services and helpers, and what `app.currentContext` answers. Runs
 * in function processes, and with the inline launcher.
 *
 * It inherits from `app.context`, so all that the application, its framework and plugins put there works, and it costs
 * one object with two fields: guards and everything else shared stand on a prototype that is made once per application.
 */
import { CartonError } from '../../support/errors';
import type { FunctionLogger } from '../../runtime/application';
import type { EggApplication, EggLogger } from './egg_types';
import { REQUEST_PROPERTIES } from './request_properties';
import { FUNCTION_CONTEXT } from './scope_logging';

export interface FunctionContext {
  readonly app: EggApplication;
  readonly logger: FunctionLogger;
  /** Milliseconds since the Unix epoch, as in Egg. */
  readonly starttime: number;
  /** There once services were loaded. */
  readonly service?: unknown;
}

export type FunctionContextClass = new (logger: FunctionLogger) => FunctionContext;

/** Loggers that an invocation's own logger stands for; others keep their files and formats. */
const TAGGED_LOGGERS: readonly string[] = ['logger', 'coreLogger'];

function guard(name: string): PropertyDescriptor {
  const refuse = (): never => {
    throw new CartonError('CARTON_RUNTIME_CONTEXT_PROPERTY', { of: `ctx.${name}` });
  };
  return { get: refuse, set: refuse, enumerable: false, configurable: true };
}

/**
 * `ctx.user` is what a middleware or a plugin left there, and neither ran. Silence would pass for "nobody is signed
 * in"; so reading it is refused until a service has set it itself. A `user` of the application's own extend stays.
 */
function guardUser(): PropertyDescriptor {
  return {
    ...guard('user'),
    set(this: object, value: unknown) {
      Object.defineProperty(this, 'user', { value, writable: true, enumerable: true, configurable: true });
    },
  };
}

function guards(app: EggApplication): PropertyDescriptorMap {
  const map: PropertyDescriptorMap = {};
  for (const name of REQUEST_PROPERTIES) map[name] = guard(name);
  if (!('user' in app.context)) map['user'] = guardUser();
  return map;
}

/** egg-i18n asks cookies, query and headers for the locale; without a request it is the configured default. */
function locale(app: EggApplication): PropertyDescriptorMap {
  if (!('__getLocale' in app.context)) return {};
  const configured = (app.config['i18n'] as { defaultLocale?: string } | undefined)?.defaultLocale ?? 'en-US';
  return {
    // koa-locales returns `__locale` if it is set, and compares in this form.
    __locale: { value: configured.replace('_', '-').toLowerCase(), writable: true },
    __setLocale: {
      value(this: { __locale: string }, value: string) {
        this.__locale = value;
      },
    },
  };
}

function shared(app: EggApplication): PropertyDescriptorMap {
  // koa's own would reach for the request whenever a context is printed.
  const print = (): unknown => ({ app: '<egg application>', request: '<none: function>' });
  return {
    [FUNCTION_CONTEXT]: { value: true },
    app: { value: app, writable: true, enumerable: true },
    coreLogger: { get(this: FunctionContext) { return this.logger; } },
    getLogger: {
      value(this: FunctionContext, name: string): FunctionLogger | EggLogger | null {
        return TAGGED_LOGGERS.includes(name) ? this.logger : app.getLogger(name);
      },
    },
    toJSON: { value: print },
    inspect: { value: print },
    [Symbol.for('nodejs.util.inspect.custom')]: { value: print },
  };
}

/** The class of this application's contexts. Call once per application, after its boot. */
export function functionContextClass(app: EggApplication): FunctionContextClass {
  class Context {
    readonly starttime = Date.now();
    readonly logger: FunctionLogger;

    constructor(logger: FunctionLogger) {
      this.logger = logger;
    }
  }
  Object.setPrototypeOf(Context.prototype, app.context);
  Object.defineProperties(Context.prototype, { ...guards(app), ...locale(app), ...shared(app) });
  return Context as unknown as FunctionContextClass;
}

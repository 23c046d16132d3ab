/**
 * What users import from `egg-carton`: the types of functions, `defineFunctions`, and the error table. It loads
 * neither Egg nor the host, because functions and specs import it.
 */
import type { EggAppConfig, IService } from 'egg';
import type { Scheduler } from './lib/scheduler/scheduler';
import type { InvocationInfo, TraceInfo } from './lib/runtime/context';
import type { FunctionLogger } from './lib/runtime/application';
import type { CartonConfig, UserRequest } from './lib/support/host_environment';
import type { WorkerHost } from './lib/entry/worker_host';
import type { InvokeOptions } from './lib/ingress/invoke';

export { defineFunctions } from './lib/spec/define';
export { CartonError, ERRORS, type ErrorCode } from './lib/support/errors';
export type { ArgumentSource, Auth, FunctionDeclaration, HttpTrigger, OneapiTrigger, Trigger } from './lib/spec/types';
export type { FunctionLogger, InvocationInfo, InvokeOptions, TraceInfo, UserRequest };

/**
 * Declares what the types of an application are:
 * `declare module 'egg-carton' { interface CartonTypes { user: { id: string } } }`.
 */
// eslint-disable-next-line @typescript-eslint/no-empty-object-type -- it is there to be merged into
export interface CartonTypes {}

/** What the application's `carton.resolveUser` returns; `unknown` until `CartonTypes` says. */
export type CartonUser = CartonTypes extends { user: infer User } ? User : unknown;

/** The first argument of every function: frozen, the same for every trigger, without HTTP. */
export interface FunctionContext {
  readonly invocation: InvocationInfo;
  /** What `carton.resolveUser` returned for the caller; undefined for nobody. */
  readonly user: CartonUser | undefined;
  readonly trace: TraceInfo;
  /** Each line names function and invocation. */
  readonly logger: FunctionLogger;
  /** The application's Egg services, on a context made at first use. */
  readonly service: IService;
  readonly config: EggAppConfig;
  /** Aborts at the deadline and when the caller has gone. */
  readonly signal: AbortSignal;
  /** Keeps the instance from being reclaimed until `work` has settled. */
  waitUntil(work: Promise<unknown>): void;
}

declare module 'egg' {
  interface Application {
    carton: WorkerHost;
    /** Calls a function as a OneAPI request would, without HTTP. Rejects with an error from the table. */
    invokeFunction(name: string, args?: readonly unknown[], options?: InvokeOptions): Promise<unknown>;
    /**
     * For tests: a service's method answers with `result` (JSON), or throws it if it is an error, in every instance,
     * until `restoreFunctionServices` or `mm.restore()`. Functions that are called later wait until it is in place.
     * Throws `CARTON_RUNTIME_UNKNOWN_SERVICE`.
     */
    mockFunctionService(service: string, method: string, result: unknown): void;
    restoreFunctionServices(): void;
  }

  interface Agent {
    /** The scheduler of this host: `agent.carton.revision` is what it runs. */
    carton: Scheduler;
  }

  interface EggAppConfig {
    carton: CartonConfig;
  }
}

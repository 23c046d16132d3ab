/**
 * An app worker's part of a host: puts dispatcher and ingress together, and offers functions to the application.
 */
import type { HostEnvironment } from '../support/host_environment';
import { CartonError, describe } from '../support/errors';
import { delay } from '../support/clock';
import { HostDirectory } from '../support/host_directory';
import type { MocksChange, ServiceMock } from '../protocol/control';
import { Dispatcher } from '../ingress/dispatcher';
import { Ingress, type AccessRecord } from '../ingress/ingress';
import { invokeFunction, type InvokeOptions } from '../ingress/invoke';
import type { CookieReader } from '../ingress/user';
import type { FunctionCounts } from '../observe/metrics';
import { Recorder } from '../observe/recorder';
import { checkpointHooks } from '../fork/inside/hooks';
import type { FunctionSpec } from '../spec/types';

export interface WorkerHostOptions {
  readonly environment: HostEnvironment;
  /** Handed to `carton.resolveUser` as its second argument. */
  readonly application: unknown;
  readonly cookies: CookieReader;
  readonly access: ((record: AccessRecord) => void) | undefined;
}

/** Milliseconds that a worker's boot waits for the agent; without it, requests wait instead. */
const FIRST_SPECS_MS = 5_000;

/** `app.carton`: functions, as the application that hosts them sees them. */
export class WorkerHost {
  readonly ingress: Ingress;
  readonly #dispatcher: Dispatcher;
  readonly #environment: HostEnvironment;
  readonly #recorder = new Recorder();
  #hasMocks = false;

  constructor(options: WorkerHostOptions) {
    const { environment } = options;
    this.#environment = environment;
    const { application, config, hostProcess } = environment;
    this.#dispatcher = new Dispatcher(environment, new HostDirectory(config.directory, hostProcess, application.baseDir));
    this.ingress = new Ingress({
      environment,
      dispatcher: this.#dispatcher,
      recorder: this.#recorder,
      user: {
        resolve: environment.config.resolveUser,
        cookies: options.cookies,
        application: options.application,
        logError: (error) => environment.log.error(error instanceof Error ? error : String(error)),
      },
      access: options.access,
    });
  }

  /** Resolves once the functions are known, or after 5 s without an agent. */
  async start(): Promise<void> {
    const known = new Promise<void>((resolve) => {
      this.#dispatcher.start((functions) => {
        this.ingress.setFunctions(functions);
        resolve();
      });
    });
    await Promise.race([known, delay(this.#environment.clock, FIRST_SPECS_MS)]);
  }

  /** All functions of the application, with their resolved specs. */
  get functions(): readonly FunctionSpec[] {
    return this.#dispatcher.functions;
  }

  /** What this worker has served so far, by function. */
  get metrics(): Record<string, FunctionCounts> {
    return this.#recorder.metrics;
  }

  /** Calls a function as a OneAPI request would, without HTTP. Rejects with an error from the table. */
  invoke(name: string, args: readonly unknown[] = [], options: InvokeOptions = {}): Promise<unknown> {
    return invokeFunction({ dispatcher: this.#dispatcher, clock: this.#environment.clock, recorder: this.#recorder }, { name, args, options });
  }

  /**
   * For tests: a service's method answers with `mock.result`, or throws `mock.error`, in every instance. Invocations
   * that come after it wait until that is so.
   */
  mockService(mock: ServiceMock): void {
    if (this.#environment.config.launcher !== 'inline' && process.env['NODE_ENV'] === 'production') {
      throw new CartonError('CARTON_CONFIG_INVALID', { of: 'mockService', expected: 'a test', got: 'NODE_ENV=production' });
    }
    this.#hasMocks = true;
    this.#setMocks({ mocks: [mock], keep: true });
  }

  restoreServices(): void {
    this.#hasMocks = false;
    this.#setMocks({ mocks: [], keep: false });
  }

  /** Whether mocks were set in this worker since the last restore. */
  get hasMocks(): boolean {
    return this.#hasMocks;
  }

  /**
   * Registers what is closed before function processes are forked from this application, and opened again in each of
   * them; see `egg-carton/fork`. A worker is never forked from: here it does nothing.
   */
  readonly onCheckpoint = checkpointHooks.onCheckpoint;
  readonly beforeCheckpoint = checkpointHooks.beforeCheckpoint;
  readonly afterRestore = checkpointHooks.afterRestore;

  #setMocks(change: MocksChange): void {
    this.#dispatcher.setMocks(change).catch((error: unknown) => this.#environment.log.error(`mocks of services: ${describe(error)}`));
  }

  /**
   * Lets what is open finish, within `carton.drainTimeoutMs`, and then takes nothing more. `lingerMs`: how long it stays
   * at least, for requests that are on their way.
   */
  async close(lingerMs = 0): Promise<void> {
    if (lingerMs > 0) await this.#dispatcher.drain(lingerMs, () => 1);
    await this.#dispatcher.drain(this.#environment.config.drainTimeoutMs, () => this.ingress.open);
    this.#dispatcher.close();
  }
}

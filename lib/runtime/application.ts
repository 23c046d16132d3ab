/**
 * A booted application as the runtime is handed it. The runtime never imports Egg: an entry boots the application and
 * puts this face on it.
 */
import type { ServiceMock } from '../protocol/control';

export interface FunctionLogger {
  debug(message: unknown, ...args: unknown[]): void;
  info(message: unknown, ...args: unknown[]): void;
  warn(message: unknown, ...args: unknown[]): void;
  error(message: unknown, ...args: unknown[]): void;
}

export interface BootedApplication {
  readonly baseDir: string;
  /** What `ctx.config` is: the application's merged configuration. */
  readonly config: Readonly<Record<string, unknown>>;
  /** The application's logger; the runtime adds function and invocation to each line. */
  readonly logger: FunctionLogger;
  /** One per invocation; must cost next to nothing until `service` is read. */
  createScope(logger: FunctionLogger): ApplicationScope;
  /** Log files were rotated: reopen them. */
  reloadLogs(): void;
  /** Replaces all mocks of services by these. */
  setMocks(mocks: readonly ServiceMock[]): void;
  close(): Promise<void>;
}

export interface ApplicationScope {
  /**
   * The application's services, on a context made at first use. A service that reaches for what only a request has
   * (`ctx.request`, `session`, `cookies`, …) gets `CARTON_RUNTIME_CONTEXT_PROPERTY`, which names the property.
   */
  readonly service: unknown;
  /** Calls `call` so that the application's own async context (Egg's `app.currentContext`) is this scope's. */
  run<T>(call: () => T): T;
}

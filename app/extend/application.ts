/**
 * What an Egg application gets from the plugin beside `app.carton`: calling functions, and mocking their services in
 * tests.
 */
import { assertMockable } from '../../lib/entry/application/service_mocks';
import { checkpointHooks } from '../../lib/fork/inside/hooks';
import { onceRestored } from '../../lib/entry/mock_restore';
import type { WorkerHost } from '../../lib/entry/worker_host';
import type { InvokeOptions } from '../../lib/ingress/invoke';

interface Application {
  readonly carton: WorkerHost;
  readonly serviceClasses?: unknown;
  readonly plugins: Readonly<Record<string, { readonly enable: boolean; readonly path?: string } | undefined>>;
}

export default {
  /** Until the worker's boot puts its host here, which has the same hooks. */
  carton: checkpointHooks,

  invokeFunction(this: Application, name: string, args?: readonly unknown[], options?: InvokeOptions): Promise<unknown> {
    return this.carton.invoke(name, args, options);
  },

  /** Synchronous, because egg-mock's cluster calls it over HTTP and waits for nothing; function requests wait instead. */
  mockFunctionService(this: Application, service: string, method: string, result: unknown): void {
    const mock = result instanceof Error ? { service, method, error: result.message } : { service, method, result };
    assertMockable(this.serviceClasses, mock);
    if (!this.carton.hasMocks) onceRestored(this.plugins['egg-mock']?.path, () => this.carton.restoreServices());
    this.carton.mockService(mock);
  },

  restoreFunctionServices(this: Application): void {
    this.carton.restoreServices();
  },
};

/**
 * What an Egg application gets from the plugin beside `app.carton`: calling functions, and mocking their services in
 * tests.
 */
import type { WorkerHost } from '../../lib/entry/worker_host';
import type { InvokeOptions } from '../../lib/ingress/invoke';

interface Application {
  readonly carton: WorkerHost;
}

export default {
  invokeFunction(this: Application, name: string, args?: readonly unknown[], options?: InvokeOptions): Promise<unknown> {
    return this.carton.invoke(name, args, options);
  },

  mockFunctionService(this: Application, service: string, method: string, result: unknown): Promise<void> {
    const mock = result instanceof Error ? { service, method, error: result.message } : { service, method, result };
    return this.carton.mockService(mock);
  },

  restoreFunctionServices(this: Application): Promise<void> {
    return this.carton.restoreServices();
  },
};

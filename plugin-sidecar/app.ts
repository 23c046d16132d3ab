/**
 * Boot class of the plugin that is enabled in sidecars alone: once all clients are ready, it serves them. Lifecycle only.
 */
import { ClientServer, type SidecarOptions } from './lib/client_server';

interface Application {
  readonly options: { readonly cartonSidecar: SidecarOptions };
  readonly [client: string]: unknown;
}

export default class CartonSidecar {
  readonly #app: Application;

  constructor(app: Application) {
    this.#app = app;
  }

  /** `failure`: of the boot; whoever started it is told. */
  async didReady(failure?: Error | null): Promise<void> {
    if (failure) return;
    const options = this.#app.options.cartonSidecar;
    options.server = new ClientServer(this.#app, options);
    await options.server.listen();
  }

  beforeClose(): void {
    this.#app.options.cartonSidecar.server?.close();
  }
}

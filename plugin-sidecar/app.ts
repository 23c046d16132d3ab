/**
 * Boot class of the plugin that is enabled in sidecars alone: once all clients are ready, it serves them. Lifecycle only.
 */
import { ClientServer, type SidecarOptions } from './lib/client_server';
import { Wires, type WireApplication } from './lib/wires';

interface Application extends WireApplication {
  readonly options: { readonly cartonSidecar: SidecarOptions };
  readonly [client: string]: unknown;
}

export default class CartonSidecar {
  readonly #app: Application;
  #wires: Wires | undefined;

  constructor(app: Application) {
    this.#app = app;
  }

  /** `failure`: of the boot; whoever started it is told. */
  async didReady(failure?: Error | null): Promise<void> {
    if (failure) return;
    const options = this.#app.options.cartonSidecar;
    this.#wires = new Wires(this.#app, options);
    await this.#wires.listen();
    options.server = new ClientServer(this.#app, options);
    await options.server.listen();
  }

  async beforeClose(): Promise<void> {
    this.#app.options.cartonSidecar.server?.close();
    await this.#wires?.close();
  }
}

/**
 * Egg's app worker: lifecycle only. The ingress lives here.
 */
import type { Server } from 'node:http';
import { cookieReader } from './lib/entry/egg_cookies';
import { eggEnvironment, isSingle, type EggProcess } from './lib/entry/egg_host';
import { wrapEgg } from './lib/entry/application/inline';
import { registerInlineApplication } from './lib/entry/inline_application';
import { reportShadowed, type EggRouter } from './lib/entry/shadowed_routes';
import { WorkerHost } from './lib/entry/worker_host';
import { attachToServer, koaMiddleware } from './lib/ingress/attach';

interface Application extends EggProcess {
  readonly keys: string[];
  readonly middleware: unknown[];
  readonly router: EggRouter;
  readonly getLogger: (name: string) => { info(line: string): void };
  once(event: 'server', listener: (server: Server) => void): void;
  carton: WorkerHost;
}

export default class CartonApplication {
  readonly #app: Application;
  #host: WorkerHost | undefined;
  #server: Server | undefined;
  #unregister: (() => void) | undefined;

  constructor(app: Application) {
    this.#app = app;
  }

  async didLoad(): Promise<void> {
    const app = this.#app;
    const environment = eggEnvironment(app);
    const host = new WorkerHost({
      environment,
      application: app,
      cookies: (headers) => cookieReader(headers, () => app.keys),
      access: environment.config.ingress.accessLog ? (record) => app.getLogger('cartonAccessLogger').info(JSON.stringify(record)) : undefined,
    });
    this.#host = host;
    app.carton = host;
    // Its reload sends a worker two signals, and the second would end what the first lets finish.
    if (environment.development && !isSingle(app)) process.on('SIGTERM', () => undefined);
    if (isSingle(app)) this.#unregister = registerInlineApplication(app.baseDir, wrapEgg(app));
    if (!environment.config.ingress.enable) return void (await host.start());
    // The server takes function requests first; where nobody tells of a server, the first middleware does.
    app.once('server', (server) => attachToServer(this.#server = server, host.ingress));
    app.middleware.unshift(koaMiddleware(host.ingress));
    await host.start();
    reportShadowed(host.functions, app.router, environment);
  }

  async beforeClose(): Promise<void> {
    // A request on a connection kept alive would meet a worker that is gone.
    this.#server?.closeIdleConnections();
    await this.#host?.close();
    this.#server?.closeIdleConnections();
    this.#unregister?.();
  }
}

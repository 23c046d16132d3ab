/**
 * Egg's app worker: lifecycle only. The ingress lives here.
 */
import type { Server } from 'node:http';
import { Server as NetServer } from 'node:net';
import { cookieReader } from './lib/entry/egg_cookies';
import { eggEnvironment, isSingle, runsInline, type EggProcess } from './lib/entry/egg_host';
import { wrapEgg } from './lib/entry/application/inline';
import { registerInlineApplication } from './lib/entry/inline_application';
import { isRecording } from './lib/entry/recording/state';
import { registration } from './lib/entry/registration';
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

/** Milliseconds for which a worker that is reloaded still takes requests: connections may be on their way to it. */
const RELOAD_LINGER_MS = 100;

export default class CartonApplication {
  readonly #app: Application;
  #host: WorkerHost | undefined;
  #server: Server | undefined;
  #lingerMs = 0;
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
    if (isRecording()) return;
    if (environment.development && !isSingle(app)) {
      this.#lingerMs = RELOAD_LINGER_MS;
      // egg-development's reload sends a worker two signals, and the second would end what the first lets finish.
      process.on('SIGTERM', () => undefined);
    }
    if (runsInline(app, environment)) this.#unregister = registerInlineApplication(app.baseDir, wrapEgg(app));
    if (!environment.config.ingress.enable) return void (await host.start());
    // The server takes function requests first; where nobody tells of a server, the first middleware does.
    app.once('server', (server) => attachToServer(this.#server = server, host.ingress));
    app.middleware.unshift(koaMiddleware(host.ingress));
    await host.start();
    reportShadowed(host.functions, app.router, environment);
  }

  async didReady(): Promise<void> {
    registration()?.replay?.settle();
  }

  async beforeClose(): Promise<void> {
    // The master gives new connections to other workers from here on, and those that were on their way; one that is
    // still unread when this process exits would never be answered, because the master keeps it open.
    // It is net's `close`, since http's would cut the connections that callers kept alive and may just be using.
    if (this.#server !== undefined && !isSingle(this.#app)) NetServer.prototype.close.call(this.#server);
    await this.#host?.close(this.#lingerMs);
    this.#server?.closeIdleConnections();
    this.#unregister?.();
  }
}

/**
 * `egg-carton/koa`: hosts functions in front of a plain Koa application, without Egg.
 *
 *     const host = await hostFunctions(app, { baseDir: __dirname, module: 'services.js' });
 *     const server = app.listen(7001);
 *     // later: server.close(); await host.close();
 */
import { createHost, type CartonOverrides, type Host, type HostOptions } from './lib/entry/bare_host';
import { koaMiddleware } from './lib/ingress/attach';

export type { CartonOverrides, Host, HostOptions };
export { createHost };

/** What is used of a Koa application. */
export interface KoaApplication {
  readonly middleware: unknown[];
}

/**
 * Puts an ingress in front of all middleware of `app`: requests for functions go to them, all others go on untouched.
 * To be called before `app.listen` or `app.callback`. Rejects as `createHost`.
 */
export async function hostFunctions(app: KoaApplication, options: HostOptions): Promise<Host> {
  const host = await createHost({ application: app, ...options });
  app.middleware.unshift(koaMiddleware(host.carton.ingress));
  return host;
}

/**
 * Puts an ingress in front of what serves HTTP: a node:http server, or a Koa application that never sees its server.
 */
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { Ingress } from './ingress';

type RequestListener = (request: IncomingMessage, response: ServerResponse) => void;

/** Requests that an ingress has looked at: the Koa middleware has no need to look again. */
const seen = new WeakSet<IncomingMessage>();

/**
 * Takes function requests before the server's present listeners; all others reach them untouched. Upgrades
 * (WebSocket) are another event of the server and are not touched at all.
 */
export function attachToServer(server: Pick<Server, 'listeners' | 'removeListener' | 'on'>, ingress: Ingress): void {
  const listeners = server.listeners('request') as RequestListener[];
  for (const listener of listeners) server.removeListener('request', listener);
  const offer = (request: IncomingMessage, response: ServerResponse): void => {
    if (ingress.take(request, response)) return;
    for (const listener of listeners) listener.call(server, request, response);
  };
  server.on('request', (request: IncomingMessage, response: ServerResponse) => {
    seen.add(request);
    const settling = ingress.settle();
    if (settling === undefined) offer(request, response);
    else void settling.then(() => offer(request, response));
  });
}

/** The part of Koa's context that the middleware touches. */
interface KoaContext {
  readonly req: IncomingMessage;
  readonly res: ServerResponse;
  respond?: boolean;
}

/** Must be the first middleware: it has to see the request before anything reads its body. */
export function koaMiddleware(ingress: Ingress): (context: KoaContext, next: () => Promise<unknown>) => Promise<unknown> {
  return async (context, next) => {
    if (seen.has(context.req)) return next();
    await ingress.settle();
    if (!ingress.take(context.req, context.res)) return next();
    context.respond = false;
    return undefined;
  };
}

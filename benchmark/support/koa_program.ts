/**
 * A template program that has forks answer an Egg application's routes: the whole application with router, controllers
 * and middleware, its `callback()` behind a node:http server on a unix socket. The host has nothing of the kind, so this
 * stands for it, under the same flags. Runs in a template and its forks.
 */
import { createServer, type Server } from 'node:http';
import { once } from 'node:events';
import { join } from 'node:path';
import { StubAgent } from '../../lib/entry/application/stub_agent';
import { EGG_LOADER, EGG_PATH, type ApplicationClass, type EggApplication, type LoaderClass, type LoaderOptions } from '../../lib/entry/application/egg_types';
import type { Fork } from '../../lib/fork/program';
import { askSocket } from './socket_request';

export interface KoaArgument {
  readonly baseDir: string;
  /** Absolute path. */
  readonly framework: string;
  /** Where the template answers once, to be warm. */
  readonly directory: string;
  readonly routePath: string;
  readonly args: readonly unknown[];
}

/** Of a fork: the socket it is to answer on. */
export interface KoaFork {
  readonly socketPath: string;
}

/** What a fork says on its channel once it listens. */
export const LISTENING = 'listening';

type WebApplication = EggApplication & { callback(): Parameters<typeof createServer>[1] };

export async function warm(argument: unknown): Promise<WebApplication> {
  const { baseDir, framework, directory, routePath, args } = argument as KoaArgument;
  const { Application } = require(framework) as { Application: ApplicationClass };
  const app = new (withoutAgent(Application))({ baseDir, framework, mode: 'single', ignoreWarning: true }) as WebApplication;
  app.agent ??= new StubAgent(app);
  await app.ready();
  app.messenger.broadcast('egg-ready');
  const socketPath = join(directory, 'warm');
  const server = await serve(app, socketPath);
  await askSocket({ socketPath, path: routePath, json: args });
  server.close();
  await once(server, 'close');
  return app;
}

export function run({ channel, argument, restored }: Fork, app: WebApplication): void {
  const { socketPath } = argument as KoaFork;
  // Egg logs a rejection that nobody hears, and lets the process live.
  restored.then(() => serve(app, socketPath)).then(() => channel.write(LISTENING), (error: unknown) => channel.end(String(error)));
  channel.resume();
}

async function serve(app: WebApplication, path: string): Promise<Server> {
  const server = createServer(app.callback()).listen(path);
  await once(server, 'listening');
  return server;
}

/** An agent would do the work of the host's again, in the very process that is to be quiet. */
function withoutAgent(Application: ApplicationClass): ApplicationClass {
  const inherited = Application.prototype as Record<symbol, unknown>;
  return class extends Application {
    get [EGG_LOADER](): LoaderClass {
      const Loader = Reflect.get(inherited, EGG_LOADER, this) as LoaderClass;
      return class extends Loader {
        constructor(options: LoaderOptions) {
          options.app.agent = new StubAgent(options.app);
          super(options);
        }
      };
    }

    /** Egg wants one of each class in the chain. */
    get [EGG_PATH](): unknown {
      return Reflect.get(inherited, EGG_PATH, this);
    }
  };
}

/**
 * Applications of fixtures as their own unit tests have them: booted by egg-mock in the process of the test.
 */
import mm from 'egg-mock';
import { resolve } from 'node:path';
import type { RequestListener } from 'node:http';
import type { Test } from 'supertest';
import type { WorkerHost } from '../../lib/entry/worker_host';
import type { InvokeOptions } from '../../lib/ingress/invoke';
import { FIXTURES } from '../support/cluster';

export interface MockedApp {
  readonly carton: WorkerHost;
  invokeFunction(name: string, args?: readonly unknown[], options?: InvokeOptions): Promise<unknown>;
  mockFunctionService(service: string, method: string, result: unknown): void;
  restoreFunctionServices(): void;
  mockService(service: string, method: string, result: unknown): void;
  mockHttpclient(url: string, result: unknown): void;
  httpRequest(): { get(path: string): Test; post(path: string): Test };
  callback(): RequestListener;
  ready(): Promise<void>;
  close(): Promise<void>;
}

export interface MockedOptions {
  readonly framework?: string;
  /** Merged over the application's configuration, as EGG_APP_CONFIG does. */
  readonly config?: Readonly<Record<string, unknown>>;
  readonly plugins?: Readonly<Record<string, unknown>>;
}

/** As `egg-bin test` runs it: in Egg's environment `unittest`. */
export async function mockedApp(application: string, { config = {}, ...options }: MockedOptions = {}): Promise<MockedApp> {
  const restore = environment({ EGG_SERVER_ENV: 'unittest', EGG_APP_CONFIG: JSON.stringify(config) });
  try {
    const app = mm.app({ baseDir: resolve(FIXTURES, application), cache: false, ...options }) as unknown as MockedApp;
    await app.ready();
    return app;
  } finally {
    restore();
  }
}

/** Sets variables and returns what undoes it. */
export function environment(variables: Readonly<Record<string, string>>): () => void {
  const before = Object.keys(variables).map((name) => [name, process.env[name]] as const);
  Object.assign(process.env, variables);
  return () => {
    for (const [name, value] of before) {
      if (value === undefined) delete process.env[name];
      else process.env[name] = value;
    }
  };
}

export async function closeMocked(app: MockedApp | undefined): Promise<void> {
  await app?.close();
}

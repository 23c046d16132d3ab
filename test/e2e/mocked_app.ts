/**
 * Applications of fixtures as their own unit tests have them: booted by egg-mock in the process of the test.
 */
import mm from 'egg-mock';
import { join } from 'node:path';
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

export async function mockedApp(application: string, { config, ...options }: MockedOptions = {}): Promise<MockedApp> {
  const before = process.env['EGG_APP_CONFIG'];
  if (config !== undefined) process.env['EGG_APP_CONFIG'] = JSON.stringify(config);
  try {
    const app = mm.app({ baseDir: join(application.startsWith('/') ? '' : FIXTURES, application), cache: false, ...options } as Parameters<typeof mm.app>[0]) as unknown as MockedApp;
    await app.ready();
    return app;
  } finally {
    if (before === undefined) delete process.env['EGG_APP_CONFIG'];
    else process.env['EGG_APP_CONFIG'] = before;
  }
}

export async function closeMocked(app: MockedApp | undefined): Promise<void> {
  await app?.close();
}

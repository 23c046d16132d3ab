/**
 * The applications whose starts are compared, each in production, compiled, in a directory of its own: the smallest
 * that there is, examples/bff, and a generated large one. Whoever builds them removes them.
 */
import { cpSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Example } from '../../scripts/support/example_host';
import { writeLargeApplication } from './large_application';

export const APPLICATION_NAMES = ['hello', 'bff', 'large'] as const;
export type ApplicationName = (typeof APPLICATION_NAMES)[number];

/** `carton`: with the plugin. '': the stock application. `hosted`: as `app/config/plugin.hosted.js` says, where there is one. */
export type Scope = 'carton' | '' | 'hosted';

export type CartonSettings = Readonly<Record<string, unknown>>;

export interface Application {
  /** As in its package.json. */
  readonly name: string;
  readonly baseDir: string;
  /** Where its processes write what they write, and meet. */
  readonly directory: string;
  /** A route that a stock process answers with 200. */
  readonly routePath: string;
  /** A function of it and its arguments, which asks for as much as the route does. */
  readonly functionName: string;
  readonly args: readonly unknown[];
  /** Whether its configuration says who calls: functions then may ask for a user. */
  readonly hasUserResolver: boolean;
  /** `carton`: settings of the plugin that differ from their defaults. */
  environment(scope: Scope, carton?: CartonSettings): Readonly<Record<string, string>>;
  remove(): Promise<void>;
}

const REPOSITORY = join(__dirname, '../..');

export function buildApplication(name: ApplicationName): Promise<Application> {
  switch (name) {
    case 'hello':
      return Promise.resolve(buildHello());
    case 'bff':
      return buildBff();
    case 'large':
      return Promise.resolve(buildLarge());
  }
}

function buildHello(): Application {
  const write = (baseDir: string): void => cpSync(join(REPOSITORY, 'fixtures/hello-app'), baseDir, { recursive: true });
  return inDirectory('hello-app', write, { routePath: '/', functionName: 'hello', args: [] });
}

function buildLarge(): Application {
  return inDirectory('large-app', writeLargeApplication, { routePath: '/account/summary', functionName: 'account', args: [{ size: 10 }] });
}

async function buildBff(): Promise<Application> {
  const example = new Example();
  await example.build();
  return {
    name: 'bff',
    baseDir: example.baseDir,
    directory: example.directory,
    routePath: '/api/home?city=chengdu',
    functionName: 'home',
    args: ['chengdu'],
    hasUserResolver: true,
    environment: (scope, carton) => example.environment(scope === 'carton' ? scope : '', carton),
    remove: () => example.remove(),
  };
}

export type Asked = Pick<Application, 'routePath' | 'functionName' | 'args'>;

/** An application that needs nothing beside itself: written outside of the repository, with its dependencies linked. */
export function inDirectory(name: string, write: (baseDir: string) => void, asked: Asked): Application {
  const directory = mkdtempSync(join(tmpdir(), 'carton-'));
  const baseDir = join(directory, name);
  write(baseDir);
  symlinkSync(join(REPOSITORY, 'node_modules'), join(baseDir, 'node_modules'));
  return {
    name,
    baseDir,
    directory,
    ...asked,
    hasUserResolver: false,
    environment: (scope, carton) => environmentOf(directory, scope, carton),
    remove: () => Promise.resolve(rmSync(directory, { recursive: true, force: true })),
  };
}

/** Production, all that the application writes kept in its directory. */
function environmentOf(directory: string, scope: Scope, carton: CartonSettings = {}): Record<string, string> {
  const config = {
    rundir: join(directory, 'run'),
    logger: { dir: join(directory, 'logs') },
    ...(scope === 'carton' && { carton: { directory: socketDirectory(directory), ...carton } }),
  };
  return { NODE_ENV: 'production', EGG_SERVER_ENV: 'prod', EGG_SERVER_SCOPE: scope, EGG_HOME: directory, EGG_APP_CONFIG: JSON.stringify(config) };
}

/** As in the environment of every application here. */
export function socketDirectory(directory: string): string {
  return join(directory, 's');
}

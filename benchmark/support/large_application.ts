/**
 * Writes the large application: 500 controllers with a route each, 500 services, 40 plugins and a few functions, about
 * as much as a company's monolith after some years. Every run writes the same bytes.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { librarySources } from './large_libraries';
import { pluginSources } from './large_plugins';
import { controllerSource, functionSources, routerSources, serviceSource, SUBJECTS, type Sources } from './large_sources';

const PACKAGE = { name: 'large-app', version: '1.0.0', private: true, dependencies: { egg: '3' } };

const CONFIG = `'use strict';

exports.keys = 'large-app-keys';
exports.middleware = [ 'timing', 'notFoundJson' ];
exports.bodyParser = { jsonLimit: '256kb' };
`;

const CARTON = `'use strict';

exports.carton = { enable: true, package: 'egg-carton' };
`;

/** Writes the application to `directory`, which is made; its dependencies are the caller's. */
export function writeLargeApplication(directory: string): void {
  const own: Sources = new Map([
    ['package.json', `${JSON.stringify(PACKAGE, undefined, 2)}\n`],
    ['config/config.default.js', CONFIG],
    ['config/plugin.carton.js', CARTON],
    ...SUBJECTS.map((subject) => [`app/controller/${subject.area}/${subject.entity}.js`, controllerSource(subject)] as const),
    ...SUBJECTS.map((subject) => [`app/service/${subject.area}/${subject.entity}.js`, serviceSource(subject)] as const),
  ]);
  for (const sources of [own, librarySources(), pluginSources(), routerSources(), functionSources()]) {
    for (const [path, text] of sources) write(join(directory, path), text);
  }
}

function write(file: string, text: string): void {
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, text);
}
